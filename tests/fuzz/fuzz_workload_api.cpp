// What programs send to the Workload API, and what the kernel tells of them, as any bytes.
#include "workload-api/caller_attestor.h"
#include "workload-api/workload_messages.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const QByteArray bytes(reinterpret_cast<const char *>(data), qsizetype(size));
    (void)bool(lintel::workloads::readEmptyQuestion(bytes));
    (void)bool(lintel::workloads::readTokenQuestion(bytes));
    (void)bool(lintel::workloads::readValidationQuestion(bytes));
    (void)lintel::workloads::systemdUnitOf(bytes);
    return 0;
}

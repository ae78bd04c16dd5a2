// Answers of bundle endpoints, in two pieces.
#include "grpc/http1_response.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const QByteArrayView bytes(reinterpret_cast<const char *>(data), qsizetype(size));
    const qsizetype cut = size == 0 ? 0 : qsizetype(data[0]) % bytes.size();
    lintel::grpc::Http1Response response;
    const auto first = response.receive(bytes.first(cut));
    if (first && !*first)
        (void)response.receive(bytes.sliced(cut));
    return 0;
}

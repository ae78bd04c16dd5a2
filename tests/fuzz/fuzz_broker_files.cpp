// The JSON files of the broker's plugin: roles (from an administrator) and status (for the
// gateway). What parses prints back to itself.
#include "broker-plugin/broker_status.h"
#include "mqtt/broker_roles.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    using namespace lintel::broker;
    const QByteArray bytes(reinterpret_cast<const char *>(data), static_cast<qsizetype>(size));
    if (const auto roles = parseRoles(bytes)) {
        const auto again = parseRoles(printRoles(*roles));
        if (!again || !(*again == *roles))
            std::abort();
    }
    if (const auto status = parseStatus(bytes)) {
        const auto again = parseStatus(printStatus(*status));
        if (!again || !(*again == *status))
            std::abort();
    }
    return 0;
}

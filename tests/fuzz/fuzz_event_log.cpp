// A boot event log never breaks the authority, whatever it says.
#include "tpm/event_log.h"

#include <cstdlib>

using namespace lintel;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const auto log = tpm::parseEventLog(QByteArray(reinterpret_cast<const char *>(data), static_cast<qsizetype>(size)));
    if (!log)
        return 0;
    for (const tpm::BootEvent &event : log->events)
        if (event.pcr < 0 || event.pcr > 23)
            std::abort();
    const auto pcrs = tpm::replay(*log);
    if (pcrs.size() != 17)
        std::abort();
    for (const QByteArray &value : pcrs)
        if (value.size() != 32)
            std::abort();
    static_cast<void>(tpm::secureBootOf(*log));
    return 0;
}

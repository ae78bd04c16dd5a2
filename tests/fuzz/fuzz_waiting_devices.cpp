// What an agent reads out of the authority's answer about who waits for approval: arbitrary bytes give a
// bounded list of devices with hashes of the right form, or an error.
#include "spire/waiting_devices.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    using namespace lintel;
    const QByteArray bytes(reinterpret_cast<const char *>(data), static_cast<qsizetype>(size));
    const auto waiting = spire::readWaitingDevices(bytes, Timestamp{});
    if (!waiting)
        return 0;
    if (waiting->latest.size() > spire::WaitingDevices::kMost || waiting->total < quint64(waiting->latest.size()))
        std::abort();
    for (const spire::WaitingDevice &device : waiting->latest) {
        if (device.ekHash.size() != 64 || device.maker.contains(QLatin1Char('\n')))
            std::abort();
    }
    return 0;
}

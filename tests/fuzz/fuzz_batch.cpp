// What decodes as a stored batch, or as a stored list of points, encodes to the very same bytes.
#include "domain/point.h"
#include "domain/reading.h"

#include <cstdlib>

using namespace lintel;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const QByteArrayView bytes(data, static_cast<qsizetype>(size));
    if (const auto batch = decodeBatch(bytes)) {
        require(encodeBatch(*batch) == bytes);
        // Each stored reading and loss takes at least three bytes.
        require((batch->readings.size() + batch->losses.size()) * 3 <= bytes.size());
        for (const Reading &reading : batch->readings)
            (void)toText(reading.value);
    } else {
        require(batch.error().code == Errc::Malformed && !batch.error().message.isEmpty());
    }
    if (const auto points = decodePoints(bytes)) {
        require(encodePoints(*points) == bytes);
        for (const Point &point : *points)
            (void)bool(validate(point));
    }
    return 0;
}

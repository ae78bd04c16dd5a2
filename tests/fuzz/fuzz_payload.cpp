// Whatever decodes must encode, decode again to the same, and survive the readers of metrics.
#include "sparkplug/payload.h"
#include "sparkplug/point_metrics.h"

#include <cstdlib>

using namespace lintel::sparkplug;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const auto payload = decode(QByteArrayView(data, qsizetype(size)));
    if (!payload)
        return 0;
    const QByteArray bytes = encode(*payload);
    const auto again = decode(bytes);
    if (!again || encode(*again) != bytes)
        std::abort();
    QSet<QString> taken;
    for (const Metric &metric : payload->metrics) {
        if (const auto point = pointOf(metric, taken)) {
            taken.insert(point->id);
            (void)readingOf(metric, *point, metric.type, lintel::Timestamp{});
        }
        if (metric.dataSet)
            (void)lossesOf(*metric.dataSet);
    }
    return 0;
}

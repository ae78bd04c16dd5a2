#include "ingestion/latency_meter.h"

#include <algorithm>

namespace lintel {

namespace {

// Four decades; within each the width is a thousandth of the decade's end.
struct Decade {
    qint64 from;
    qint64 to;
    qint64 width;
};
constexpr Decade kDecades[] = {
    {0, 1'000, 1},
    {1'000, 10'000, 10},
    {10'000, 100'000, 100},
    {100'000, 1'000'000, 1'000},
};

qsizetype bucketCount()
{
    qsizetype count = 1; // the last one: longer than all decades
    for (const Decade &decade : kDecades)
        count += (decade.to - decade.from) / decade.width;
    return count;
}

qsizetype bucketOf(qint64 ms)
{
    qsizetype base = 0;
    for (const Decade &decade : kDecades) {
        if (ms < decade.to)
            return base + (ms - decade.from) / decade.width;
        base += (decade.to - decade.from) / decade.width;
    }
    return base;
}

qint64 upperEdge(qsizetype bucket)
{
    for (const Decade &decade : kDecades) {
        const qsizetype size = (decade.to - decade.from) / decade.width;
        if (bucket < size)
            return decade.from + bucket * decade.width + (decade.width == 1 ? 0 : decade.width);
        bucket -= size;
    }
    return kDecades[3].to;
}

} // namespace

LatencyMeter::LatencyMeter() : m_buckets(bucketCount(), 0) {}

void LatencyMeter::add(Millis latency, quint64 times)
{
    m_buckets[bucketOf(std::max<qint64>(0, latency.count()))] += times;
    m_count += times;
}

Millis LatencyMeter::percentile(double percent) const
{
    if (m_count == 0)
        return Millis{0};
    const double wanted = double(m_count) * percent / 100.0;
    quint64 seen = 0;
    for (qsizetype bucket = 0; bucket < m_buckets.size(); ++bucket) {
        seen += m_buckets[bucket];
        if (seen > 0 && double(seen) >= wanted)
            return Millis{upperEdge(bucket)};
    }
    return Millis{upperEdge(m_buckets.size() - 1)};
}

} // namespace lintel

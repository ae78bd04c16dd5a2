// How long readings take from measurement to storage: counts in buckets of 1 ms up to a second, then
// about 1 % wide, so that a percentile of millions costs a few kilobytes. Values only; any thread.
#pragma once

#include "domain/timestamp.h"

#include <QList>

namespace lintel {

class LatencyMeter
{
public:
    LatencyMeter();

    /// A clock that runs ahead gives a negative latency; it counts as zero.
    void add(Millis latency, quint64 times = 1);
    /// The smallest time that `percent` of all samples do not exceed; zero of nothing.
    [[nodiscard]] Millis percentile(double percent) const;
    [[nodiscard]] quint64 count() const { return m_count; }

private:
    QList<quint64> m_buckets;
    quint64 m_count = 0;
};

} // namespace lintel

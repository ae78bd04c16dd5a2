// SPDX-License-Identifier: GPL-3.0-only
// The recent past of one point, in the order of device time, for charts. Bounded: the oldest goes
// first. Late readings are put where they belong. Values only; any thread.
#pragma once

#include <QtGlobal>

#include <algorithm>
#include <span>
#include <vector>

namespace lintel {

struct Sample {
    qint64 at = 0; // device time, epoch milliseconds
    double value = 0;
    quint32 span = 0;  // milliseconds this sample stands for: a bucket of history, 0 = one reading
    bool late = false; // arrived as historical: sent again, or stored while a link was down

    friend bool operator==(const Sample &, const Sample &) = default;
};

class SampleRing
{
public:
    explicit SampleRing(std::size_t capacity = 4'096) : m_capacity(capacity) {}

    /// A second sample of the same instant is the same reading once more: the first one stays, and
    /// so does the way it came, but a single reading takes the place of a bucket.
    void insert(const Sample &sample)
    {
        if (m_samples.empty() || m_samples.back().at < sample.at) {
            m_samples.push_back(sample);
        } else {
            const auto place = std::ranges::lower_bound(m_samples, sample.at, {}, &Sample::at);
            if (place != m_samples.end() && place->at == sample.at) {
                if (place->span > 0 && sample.span == 0)
                    *place = sample;
                return;
            }
            m_samples.insert(place, sample);
        }
        trim();
    }

    void setCapacity(std::size_t capacity)
    {
        m_capacity = capacity;
        trim();
    }

    /// Samples with from <= at <= to, and one before and one after, so that a line can enter and
    /// leave a window.
    [[nodiscard]] std::span<const Sample> around(qint64 from, qint64 to) const
    {
        auto first = std::ranges::lower_bound(m_samples, from, {}, &Sample::at);
        auto last = std::ranges::upper_bound(m_samples, to, {}, &Sample::at);
        if (first != m_samples.begin())
            --first;
        if (last != m_samples.end())
            ++last;
        return {first, last};
    }

    [[nodiscard]] std::span<const Sample> all() const { return m_samples; }
    [[nodiscard]] bool isEmpty() const { return m_samples.empty(); }

private:
    // Erasing from the front in blocks keeps the cost of one insertion constant.
    void trim()
    {
        if (m_samples.size() <= m_capacity + m_capacity / 4)
            return;
        m_samples.erase(m_samples.begin(), m_samples.end() - static_cast<std::ptrdiff_t>(m_capacity));
    }

    std::size_t m_capacity;
    std::vector<Sample> m_samples;
};

} // namespace lintel

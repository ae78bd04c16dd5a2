// Which numbers of a stream have arrived, or were declared lost: 1 … contiguous, and ranges beyond a
// hole. A range costs the same whether it holds one number or a million.
// Values only; any thread.
#pragma once

#include "domain/reading.h"

#include <QList>

#include <algorithm>
#include <map>

namespace lintel {

/// Inclusive.
struct MsnRange {
    Msn first = 0;
    Msn last = 0;

    friend bool operator==(const MsnRange &, const MsnRange &) = default;
};

class ReceivedNumbers
{
public:
    ReceivedNumbers() = default;
    explicit ReceivedNumbers(Msn contiguous) : m_contiguous(contiguous) {}

    /// The highest n such that 1 … n are all here.
    [[nodiscard]] Msn contiguous() const { return m_contiguous; }
    /// What is here beyond the first hole: first → last.
    [[nodiscard]] const std::map<Msn, Msn> &beyond() const { return m_beyond; }

    [[nodiscard]] bool contains(Msn n) const
    {
        if (n <= m_contiguous)
            return true;
        const auto after = m_beyond.upper_bound(n);
        return after != m_beyond.begin() && std::prev(after)->second >= n;
    }

    void take(Msn n) { take(MsnRange{n, n}); }
    /// Does nothing when first is 0 or beyond last.
    void take(MsnRange range)
    {
        if (range.first == 0 || range.first > range.last || range.last <= m_contiguous)
            return;
        auto it = m_beyond.upper_bound(range.first);
        if (it != m_beyond.begin() && std::prev(it)->second + 1 >= range.first)
            --it;
        while (it != m_beyond.end() && it->first <= range.last + 1) {
            range.first = std::min(range.first, it->first);
            range.last = std::max(range.last, it->second);
            it = m_beyond.erase(it);
        }
        if (range.first <= m_contiguous + 1)
            m_contiguous = range.last;
        else
            m_beyond.emplace(range.first, range.last);
    }

    /// The holes among the numbers below `end`, in order.
    [[nodiscard]] QList<MsnRange> missingBelow(Msn end) const
    {
        QList<MsnRange> missing;
        Msn next = m_contiguous + 1;
        for (const auto &[first, last] : m_beyond) {
            if (next >= end)
                return missing;
            missing.append({next, std::min(first, end) - 1});
            next = last + 1;
        }
        if (next < end)
            missing.append({next, end - 1});
        return missing;
    }

    friend bool operator==(const ReceivedNumbers &, const ReceivedNumbers &) = default;

private:
    Msn m_contiguous = 0;
    std::map<Msn, Msn> m_beyond;
};

} // namespace lintel

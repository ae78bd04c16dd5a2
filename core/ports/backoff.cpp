#include "ports/backoff.h"

#include <QRandomGenerator>

#include <algorithm>

namespace lintel {

std::chrono::milliseconds Backoff::next()
{
    auto nominal = m_policy.initial;
    for (int i = 0; i < m_failures && nominal < m_policy.max; ++i)
        nominal *= 2;
    nominal = std::min(nominal, m_policy.max);
    if (nominal < m_policy.max)
        ++m_failures;

    const double random = QRandomGenerator::global()->generateDouble();
    const double toMax = static_cast<double>(m_policy.max.count()) / static_cast<double>(nominal.count());
    const double highest = std::max(m_policy.jitterFrom, std::min(m_policy.jitterTo, toMax));
    const double factor = m_policy.jitterFrom + random * (highest - m_policy.jitterFrom);
    const std::chrono::milliseconds spread{static_cast<qint64>(static_cast<double>(nominal.count()) * factor)};
    return std::min(spread, m_policy.max);
}

} // namespace lintel

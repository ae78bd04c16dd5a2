#include "identity/svid_keeper.h"

#include <algorithm>

namespace lintel {

using namespace std::chrono_literals;

SvidKeeper::SvidKeeper(const Clock &clock, const TimeFloor &time, RenewalPolicy policy, quint32 seed)
    : m_clock(clock), m_time(time), m_policy(policy), m_random(seed), m_fetchAt(clock.monotonic())
{}

Millis SvidKeeper::untilEnd() const
{
    const auto byWall = *m_notAfter - m_time.now();
    const auto byMonotonic = std::chrono::floor<Millis>(m_monotonicEnd - m_clock.monotonic());
    return std::min(byWall, byMonotonic);
}

SvidKeeper::Next SvidKeeper::next()
{
    Millis end = Millis::max();
    if (m_serving) {
        end = untilEnd();
        if (end <= 0ms) {
            m_serving = false;
            return {Step::Drop, 0ms};
        }
    }
    if (m_attempting)
        return {Step::Wait, end};
    const Millis toFetch = std::chrono::ceil<Millis>(m_fetchAt - m_clock.monotonic());
    if (toFetch <= 0ms)
        return {Step::Fetch, 0ms};
    return {Step::Wait, std::min(toFetch, end)};
}

void SvidKeeper::attemptBegan()
{
    m_attempting = true;
}

Result<void> SvidKeeper::succeeded(Timestamp notBefore, Timestamp notAfter)
{
    const Timestamp now = m_time.now();
    const Millis left = notAfter - now;
    if (left < 1s) {
        const Error error{Errc::OutOfRange,
                          QStringLiteral("The authority's SVID ended at %1, and it is %2 here: set the clock of the "
                                         "authority or of this device.")
                              .arg(toIso8601(notAfter), toIso8601(now))};
        failed(error);
        return error;
    }
    m_attempting = false;
    m_failures = 0;
    m_lastError.reset();
    m_notAfter = notAfter;
    m_monotonicEnd = m_clock.monotonic() + left;
    m_serving = true;
    if (++m_issued > 1)
        ++m_rotations;

    // The life that counts is the one that is left: an SVID is dated a little back.
    const Millis life = std::min<Millis>(notAfter - notBefore, left);
    std::uniform_real_distribution<double> part(m_policy.at - m_policy.spread, m_policy.at + m_policy.spread);
    m_fetchAt = m_clock.monotonic() + Millis{static_cast<qint64>(static_cast<double>(life.count()) * part(m_random))};
    return {};
}

void SvidKeeper::failed(const Error &why)
{
    m_attempting = false;
    m_lastError = why;
    // The doubling stops long before it could overflow.
    const Millis wait = std::min(m_policy.retryFirst * (1 << std::min(m_failures, 16)), m_policy.retryMax);
    ++m_failures;
    std::uniform_real_distribution<double> part(0.5, 1.0);
    m_fetchAt = m_clock.monotonic() + Millis{static_cast<qint64>(static_cast<double>(wait.count()) * part(m_random))};
}

void SvidKeeper::hurry()
{
    m_fetchAt = m_clock.monotonic();
}

SvidKeeper::State SvidKeeper::state() const
{
    if (!m_notAfter)
        return State::Waiting;
    if (!m_serving || untilEnd() <= 0ms)
        return State::Expired;
    return m_failures > 0 ? State::Overdue : State::Valid;
}

QString SvidKeeper::sentence() const
{
    const QString why = m_lastError ? m_lastError->message : QString();
    switch (state()) {
    case State::Waiting:
        return why.isEmpty() ? QStringLiteral("no identity yet, buffering")
                             : QStringLiteral("no identity yet, buffering: %1").arg(why);
    case State::Valid: return QStringLiteral("identity valid until %1").arg(toIso8601(*m_notAfter));
    case State::Overdue:
        return QStringLiteral("identity valid until %1, its renewal fails: %2").arg(toIso8601(*m_notAfter), why);
    case State::Expired:
        return why.isEmpty() ? QStringLiteral("identity expired, buffering")
                             : QStringLiteral("identity expired, buffering: %1").arg(why);
    }
    return {};
}

} // namespace lintel

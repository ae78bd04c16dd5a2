#include "ingestion/retention.h"

namespace lintel {

namespace {

using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

constexpr auto kBetweenBatches = 20ms; // for those who want to store and to ask
constexpr auto kBetweenLooks = 10s;
constexpr auto kBetweenRounds = 1h;
constexpr auto kBetweenSaves = 10min; // of the time by which ages are judged
constexpr auto kUntilChecked = 1s;

} // namespace

Retention::Retention(historian::Historian &historian, const Clock &clock, Limits limits,
                     std::function<bool()> isClockChecked, AgeClock::SignedTime signedTime, QObject *parent)
    : QObject(parent), m_historian(historian), m_clock(clock), m_limits(limits),
      m_isClockChecked(std::move(isClockChecked)), m_signedTime(std::move(signedTime))
{
    m_timer.setSingleShot(true);
    connect(&m_timer, &QTimer::timeout, this, &Retention::step);
}

void Retention::start()
{
    m_nextRound = m_clock.monotonic();
    if (m_limits.maxAge > Millis{0} || m_limits.maxBytes > 0)
        m_timer.start(kBetweenBatches);
}

void Retention::step()
{
    const bool isMoreForSize = sizeStep();
    const bool isMoreForAge = ageStep();
    if (isMoreForSize || isMoreForAge)
        m_timer.start(kBetweenBatches);
    else if (m_limits.maxAge > Millis{0} && m_clock.monotonic() >= m_nextRound && isPlausible(m_clock.now()))
        m_timer.start(kUntilChecked);
    else
        m_timer.start(kBetweenLooks);
}

/// Anchored before anything jumps, kept over restarts.
void Retention::watchClock()
{
    if (!m_ages) {
        const auto known = m_historian.ageTime();
        if (!known) {
            Q_EMIT trouble(known.error());
            return;
        }
        m_ages.emplace(m_clock, *known, AgeClock::mostUnseenFor(m_limits.maxAge), m_signedTime);
    }
    const Timestamp time = m_ages->now();
    if (const auto news = m_ages->news())
        Q_EMIT notice(*news);
    if (m_clock.monotonic() < m_nextSave)
        return;
    m_nextSave = m_clock.monotonic() + kBetweenSaves;
    if (const auto saved = m_historian.saveAgeTime(time); !saved)
        Q_EMIT trouble(saved.error());
}

/// True while there is more to remove at once.
bool Retention::ageStep()
{
    // A clock that was never set knows no age; one that nobody checked may be anything.
    if (m_limits.maxAge <= Millis{0} || !isPlausible(m_clock.now()) || !m_isClockChecked())
        return false;
    watchClock();
    if (!m_ages || m_clock.monotonic() < m_nextRound)
        return false;
    const auto gone = m_historian.removeOlder(m_ages->now() - m_limits.maxAge, kBatch);
    if (!gone) {
        Q_EMIT trouble(gone.error());
    } else if (*gone > 0) {
        m_gone += *gone;
        return true;
    }
    if (m_gone > 0)
        Q_EMIT removed(std::exchange(m_gone, 0));
    m_nextRound = m_clock.monotonic() + kBetweenRounds;
    return false;
}

bool Retention::sizeStep()
{
    if (m_limits.maxBytes <= 0)
        return false;
    const auto used = m_historian.usedBytes();
    if (!used) {
        Q_EMIT trouble(used.error());
        return false;
    }
    if (*used > m_limits.maxBytes) {
        const auto gone = m_historian.removeOldest(kBatch);
        if (!gone) {
            Q_EMIT trouble(gone.error());
            return false;
        }
        m_goneForSize += *gone;
        if (*gone > 0)
            return true;
    }
    if (m_goneForSize > 0)
        Q_EMIT removedForSize(std::exchange(m_goneForSize, 0));
    return false;
}

QCborMap Retention::report() const
{
    const auto held = m_ages ? std::chrono::duration_cast<std::chrono::seconds>(m_ages->heldBack()) : 0s;
    const auto used = m_historian.usedBytes();
    return {
        {"clock_jumped"_L1, held > 0s},
        {"held_back_seconds"_L1, qint64(held.count())},
        {"used_bytes"_L1, used ? QCborValue(*used) : QCborValue(nullptr)},
        {"max_bytes"_L1, m_limits.maxBytes > 0 ? QCborValue(m_limits.maxBytes) : QCborValue(nullptr)},
    };
}

} // namespace lintel

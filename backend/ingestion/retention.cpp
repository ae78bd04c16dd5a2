#include "ingestion/retention.h"

namespace lintel {

namespace {

using namespace std::chrono_literals;

constexpr auto kBetweenBatches = 20ms; // for those who want to store and to ask
constexpr auto kBetweenRounds = 1h;
constexpr auto kUntilChecked = 1s;

} // namespace

Retention::Retention(historian::Historian &historian, const Clock &clock, Millis maxAge,
                     std::function<bool()> isClockChecked, QObject *parent)
    : QObject(parent), m_historian(historian), m_clock(clock), m_maxAge(maxAge),
      m_isClockChecked(std::move(isClockChecked))
{
    m_timer.setSingleShot(true);
    connect(&m_timer, &QTimer::timeout, this, &Retention::step);
}

void Retention::start()
{
    if (m_maxAge > Millis{0})
        m_timer.start(kBetweenBatches);
}

void Retention::step()
{
    const Timestamp now = m_clock.now();
    if (!isPlausible(now)) { // a clock that was never set knows no age
        m_timer.start(kBetweenRounds);
        return;
    }
    if (!m_isClockChecked()) {
        m_timer.start(kUntilChecked);
        return;
    }
    const auto gone = m_historian.removeOlder(now - m_maxAge, kBatch);
    if (!gone)
        Q_EMIT trouble(gone.error());
    else if (*gone > 0) {
        m_gone += *gone;
        m_timer.start(kBetweenBatches);
        return;
    }
    if (m_gone > 0)
        Q_EMIT removed(std::exchange(m_gone, 0));
    m_timer.start(kBetweenRounds);
}

} // namespace lintel

#include "gateway/history_pruning.h"

namespace lintel {

namespace {

using namespace Qt::StringLiterals;

constexpr std::chrono::minutes kBetweenSaves{10};

const QString kAgeTimeKey = QStringLiteral("history/age-time");

} // namespace

HistoryPruning::HistoryPruning(const Clock &clock, StateStore &state, Millis maxAge, Prune prune,
                               std::function<bool()> isClockChecked, AgeClock::SignedTime signedTime, QObject *parent)
    : QObject(parent), m_clock(clock), m_state(state), m_maxAge(maxAge), m_prune(std::move(prune)),
      m_isClockChecked(std::move(isClockChecked)), m_signedTime(std::move(signedTime))
{
    connect(&m_timer, &QTimer::timeout, this, &HistoryPruning::step);
}

void HistoryPruning::start(Millis every, Millis look)
{
    m_every = every;
    m_nextPrune = m_clock.monotonic() + m_every;
    m_timer.start(look);
    step();
}

void HistoryPruning::step()
{
    if (!isPlausible(m_clock.now()) || !m_isClockChecked())
        return;
    watchClock();
    if (!m_ages || m_clock.monotonic() < m_nextPrune)
        return;
    m_nextPrune = m_clock.monotonic() + m_every;
    if (const auto pruned = m_prune(m_ages->now()); !pruned)
        Q_EMIT trouble(pruned.error());
}

/// Anchored before anything jumps, kept over restarts.
void HistoryPruning::watchClock()
{
    if (!m_ages) {
        const auto saved = m_state.load(kAgeTimeKey);
        if (!saved) {
            Q_EMIT trouble(saved.error());
            return;
        }
        std::optional<Timestamp> known;
        if (*saved)
            known = fromEpochMillis((*saved)->toLongLong());
        m_ages.emplace(m_clock, known, AgeClock::mostUnseenFor(m_maxAge), m_signedTime);
    }
    const Timestamp time = m_ages->now();
    if (const auto news = m_ages->news())
        Q_EMIT notice(*news);
    if (m_clock.monotonic() < m_nextSave)
        return;
    m_nextSave = m_clock.monotonic() + kBetweenSaves;
    if (const auto saved = m_state.save(kAgeTimeKey, QByteArray::number(toEpochMillis(time))); !saved)
        Q_EMIT trouble(saved.error());
}

QCborMap HistoryPruning::report() const
{
    const auto held =
        m_ages ? std::chrono::duration_cast<std::chrono::seconds>(m_ages->heldBack()) : std::chrono::seconds{0};
    return {{"clock_jumped"_L1, held.count() > 0}, {"held_back_seconds"_L1, qint64(held.count())}};
}

} // namespace lintel

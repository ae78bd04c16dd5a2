#include "gateway/history_pruning.h"

#include <utility>

namespace lintel {

namespace {

using namespace Qt::StringLiterals;

constexpr std::chrono::minutes kBetweenSaves{10};

const QString kAgeTimeKey = QStringLiteral("history/age-time");

/// For people: of whole units the largest, "30 days", "1 hour", "10 seconds".
[[nodiscard]] QString inWords(Millis time)
{
    struct Unit {
        Millis length;
        QStringView name;
    };
    for (const Unit &unit : {Unit{std::chrono::hours{24}, u"day"}, Unit{std::chrono::hours{1}, u"hour"},
                             Unit{std::chrono::minutes{1}, u"minute"}, Unit{std::chrono::seconds{1}, u"second"},
                             Unit{Millis{1}, u"millisecond"}}) {
        if (time < unit.length || time % unit.length != Millis{0})
            continue;
        const qint64 count = time / unit.length;
        return u"%1 %2%3"_s.arg(count).arg(unit.name).arg(count == 1 ? u""_s : u"s"_s);
    }
    return u"a moment"_s;
}

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
    m_look = look;
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
    if (const auto pruned = m_prune(m_ages->now()); !pruned) {
        Q_EMIT trouble(
            {pruned.error().code, u"Readings older than %1 stay in the history, and it is tried again in %2: %3"_s.arg(
                                      inWords(m_maxAge), inWords(m_every), pruned.error().message)});
    }
}

/// Anchored before anything jumps, kept over restarts.
void HistoryPruning::watchClock()
{
    if (!m_ages) {
        const auto saved = m_state.load(kAgeTimeKey);
        if (!saved) {
            if (std::exchange(m_unread, saved.error().message) != saved.error().message) {
                Q_EMIT trouble({saved.error().code,
                                u"No reading is removed from the history, however old, because the time of before "
                                "cannot be read, and it is tried again every %1: %2"_s.arg(inWords(m_look),
                                                                                           saved.error().message)});
            }
            return;
        }
        m_unread.clear();
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
    if (const auto saved = m_state.save(kAgeTimeKey, QByteArray::number(toEpochMillis(time))); !saved) {
        Q_EMIT trouble(
            {saved.error().code,
             u"The time by which the history ages cannot be kept, so that old readings may stay longer "
             "after a restart, and it is tried again in %1: %2"_s.arg(inWords(kBetweenSaves), saved.error().message)});
    }
}

QCborMap HistoryPruning::report() const
{
    const auto held =
        m_ages ? std::chrono::duration_cast<std::chrono::seconds>(m_ages->heldBack()) : std::chrono::seconds{0};
    return {{"clock_jumped"_L1, held.count() > 0}, {"held_back_seconds"_L1, qint64(held.count())}};
}

} // namespace lintel

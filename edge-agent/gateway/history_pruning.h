// Takes what became too old out of the gateway's history, each hour. A clock that jumps ahead would make
// everything too old: nothing goes before the clock was checked by somebody else, and ages are counted by an
// AgeClock, over restarts, too.
// Owner: main(). Thread: the history's. Failure: trouble() with one sentence that says what stays, when the
// next attempt is, and what to do. What was too old then goes with the next attempt that succeeds.
#pragma once

#include "custody/age_clock.h"
#include "domain/result.h"
#include "ports/state_store.h"

#include <QCborMap>
#include <QObject>
#include <QTimer>

#include <functional>

namespace lintel {

class HistoryPruning : public QObject
{
    Q_OBJECT
public:
    /// Removes what is too old at that time.
    using Prune = std::function<Result<quint64>(Timestamp now)>;

    /// `isClockChecked`: a connection to a broker, whose TLS handshake compared the clock with certificates.
    /// `maxAge` is what the history keeps; `signedTime`: see AgeClock.
    HistoryPruning(const Clock &clock, StateStore &state, Millis maxAge, Prune prune,
                   std::function<bool()> isClockChecked, AgeClock::SignedTime signedTime = {},
                   QObject *parent = nullptr);

    /// Looks at the clock at once and each `look`, prunes each `every`, both of the monotonic clock.
    void start(Millis every = std::chrono::hours{1}, Millis look = std::chrono::seconds{10});
    /// For the call "status": {clock_jumped, held_back_seconds}.
    [[nodiscard]] QCborMap report() const;

Q_SIGNALS:
    void trouble(const lintel::Error &what);
    void notice(const QString &what);

private:
    void step();
    void watchClock();

    const Clock &m_clock;
    StateStore &m_state;
    const Millis m_maxAge;
    const Prune m_prune;
    const std::function<bool()> m_isClockChecked;
    AgeClock::SignedTime m_signedTime;
    std::optional<AgeClock> m_ages; // from the first time that the clock is plausible
    std::chrono::nanoseconds m_nextPrune{};
    std::chrono::nanoseconds m_nextSave{};
    Millis m_every{};
    Millis m_look{};
    QString m_unread; // why the time of before cannot be read; said again when it is another reason
    QTimer m_timer;
};

} // namespace lintel

// Takes out of the historian what became too old or too much, a little at a time, so that ingestion waits for
// milliseconds at most. Looks at once after start() and then every ten seconds; for ages every hour.
//
// A clock that jumps ahead would make everything too old: nothing goes before the clock was checked by somebody
// else, and ages are counted by an AgeClock, over restarts, too. What goes for the limit of size leaves gaps.
// Owner: main(). Thread: the historian's, which must outlive it. Failure: trouble(), and the next try
// an hour later (ages) or ten seconds later; nothing is half removed.
#pragma once

#include "custody/age_clock.h"
#include "historian/historian.h"

#include <QCborMap>
#include <QObject>
#include <QTimer>

#include <functional>

namespace lintel {

class Retention : public QObject
{
    Q_OBJECT
public:
    static constexpr int kBatch = 1'000; // readings a transaction

    struct Limits {
        Millis maxAge{0};    // of the device's time; zero keeps everything
        qint64 maxBytes = 0; // that the database uses; zero: no limit
    };

    /// `isClockChecked` is asked before each batch that goes for its age: a connection to the broker, whose TLS
    /// handshake compared the clock with certificates. `signedTime`: see AgeClock.
    Retention(historian::Historian &historian, const Clock &clock, Limits limits, std::function<bool()> isClockChecked,
              AgeClock::SignedTime signedTime = {}, QObject *parent = nullptr);

    void start();
    /// For the call "status": {clock_jumped, held_back_seconds, used_bytes, max_bytes}.
    [[nodiscard]] QCborMap report() const;

Q_SIGNALS:
    void trouble(const lintel::Error &what);
    void notice(const QString &what);
    /// How many went for their age, after all of it is done.
    void removed(quint64 readings);
    /// How many went for the limit of size, after all of it is done.
    void removedForSize(quint64 readings);

private:
    void step();
    [[nodiscard]] bool ageStep();
    [[nodiscard]] bool sizeStep();
    void watchClock();

    historian::Historian &m_historian;
    const Clock &m_clock;
    const Limits m_limits;
    const std::function<bool()> m_isClockChecked;
    AgeClock::SignedTime m_signedTime;
    std::optional<AgeClock> m_ages; // from the first time that the clock is plausible
    std::chrono::nanoseconds m_nextRound{};
    std::chrono::nanoseconds m_nextSave{};
    quint64 m_gone = 0; // in this round
    quint64 m_goneForSize = 0;
    QTimer m_timer;
};

} // namespace lintel

// Between measuring and the spool: puts batches on stable storage, keeps them in memory while the
// disk refuses, and says aloud when that is not enough.
//
// A clock that was never set (1970, a board without a battery) would stamp nonsense into a history
// that is ordered by time. Such batches wait in memory with the monotonic time of their measurement
// and get their true time stamp as soon as the clock has been set; nothing of them is lost unless
// the memory bound is reached or the power goes before the first synchronisation.
//
// A refusal is said once, and again when its reason changes; that it is over is said, too.
//
// Whatever waits there longer than one attempt is noted on the disk first (ReadingSpool::noteUnstored()), so
// that a process that ends meanwhile leaves a note of what went with it, and never less than that.
//
// One thread. The owner calls flush() from time to time.
#pragma once

#include "ports/clock.h"
#include "ports/mqtt_transport.h" // makes Error known to signals
#include "ports/reading_spool.h"

#include <QObject>

#include <deque>
#include <optional>
#include <vector>

namespace lintel {

class SpoolWriter : public QObject
{
    Q_OBJECT
public:
    struct Counts {
        quint64 accepted = 0;               // readings on stable storage since start
        quint64 lost = 0;                   // readings that had to go
        quint64 waiting = 0;                // batches in memory
        quint64 held = 0;                   // readings in them
        std::optional<Timestamp> heldSince; // device time of the oldest of those; nothing while the clock is unset
        bool isNoted = true;                // the disk knows that those may be lost
        bool isClockUnset = false;
    };

    /// At most `capacity` batches wait in memory.
    SpoolWriter(QString device, int capacity, const Clock &clock, ReadingSpool &spool, QObject *parent = nullptr);

    /// Whoever hands over readings takes them from their source again when they were not stored: what waits
    /// is never lost with the process, and not noted.
    void setRepeatable() { m_isRepeatable = true; }
    /// Readings whose deviceTime is unset are stamped with the wall-clock time of `measuredAt`
    /// (monotonic). Beyond the capacity the oldest waiting batch goes, and a Loss stands in the
    /// next batch that is stored.
    void add(QList<Reading> readings, std::chrono::nanoseconds measuredAt);
    /// Stores what waits, in one transaction. False while something still waits; after a failure
    /// the next attempt is made no sooner than a second later.
    bool flush();
    /// The same without waiting for that second: at the end.
    bool flushNow();

    [[nodiscard]] Counts counts() const;

Q_SIGNALS:
    void stored(lintel::Msn head);
    /// Readings went; what was believed to be reported was not.
    void lossHappened();
    void trouble(const lintel::Error &what);
    /// A sentence for the log: what waited is stored.
    void notice(const QString &what);

private:
    struct Waiting {
        QList<Reading> readings;
        std::chrono::nanoseconds measuredAt{};
    };
    struct Gone {
        quint64 readings = 0;
        std::chrono::nanoseconds from{};
        std::chrono::nanoseconds to{};
    };

    void dropOldest();
    void note(const Waiting *next = nullptr);
    [[nodiscard]] quint64 held() const;
    [[nodiscard]] Timestamp timeOf(const Waiting &waiting) const;
    [[nodiscard]] std::vector<IncomingBatch> nextGroup() const;
    [[nodiscard]] bool isClockWaitedFor() const;
    [[nodiscard]] Timestamp wallTime(std::chrono::nanoseconds measuredAt) const;
    [[nodiscard]] IncomingBatch batchOf(const Waiting &waiting) const;

    QString m_device;
    size_t m_capacity;
    const Clock &m_clock;
    ReadingSpool &m_spool;
    std::deque<Waiting> m_waiting;
    std::optional<Gone> m_gone;
    std::chrono::nanoseconds m_retryAt{};
    bool m_isRepeatable = false;
    bool m_isHeld = false; // an attempt failed, and what waits is noted
    bool m_isNoted = true; // … or should be
    quint64 m_accepted = 0;
    quint64 m_lost = 0;
    bool m_saidClock = false;
    QString m_refusal; // the one that lasts and was said
};

} // namespace lintel

// Between measuring and the spool: puts batches on stable storage, keeps them in memory while the
// disk refuses, and says aloud when that is not enough.
//
// A clock that was never set (1970, a board without a battery) would stamp nonsense into a history
// that is ordered by time. Such batches wait in memory with the monotonic time of their measurement
// and get their true time stamp as soon as the clock has been set; nothing of them is lost unless
// the memory bound is reached or the power goes before the first synchronisation.
//
// One thread. The owner calls flush() from time to time.
#pragma once

#include "ports/clock.h"
#include "ports/mqtt_transport.h" // makes Error known to signals
#include "ports/reading_spool.h"

#include <QObject>

#include <deque>
#include <optional>

namespace lintel {

class SpoolWriter : public QObject
{
    Q_OBJECT
public:
    struct Counts {
        quint64 accepted = 0; // readings on stable storage since start
        quint64 lost = 0;     // readings that had to go
        quint64 waiting = 0;  // batches in memory
        bool isClockUnset = false;
    };

    /// At most `capacity` batches wait in memory.
    SpoolWriter(QString device, int capacity, const Clock &clock, ReadingSpool &spool, QObject *parent = nullptr);

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
    [[nodiscard]] Timestamp wallTime(std::chrono::nanoseconds measuredAt) const;
    [[nodiscard]] IncomingBatch batchOf(const Waiting &waiting) const;

    QString m_device;
    size_t m_capacity;
    const Clock &m_clock;
    ReadingSpool &m_spool;
    std::deque<Waiting> m_waiting;
    std::optional<Gone> m_gone;
    std::chrono::nanoseconds m_retryAt{};
    quint64 m_accepted = 0;
    quint64 m_lost = 0;
    bool m_saidClock = false;
};

} // namespace lintel

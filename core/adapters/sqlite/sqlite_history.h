// A gateway's own memory of its sensors: readings by device, point and time, written in the same
// transaction as the spool takes them, so that history and spool never disagree.
//
// Bounded by age (device time) and by number of rows (the ones that arrived first go); the latest
// reading of a point outlives its age. Give it to SqliteSpool::open() as observer; it must outlive
// the spool. Before open() and after the spool's end every question is Unavailable.
//
// Owner: main(). Thread: the spool's. Failure: see Database; an error while appending undoes the
// group in the spool, too.
#pragma once

#include "adapters/sqlite/append_observer.h"
#include "domain/history_bucket.h"
#include "ports/clock.h"

#include <QHash>
#include <QList>

#include <optional>

namespace lintel {

struct HistoryLimits {
    Millis maxAge = std::chrono::hours{24 * 31};
    quint64 maxRows = 5'000'000;

    /// A row with its place in the index, on the disk; for limits that are given as bytes.
    static constexpr qint64 kBytesPerRow = 48;
};

class SqliteHistory final : public AppendObserver
{
public:
    struct DeviceReading {
        QString device;
        Reading reading;
    };
    struct Status {
        quint64 rows = 0;
        quint64 series = 0;
    };

    SqliteHistory(HistoryLimits limits, const Clock &clock);

    /// [from, to) of the device's clock, oldest first, at most `limit`; nothing for unknown names.
    [[nodiscard]] Result<QList<Reading>> query(const QString &device, const QString &point, Timestamp from,
                                               Timestamp to, int limit) const;
    /// The same in buckets; OutOfRange: see validateBucketLength().
    [[nodiscard]] Result<QList<HistoryBucket>> buckets(const QString &device, const QString &point, Timestamp from,
                                                       Timestamp to, std::chrono::seconds length) const;
    /// The latest by device time of each point; of one device, or of all.
    [[nodiscard]] Result<QList<DeviceReading>> lastValues(const QString &device = {}) const;
    [[nodiscard]] Status status() const { return {m_rows, quint64(m_series.size())}; }
    /// Removes what is too old now; about once an hour. Appending looks after the number of rows.
    [[nodiscard]] Result<quint64> prune() { return prune(m_clock.now()); }
    /// The same for one who knows better than the clock how late it is.
    [[nodiscard]] Result<quint64> prune(Timestamp now);

    [[nodiscard]] Result<void> opened(sqlite::Database &database) override;
    [[nodiscard]] Result<void> appended(const ReadingBatch &batch) override;
    void finished(bool committed) override;
    void closed() override;

private:
    struct SeriesKey {
        QString device;
        QString point;

        friend bool operator==(const SeriesKey &, const SeriesKey &) = default;
        friend size_t qHash(const SeriesKey &key, size_t seed = 0) { return qHashMulti(seed, key.device, key.point); }
    };
    struct Statements {
        sqlite::Statement insertSeries;
        sqlite::Statement insert;
        sqlite::Statement removeOldest;
        sqlite::Statement removeAged;
        sqlite::Statement select;
        sqlite::Statement latest;
        sqlite::Statement buckets;
    };

    [[nodiscard]] Result<void> load();
    [[nodiscard]] Result<qint64> seriesOf(const SeriesKey &key);
    [[nodiscard]] Result<void> insert(qint64 series, const Reading &reading);
    [[nodiscard]] Result<void> removeBeyondLimit();
    [[nodiscard]] Error notOpen() const;

    HistoryLimits m_limits;
    const Clock &m_clock;
    sqlite::Database *m_database = nullptr;
    mutable std::optional<Statements> m_statements;
    QHash<SeriesKey, qint64> m_series;
    QList<SeriesKey> m_newSeries; // given by the transaction that is under way
    quint64 m_rows = 0;
    quint64 m_committedRows = 0;
};

} // namespace lintel

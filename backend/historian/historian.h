// The cloud's memory: every reading by device, point and time, which batches have arrived, and what
// will never come. One SQL database, written in groups: rows and the ledger of (stream, number) in
// one transaction, so that a batch that comes twice is stored once.
//
// A device of a site belongs to the node that had its name first: the gateway behind which the sensor
// stands. What another node says under that name is refused, until the owner has reported the device
// dead (or has been gone itself) for kNameIsFreeAfter: then a gateway that took the place of a broken one
// under another name may go on with its sensors. A device that was never born keeps its first node.
//
// Owner: the ingestion service. Thread: the one that opened it; other connections may read meanwhile.
// One historian at a time: it keeps in memory what has arrived, so open() takes a lock beside the database
// (<database>.lock), which ends with the process.
// Failure: nothing of a group is stored when ingest() fails, and the caller hands it over again.
// Errc::Full = disk full, Unsupported = a newer version wrote the database, Conflict = another historian has
// it, Io = the rest.
#pragma once

#include "historian_types.h"

#include "domain/received_numbers.h"
#include "ports/clock.h"

#include <QHash>
#include <QSet>
#include <QSqlDatabase>
#include <QSqlQuery>

#include <atomic>
#include <functional>
#include <memory>
#include <span>

namespace lintel {
class LockFile;
}

namespace lintel::historian {

struct HistorianOptions {
    QString database; // the file
    qint64 cacheBytes = 8 * 1024 * 1024;
    qint64 keptFreeBytes =
        -1; // of the file system, so that a full disk is met with room to work; -1: a fiftieth, 64 MiB at most
};

class Historian
{
public:
    static constexpr std::chrono::hours kNameIsFreeAfter{24};

    [[nodiscard]] static Result<std::unique_ptr<Historian>> open(const HistorianOptions &options, const Clock &clock);
    ~Historian();
    Historian(const Historian &) = delete;
    Historian &operator=(const Historian &) = delete;

    // --- writing ---

    /// One transaction for the whole group; durable when it returns. Batches without receipt (plain
    /// Sparkplug) are stored, too. Values of a birth are stored only for nodes without a spool, and
    /// only when that reading is not there yet.
    [[nodiscard]] Result<Ingested> ingest(std::span<const sparkplug::HostBatch> batches);
    /// Whether `node` may speak as the device `name` of its site; Denied with a sentence when that is
    /// another node's. Ask before ingest(), which trusts its caller.
    [[nodiscard]] Result<void> mayUse(const sparkplug::NodeId &node, const QString &name) const;
    /// What a birth says of a device and its points. Denied, as in noteDied(): see mayUse().
    [[nodiscard]] Result<void> noteBorn(const sparkplug::Participant &who);
    [[nodiscard]] Result<void> noteDied(const sparkplug::Participant &who);
    /// At start: nobody is known to be online before a birth says so.
    [[nodiscard]] Result<void> markAllOffline();
    /// The sender no longer has what lies below `tail`; what of it never arrived becomes gap rows.
    /// Returns them.
    [[nodiscard]] Result<QList<Loss>> tailMoved(const sparkplug::NodeId &node, const StreamId &stream, Msn tail);
    [[nodiscard]] Result<QList<Loss>> noteSpoolOffer(const sparkplug::NodeId &node, const sparkplug::SpoolOffer &offer)
    {
        return tailMoved(node, offer.stream, offer.tail);
    }

    /// Removes about `most` readings whose device time is before that, and keeps the latest of each point.
    /// One transaction; returns how many went. Call again until it is none: then every point was looked at.
    [[nodiscard]] Result<quint64> removeOlder(Timestamp before, int most);
    /// Removes about `most` of the oldest readings, whatever their age, but keeps the latest of each point. What
    /// went stands as a gap of its device (RemovedForSize). One transaction; none: there is nothing to remove.
    [[nodiscard]] Result<quint64> removeOldest(int most);
    /// What the database uses of its file; the file itself does not shrink.
    [[nodiscard]] Result<qint64> usedBytes() const;
    /// What an AgeClock said last; nothing when none ever did.
    [[nodiscard]] Result<std::optional<Timestamp>> ageTime() const;
    [[nodiscard]] Result<void> saveAgeTime(Timestamp time);

    [[nodiscard]] const QString &database() const { return m_path; }

    // --- reading; times are [from, to) of the device's clock ---

    /// Highest n such that 1 … n are stored or were declared lost; 0 for an unknown stream.
    [[nodiscard]] Msn contiguousReceipt(const StreamId &stream) const;
    /// Raw readings, oldest first, at most maxRows. NotFound: no such device or point.
    [[nodiscard]] Result<QList<HistoryRow>> history(const DeviceKey &device, const QString &point, Timestamp from,
                                                    Timestamp to, int maxRows) const;
    /// OutOfRange: see validateBucketLength().
    [[nodiscard]] Result<QList<HistoryBucket>> buckets(const DeviceKey &device, const QString &point, Timestamp from,
                                                       Timestamp to, std::chrono::seconds length) const;
    /// Latest by device time of each point; of one site (group) or of all.
    [[nodiscard]] Result<QList<LastValue>> lastValues(const QString &site = {}) const;
    /// Gaps that touch the time, and those whose time nobody knows.
    [[nodiscard]] Result<QList<Gap>> gaps(Timestamp from, Timestamp to) const;
    [[nodiscard]] Result<QList<DeviceInfo>> devices() const;
    /// What the historian has counted itself, over restarts; costs nothing.
    [[nodiscard]] Result<Counters> counters() const;
    /// Goes through the whole table, and looks for twins; for proofs, not for every second. Sees one moment of
    /// the database. Given up, as Unavailable, soon after `cancelled` becomes true.
    [[nodiscard]] Result<Counters> countExactly(const std::atomic<bool> *cancelled = nullptr) const;
    /// The same with a connection of its own, on whatever thread; others write meanwhile.
    [[nodiscard]] static Result<Counters> countExactly(const QString &database, const std::atomic<bool> &cancelled);

private:
    struct Stream {
        sparkplug::NodeId node;
        ReceivedNumbers received;
    };
    struct Writes; // the statements of ingest()
    struct Change; // what one transaction is about to change

    [[nodiscard]] static QString nextConnectionName();
    Historian(QString connection, const Clock &clock);
    [[nodiscard]] Result<void> connect(const HistorianOptions &options);
    [[nodiscard]] Result<void> lockDatabase();
    [[nodiscard]] Result<void> load();
    [[nodiscard]] Error failure(const QSqlError &error) const;
    [[nodiscard]] Result<void> run(QSqlQuery &query) const;
    [[nodiscard]] Result<QSqlQuery> select(const char *sql, const QVariantList &values) const;
    /// Nothing of it stays when it fails.
    [[nodiscard]] Result<void> inTransaction(const std::function<Result<void>()> &work);

    [[nodiscard]] Result<bool> takeReceipt(Change &change, const sparkplug::HostBatch &batch);
    [[nodiscard]] Result<void> storeBatch(Change &change, const sparkplug::HostBatch &batch);
    [[nodiscard]] Result<void> storeReading(qint64 point, const Reading &reading, Timestamp receivedAt);
    struct Removed {
        quint64 rows = 0;
        quint64 historical = 0;
        QHash<qint64, Loss> byPoint; // what went of each
    };
    [[nodiscard]] Result<void> removeOlder(qint64 point, qint64 before, qint64 most, Removed &removed);
    [[nodiscard]] Result<qint64> removePoints(qint64 after, qint64 before, int most, Removed &removed);
    [[nodiscard]] Result<void> storeSizeGaps(const Removed &removed);
    [[nodiscard]] Result<void> checkRoom() const;
    [[nodiscard]] Result<qint64> oldestRemovable() const;
    [[nodiscard]] Result<void> storeGap(Change &change, const Loss &loss);
    [[nodiscard]] Result<void> saveStreams(const Change &change);
    [[nodiscard]] Result<void> saveStream(const StreamId &id, const Stream &stream);
    void adopt(Change &change);
    void forgetIds();
    [[nodiscard]] Result<qint64> deviceId(const DeviceKey &key, const QString &node);
    [[nodiscard]] Result<qint64> pointId(qint64 device, const Reading &reading);
    [[nodiscard]] Result<void> savePoint(qint64 device, const Point &point);
    [[nodiscard]] Result<qint64> findDevice(const DeviceKey &key) const;
    [[nodiscard]] Result<qint64> findPoint(const DeviceKey &key, const QString &point) const;
    [[nodiscard]] Result<QList<Point>> pointsOf(qint64 device) const;

    QString m_connection;
    QString m_path;
    const Clock &m_clock;
    std::unique_ptr<LockFile> m_lock;
    QSqlDatabase m_database;
    std::unique_ptr<Writes> m_writes;
    QHash<StreamId, Stream> m_streams;
    QSet<sparkplug::NodeId> m_nodesWithSpool;
    QHash<DeviceKey, qint64> m_deviceIds;
    mutable QHash<DeviceKey, QString> m_owners; // what the database says of those that were asked for
    QHash<std::pair<qint64, QString>, qint64> m_pointIds;
    qint64 m_nextDevice = 1;
    qint64 m_nextPoint = 1;
    qint64 m_nextGap = 1;
    qint64 m_prunedUpTo = 0;               // point that removeOlder() goes on after
    Millis m_slice{std::chrono::hours{1}}; // of time that removeOldest() takes at once
    qint64 m_keptFreeBytes = -1;
};

} // namespace lintel::historian

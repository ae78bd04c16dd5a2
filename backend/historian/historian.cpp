#include "historian.h"

#include "historian_schema.h"
#include "historian_sql.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QSqlError>
#include <QVariant>

#include <atomic>
#include <cerrno>
#include <limits>

#include <fcntl.h>
#include <unistd.h>

namespace lintel::historian {

namespace {

constexpr Msn kHighestMsn = Msn(std::numeric_limits<qint64>::max());
// Ledger rows below the watermark say nothing new; so many stay for a look.
constexpr Msn kLedgerTail = 4096;

[[nodiscard]] QString nextConnectionName()
{
    static std::atomic<int> number{0};
    return QStringLiteral("lintel-historian-%1").arg(++number);
}

[[nodiscard]] DeviceKey keyOf(const sparkplug::Participant &who)
{
    return {who.node.group, who.device.isEmpty() ? who.node.node : who.device};
}

[[nodiscard]] DeviceKey keyOf(const sparkplug::HostBatch &batch)
{
    return {batch.node.group, batch.batch.device};
}

} // namespace

struct Historian::Writes {
    QSqlQuery reading;
    QSqlQuery readingExists;
    QSqlQuery ledger;
};

// --- opening -------------------------------------------------------------------------------------

Historian::Historian(QString connection, const Clock &clock) : m_connection(std::move(connection)), m_clock(clock) {}

Historian::~Historian()
{
    m_writes.reset(); // statements go before their connection
    m_database.close();
    m_database = QSqlDatabase();
    QSqlDatabase::removeDatabase(m_connection);
}

Result<std::unique_ptr<Historian>> Historian::open(const HistorianOptions &options, const Clock &clock)
{
    std::unique_ptr<Historian> historian(new Historian(nextConnectionName(), clock));
    if (const auto connected = historian->connect(options); !connected)
        return connected.error();
    if (const auto migrated = migrate(historian->m_database); !migrated)
        return migrated.error();
    if (const auto loaded = historian->load(); !loaded)
        return loaded.error();
    return historian;
}

Result<void> Historian::connect(const HistorianOptions &options)
{
    m_path = options.database;
    const QString folder = QFileInfo(m_path).absolutePath();
    if (!QDir().mkpath(folder))
        return Error{
            Errc::Io,
            QStringLiteral("The folder %1 cannot be made; check the permissions of the one above.").arg(folder)};
    // Nobody else may read what a building does; the log files beside it get the mode of the file.
    const int file = ::open(QFile::encodeName(m_path).constData(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        return Error{
            Errc::Io,
            QStringLiteral("%1 cannot be opened for writing (%2); check that it and its folder belong to this user.")
                .arg(m_path, qt_error_string(errno))};
    }
    ::close(file);
    m_database = QSqlDatabase::addDatabase(QStringLiteral("QSQLITE"), m_connection);
    m_database.setDatabaseName(m_path);
    m_database.setConnectOptions(QStringLiteral("QSQLITE_BUSY_TIMEOUT=5000"));
    if (!m_database.open())
        return failure(m_database.lastError());
    for (const QString &setting : sql::connectionSettings(options.cacheBytes)) {
        QSqlQuery query(m_database);
        if (!query.exec(setting))
            return failure(query.lastError());
    }
    return {};
}

Result<void> Historian::load()
{
    m_writes = std::make_unique<Writes>(Writes{QSqlQuery(m_database), QSqlQuery(m_database), QSqlQuery(m_database)});
    const std::pair<QSqlQuery *, const char *> statements[] = {
        {&m_writes->reading, sql::kInsertReading},
        {&m_writes->readingExists, sql::kReadingExists},
        {&m_writes->ledger, sql::kInsertLedger},
    };
    for (const auto &[query, text] : statements) {
        query->setForwardOnly(true);
        if (!query->prepare(QLatin1StringView(text)))
            return failure(query->lastError());
    }

    auto next = select(sql::kNextIds, {});
    if (!next)
        return next.error();
    if (next->next()) {
        m_nextDevice = next->value(0).toLongLong();
        m_nextPoint = next->value(1).toLongLong();
        m_nextGap = next->value(2).toLongLong();
    }
    auto streams = select(sql::kStreams, {});
    if (!streams)
        return streams.error();
    while (streams->next()) {
        const sparkplug::NodeId node{streams->value(1).toString(), streams->value(2).toString()};
        m_streams.insert(QUuid(streams->value(0).toString()),
                         Stream{node, ReceivedNumbers(streams->value(3).toULongLong())});
        m_nodesWithSpool.insert(node);
    }
    auto ranges = select(sql::kStreamRanges, {});
    if (!ranges)
        return ranges.error();
    while (ranges->next())
        m_streams[QUuid(ranges->value(0).toString())].received.take(
            {ranges->value(1).toULongLong(), ranges->value(2).toULongLong()});
    return {};
}

Error Historian::failure(const QSqlError &error) const
{
    const QString native = error.nativeErrorCode();
    const QString detail = error.databaseText().isEmpty() ? error.driverText() : error.databaseText();
    if (sql::isDiskFull(native))
        return {Errc::Full,
                QStringLiteral("disk full: %1 cannot grow; free some space on its file system.").arg(m_path)};
    if (sql::isBusy(native))
        return {Errc::Conflict,
                QStringLiteral("%1 is being written by another process; stop that one or name another database.")
                    .arg(m_path)};
    if (sql::isDamaged(native))
        return {Errc::Io, QStringLiteral("%1 is damaged (%2); restore it from a copy or move it away and start again.")
                              .arg(m_path, detail)};
    return {Errc::Io, QStringLiteral("The historian's database %1 refused a request: %2.").arg(m_path, detail)};
}

Result<void> Historian::run(QSqlQuery &query) const
{
    if (!query.exec())
        return failure(query.lastError());
    return {};
}

Result<QSqlQuery> Historian::select(const char *text, const QVariantList &values) const
{
    QSqlQuery query(m_database);
    query.setForwardOnly(true);
    if (!query.prepare(QLatin1StringView(text)))
        return failure(query.lastError());
    for (const QVariant &value : values)
        query.addBindValue(value);
    if (!query.exec())
        return failure(query.lastError());
    return query;
}

// --- what changes together -----------------------------------------------------------------------

struct Historian::Change {
    Timestamp now;
    QHash<StreamId, Stream> streams; // those that the group touches, as they will be
    Ingested done;
};

template <class Work>
Result<void> Historian::inTransaction(Work work)
{
    if (!m_database.transaction())
        return failure(m_database.lastError());
    Result<void> result = work();
    if (result && !m_database.commit())
        result = failure(m_database.lastError());
    if (!result) {
        m_database.rollback();
        forgetIds();
    }
    return result;
}

/// Ids that a rolled back transaction gave are not in the database.
void Historian::forgetIds()
{
    m_deviceIds.clear();
    m_owners.clear();
    m_pointIds.clear();
}

Result<Ingested> Historian::ingest(std::span<const sparkplug::HostBatch> batches)
{
    Change change{m_clock.now(), {}, {}};
    if (batches.empty())
        return change.done;
    const auto stored = inTransaction([&]() -> Result<void> {
        for (const sparkplug::HostBatch &batch : batches) {
            const auto isNew = takeReceipt(change, batch);
            if (!isNew)
                return isNew.error();
            if (!*isNew) {
                ++change.done.duplicates;
                continue;
            }
            if (const auto done = storeBatch(change, batch); !done)
                return done.error();
        }
        if (const auto saved = saveStreams(change); !saved)
            return saved.error();
        const auto counted = select(sql::kCountBatches, {change.done.batches, change.done.duplicates});
        if (!counted)
            return counted.error();
        return {};
    });
    if (!stored)
        return stored.error();
    adopt(change);
    return change.done;
}

/// False: known already. The ledger's unique key has the last word.
Result<bool> Historian::takeReceipt(Change &change, const sparkplug::HostBatch &batch)
{
    if (!batch.receipt)
        return true;
    const Receipt &receipt = *batch.receipt;
    if (receipt.msn == 0 || receipt.msn > kHighestMsn) {
        return Error{Errc::OutOfRange,
                     QStringLiteral("%1 sent a batch with the number %2; numbers begin at 1 and end at %3.")
                         .arg(batch.node.node)
                         .arg(receipt.msn)
                         .arg(kHighestMsn)};
    }
    auto stream = change.streams.find(receipt.stream);
    if (stream == change.streams.end()) {
        stream = change.streams.insert(receipt.stream, m_streams.value(receipt.stream));
        stream->node = batch.node;
    }
    if (stream->received.contains(receipt.msn))
        return false;
    QSqlQuery &ledger = m_writes->ledger;
    ledger.bindValue(0, receipt.stream.toString(QUuid::WithoutBraces));
    ledger.bindValue(1, receipt.msn);
    if (const auto done = run(ledger); !done)
        return done.error();
    stream->received.take(receipt.msn);
    // Its sender may say in the same breath that earlier numbers are gone.
    for (const Loss &loss : batch.batch.losses) {
        if (loss.stream == receipt.stream && loss.first > 0)
            stream->received.take({loss.first, std::min(loss.last, receipt.msn - 1)});
    }
    return ledger.numRowsAffected() == 1;
}

Result<void> Historian::storeBatch(Change &change, const sparkplug::HostBatch &batch)
{
    for (const Loss &loss : batch.batch.losses) {
        if (const auto stored = storeGap(change, loss); !stored)
            return stored.error();
    }
    // A node with a spool sends every measurement as a numbered batch, too.
    if (batch.fromBirth && m_nodesWithSpool.contains(batch.node))
        return {};
    ++change.done.batches;
    if (batch.batch.readings.isEmpty())
        return {};
    const auto device = deviceId(keyOf(batch), batch.node.node);
    if (!device)
        return device.error();
    for (const Reading &reading : batch.batch.readings) {
        const auto point = pointId(*device, reading);
        if (!point)
            return point.error();
        if (batch.fromBirth) {
            QSqlQuery &exists = m_writes->readingExists;
            exists.bindValue(0, *point);
            exists.bindValue(1, toEpochMillis(reading.deviceTime));
            if (const auto asked = run(exists); !asked)
                return asked.error();
            const bool known = exists.next();
            exists.finish();
            if (known)
                continue;
        }
        if (const auto stored = storeReading(*point, reading, change.now); !stored)
            return stored.error();
        ++change.done.rows;
    }
    return {};
}

Result<void> Historian::storeReading(qint64 point, const Reading &reading, Timestamp receivedAt)
{
    QSqlQuery &insert = m_writes->reading;
    const Kind kind = kindOf(reading.value);
    insert.bindValue(0, point);
    insert.bindValue(1, toEpochMillis(reading.deviceTime));
    insert.bindValue(2, int(kind));
    insert.bindValue(3,
                     kind == Kind::Text ? QVariant(QMetaType(QMetaType::Double)) : QVariant(toDouble(reading.value)));
    insert.bindValue(4, kind == Kind::Integer ? QVariant(std::get<qint64>(reading.value))
                                              : QVariant(QMetaType(QMetaType::LongLong)));
    insert.bindValue(5, kind == Kind::Text ? QVariant(std::get<QString>(reading.value))
                                           : QVariant(QMetaType(QMetaType::QString)));
    insert.bindValue(6, QString(unitInfo(reading.unit).code));
    insert.bindValue(7, int(reading.quality));
    insert.bindValue(8, reading.isHistorical ? 1 : 0);
    insert.bindValue(9, toEpochMillis(receivedAt));
    return run(insert);
}

// --- streams and gaps ----------------------------------------------------------------------------

Result<QList<Loss>> Historian::tailMoved(const sparkplug::NodeId &node, const StreamId &stream, Msn tail)
{
    m_nodesWithSpool.insert(node);
    if (tail > kHighestMsn)
        return Error{Errc::OutOfRange, QStringLiteral("%1 says that its batches begin at %2; numbers end at %3.")
                                           .arg(node.node)
                                           .arg(tail)
                                           .arg(kHighestMsn)};
    Change change{m_clock.now(), {}, {}};
    const bool isNew = !m_streams.contains(stream);
    Stream moved = m_streams.value(stream);
    moved.node = node;
    QList<Loss> lost;
    if (isNew && tail > 1) {
        // Nothing is lost: it was acknowledged to a host before this one, or the node's own batches declare it.
        moved.received.take({1, tail - 1});
        change.streams.insert(stream, moved);
        if (const auto stored = inTransaction([&] { return saveStreams(change); }); !stored)
            return stored.error();
        adopt(change);
        return lost;
    }
    for (const MsnRange &range : moved.received.missingBelow(tail)) {
        lost.append(Loss{node.node, stream, range.first, range.last, 0, {}, {}, LossReason::NeverSent});
        moved.received.take(range);
    }
    if (lost.isEmpty())
        return lost;
    change.streams.insert(stream, moved);
    const auto stored = inTransaction([&]() -> Result<void> {
        for (const Loss &loss : std::as_const(lost)) {
            if (const auto written = storeGap(change, loss); !written)
                return written.error();
        }
        return saveStreams(change);
    });
    if (!stored)
        return stored.error();
    adopt(change);
    return lost;
}

/// The same numbers may be reported twice: once as numbers that never came, once by a notice that
/// knows more. The notice that knows more stays, and no number stands in two gaps.
Result<void> Historian::storeGap(Change &change, const Loss &loss)
{
    const QString stream = loss.stream.toString(QUuid::WithoutBraces);
    QList<MsnRange> remainders; // of vaguer gaps that this one cuts into
    if (loss.first > 0) {
        auto overlapping = select(sql::kOverlappingGaps, {stream, loss.last, loss.first});
        if (!overlapping)
            return overlapping.error();
        QList<qint64> replaced;
        while (overlapping->next()) {
            const Msn first = overlapping->value(1).toULongLong();
            const Msn last = overlapping->value(2).toULongLong();
            const bool vague = LossReason(overlapping->value(3).toInt()) == LossReason::NeverSent;
            if (first <= loss.first && last >= loss.last && (!vague || loss.reason == LossReason::NeverSent))
                return {};
            if (!vague)
                continue;
            replaced.append(overlapping->value(0).toLongLong());
            if (first < loss.first)
                remainders.append({first, loss.first - 1});
            if (last > loss.last)
                remainders.append({loss.last + 1, last});
        }
        overlapping->finish();
        for (const qint64 id : replaced) {
            if (const auto removed = select(sql::kRemoveGap, {id}); !removed)
                return removed.error();
        }
    }
    const auto insert = [&](const Loss &gap) -> Result<void> {
        const bool timeless = gap.from == Timestamp{} && gap.to == Timestamp{};
        const QVariant none{QMetaType(QMetaType::LongLong)};
        const auto inserted =
            select(sql::kInsertGap,
                   {m_nextGap, gap.device.isNull() ? QStringLiteral("") : gap.device, stream, gap.first, gap.last,
                    gap.readings, timeless ? none : QVariant(toEpochMillis(gap.from)),
                    timeless ? none : QVariant(toEpochMillis(gap.to)), int(gap.reason), toEpochMillis(change.now)});
        if (!inserted)
            return inserted.error();
        ++m_nextGap;
        ++change.done.gaps;
        return {};
    };
    for (const MsnRange &rest : std::as_const(remainders)) {
        if (const auto inserted =
                insert(Loss{loss.device, loss.stream, rest.first, rest.last, 0, {}, {}, LossReason::NeverSent});
            !inserted)
            return inserted.error();
    }
    return insert(loss);
}

Result<void> Historian::saveStreams(const Change &change)
{
    for (auto it = change.streams.cbegin(); it != change.streams.cend(); ++it) {
        const auto before = m_streams.constFind(it.key());
        if (before != m_streams.constEnd() && before->received == it->received && before->node == it->node)
            continue;
        if (const auto saved = saveStream(it.key(), *it); !saved)
            return saved.error();
    }
    return {};
}

Result<void> Historian::saveStream(const StreamId &id, const Stream &stream)
{
    const QString name = id.toString(QUuid::WithoutBraces);
    const Msn contiguous = stream.received.contiguous();
    if (const auto saved = select(sql::kSaveStream, {name, stream.node.group, stream.node.node, contiguous}); !saved)
        return saved.error();
    if (const auto cleared = select(sql::kClearRanges, {name}); !cleared)
        return cleared.error();
    for (const auto &[first, last] : stream.received.beyond()) {
        if (const auto saved = select(sql::kSaveRange, {name, first, last}); !saved)
            return saved.error();
    }
    const Msn before = m_streams.value(id).received.contiguous();
    if (contiguous / kLedgerTail == before / kLedgerTail)
        return {};
    const auto trimmed = select(sql::kTrimLedger, {name, contiguous > kLedgerTail ? contiguous - kLedgerTail : 0});
    if (!trimmed)
        return trimmed.error();
    return {};
}

/// After the commit, memory follows the database.
void Historian::adopt(Change &change)
{
    for (auto it = change.streams.cbegin(); it != change.streams.cend(); ++it) {
        m_streams.insert(it.key(), *it);
        m_nodesWithSpool.insert(it->node);
        change.done.watermarks.append({it->node, it.key(), it->received.contiguous()});
    }
}

Msn Historian::contiguousReceipt(const StreamId &stream) const
{
    const auto known = m_streams.constFind(stream);
    return known == m_streams.constEnd() ? 0 : known->received.contiguous();
}

// --- devices and points --------------------------------------------------------------------------

Result<qint64> Historian::deviceId(const DeviceKey &key, const QString &node)
{
    if (const auto known = m_deviceIds.constFind(key); known != m_deviceIds.constEnd())
        return *known;
    auto found = select(sql::kFindDevice, {key.group, key.name});
    if (!found)
        return found.error();
    qint64 id = 0;
    if (found->next()) {
        id = found->value(0).toLongLong();
    } else {
        id = m_nextDevice;
        if (const auto inserted = select(sql::kInsertDevice, {id, key.group, key.name, node}); !inserted)
            return inserted.error();
        ++m_nextDevice;
    }
    m_deviceIds.insert(key, id);
    return id;
}

/// A reading of a point that no birth described makes the point known by what it shows itself.
Result<qint64> Historian::pointId(qint64 device, const Reading &reading)
{
    const std::pair<qint64, QString> key{device, reading.point};
    if (const auto known = m_pointIds.constFind(key); known != m_pointIds.constEnd())
        return *known;
    const auto find = [&]() { return select(sql::kFindPoint, {device, reading.point}); };
    auto found = find();
    if (!found)
        return found.error();
    if (!found->next()) {
        Point point;
        point.id = reading.point;
        point.name = reading.point;
        point.kind = kindOf(reading.value);
        point.unit = reading.unit;
        if (const auto saved = savePoint(device, point); !saved)
            return saved.error();
        found = find();
        if (!found)
            return found.error();
        if (!found->next())
            return Error{Errc::Io,
                         QStringLiteral("The historian lost point %1 while storing it; run it on a sound database.")
                             .arg(reading.point)};
    }
    const qint64 id = found->value(0).toLongLong();
    m_pointIds.insert(key, id);
    return id;
}

Result<void> Historian::savePoint(qint64 device, const Point &point)
{
    const auto text = [](const QString &value) { return value.isNull() ? QStringLiteral("") : value; };
    const auto saved =
        select(sql::kSavePoint,
               {m_nextPoint, device, point.id, text(point.name), int(point.kind), QString(unitInfo(point.unit).code),
                text(point.tags.join(QLatin1Char(' '))), text(point.brickClass), text(point.siteRef),
                text(point.spaceRef), text(point.equipRef), qint64(point.staleAfter.count())});
    if (!saved)
        return saved.error();
    ++m_nextPoint; // an id that an update left unused does no harm
    return {};
}

Result<void> Historian::mayUse(const sparkplug::NodeId &node, const QString &name) const
{
    const DeviceKey key{node.group, name};
    if (m_owners.value(key) == node.node)
        return {};
    auto found = select(sql::kOwner, {key.group, key.name});
    if (!found)
        return found.error();
    if (!found->next())
        return {};
    const QString owner = found->value(0).toString();
    m_owners.insert(key, owner);
    if (owner == node.node)
        return {};
    const bool online = found->value(1).toInt() != 0;
    if (!online && !found->isNull(2)
        && m_clock.now() - fromEpochMillis(found->value(2).toLongLong()) >= kNameIsFreeAfter)
        return {};
    return Error{
        Errc::Denied,
        QStringLiteral(
            "Node %1 speaks as device %2 of %3, which belongs to node %4; its data is refused until %4 has been offline for %5 hours.")
            .arg(node.node, name, node.group, owner)
            .arg(kNameIsFreeAfter.count())};
}

Result<void> Historian::noteBorn(const sparkplug::Participant &who)
{
    if (const auto allowed = mayUse(who.node, keyOf(who).name); !allowed)
        return allowed.error();
    m_owners.remove(keyOf(who));
    if (who.spool)
        m_nodesWithSpool.insert(who.node);
    return inTransaction([&]() -> Result<void> {
        const auto device = deviceId(keyOf(who), who.node.node);
        if (!device)
            return device.error();
        if (const auto set =
                select(sql::kSetOnline, {who.online ? 1 : 0, toEpochMillis(who.since), who.node.node, *device});
            !set)
            return set.error();
        for (const Point &point : who.points) {
            if (const auto saved = savePoint(*device, point); !saved)
                return saved.error();
        }
        return {};
    });
}

Result<void> Historian::noteDied(const sparkplug::Participant &who)
{
    if (const auto allowed = mayUse(who.node, keyOf(who).name); !allowed)
        return allowed.error();
    m_owners.remove(keyOf(who));
    return inTransaction([&]() -> Result<void> {
        const auto device = deviceId(keyOf(who), who.node.node);
        if (!device)
            return device.error();
        const auto set = select(sql::kSetOnline, {0, toEpochMillis(who.since), who.node.node, *device});
        if (!set)
            return set.error();
        return {};
    });
}

Result<void> Historian::markAllOffline()
{
    const auto marked = select(sql::kAllOffline, {toEpochMillis(m_clock.now())});
    if (!marked)
        return marked.error();
    return {};
}

} // namespace lintel::historian

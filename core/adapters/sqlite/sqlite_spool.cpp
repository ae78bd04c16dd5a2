#include "adapters/sqlite/sqlite_spool.h"

#include "adapters/sqlite/damaged_store.h"
#include "adapters/sqlite/store_schema.h"

#include <QLoggingCategory>

#include <algorithm>
#include <limits>

namespace lintel {

namespace {

Q_LOGGING_CATEGORY(spoolLog, "lintel.spool")

using sqlite::BatchRow;
using sqlite::Durability;
using sqlite::SpoolTables;
using sqlite::SpoolTotals;
using sqlite::Transaction;

constexpr Msn kHighestMsn = Msn(std::numeric_limits<qint64>::max());
// Deletes of one transaction; keeps the write-ahead log short when a long outage is acknowledged.
constexpr Msn kAcknowledgeStep = 4096;
constexpr Msn kSmallStep = 16;

const PlainCipher kPlainCipher;

[[nodiscard]] BatchRow rowOf(Msn msn, const ReadingBatch &batch)
{
    BatchRow row;
    row.msn = msn;
    row.device = batch.device;
    row.readings = quint64(batch.readings.size());
    row.losses = quint64(batch.losses.size());
    for (const Reading &reading : batch.readings) {
        row.from = row.from ? std::min(*row.from, reading.deviceTime) : reading.deviceTime;
        row.to = row.to ? std::max(*row.to, reading.deviceTime) : reading.deviceTime;
    }
    return row;
}

/// Adds a row to a loss that ends just before it, or begins one.
void extend(Loss &loss, const BatchRow &row)
{
    const bool begins = loss.first == 0;
    const bool timesKnown = loss.from != Timestamp{} || loss.to != Timestamp{};
    if (begins) {
        loss.first = row.msn;
        loss.device = row.device;
    } else if (loss.device != row.device) {
        loss.device.clear();
    }
    loss.last = row.msn;
    loss.readings += row.readings;
    if (row.from)
        loss.from = timesKnown ? std::min(loss.from, *row.from) : *row.from;
    if (row.to)
        loss.to = timesKnown ? std::max(loss.to, *row.to) : *row.to;
}

/// The numbers that a batch's own sender declares gone: only earlier ones, whatever it claims.
[[nodiscard]] MsnRange declaredBy(const Receipt &receipt, const Loss &loss)
{
    if (loss.stream != receipt.stream || loss.first == 0)
        return {};
    return {loss.first, std::min(loss.last, receipt.msn - 1)};
}

} // namespace

struct SqliteSpool::Group {
    struct Sealed {
        const ReadingBatch *batch;
        BatchRow row;
        QByteArray payload;
    };
    std::vector<const IncomingBatch *> accepted;
    std::vector<Sealed> sealed;
    QHash<StreamId, ReceivedNumbers> received; // streams that change
    std::vector<BatchRow> unreadable;          // stored batches to give up
    QList<Loss> losses;                        // for our own list
    SpoolTotals totals;                        // as they will be
};

// --- opening -------------------------------------------------------------------------------------

SqliteSpool::SqliteSpool(SqliteSpoolOptions options, AppendObserver *observer, const SpoolCipher &cipher)
    : m_options(std::move(options)), m_observer(observer), m_cipher(cipher)
{}

SqliteSpool::~SqliteSpool()
{
    if (m_observer)
        m_observer->closed();
}

Result<std::unique_ptr<SqliteSpool>> SqliteSpool::open(const SqliteSpoolOptions &options, const Clock &clock,
                                                       AppendObserver *observer, const SpoolCipher *cipher)
{
    std::unique_ptr<SqliteSpool> spool(new SqliteSpool(options, observer, cipher ? *cipher : kPlainCipher));
    bool damaged = false;
    const auto opened = spool->openDatabase(&damaged);
    if (!opened && !damaged)
        return opened.error();
    if (!opened) {
        if (const auto begun = spool->beginAnew(clock, opened.error()); !begun)
            return begun.error();
        return spool;
    }
    if (const auto told = spool->tellObserver(); !told)
        return told.error();
    return spool;
}

Result<void> SqliteSpool::tellObserver()
{
    if (!m_observer)
        return {};
    return m_observer->opened(*m_database);
}

Result<void> SqliteSpool::openDatabase(bool *damaged)
{
    auto database = sqlite::Database::open(m_options.path, m_options.database, damaged);
    if (!database)
        return database.error();
    m_database = *std::move(database);
    const auto load = [this]() -> Result<void> {
        if (const auto migrated = m_database->migrate(sqlite::storeMigrations()); !migrated)
            return migrated.error();
        if (const auto whole = m_database->check("batch"); !whole)
            return whole.error();
        auto tables = SpoolTables::prepare(*m_database);
        if (!tables)
            return tables.error();
        m_tables = *std::move(tables);
        auto received = m_tables->received();
        if (!received)
            return received.error();
        m_received = *std::move(received);
        const auto totals = m_tables->totals();
        if (!totals)
            return totals.error();
        if (*totals) {
            m_totals = **totals;
            return {};
        }
        m_totals = SpoolTotals{};
        m_totals.stream = QUuid::createUuid();
        return m_tables->saveTotals(m_totals);
    };
    const auto loaded = load();
    *damaged = m_database->isDamaged();
    return loaded;
}

Result<void> SqliteSpool::beginAnew(const Clock &clock, const Error &damage)
{
    sqlite::Salvage salvage;
    m_tables.reset();
    if (m_database)
        salvage = sqlite::salvage(*m_database);
    m_database.reset();
    const auto aside = sqlite::setAside(m_options.path, clock.now());
    if (!aside)
        return aside.error();

    bool damagedAgain = false;
    if (const auto opened = openDatabase(&damagedAgain); !opened)
        return opened.error();
    if (const auto told = tellObserver(); !told)
        return told.error();

    Loss loss;
    loss.device = m_options.device;
    loss.reason = LossReason::Unreadable;
    if (const auto &old = salvage.totals) {
        loss.stream = old->stream;
        loss.readings = old->pendingReadings;
        if (old->pendingBatches > 0) {
            loss.first = old->acknowledged + 1;
            loss.last = old->head;
        }
    }
    qCWarning(spoolLog).noquote()
        << QStringLiteral(
               "%1 It was kept as %2, a new stream begins, and %3 readings that were not acknowledged are lost.")
               .arg(damage.message, *aside,
                    salvage.totals ? QString::number(loss.readings) : QStringLiteral("an unknown number of"));
    const IncomingBatch notice{ReadingBatch{m_options.device, {}, {loss}}, std::nullopt};
    auto group = sortOut({&notice, 1});
    if (!group)
        return group.error();
    group->received = salvage.received;
    group->losses.append(loss);
    group->totals.droppedReadings += loss.readings;
    const auto committed = commit(*group);
    if (!committed)
        return committed.error();
    return {};
}

// --- taking in -----------------------------------------------------------------------------------

Result<ReadingSpool::Appended> SqliteSpool::append(std::span<const IncomingBatch> batches)
{
    if (batches.empty())
        return Appended{};
    auto group = sortOut(batches);
    if (!group)
        return group.error();
    return commit(*group);
}

Result<SqliteSpool::Group> SqliteSpool::sortOut(std::span<const IncomingBatch> batches) const
{
    Group group;
    group.totals = m_totals;
    for (const IncomingBatch &incoming : batches) {
        if (const auto &receipt = incoming.receipt) {
            if (receipt->msn == 0 || receipt->msn > kHighestMsn) {
                return Error{Errc::OutOfRange,
                             QStringLiteral("A received batch has the number %1; numbers begin at 1 and end at %2.")
                                 .arg(receipt->msn)
                                 .arg(kHighestMsn)};
            }
            auto known = group.received.find(receipt->stream);
            if (known == group.received.end())
                known = group.received.insert(receipt->stream, m_received.value(receipt->stream));
            if (known->contains(receipt->msn)) {
                ++group.totals.duplicateBatches;
                continue;
            }
            known->take(receipt->msn);
            for (const Loss &loss : incoming.batch.losses)
                known->take(declaredBy(*receipt, loss));
        }
        group.accepted.push_back(&incoming);
    }
    return group;
}

/// Encodes and seals what was accepted, and refuses a group that could not fit into an empty spool.
Result<void> SqliteSpool::weigh(Group &group) const
{
    qint64 bytes = 0;
    group.sealed.reserve(group.accepted.size());
    for (const IncomingBatch *incoming : group.accepted) {
        BatchRow row = rowOf(++group.totals.head, incoming->batch);
        auto payload = m_cipher.seal({group.totals.stream, row.msn}, encodeBatch(incoming->batch));
        if (!payload)
            return payload.error();
        row.bytes = payload->size();
        bytes += row.bytes;
        group.totals.totalReadings += row.readings;
        group.totals.pendingReadings += row.readings;
        group.totals.usedBytes += row.bytes;
        ++group.totals.pendingBatches;
        group.sealed.push_back({&incoming->batch, std::move(row), *std::move(payload)});
    }
    if (bytes > m_options.limits.maxBytes || group.sealed.size() > m_options.limits.maxBatches) {
        return Error{
            Errc::Full,
            QStringLiteral(
                "%1 batches of %2 bytes do not fit into a spool of %3 bytes and %4 batches; hand over fewer at once.")
                .arg(group.sealed.size())
                .arg(bytes)
                .arg(m_options.limits.maxBytes)
                .arg(m_options.limits.maxBatches)};
    }
    return {};
}

Result<ReadingSpool::Appended> SqliteSpool::commit(Group &group)
{
    if (const auto weighed = weigh(group); !weighed)
        return weighed.error();
    auto appended = write(group);
    if (m_observer)
        m_observer->finished(bool(appended));
    if (!appended) {
        m_diskWasFull = m_diskWasFull || appended.error().code == Errc::Full;
        return appended;
    }
    appended->duplicates = quint32(group.totals.duplicateBatches - m_totals.duplicateBatches);
    m_totals = group.totals;
    for (const Group::Sealed &sealed : group.sealed)
        m_writtenBytes += quint64(sealed.row.bytes);
    for (auto it = group.received.cbegin(); it != group.received.cend(); ++it)
        m_received.insert(it.key(), it.value());
    return appended;
}

/// Once the disk was full, the log comes first: folded back into the file it needs no room of its own.
Result<Transaction> SqliteSpool::begin(Durability durability)
{
    if (m_diskWasFull && m_database->foldLog())
        m_diskWasFull = false;
    return Transaction::begin(*m_database, durability);
}

Result<ReadingSpool::Appended> SqliteSpool::write(Group &group)
{
    // A group of nothing but duplicates only counts; that can wait for the next sync.
    const bool onlyCounts = group.sealed.empty();
    auto transaction = begin(onlyCounts ? Durability::Lazy : Durability::Full);
    if (!transaction)
        return transaction.error();
    Appended appended;
    for (const Group::Sealed &sealed : group.sealed) {
        if (const auto inserted = m_tables->insert(sealed.row, sealed.payload); !inserted)
            return inserted.error();
        if (m_observer) {
            if (const auto followed = m_observer->appended(*sealed.batch); !followed)
                return followed.error();
        }
        appended.first = appended.first == 0 ? sealed.row.msn : appended.first;
        appended.last = sealed.row.msn;
    }
    for (const BatchRow &row : group.unreadable) {
        if (const auto removed = m_tables->remove(row.msn); !removed)
            return removed.error();
        group.totals.droppedReadings += row.readings;
        group.totals.pendingReadings -= row.readings;
        group.totals.usedBytes -= row.bytes;
        --group.totals.pendingBatches;
    }
    if (const auto made = makeRoom(group, appended); !made)
        return made.error();
    for (const Loss &loss : std::as_const(group.losses)) {
        if (const auto recorded = m_tables->recordLoss(loss); !recorded)
            return recorded.error();
    }
    for (auto it = group.received.cbegin(); it != group.received.cend(); ++it) {
        if (it.value() == m_received.value(it.key()))
            continue;
        if (const auto saved = m_tables->saveReceived(it.key(), it.value()); !saved)
            return saved.error();
    }
    if (const auto saved = m_tables->saveTotals(group.totals); !saved)
        return saved.error();
    if (const auto committed = transaction->commit(); !committed)
        return committed.error();
    return appended;
}

/// The oldest go until the limits hold. A batch that goes takes the loss notices it carries along;
/// those stay on our list.
Result<void> SqliteSpool::makeRoom(Group &group, Appended &appended)
{
    SpoolTotals &totals = group.totals;
    const auto tooMuch = [&] {
        return totals.usedBytes > m_options.limits.maxBytes || totals.pendingBatches > m_options.limits.maxBatches;
    };
    if (!tooMuch())
        return {};
    Loss loss;
    loss.stream = totals.stream;
    loss.reason = LossReason::SpoolFull;
    QList<Loss> carried;
    const auto visited = m_tables->forEach(0, [&](const BatchRow &row, const sqlite::Statement &statement) {
        if (!tooMuch())
            return false;
        if (row.losses > 0) {
            if (const auto plain = m_cipher.open({totals.stream, row.msn}, SpoolTables::payload(statement))) {
                if (const auto batch = decodeBatch(*plain))
                    carried.append(batch->losses);
            }
        }
        extend(loss, row);
        totals.usedBytes -= row.bytes;
        totals.pendingReadings -= row.readings;
        totals.droppedReadings += row.readings;
        --totals.pendingBatches;
        return true;
    });
    if (!visited)
        return visited.error();
    if (const auto removed = m_tables->removeUpTo(loss.last); !removed)
        return removed.error();
    appended.evicted.append(loss);
    group.losses.append(loss);
    group.losses.append(carried);
    return {};
}

// --- handing on ----------------------------------------------------------------------------------

Result<QList<StoredBatch>> SqliteSpool::read(Msn after, int maxBatches)
{
    QList<StoredBatch> found;
    std::vector<BatchRow> unreadable;
    if (maxBatches <= 0 || after >= m_totals.head)
        return found;
    const auto visited = m_tables->forEach(after, [&](const BatchRow &row, const sqlite::Statement &statement) {
        const auto plain = m_cipher.open({m_totals.stream, row.msn}, SpoolTables::payload(statement));
        auto batch = plain ? decodeBatch(*plain) : Result<ReadingBatch>(plain.error());
        if (batch)
            found.append({row.msn, *std::move(batch)});
        else
            unreadable.push_back(row);
        return found.size() < maxBatches;
    });
    if (!visited)
        return visited.error();
    if (const auto dropped = dropUnreadable(unreadable); !dropped)
        qCWarning(spoolLog).noquote() << QStringLiteral(
                                             "Unreadable batches stay in the spool until they can be written off: %1")
                                             .arg(dropped.error().message);
    return found;
}

Result<void> SqliteSpool::dropUnreadable(const std::vector<BatchRow> &rows)
{
    if (rows.empty())
        return {};
    IncomingBatch notice{ReadingBatch{m_options.device, {}, {}}, std::nullopt};
    for (const BatchRow &row : rows) {
        if (notice.batch.losses.isEmpty() || notice.batch.losses.constLast().last + 1 != row.msn) {
            Loss loss;
            loss.stream = m_totals.stream;
            loss.reason = LossReason::Unreadable;
            notice.batch.losses.append(loss);
        }
        extend(notice.batch.losses.last(), row);
    }
    auto group = sortOut({&notice, 1});
    if (!group)
        return group.error();
    group->unreadable = rows;
    group->losses = notice.batch.losses;
    const auto committed = commit(*group);
    if (!committed)
        return committed.error();
    qCWarning(spoolLog).noquote() << QStringLiteral(
                                         "%1 stored batches, from number %2 on, cannot be read back and are lost.")
                                         .arg(rows.size())
                                         .arg(rows.front().msn);
    return {};
}

Result<void> SqliteSpool::acknowledge(Msn upTo)
{
    if (upTo > m_totals.head) {
        return Error{Errc::OutOfRange,
                     QStringLiteral("Batch %1 cannot be acknowledged: the spool has given numbers up to %2 only.")
                         .arg(upTo)
                         .arg(m_totals.head)};
    }
    // A disk that was full may have room for a small step, which then frees more.
    Msn most = m_diskWasFull ? kSmallStep : kAcknowledgeStep;
    while (m_totals.acknowledged < upTo) {
        // Steps begin at the lowest batch that is there, so that a long acknowledged past costs nothing.
        const auto lowest = m_tables->lowest();
        if (!lowest)
            return lowest.error();
        const Msn begin = lowest->value_or(upTo);
        const auto moved = release(begin >= upTo ? upTo : begin + std::min(most, upTo - begin));
        m_diskWasFull = m_diskWasFull || (!moved && moved.error().code == Errc::Full);
        if (!moved && moved.error().code == Errc::Full && most > kSmallStep)
            most = kSmallStep;
        else if (!moved)
            return moved.error();
    }
    return {};
}

Result<void> SqliteSpool::release(Msn upTo)
{
    auto transaction = begin(Durability::Lazy);
    if (!transaction)
        return transaction.error();
    const auto sum = m_tables->sumUpTo(upTo);
    if (!sum)
        return sum.error();
    if (const auto removed = m_tables->removeUpTo(upTo); !removed)
        return removed.error();
    SpoolTotals totals = m_totals;
    totals.acknowledged = std::max(totals.acknowledged, upTo);
    totals.pendingBatches -= sum->batches;
    totals.pendingReadings -= sum->readings;
    totals.usedBytes -= sum->bytes;
    if (const auto saved = m_tables->saveTotals(totals); !saved)
        return saved.error();
    if (const auto committed = transaction->commit(); !committed)
        return committed.error();
    m_totals = totals;
    return {};
}

// --- receipts ------------------------------------------------------------------------------------

Msn SqliteSpool::contiguousReceipt(const StreamId &stream) const
{
    const auto known = m_received.constFind(stream);
    return known == m_received.constEnd() ? 0 : known->contiguous();
}

Result<QList<Loss>> SqliteSpool::senderDropped(const StreamId &stream, const QString &device, Msn tail)
{
    if (tail > kHighestMsn) {
        return Error{Errc::OutOfRange, QStringLiteral("%1 says that its batches begin at %2; numbers end at %3.")
                                           .arg(device)
                                           .arg(tail)
                                           .arg(kHighestMsn)};
    }
    if (!m_received.contains(stream)) {
        if (tail > 1) {
            Group group;
            group.totals = m_totals;
            group.received.insert(stream, ReceivedNumbers(tail - 1));
            if (const auto committed = commit(group); !committed)
                return committed.error();
        }
        return QList<Loss>{};
    }
    ReceivedNumbers numbers = m_received.value(stream);
    IncomingBatch notice{ReadingBatch{device, {}, {}}, std::nullopt};
    for (const MsnRange &range : numbers.missingBelow(tail)) {
        notice.batch.losses.append(Loss{device, stream, range.first, range.last, 0, {}, {}, LossReason::NeverSent});
        numbers.take(range);
    }
    if (notice.batch.losses.isEmpty())
        return QList<Loss>{};
    auto group = sortOut({&notice, 1});
    if (!group)
        return group.error();
    group->received.insert(stream, numbers);
    group->losses = notice.batch.losses;
    const auto committed = commit(*group);
    if (!committed)
        return committed.error();
    return notice.batch.losses;
}

// --- looking -------------------------------------------------------------------------------------

SpoolStatus SqliteSpool::status() const
{
    SpoolStatus status;
    status.stream = m_totals.stream;
    status.head = m_totals.head;
    status.tail = m_totals.head + 1;
    status.acknowledged = m_totals.acknowledged;
    status.pendingReadings = m_totals.pendingReadings;
    status.pendingBatches = m_totals.pendingBatches;
    status.totalReadings = m_totals.totalReadings;
    status.droppedReadings = m_totals.droppedReadings;
    status.duplicateBatches = m_totals.duplicateBatches;
    status.usedBytes = m_totals.usedBytes;
    status.maxBytes = m_options.limits.maxBytes;
    status.writtenBytes = m_writtenBytes;
    if (const auto lowest = m_tables->lowest(); lowest && *lowest)
        status.tail = **lowest;
    if (const auto oldest = m_tables->oldest())
        status.oldestPending = *oldest;
    return status;
}

Result<QList<Loss>> SqliteSpool::losses(int max) const
{
    return m_tables->losses(max);
}

} // namespace lintel

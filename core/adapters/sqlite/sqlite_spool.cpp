// The spool's file, handing on, and what there is to see. Taking in: spool_intake.cpp.
#include "adapters/sqlite/sqlite_spool.h"

#include "adapters/sqlite/damaged_store.h"
#include "adapters/sqlite/spool_group.h"
#include "adapters/sqlite/store_schema.h"

#include <QLoggingCategory>

#include <algorithm>

namespace lintel {

namespace {

Q_LOGGING_CATEGORY(spoolLog, "lintel.spool")

using sqlite::BatchRow;
using sqlite::Durability;
using sqlite::SpoolTables;
using sqlite::SpoolTotals;

// Deletes of one transaction; keeps the write-ahead log short when a long outage is acknowledged.
constexpr Msn kAcknowledgeStep = 4096;
constexpr Msn kSmallStep = 16;

const PlainCipher kPlainCipher;

} // namespace

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
    } else if (const auto told = spool->tellObserver(); !told) {
        return told.error();
    }
    spool->learnLostBefore();
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
    if (salvage.totals)
        group->totals.settled = salvage.totals->settled;
    const auto committed = commit(*group);
    if (!committed)
        return committed.error();
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
    status.notedReadings = notedReadings();
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

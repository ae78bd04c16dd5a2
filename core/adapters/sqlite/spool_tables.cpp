#include "adapters/sqlite/spool_tables.h"

#include <algorithm>

namespace lintel::sqlite {

namespace {

constexpr int kPayloadColumn = 7;

void bindTime(Statement &statement, const std::optional<Timestamp> &time)
{
    if (time)
        statement.bind(toEpochMillis(*time));
    else
        statement.bindNull();
}

[[nodiscard]] std::optional<Timestamp> timeOf(const Statement &row, int column)
{
    if (row.isNull(column))
        return std::nullopt;
    return fromEpochMillis(row.integer(column));
}

/// A loss says "unknown" with both times at the epoch.
[[nodiscard]] std::optional<Timestamp> knownTime(const Loss &loss, Timestamp time)
{
    if (loss.from == Timestamp{} && loss.to == Timestamp{})
        return std::nullopt;
    return time;
}

[[nodiscard]] Loss lossOf(const Statement &row)
{
    Loss loss;
    loss.device = row.text(1);
    loss.stream = row.uuid(2);
    loss.first = row.unsignedInteger(3);
    loss.last = row.unsignedInteger(4);
    loss.readings = row.unsignedInteger(5);
    loss.from = timeOf(row, 6).value_or(Timestamp{});
    loss.to = timeOf(row, 7).value_or(Timestamp{});
    loss.reason = LossReason(row.integer(8));
    return loss;
}

} // namespace

Result<SpoolTables> SpoolTables::prepare(Database &database)
{
    SpoolTables tables;
    const struct {
        Statement &statement;
        const char *sql;
    } all[] = {
        {tables.m_totals,
         "SELECT stream, head, acknowledged, pending_readings, pending_batches, used_bytes, total_readings,"
         " dropped_readings, duplicate_batches, settled FROM spool WHERE id = 1"},
        {tables.m_saveTotals,
         "INSERT OR REPLACE INTO spool (id, stream, head, acknowledged, pending_readings, pending_batches, used_bytes,"
         " total_readings, dropped_readings, duplicate_batches, settled) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
        {tables.m_insert,
         "INSERT INTO batch (msn, device, readings, losses, from_ms, to_ms, bytes, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
        {tables.m_select,
         "SELECT msn, device, readings, losses, from_ms, to_ms, bytes, payload FROM batch WHERE msn > ? ORDER BY msn"},
        {tables.m_sum,
         "SELECT COUNT(*), COALESCE(SUM(readings), 0), COALESCE(SUM(bytes), 0) FROM batch WHERE msn <= ?"},
        {tables.m_removeUpTo, "DELETE FROM batch WHERE msn <= ?"},
        {tables.m_remove, "DELETE FROM batch WHERE msn = ?"},
        {tables.m_lowest, "SELECT MIN(msn) FROM batch"},
        {tables.m_oldest, "SELECT MIN(from_ms) FROM batch WHERE from_ms IS NOT NULL"},
        {tables.m_receipts, "SELECT stream, contiguous FROM receipt"},
        {tables.m_receiptRanges, "SELECT stream, first, last FROM receipt_range"},
        {tables.m_saveReceipt, "INSERT OR REPLACE INTO receipt (stream, contiguous) VALUES (?, ?)"},
        {tables.m_clearRanges, "DELETE FROM receipt_range WHERE stream = ?"},
        {tables.m_saveRange, "INSERT INTO receipt_range (stream, first, last) VALUES (?, ?, ?)"},
        {tables.m_findLoss, "SELECT id, device, stream, first, last, readings, from_ms, to_ms, reason FROM loss"
                            " WHERE stream = ? AND reason = ? AND last = ? AND first > 0 LIMIT 1"},
        {tables.m_extendLoss,
         "UPDATE loss SET device = ?, last = ?, readings = ?, from_ms = ?, to_ms = ? WHERE id = ?"},
        {tables.m_insertLoss,
         "INSERT INTO loss (device, stream, first, last, readings, from_ms, to_ms, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
        {tables.m_losses,
         "SELECT * FROM (SELECT id, device, stream, first, last, readings, from_ms, to_ms, reason FROM loss"
         " ORDER BY id DESC LIMIT ?) ORDER BY id"},
    };
    for (const auto &[statement, sql] : all) {
        auto prepared = database.prepare(sql);
        if (!prepared)
            return prepared.error();
        statement = *std::move(prepared);
    }
    return tables;
}

Result<std::optional<SpoolTotals>> SpoolTables::totals()
{
    const auto row = m_totals.step();
    if (!row)
        return row.error();
    if (!*row)
        return std::optional<SpoolTotals>{};
    SpoolTotals totals;
    totals.stream = m_totals.uuid(0);
    totals.head = m_totals.unsignedInteger(1);
    totals.acknowledged = m_totals.unsignedInteger(2);
    totals.pendingReadings = m_totals.unsignedInteger(3);
    totals.pendingBatches = m_totals.unsignedInteger(4);
    totals.usedBytes = m_totals.integer(5);
    totals.totalReadings = m_totals.unsignedInteger(6);
    totals.droppedReadings = m_totals.unsignedInteger(7);
    totals.duplicateBatches = m_totals.unsignedInteger(8);
    totals.settled = m_totals.unsignedInteger(9);
    m_totals.reset();
    return std::optional{totals};
}

Result<void> SpoolTables::saveTotals(const SpoolTotals &totals)
{
    return m_saveTotals.bind(totals.stream)
        .bind(totals.head)
        .bind(totals.acknowledged)
        .bind(totals.pendingReadings)
        .bind(totals.pendingBatches)
        .bind(totals.usedBytes)
        .bind(totals.totalReadings)
        .bind(totals.droppedReadings)
        .bind(totals.duplicateBatches)
        .bind(totals.settled)
        .run();
}

Result<void> SpoolTables::insert(const BatchRow &row, const QByteArray &payload)
{
    m_insert.bind(row.msn).bind(row.device).bind(row.readings).bind(row.losses);
    bindTime(m_insert, row.from);
    bindTime(m_insert, row.to);
    return m_insert.bind(row.bytes).bind(payload).run();
}

Result<void> SpoolTables::forEach(Msn after, const std::function<bool(const BatchRow &, const Statement &)> &visit)
{
    m_select.bind(after);
    for (;;) {
        const auto next = m_select.step();
        if (!next)
            return next.error();
        if (!*next)
            return {};
        const BatchRow row{m_select.unsignedInteger(0), m_select.text(1),    m_select.unsignedInteger(2),
                           m_select.unsignedInteger(3), timeOf(m_select, 4), timeOf(m_select, 5),
                           m_select.integer(6)};
        if (!visit(row, m_select)) {
            m_select.reset();
            return {};
        }
    }
}

QByteArray SpoolTables::payload(const Statement &row)
{
    return row.blob(kPayloadColumn);
}

Result<BatchSum> SpoolTables::sumUpTo(Msn last)
{
    const auto row = m_sum.bind(last).step();
    if (!row)
        return row.error();
    const BatchSum sum{m_sum.unsignedInteger(0), m_sum.unsignedInteger(1), m_sum.integer(2)};
    m_sum.reset();
    return sum;
}

Result<void> SpoolTables::removeUpTo(Msn last)
{
    return m_removeUpTo.bind(last).run();
}

Result<void> SpoolTables::remove(Msn msn)
{
    return m_remove.bind(msn).run();
}

Result<std::optional<Msn>> SpoolTables::lowest()
{
    const auto row = m_lowest.step();
    if (!row)
        return row.error();
    std::optional<Msn> lowest;
    if (!m_lowest.isNull(0))
        lowest = m_lowest.unsignedInteger(0);
    m_lowest.reset();
    return lowest;
}

Result<std::optional<Timestamp>> SpoolTables::oldest()
{
    const auto row = m_oldest.step();
    if (!row)
        return row.error();
    const std::optional<Timestamp> oldest = timeOf(m_oldest, 0);
    m_oldest.reset();
    return oldest;
}

Result<QHash<StreamId, ReceivedNumbers>> SpoolTables::received()
{
    QHash<StreamId, ReceivedNumbers> all;
    for (;;) {
        const auto row = m_receipts.step();
        if (!row)
            return row.error();
        if (!*row)
            break;
        all.insert(m_receipts.uuid(0), ReceivedNumbers(m_receipts.unsignedInteger(1)));
    }
    for (;;) {
        const auto row = m_receiptRanges.step();
        if (!row)
            return row.error();
        if (!*row)
            return all;
        all[m_receiptRanges.uuid(0)].take({m_receiptRanges.unsignedInteger(1), m_receiptRanges.unsignedInteger(2)});
    }
}

Result<void> SpoolTables::saveReceived(const StreamId &stream, const ReceivedNumbers &numbers)
{
    if (const auto saved = m_saveReceipt.bind(stream).bind(numbers.contiguous()).run(); !saved)
        return saved.error();
    if (const auto cleared = m_clearRanges.bind(stream).run(); !cleared)
        return cleared.error();
    for (const auto &[first, last] : numbers.beyond()) {
        if (const auto saved = m_saveRange.bind(stream).bind(first).bind(last).run(); !saved)
            return saved.error();
    }
    return {};
}

Result<void> SpoolTables::recordLoss(const Loss &loss)
{
    if (loss.first > 1) {
        const auto row = m_findLoss.bind(loss.stream).bind(int(loss.reason)).bind(loss.first - 1).step();
        if (!row)
            return row.error();
        if (*row) {
            const qint64 id = m_findLoss.integer(0);
            const Loss before = lossOf(m_findLoss);
            m_findLoss.reset();
            std::optional<Timestamp> from = knownTime(before, before.from);
            std::optional<Timestamp> to = knownTime(before, before.to);
            if (const auto time = knownTime(loss, loss.from))
                from = from ? std::min(*from, *time) : *time;
            if (const auto time = knownTime(loss, loss.to))
                to = to ? std::max(*to, *time) : *time;
            m_extendLoss.bind(before.device == loss.device ? loss.device : QString())
                .bind(loss.last)
                .bind(before.readings + loss.readings);
            bindTime(m_extendLoss, from);
            bindTime(m_extendLoss, to);
            return m_extendLoss.bind(id).run();
        }
    }
    m_insertLoss.bind(loss.device).bind(loss.stream).bind(loss.first).bind(loss.last).bind(loss.readings);
    bindTime(m_insertLoss, knownTime(loss, loss.from));
    bindTime(m_insertLoss, knownTime(loss, loss.to));
    return m_insertLoss.bind(int(loss.reason)).run();
}

Result<QList<Loss>> SpoolTables::losses(int max)
{
    QList<Loss> found;
    m_losses.bind(std::max(0, max));
    for (;;) {
        const auto row = m_losses.step();
        if (!row)
            return row.error();
        if (!*row)
            return found;
        found.append(lossOf(m_losses));
    }
}

} // namespace lintel::sqlite

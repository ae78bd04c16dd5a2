// The rows of a spool, with the prepared statements that read and write them. No policy here: what
// to keep, refuse or evict is SqliteSpool's. Nothing here begins or ends a transaction.
//
// Owner: SqliteSpool. Thread: its thread. Failure: as Database says.
#pragma once

#include "adapters/sqlite/database.h"
#include "domain/received_numbers.h"
#include "ports/reading_spool.h"

#include <QHash>

#include <functional>

namespace lintel::sqlite {

/// The one row of totals; written with every change.
struct SpoolTotals {
    StreamId stream;
    Msn head = 0;
    Msn acknowledged = 0;
    quint64 pendingReadings = 0;
    quint64 pendingBatches = 0;
    qint64 usedBytes = 0;
    quint64 totalReadings = 0;
    quint64 droppedReadings = 0;
    quint64 duplicateBatches = 0;
    quint64 settled = 0; // readings of notes that are stored, or lost and recorded; see loss_note.h
};

/// What stands beside the payload of a batch.
struct BatchRow {
    Msn msn = 0;
    QString device;
    quint64 readings = 0;
    quint64 losses = 0; // loss notices inside
    std::optional<Timestamp> from;
    std::optional<Timestamp> to;
    qint64 bytes = 0;
};

/// What some batches amount to together.
struct BatchSum {
    quint64 batches = 0;
    quint64 readings = 0;
    qint64 bytes = 0;
};

class SpoolTables
{
public:
    [[nodiscard]] static Result<SpoolTables> prepare(Database &database);

    /// Nothing for a file that has just been made.
    [[nodiscard]] Result<std::optional<SpoolTotals>> totals();
    [[nodiscard]] Result<void> saveTotals(const SpoolTotals &totals);

    [[nodiscard]] Result<void> insert(const BatchRow &row, const QByteArray &payload);
    /// Batches after `after` in order, until `visit` says false or there are no more.
    [[nodiscard]] Result<void> forEach(Msn after,
                                       const std::function<bool(const BatchRow &, const Statement &)> &visit);
    /// The payload column of the statement that forEach() hands out.
    [[nodiscard]] static QByteArray payload(const Statement &row);
    [[nodiscard]] Result<BatchSum> sumUpTo(Msn last);
    [[nodiscard]] Result<void> removeUpTo(Msn last);
    [[nodiscard]] Result<void> remove(Msn msn);
    [[nodiscard]] Result<std::optional<Msn>> lowest();
    [[nodiscard]] Result<std::optional<Timestamp>> oldest();

    [[nodiscard]] Result<QHash<StreamId, ReceivedNumbers>> received();
    [[nodiscard]] Result<void> saveReceived(const StreamId &stream, const ReceivedNumbers &numbers);

    /// Continues the loss that ends where this one begins, if there is one of its stream and reason.
    [[nodiscard]] Result<void> recordLoss(const Loss &loss);
    /// The latest `max`, oldest first.
    [[nodiscard]] Result<QList<Loss>> losses(int max);

private:
    SpoolTables() = default;

    Statement m_totals;
    Statement m_saveTotals;
    Statement m_insert;
    Statement m_select;
    Statement m_sum;
    Statement m_removeUpTo;
    Statement m_remove;
    Statement m_lowest;
    Statement m_oldest;
    Statement m_receipts;
    Statement m_receiptRanges;
    Statement m_saveReceipt;
    Statement m_clearRanges;
    Statement m_saveRange;
    Statement m_findLoss;
    Statement m_extendLoss;
    Statement m_insertLoss;
    Statement m_losses;
};

} // namespace lintel::sqlite

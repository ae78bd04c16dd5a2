// The ReadingSpool of every agent: one SQLite file, a sync for each group of batches.
//
// Room is counted, not measured: a batch weighs what is stored of it. Beyond the limits the oldest
// unacknowledged batches go, and the loss is written in the same transaction; the loss rows of
// neighbouring ranges grow together. A file that SQLite calls damaged is set aside when the spool is
// opened ("spool.db.damaged-20261121T094100Z", the newest two are kept); a new stream begins, and
// what was lost stands on its loss list and in its first batch. The same happens never while the
// spool runs, because the stream must not change under a session: calls fail then, isDamaged() says
// so, and the owner restarts.
//
// A stored batch that cannot be opened again is lost too (Unreadable); the notice of it becomes a
// batch of its own, so that the next hop does not wait for that number.
//
// Beside the file lies "spool.db.note", whose place is reserved: see loss_note.h. What stands in it from the
// process before is written down as lost when the spool is opened, or as soon as there is room.
//
// Owner: main(). Thread: the one that opened it. Failure: see Database; nothing is half done.
#pragma once

#include "adapters/sqlite/append_observer.h"
#include "adapters/sqlite/loss_note.h"
#include "adapters/sqlite/spool_cipher.h"
#include "adapters/sqlite/spool_tables.h"
#include "ports/clock.h"
#include "ports/reading_spool.h"

#include <memory>
#include <vector>

namespace lintel {

struct SqliteSpoolOptions {
    QString path;
    QString device; // who owns the spool; the name on batches that only carry a notice of loss
    SpoolLimits limits;
    sqlite::DatabaseOptions database;
};

class SqliteSpool final : public ReadingSpool
{
public:
    /// `observer` and `cipher` may be null: nobody writes along, and PlainCipher.
    [[nodiscard]] static Result<std::unique_ptr<SqliteSpool>> open(const SqliteSpoolOptions &options,
                                                                   const Clock &clock,
                                                                   AppendObserver *observer = nullptr,
                                                                   const SpoolCipher *cipher = nullptr);
    ~SqliteSpool() override;

    [[nodiscard]] Result<Appended> append(std::span<const IncomingBatch> batches) override;
    [[nodiscard]] Result<void> noteUnstored(const Unstored &held) override;
    [[nodiscard]] Result<QList<StoredBatch>> read(Msn after, int maxBatches) override;
    /// Not synced on its own: a power cut may undo it, and the next hop then gets the same numbers again.
    [[nodiscard]] Result<void> acknowledge(Msn upTo) override;
    /// A batch that carries losses of its own stream declares those numbers, too.
    [[nodiscard]] Msn contiguousReceipt(const StreamId &stream) const override;
    [[nodiscard]] Result<QList<Loss>> senderDropped(const StreamId &stream, const QString &device, Msn tail) override;
    [[nodiscard]] SpoolStatus status() const override;
    [[nodiscard]] Result<QList<Loss>> losses(int max) const override;

    [[nodiscard]] bool isDamaged() const { return m_database->isDamaged(); }

private:
    struct Group; // what one transaction is about to change

    SqliteSpool(SqliteSpoolOptions options, AppendObserver *observer, const SpoolCipher &cipher);
    [[nodiscard]] Result<void> openDatabase(bool *damaged);
    [[nodiscard]] Result<void> beginAnew(const Clock &clock, const Error &damage);
    [[nodiscard]] Result<void> openNote();
    void learnLostBefore();
    [[nodiscard]] Result<void> recordLostBefore();
    [[nodiscard]] quint64 notedReadings() const;
    [[nodiscard]] Result<void> tellObserver();
    [[nodiscard]] Result<Group> sortOut(std::span<const IncomingBatch> batches) const;
    [[nodiscard]] Result<void> weigh(Group &group) const;
    [[nodiscard]] Result<Appended> commit(Group &group);
    [[nodiscard]] Result<sqlite::Transaction> begin(sqlite::Durability durability);
    [[nodiscard]] Result<Appended> write(Group &group);
    [[nodiscard]] Result<void> makeRoom(Group &group, Appended &appended);
    [[nodiscard]] Result<void> release(Msn upTo);
    [[nodiscard]] Result<void> dropUnreadable(const std::vector<sqlite::BatchRow> &rows);

    SqliteSpoolOptions m_options;
    AppendObserver *m_observer;
    const SpoolCipher &m_cipher;
    std::unique_ptr<sqlite::Database> m_database;
    mutable std::optional<sqlite::SpoolTables> m_tables;
    sqlite::SpoolTotals m_totals;
    QHash<StreamId, ReceivedNumbers> m_received;
    std::optional<sqlite::LossNote> m_note;
    Unstored m_lostBefore; // by a process before this one, and not recorded yet
    bool m_diskWasFull = false;
    quint64 m_writtenBytes = 0; // since it was opened
};

} // namespace lintel

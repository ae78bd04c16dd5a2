// Batches: each once, readings and receipts in one transaction.
#include "historian_change.h"
#include "historian_sql.h"

#include <QVariant>

namespace lintel::historian {

Result<Ingested> Historian::ingest(std::span<const sparkplug::HostBatch> batches)
{
    Change change{m_clock.now(), {}, {}};
    if (batches.empty())
        return change.done;
    if (const auto room = checkRoom(); !room)
        return room.error();
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
        const auto counted = select(sql::kCountBatches, {change.done.batches, change.done.duplicates, change.done.rows,
                                                         change.done.historicalRows});
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
    const auto device = deviceId({batch.node.group, batch.batch.device}, batch.node.node);
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
        change.done.historicalRows += reading.isHistorical ? 1 : 0;
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

} // namespace lintel::historian

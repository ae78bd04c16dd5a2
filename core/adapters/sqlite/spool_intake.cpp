// Taking in: what one transaction stores, what has to go for it, and which numbers of whom have come.
#include "adapters/sqlite/spool_group.h"

#include <algorithm>

namespace lintel {

namespace {

using sqlite::BatchRow;
using sqlite::Durability;
using sqlite::SpoolTables;
using sqlite::SpoolTotals;
using sqlite::Transaction;

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

/// The numbers that a batch's own sender declares gone: only earlier ones, whatever it claims.
[[nodiscard]] MsnRange declaredBy(const Receipt &receipt, const Loss &loss)
{
    if (loss.stream != receipt.stream || loss.first == 0)
        return {};
    return {loss.first, std::min(loss.last, receipt.msn - 1)};
}

} // namespace

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

Result<ReadingSpool::Appended> SqliteSpool::append(std::span<const IncomingBatch> batches)
{
    if (batches.empty())
        return Appended{};
    if (m_lostBefore.readings > 0)
        (void)recordLostBefore(); // if there is no room for it, the batches say so
    auto group = sortOut(batches);
    if (!group)
        return group.error();
    auto appended = commit(*group);
    if (appended && !m_note)
        (void)openNote(); // there is room now; if not for this, it was said when the spool was opened
    return appended;
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
        if (incoming.settles == 0)
            continue;
        group.totals.settled += incoming.settles;
        group.losses.append(incoming.batch.losses);
        for (const Loss &loss : incoming.batch.losses)
            group.totals.droppedReadings += loss.readings;
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
    if (group.sealed.size() == 1 && bytes > m_options.limits.maxBytes) {
        return Error{
            Errc::OutOfRange,
            QStringLiteral("A batch of %1 bytes can never be stored in a spool of %2 bytes; give the spool more.")
                .arg(bytes)
                .arg(m_options.limits.maxBytes)};
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

} // namespace lintel

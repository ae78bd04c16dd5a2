// Streams: which numbers have arrived, and the gaps of those that never will.
#include "historian_change.h"
#include "historian_sql.h"

#include <QVariant>

namespace lintel::historian {

namespace {

// Ledger rows below the watermark say nothing new; so many stay for a look.
constexpr Msn kLedgerTail = 4096;

} // namespace

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

} // namespace lintel::historian

#include "custody/custody_intake.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace lintel {

using sparkplug::HostBatch;
using sparkplug::NodeId;

namespace {

constexpr int kMostAttempts = 128; // at one group; what is left is sent again

} // namespace

enum class CustodyIntake::Fate : quint8 { Left, Stored, SetAside, Refused };

struct CustodyIntake::GroupOutcome {
    std::vector<Fate> fates; // of each batch
    QList<Error> refusals;   // of those that were refused, in order
    CustodyStore::Stored stored;
    quint64 commits = 0;
    std::optional<Error> failure; // of the store, not of a batch
};

namespace {

QString nameOf(const HostBatch &batch)
{
    const QString number = batch.receipt ? QStringLiteral(" %1").arg(batch.receipt->msn) : QString();
    return QStringLiteral("Batch%1 of %2")
        .arg(number, batch.node.node.isEmpty() ? batch.batch.device : batch.node.node);
}

Error refusalOf(const HostBatch &batch, const Error &why)
{
    return {why.code,
            QStringLiteral("%1 is dropped and not acknowledged, as the store takes others but not this one: %2")
                .arg(nameOf(batch), why.message)};
}

Error setAsideNotice(const HostBatch &batch, const Error &why)
{
    return {why.code,
            QStringLiteral("%1 is set aside, as the store takes others but never this one; its %2 readings are written "
                           "down as lost: %3")
                .arg(nameOf(batch))
                .arg(batch.batch.readings.size())
                .arg(why.message)};
}

/// A notice with the batch's number in the batch's place; nothing when there is nothing to write down.
std::optional<HostBatch> inPlaceOf(const HostBatch &batch)
{
    if (!batch.receipt && batch.batch.readings.isEmpty())
        return std::nullopt;
    Loss loss;
    loss.device = batch.batch.device;
    loss.reason = LossReason::Refused;
    if (batch.receipt) {
        loss.stream = batch.receipt->stream;
        loss.first = loss.last = batch.receipt->msn;
    }
    loss.readings = quint64(batch.batch.readings.size());
    if (!batch.batch.readings.isEmpty()) {
        const auto [first, last] =
            std::ranges::minmax(batch.batch.readings, {}, [](const Reading &one) { return one.deviceTime; });
        loss.from = first.deviceTime;
        loss.to = last.deviceTime;
    }
    HostBatch notice = batch;
    notice.batch.readings.clear();
    notice.batch.losses.append(loss);
    notice.fromBirth = false;
    return notice;
}

} // namespace

/// Stores a notice in the place of a batch that is refused by itself. Not even that: Refused, or Left when it
/// is the store that fails.
CustodyIntake::Fate CustodyIntake::setAside(CustodyStore &store, const HostBatch &batch, GroupOutcome &outcome)
{
    auto notice = inPlaceOf(batch);
    if (!notice)
        return Fate::Refused;
    auto stored = store.append({&*notice, 1});
    const auto isOfContent = [&] {
        return stored.error().code == Errc::OutOfRange || stored.error().code == Errc::Malformed;
    };
    if (!stored && isOfContent() && notice->batch.losses.size() > 1) {
        notice->batch.losses.remove(0, notice->batch.losses.size() - 1); // it was what the batch itself reported
        stored = store.append({&*notice, 1});
    }
    if (stored) {
        ++outcome.commits;
        outcome.stored.duplicates += stored->duplicates;
        return Fate::SetAside;
    }
    if (isOfContent())
        return Fate::Refused;
    outcome.failure = stored.error();
    return Fate::Left;
}

/// In one transaction; or, when something in the group is not to the store's liking, in halves until
/// that stands alone. A full disk looks at first like a group that is too large, but refuses the next
/// single batch as well.
CustodyIntake::GroupOutcome CustodyIntake::storeGroup(CustodyStore &store, std::span<const HostBatch> group)
{
    GroupOutcome outcome;
    outcome.fates.assign(group.size(), Fate::Left);
    std::vector<std::optional<Error>> refused(group.size());
    std::optional<std::pair<size_t, Error>> tooLarge;
    std::vector<std::pair<size_t, size_t>> parts{{0, group.size()}}; // first and count; the next one last
    for (int attempt = 0; !parts.empty() && attempt < kMostAttempts; ++attempt) {
        const auto [first, count] = parts.back();
        parts.pop_back();
        const auto stored = store.append(group.subspan(first, count));
        if (stored) {
            std::fill_n(outcome.fates.begin() + qsizetype(first), count, Fate::Stored);
            outcome.stored.batches += stored->batches;
            outcome.stored.duplicates += stored->duplicates;
            ++outcome.commits;
            continue;
        }
        const Errc code = stored.error().code;
        const bool ofContent = code == Errc::OutOfRange || code == Errc::Malformed;
        if (!ofContent && (code != Errc::Full || group.size() == 1 || (count == 1 && tooLarge))) {
            outcome.failure = stored.error();
            break;
        }
        if (count > 1) {
            parts.push_back({first + count / 2, count - count / 2});
            parts.push_back({first, count / 2});
        } else if (ofContent) {
            refused[first] = stored.error();
            attempt += 1; // setting aside is one, too
            outcome.fates[first] = setAside(store, group[first], outcome);
            if (outcome.failure)
                break;
        } else {
            tooLarge.emplace(first, stored.error());
        }
    }
    if (tooLarge && !outcome.failure && outcome.commits == 0)
        outcome.failure = tooLarge->second;
    else if (tooLarge && !outcome.failure) {
        // For the moment or for ever? The store does not say, so nobody writes it off.
        refused[tooLarge->first] = tooLarge->second;
        outcome.fates[tooLarge->first] = Fate::Refused;
    }
    for (size_t i = 0; i < refused.size(); ++i) {
        if (refused[i] && outcome.fates[i] != Fate::Left)
            outcome.refusals.append(*refused[i]);
    }
    return outcome;
}

CustodyIntake::CustodyIntake(CustodyStore &store, const Clock &clock, QObject *parent)
    : CustodyIntake(store, clock, Limits{}, parent)
{}

CustodyIntake::CustodyIntake(CustodyStore &store, const Clock &clock, Limits limits, QObject *parent)
    : QObject(parent), m_store(store), m_clock(clock), m_limits(limits)
{
    m_timer.setSingleShot(true);
    m_timer.setTimerType(Qt::PreciseTimer);
    connect(&m_timer, &QTimer::timeout, this, &CustodyIntake::flush);
}

void CustodyIntake::nodeBorn(const sparkplug::Participant &who)
{
    if (!who.spool || !who.device.isEmpty())
        return;
    tailMoved(who.node, who.spool->stream, who.spool->tail);
}

void CustodyIntake::tailMoved(const NodeId &node, const StreamId &stream, Msn tail)
{
    flush(); // what arrived before the news counts as arrived
    // Not while the store fails: the node repeats its tail. It is answered all the same: one that never
    // hears of a host that keeps books falls back to plain Sparkplug, and deletes what nobody has.
    if (!m_failing && tail > m_store.contiguousReceipt(node, stream) + 1) {
        if (const auto settled = m_store.senderDropped(node, stream, tail); !settled)
            onFailed(settled.error());
        else
            Q_EMIT stored();
    }
    Q_EMIT acknowledge(node, stream, m_store.contiguousReceipt(node, stream));
}

void CustodyIntake::take(const HostBatch &batch)
{
    if (m_failing && m_clock.monotonic() < m_retryAt) {
        if (batch.receipt) {
            ++m_counters.refusedBatches;
            m_streams.insert({batch.node, batch.receipt->stream}); // one answer for many, by the timer
            if (!m_timer.isActive())
                m_timer.start(m_limits.retryAfter);
        } else {
            holdPlain(batch);
        }
        return;
    }
    if (batch.receipt) {
        m_streams.insert({batch.node, batch.receipt->stream});
        m_group.append(batch);
    } else {
        holdPlain(batch);
    }
    if (m_group.size() >= m_limits.maxBatches)
        flush();
    else if (!m_timer.isActive())
        m_timer.start(untilNextGroup());
}

/// After a pause a group is stored at once, with what else has arrived by then: a commit on the way
/// from a sensor to the cloud is enough of a wait. While many come, groups are `collect` apart.
Millis CustodyIntake::untilNextGroup() const
{
    if (!m_lastGroup)
        return Millis{0};
    const auto apart = std::chrono::ceil<Millis>(*m_lastGroup + m_limits.collect - m_clock.monotonic());
    return std::clamp(apart, Millis{0}, m_limits.collect);
}

void CustodyIntake::flush()
{
    m_timer.stop();
    if (m_group.isEmpty() && m_lost.isEmpty()) {
        acknowledgeStreams();
        return;
    }
    QList<HostBatch> group = lossBatches();
    const qsizetype notices = group.size();
    group.append(std::exchange(m_group, {}));
    const GroupOutcome outcome = storeGroup(m_store, group);
    m_lastGroup = m_clock.monotonic();
    settle(group, notices, outcome);
}

/// Sorts out what became of each batch; the first `notices` of them are our own, from m_lost.
void CustodyIntake::settle(const QList<HostBatch> &group, qsizetype notices, const GroupOutcome &outcome)
{
    m_heldReadings = 0;
    QList<Error> refusals;
    const auto nextRefusal = [&]() -> const Error & { return outcome.refusals[refusals.size()]; };
    for (qsizetype i = 0; i < group.size(); ++i) {
        const HostBatch &batch = group[i];
        const Fate fate = outcome.fates[size_t(i)];
        if (i < notices && fate != Fate::Left)
            m_lost.remove(batch.batch.device);
        if (fate == Fate::Stored) {
            m_counters.readings += quint64(batch.batch.readings.size());
        } else if (fate == Fate::SetAside) {
            ++m_counters.setAsideBatches;
            m_counters.setAsideReadings += quint64(batch.batch.readings.size());
            refusals.append(setAsideNotice(batch, nextRefusal()));
            m_lastSetAside = refusals.constLast().message;
        } else if (fate == Fate::Refused) {
            ++m_counters.unusableBatches;
            if (i >= notices && !batch.receipt)
                noteLost(batch);
            refusals.append(refusalOf(batch, nextRefusal()));
        } else if (batch.receipt) {
            ++m_counters.refusedBatches; // its sender sends it again
        } else if (i >= notices) {
            m_group.append(batch); // nobody else has it
            m_heldReadings += batch.batch.readings.size();
        }
    }
    m_counters.groups += outcome.commits;
    m_counters.batches += outcome.stored.batches;
    m_counters.duplicateBatches += outcome.stored.duplicates;
    if (outcome.failure)
        onFailed(*outcome.failure);
    else
        onStored(outcome.commits > 0);
    for (const Error &refusal : std::as_const(refusals))
        Q_EMIT trouble(refusal);
    if (outcome.failure && outcome.commits > 0)
        Q_EMIT stored();
}

void CustodyIntake::onStored(bool anything)
{
    if (!m_group.isEmpty() || !m_lost.isEmpty())
        m_timer.start(untilNextGroup());
    acknowledgeStreams();
    if (!anything)
        return;
    if (m_failing) {
        m_failing = false;
        m_heldIsNoted = true;
        Q_EMIT storageRecovered();
    }
    Q_EMIT stored();
}

/// With what is committed, however it went: an old number, or 0, says that books are kept.
void CustodyIntake::acknowledgeStreams()
{
    const auto streams = std::exchange(m_streams, {});
    for (const auto &[node, stream] : streams)
        Q_EMIT acknowledge(node, stream, m_store.contiguousReceipt(node, stream));
}

void CustodyIntake::onFailed(const Error &why)
{
    m_retryAt = m_clock.monotonic() + m_limits.retryAfter;
    if (!m_failing || !m_heldIsNoted)
        noteHeld();
    m_timer.start(m_limits.retryAfter);
    if (!m_failing) {
        m_failing = true;
        Q_EMIT storageFailed(why);
    }
    acknowledgeStreams();
}

void CustodyIntake::holdPlain(const HostBatch &batch)
{
    if (m_failing)
        noteHeld(&batch); // before it is held, so that the note never says less
    m_group.append(batch);
    m_heldReadings += batch.batch.readings.size();
    while (m_heldReadings > m_limits.maxHeldReadings)
        dropOldestHeld();
    if (!m_timer.isActive())
        m_timer.start(m_failing ? m_limits.retryAfter : untilNextGroup());
}

void CustodyIntake::dropOldestHeld()
{
    const auto oldest =
        std::find_if(m_group.begin(), m_group.end(), [](const HostBatch &batch) { return !batch.receipt; });
    if (oldest == m_group.end()) {
        m_heldReadings = 0;
        return;
    }
    noteLost(*oldest);
    m_heldReadings -= oldest->batch.readings.size();
    m_group.erase(oldest);
}

void CustodyIntake::noteLost(const HostBatch &batch)
{
    if (batch.batch.readings.isEmpty())
        return;
    Loss &loss = m_lost[batch.batch.device];
    loss.device = batch.batch.device;
    loss.reason = LossReason::StorageFailed;
    for (const Reading &reading : batch.batch.readings) {
        if (loss.readings == 0 || reading.deviceTime < loss.from)
            loss.from = reading.deviceTime;
        loss.to = std::max(loss.to, reading.deviceTime);
        ++loss.readings;
        ++m_counters.lostReadings;
    }
}

qsizetype CustodyIntake::heldBatches() const
{
    return std::ranges::count_if(m_group, [](const HostBatch &batch) { return !batch.receipt; });
}

/// What of plain nodes waits or is lost and not written down, with one that is about to wait.
void CustodyIntake::noteHeld(const HostBatch *next)
{
    Unstored all;
    const auto add = [&all](quint64 readings, Timestamp from, Timestamp to) {
        all.from = all.readings == 0 ? from : std::min(all.from, from);
        all.to = all.readings == 0 ? to : std::max(all.to, to);
        all.readings += readings;
    };
    const auto addBatch = [&add](const HostBatch &batch) {
        for (const Reading &reading : batch.batch.readings)
            add(1, reading.deviceTime, reading.deviceTime);
    };
    for (const Loss &loss : std::as_const(m_lost))
        add(loss.readings, loss.from, loss.to);
    for (const HostBatch &batch : std::as_const(m_group)) {
        if (!batch.receipt)
            addBatch(batch);
    }
    if (next)
        addBatch(*next);
    const auto noted = m_store.noteUnstored(all);
    if (!noted && m_heldIsNoted) {
        Q_EMIT trouble({noted.error().code,
                        QStringLiteral("If this process ends now, nobody will know of the %1 readings in its memory, "
                                       "because that cannot be noted: %2")
                            .arg(all.readings)
                            .arg(noted.error().message)});
    }
    m_heldIsNoted = bool(noted);
}

QList<HostBatch> CustodyIntake::lossBatches() const
{
    QList<HostBatch> batches;
    for (const Loss &loss : m_lost) {
        HostBatch batch;
        batch.batch.device = loss.device;
        batch.batch.losses.append(loss);
        batches.append(batch);
    }
    return batches;
}

} // namespace lintel

#include "custody/custody_intake.h"

#include <algorithm>

namespace lintel {

using sparkplug::HostBatch;
using sparkplug::NodeId;

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
        m_timer.start(m_limits.collect);
}

void CustodyIntake::flush()
{
    m_timer.stop();
    if (m_group.isEmpty() && m_lost.isEmpty()) {
        acknowledgeStreams();
        return;
    }
    QList<HostBatch> group = lossBatches();
    group.append(m_group);
    const auto result = m_store.append(group);
    if (result)
        onStored(*result);
    else
        onFailed(result.error());
}

void CustodyIntake::onStored(const CustodyStore::Stored &stored)
{
    for (const HostBatch &batch : std::as_const(m_group))
        m_counters.readings += quint64(batch.batch.readings.size());
    ++m_counters.groups;
    m_counters.batches += stored.batches;
    m_counters.duplicateBatches += stored.duplicates;
    m_group.clear();
    m_lost.clear();
    m_heldReadings = 0;
    acknowledgeStreams();
    if (m_failing) {
        m_failing = false;
        Q_EMIT storageRecovered();
    }
    Q_EMIT this->stored();
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
    // Senders with a spool send again what is not acknowledged; only plain readings must stay.
    const auto numbered = std::remove_if(m_group.begin(), m_group.end(),
                                         [](const HostBatch &batch) { return batch.receipt.has_value(); });
    m_counters.refusedBatches += quint64(std::distance(numbered, m_group.end()));
    m_group.erase(numbered, m_group.end());
    m_retryAt = m_clock.monotonic() + m_limits.retryAfter;
    m_timer.start(m_limits.retryAfter);
    if (!m_failing) {
        m_failing = true;
        Q_EMIT storageFailed(why);
    }
    acknowledgeStreams();
}

void CustodyIntake::holdPlain(const HostBatch &batch)
{
    m_group.append(batch);
    m_heldReadings += batch.batch.readings.size();
    while (m_heldReadings > m_limits.maxHeldReadings)
        dropOldestHeld();
    if (!m_timer.isActive())
        m_timer.start(m_failing ? m_limits.retryAfter : m_limits.collect);
}

void CustodyIntake::dropOldestHeld()
{
    const auto oldest =
        std::find_if(m_group.begin(), m_group.end(), [](const HostBatch &batch) { return !batch.receipt; });
    if (oldest == m_group.end()) {
        m_heldReadings = 0;
        return;
    }
    Loss &loss = m_lost[oldest->batch.device];
    loss.device = oldest->batch.device;
    loss.reason = LossReason::StorageFailed;
    for (const Reading &reading : std::as_const(oldest->batch.readings)) {
        if (loss.readings == 0 || reading.deviceTime < loss.from)
            loss.from = reading.deviceTime;
        loss.to = std::max(loss.to, reading.deviceTime);
        ++loss.readings;
        ++m_counters.lostReadings;
    }
    m_heldReadings -= oldest->batch.readings.size();
    m_group.erase(oldest);
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

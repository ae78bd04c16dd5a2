#include "ingestion/historian_store.h"

#include <vector>

namespace lintel {

namespace {

// A live reading this old comes from a recording that is played; its time says nothing of the way.
constexpr Millis kRecorded = std::chrono::hours{1};

} // namespace

Result<CustodyStore::Stored> HistorianStore::append(std::span<const sparkplug::HostBatch> batches)
{
    std::vector<sparkplug::HostBatch> named;
    named.reserve(batches.size());
    for (const sparkplug::HostBatch &batch : batches)
        named.push_back(underLedger(batch));
    const auto ingested = m_historian.ingest(named);
    if (!ingested)
        return ingested.error();
    const Timestamp now = m_clock.now();
    // A group with repeats does not say which of its batches those were, so it is not measured; the
    // exact numbers are in the database.
    if (ingested->duplicates == 0) {
        for (const sparkplug::HostBatch &batch : batches)
            measure(batch, now);
    }
    return Stored{quint32(ingested->batches), quint32(ingested->duplicates)};
}

Result<void> HistorianStore::senderDropped(const sparkplug::NodeId &node, const StreamId &stream, Msn tail)
{
    const auto gaps = m_historian.tailMoved(node, ledgerOf(node, stream), tail);
    if (!gaps)
        return gaps.error();
    return {};
}

void HistorianStore::measure(const sparkplug::HostBatch &batch, Timestamp now)
{
    for (const Reading &reading : batch.batch.readings) {
        if (!reading.isHistorical && now - reading.deviceTime < kRecorded)
            m_latency.add(now - reading.deviceTime);
    }
}

} // namespace lintel

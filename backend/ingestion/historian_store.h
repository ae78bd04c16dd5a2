// The historian as a custody store, with what `status` tells of it: rows since the start, latency.
// Same thread as the historian, which must outlive it.
#pragma once

#include "custody/custody_intake.h"
#include "custody/ledger.h"
#include "historian/historian.h"
#include "ingestion/latency_meter.h"

namespace lintel {

class HistorianStore final : public CustodyStore
{
public:
    /// `rowsBefore`: what the historian held at the start.
    HistorianStore(historian::Historian &historian, const Clock &clock, const historian::Counters &before)
        : m_historian(historian), m_clock(clock), m_totals(before)
    {}

    [[nodiscard]] Result<Stored> append(std::span<const sparkplug::HostBatch> batches) override;
    [[nodiscard]] Msn contiguousReceipt(const sparkplug::NodeId &node, const StreamId &stream) const override
    {
        return m_historian.contiguousReceipt(ledgerOf(node, stream));
    }
    [[nodiscard]] Result<void> senderDropped(const sparkplug::NodeId &node, const StreamId &stream, Msn tail) override;

    /// Kept up to date here, because counting the historian's rows takes long.
    [[nodiscard]] const historian::Counters &totals() const { return m_totals; }
    /// Of readings that came live, from measurement to commit, since the start.
    [[nodiscard]] const LatencyMeter &latency() const { return m_latency; }

private:
    void measure(const sparkplug::HostBatch &batch, Timestamp now);

    historian::Historian &m_historian;
    const Clock &m_clock;
    historian::Counters m_totals;
    LatencyMeter m_latency;
};

} // namespace lintel

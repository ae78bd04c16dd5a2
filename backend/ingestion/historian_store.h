// The historian as a custody store, and how long readings take to it.
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
    HistorianStore(historian::Historian &historian, const Clock &clock) : m_historian(historian), m_clock(clock) {}

    [[nodiscard]] Result<Stored> append(std::span<const sparkplug::HostBatch> batches) override;
    [[nodiscard]] Msn contiguousReceipt(const sparkplug::NodeId &node, const StreamId &stream) const override
    {
        return m_historian.contiguousReceipt(ledgerOf(node, stream));
    }
    [[nodiscard]] Result<void> senderDropped(const sparkplug::NodeId &node, const StreamId &stream, Msn tail) override;

    /// Of readings that came live, from measurement to commit, since the start.
    [[nodiscard]] const LatencyMeter &latency() const { return m_latency; }

private:
    void measure(const sparkplug::HostBatch &batch, Timestamp now);

    historian::Historian &m_historian;
    const Clock &m_clock;
    LatencyMeter m_latency;
};

} // namespace lintel

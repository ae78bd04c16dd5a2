// The gateway's spool as a custody store. Same thread as the spool, which must outlive it.
#pragma once

#include "custody/custody_intake.h"
#include "custody/ledger.h"

namespace lintel {

class SpoolStore final : public CustodyStore
{
public:
    explicit SpoolStore(ReadingSpool &spool) : m_spool(spool) {}

    [[nodiscard]] Result<Stored> append(std::span<const sparkplug::HostBatch> batches) override;
    [[nodiscard]] Msn contiguousReceipt(const sparkplug::NodeId &node, const StreamId &stream) const override
    {
        return m_spool.contiguousReceipt(ledgerOf(node, stream));
    }
    [[nodiscard]] Result<void> noteUnstored(const Unstored &held) override { return m_spool.noteUnstored(held); }
    [[nodiscard]] Result<void> senderDropped(const sparkplug::NodeId &node, const StreamId &stream, Msn tail) override;

private:
    ReadingSpool &m_spool;
};

} // namespace lintel

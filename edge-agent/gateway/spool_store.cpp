#include "gateway/spool_store.h"

#include <vector>

namespace lintel {

Result<CustodyStore::Stored> SpoolStore::append(std::span<const sparkplug::HostBatch> batches)
{
    std::vector<IncomingBatch> incoming;
    incoming.reserve(batches.size());
    for (const sparkplug::HostBatch &batch : batches) {
        sparkplug::HostBatch named = underLedger(batch);
        incoming.push_back({std::move(named.batch), named.receipt});
    }
    const auto appended = m_spool.append(incoming);
    if (!appended)
        return appended.error();
    return Stored{quint32(batches.size()) - appended->duplicates, appended->duplicates};
}

Result<void> SpoolStore::senderDropped(const sparkplug::NodeId &node, const StreamId &stream, Msn tail)
{
    const auto losses = m_spool.senderDropped(ledgerOf(node, stream), node.node, tail);
    if (!losses)
        return losses.error();
    return {};
}

} // namespace lintel

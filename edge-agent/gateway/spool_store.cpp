#include "gateway/spool_store.h"

#include <algorithm>
#include <vector>

namespace lintel {

Result<CustodyStore::Stored> SpoolStore::append(std::span<const sparkplug::HostBatch> batches)
{
    std::vector<IncomingBatch> incoming;
    incoming.reserve(batches.size());
    quint64 noted = m_spool.status().notedReadings;
    for (const sparkplug::HostBatch &batch : batches) {
        sparkplug::HostBatch named = underLedger(batch);
        IncomingBatch &one = incoming.emplace_back(IncomingBatch{std::move(named.batch), named.receipt});
        if (one.receipt || noted == 0)
            continue;
        quint64 readings = quint64(one.batch.readings.size());
        for (const Loss &loss : std::as_const(one.batch.losses))
            readings += loss.readings;
        one.settles = std::min(noted, readings); // what waited comes before what is new
        noted -= one.settles;
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

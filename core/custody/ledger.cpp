#include "custody/ledger.h"

namespace lintel {

StreamId ledgerOf(const sparkplug::NodeId &node, const StreamId &stream)
{
    if (stream.isNull())
        return stream;
    // Sparkplug names have no '/', so no two nodes give the same text.
    return QUuid::createUuidV5(stream, node.group + QLatin1Char('/') + node.node);
}

sparkplug::HostBatch underLedger(sparkplug::HostBatch batch)
{
    if (batch.receipt)
        batch.receipt->stream = ledgerOf(batch.node, batch.receipt->stream);
    for (Loss &loss : batch.batch.losses)
        loss.stream = ledgerOf(batch.node, loss.stream);
    return batch;
}

} // namespace lintel

// Under which name a store keeps the books of a sender's stream.
//
// A stream is a UUID that its sender chose, and it proves nothing: two devices cloned from one
// memory card have the same, and anybody can write somebody else's into a message. So a stream
// means something only together with the node that names it, and both stores (the gateway's spool,
// the cloud's historian) keep it under a name made of the two. Batches of one node are never
// duplicates of another's, and nobody can write off numbers that are not its own.
//
// Acknowledgements go out with the sender's own name of the stream; losses are kept and handed on
// under the ledger's, so `list_gaps` tells streams apart that carry the same name. A node that gets
// another name starts with a new ledger, as a stream does that was never heard of before.
// Values only; any thread; cannot fail.
#pragma once

#include "sparkplug/host_session.h"

namespace lintel {

/// The null stream stays null: it stands for losses that have no numbers.
[[nodiscard]] StreamId ledgerOf(const sparkplug::NodeId &node, const StreamId &stream);

/// The batch with its receipt and its losses under the names of their ledgers.
[[nodiscard]] sparkplug::HostBatch underLedger(sparkplug::HostBatch batch);

} // namespace lintel

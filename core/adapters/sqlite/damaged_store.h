// What to do with a store that SQLite calls damaged: learn from it what can still be learnt, and put
// it where it is not in the way. Thread: any, while nobody has the file open (setAside).
#pragma once

#include "adapters/sqlite/spool_tables.h"

namespace lintel::sqlite {

/// What a damaged store still tells. Its receipts matter most: without them, batches that were taken
/// long ago would look lost.
struct Salvage {
    std::optional<SpoolTotals> totals;
    QHash<StreamId, ReceivedNumbers> received;
};
[[nodiscard]] Salvage salvage(Database &database);

/// Renames the file and its log to "<path>.damaged-<UTC time>" and keeps the newest two of those.
/// Returns the new path.
[[nodiscard]] Result<QString> setAside(const QString &path, Timestamp now);

} // namespace lintel::sqlite

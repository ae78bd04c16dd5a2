// What the spool's source files share and nobody else sees: one transaction's change.
// Thread: the spool's.
#pragma once

#include "adapters/sqlite/sqlite_spool.h"

#include <limits>
#include <vector>

namespace lintel {

inline constexpr Msn kHighestMsn = Msn(std::numeric_limits<qint64>::max());

struct SqliteSpool::Group {
    struct Sealed {
        const ReadingBatch *batch;
        sqlite::BatchRow row;
        QByteArray payload;
    };
    std::vector<const IncomingBatch *> accepted;
    std::vector<Sealed> sealed;
    QHash<StreamId, ReceivedNumbers> received; // streams that change
    std::vector<sqlite::BatchRow> unreadable;  // stored batches to give up
    QList<Loss> losses;                        // for our own list
    sqlite::SpoolTotals totals;                // as they will be
};

/// Adds a row to a loss that ends just before it, or begins one.
void extend(Loss &loss, const sqlite::BatchRow &row);

} // namespace lintel

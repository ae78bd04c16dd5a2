// Somebody who writes along with the spool: whatever it stores is committed, or undone, together
// with the batch it was told of.
//
// Owner: whoever makes the spool; it outlives the spool. Thread: the spool's. Failure: an error from
// appended() undoes the whole group, and append() returns it.
#pragma once

#include "adapters/sqlite/database.h"
#include "domain/reading.h"

namespace lintel {

class AppendObserver
{
public:
    AppendObserver() = default;
    AppendObserver(const AppendObserver &) = delete;
    AppendObserver &operator=(const AppendObserver &) = delete;
    virtual ~AppendObserver() = default;

    /// The store is open and migrated; outside of a transaction.
    [[nodiscard]] virtual Result<void> opened(sqlite::Database &database) = 0;
    /// One batch that the spool takes, never a duplicate; inside its transaction.
    [[nodiscard]] virtual Result<void> appended(const ReadingBatch &batch) = 0;
    /// The transaction is over. Not committed: forget what appended() led you to remember.
    virtual void finished(bool committed) = 0;
    /// The database goes away.
    virtual void closed() = 0;
};

} // namespace lintel

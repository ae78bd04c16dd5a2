// What the historian's source files share and nobody else sees: its prepared statements and what one
// transaction is about to change. Thread: the historian's.
#pragma once

#include "historian.h"

#include <limits>

namespace lintel::historian {

constexpr Msn kHighestMsn = Msn(std::numeric_limits<qint64>::max());

struct Historian::Writes {
    QSqlQuery reading;
    QSqlQuery readingExists;
    QSqlQuery ledger;
};

struct Historian::Change {
    Timestamp now;
    QHash<StreamId, Stream> streams; // those that the group touches, as they will be
    Ingested done;
};

} // namespace lintel::historian

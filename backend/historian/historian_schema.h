// The historian's tables, as numbered migrations. Standard SQL, so that the same text serves SQLite
// and PostgreSQL; what differs between them stands in connection settings alone.
// Thread: that of the connection.
#pragma once

#include "domain/result.h"

#include <QSqlDatabase>

#include <span>

namespace lintel::historian {

/// One step, as statements that run one after the other. Its number is its place in the list,
/// beginning at 1, and never changes.
struct Migration {
    std::span<const char *const> statements;
};

[[nodiscard]] std::span<const Migration> migrations();

/// 0 for a database that has just been made.
[[nodiscard]] Result<int> schemaVersion(QSqlDatabase &database);
/// Each step in a transaction of its own. Unsupported: the database is of a newer version; it stays
/// as it is.
[[nodiscard]] Result<void> migrate(QSqlDatabase &database, std::span<const Migration> steps = migrations());

} // namespace lintel::historian

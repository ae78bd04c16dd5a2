// The tables of an agent's store (spool, receipts, losses, and a gateway's history, which shares
// their transactions) and of its small state, as numbered migrations. One place for their SQL.
#pragma once

#include "adapters/sqlite/database.h"

namespace lintel::sqlite {

[[nodiscard]] std::span<const Migration> storeMigrations();
[[nodiscard]] std::span<const Migration> stateMigrations();

} // namespace lintel::sqlite

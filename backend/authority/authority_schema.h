// The tables of the authority, as numbered migrations. One place for their shape.
#pragma once

#include "adapters/sqlite/database.h"

namespace lintel::authority {

[[nodiscard]] std::span<const sqlite::Migration> authorityMigrations();

} // namespace lintel::authority

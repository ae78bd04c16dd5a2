// SPDX-License-Identifier: GPL-3.0-only
// The order in which people look for names: case does not matter, numbers count as numbers. Pure
// function; any thread.
#pragma once

#include <QString>

namespace lintel {

/// "hvac-2" before "hvac-10". A strict order of all texts: texts that only differ in case or in
/// leading zeros are told apart by their characters.
[[nodiscard]] bool lessByName(const QString &a, const QString &b);

} // namespace lintel

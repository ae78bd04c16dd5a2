// SPDX-License-Identifier: GPL-3.0-only
// The console's typeface: Inter (SIL Open Font License 1.1), built into the program so that it
// looks the same everywhere. GUI thread, once, after the application object exists.
#pragma once

#include "domain/result.h"

namespace lintel {

/// Loads the built-in weights and makes Inter the application's font.
[[nodiscard]] Result<void> installFonts();

} // namespace lintel

// SPDX-License-Identifier: GPL-3.0-only
// What the Live page shows until somebody chooses: a few points that say most. Free function over the
// store, on its thread.
#pragma once

#include "feed/building_store.h"

#include <QList>

namespace lintel {

inline constexpr int kSuggestedPanels = 3;
inline constexpr int kSuggestedLines = 3;

/// Points by panel, one unit a panel, in the order of the page. One point of each device; where some
/// points of the building are simulated, what was measured or recorded goes first, in as many lines as
/// fit, and made-up points fill what is left.
[[nodiscard]] QList<QList<int>> suggestedPoints(const BuildingStore &store);

} // namespace lintel

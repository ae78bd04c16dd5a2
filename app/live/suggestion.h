// SPDX-License-Identifier: GPL-3.0-only
// What the Live page shows until somebody chooses: a few points that say most. Free function over the
// store, on its thread.
#pragma once

#include "feed/building_store.h"
#include "text/display_units.h"

#include <QList>

namespace lintel {

inline constexpr int kSuggestedPanels = 3;
inline constexpr int kSuggestedLines = 3;

/// Points by panel, one unit (as it is shown) a panel, in the order of the page. One point of each device;
/// where some points of the building are simulated, what was measured goes first, in as many lines as fit,
/// and made-up points fill what is left. Recordings where nothing is measured at present, and then those
/// of one time and nothing else, for a panel has one time.
[[nodiscard]] QList<QList<int>> suggestedPoints(const BuildingStore &store, const DisplayUnits &units);

/// The points of a device that say most, at most `count`: measurements before setpoints, in an order
/// that depends on nothing but the points.
[[nodiscard]] QList<int> tellingPoints(const BuildingStore &store, const DeviceState &device, int count);

} // namespace lintel

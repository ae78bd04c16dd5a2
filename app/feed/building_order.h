// SPDX-License-Identifier: GPL-3.0-only
// One order of devices and points for every list, legend and chart: by site, device and point, as
// people read names. It does not depend on who reported first. Free functions over the store, on its
// thread.
#pragma once

#include "feed/building_store.h"

namespace lintel {

/// Every device of the store.
[[nodiscard]] QList<int> inOrder(const BuildingStore &store);
[[nodiscard]] bool deviceComesBefore(const BuildingStore &store, int a, int b);
[[nodiscard]] bool pointComesBefore(const BuildingStore &store, int a, int b);
/// Within one device.
[[nodiscard]] bool comesBefore(const Point &a, const Point &b);

/// The name for people; the id where it has none.
[[nodiscard]] QString nameOf(const Point &point);
/// The device's name, with its site where the store knows several sites.
[[nodiscard]] QString labelOf(const BuildingStore &store, const DeviceState &device);

} // namespace lintel

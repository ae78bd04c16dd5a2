// SPDX-License-Identifier: GPL-3.0-only
// How it stands with a device, in words for people: one place for the list, the detail and the count
// of what needs attention. Free functions over the store, on its thread.
#pragma once

#include "feed/building_store.h"

namespace lintel {

/// Priority 0 = nothing abnormal, 1 is highest.
struct DeviceCondition {
    int priority = 0;
    QString text;   // state, and since when: "revoked since 17:40"
    QString reason; // why, in a sentence; empty where nobody gave one
};
/// What is known of its identity comes before all other things: who is refused cannot report.
[[nodiscard]] DeviceCondition conditionOf(const BuildingStore &store, const DeviceState &device, Timestamp now);
/// The part of it that is about the identity; priority 0: nothing is wrong with that.
[[nodiscard]] DeviceCondition identityCondition(const DeviceIdentity &identity, Timestamp now);
/// "AHU 2 · floor-2/zone-a": where it is, as far as it says.
[[nodiscard]] QString placeOf(const BuildingStore &store, const DeviceState &device);
/// "4 s", "never"; of a recording the time that it is of: "2015-02-02 14:19".
[[nodiscard]] QString lastReadingText(const BuildingStore &store, const DeviceState &device, Timestamp now);
/// Every point of it is from a recording.
[[nodiscard]] bool isRecorded(const BuildingStore &store, const DeviceState &device);

} // namespace lintel

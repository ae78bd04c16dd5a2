// Sensors of the kernel's industrial I/O bus: <root>/bus/iio/devices/iio:deviceN, matched by name
// and channel. A channel is either processed (<channel>_input) or raw: (raw + offset) · scale
// (Linux Documentation/ABI/testing/sysfs-bus-iio). Offset and scale may belong to the channel or to
// its type ("in_voltage0_raw" with "in_voltage_scale").
#pragma once

#include "drivers/sysfs/sysfs_driver.h"

namespace lintel {

/// In °C, %RH, Pa, lx, ppm, V, A or W. Called on a reading thread.
[[nodiscard]] Result<double> readIioChannel(const QString &root, const SysfsChannel &channel);

} // namespace lintel

// Sensors of the kernel's hardware monitoring class: <root>/class/hwmon/hwmonN, matched by the
// chip's name and the channel (temp1) or its label. Wire format: integers in milli- or micro-units,
// one a file (Linux Documentation/hwmon/sysfs-interface.rst).
#pragma once

#include "drivers/sysfs/sysfs_driver.h"

namespace lintel {

/// In °C, V, A, W, kWh, %RH or rpm. Called on a reading thread.
[[nodiscard]] Result<double> readHwmonChannel(const QString &root, const SysfsChannel &channel);

} // namespace lintel

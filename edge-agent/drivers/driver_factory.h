// Makes the driver that a configuration names.
#pragma once

#include "drivers/driver_config.h"
#include "drivers/sensor_driver.h"
#include "ports/clock.h"
#include "ports/state_store.h"

#include <memory>

namespace lintel {

/// Before anything is made for it: Unsupported when the configuration names no driver.
[[nodiscard]] Result<void> checkDriver(const DriverConfig &config);

/// Not yet open. Unsupported when the configuration names no driver. Clock and store must outlive it.
[[nodiscard]] Result<std::unique_ptr<SensorDriver>> makeDriver(const DriverConfig &config, const Clock &clock,
                                                               StateStore &state);

} // namespace lintel

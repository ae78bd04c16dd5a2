// Section driver: which driver, and its own keys. One branch here for each driver there is.
#pragma once

#include "drivers/replay/replay_config.h"
#include "drivers/simulated/simulated_config.h"
#include "drivers/sysfs/sysfs_config.h"

#include <variant>

namespace lintel {

/// monostate: the file names no driver.
struct DriverConfig {
    Location location;
    std::variant<std::monostate, SimulatedConfig, ReplayConfig, SysfsConfig> driver;
};

[[nodiscard]] DriverConfig readDriver(config::Section section, const Location &location, config::Problems &problems);

} // namespace lintel

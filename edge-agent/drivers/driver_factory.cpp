#include "drivers/driver_factory.h"

#include "drivers/hwmon/hwmon_driver.h"
#include "drivers/iio/iio_driver.h"
#include "drivers/replay/replay_driver.h"
#include "drivers/simulated/simulated_driver.h"

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

Error noDriver()
{
    return {
        Errc::Unsupported,
        u"The configuration names no driver; add a section \"driver\" with type simulated, replay, hwmon or iio."_s};
}

using Made = Result<std::unique_ptr<SensorDriver>>;

struct Maker {
    const DriverConfig &config;
    const Clock &clock;
    StateStore &state;

    Made operator()(std::monostate) const { return noDriver(); }
    Made operator()(const SimulatedConfig &simulated) const
    {
        return Made(std::make_unique<SimulatedDriver>(simulated, config.location, clock));
    }
    Made operator()(const ReplayConfig &replay) const
    {
        return Made(std::make_unique<ReplayDriver>(replay, clock, state));
    }
    Made operator()(const SysfsConfig &sysfs) const
    {
        const bool isHwmon = sysfs.deviceClass == SysfsConfig::Class::Hwmon;
        return Made(std::make_unique<SysfsDriver>(sysfs, isHwmon ? readHwmonChannel : readIioChannel,
                                                  isHwmon ? u"hwmon"_s : u"iio"_s));
    }
};

} // namespace

Result<void> checkDriver(const DriverConfig &config)
{
    if (std::holds_alternative<std::monostate>(config.driver))
        return noDriver();
    return {};
}

Result<std::unique_ptr<SensorDriver>> makeDriver(const DriverConfig &config, const Clock &clock, StateStore &state)
{
    return std::visit(Maker{config, clock, state}, config.driver);
}

} // namespace lintel

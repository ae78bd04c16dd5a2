#include "drivers/driver_config.h"

namespace lintel {

DriverConfig readDriver(config::Section section, const Location &location, config::Problems &problems)
{
    enum class Type { None, Simulated, Replay, Hwmon, Iio };
    DriverConfig config{location, {}};
    if (!section.isPresent())
        return config;
    section.require({u"type"});
    Type type = Type::None;
    section.choice<Type>(
        u"type", type,
        {{u"simulated", Type::Simulated}, {u"replay", Type::Replay}, {u"hwmon", Type::Hwmon}, {u"iio", Type::Iio}});
    switch (type) {
    case Type::None:
        for (const QString &key : section.keys())
            section.accept(key); // whose keys they are is not known
        break;
    case Type::Simulated: config.driver = readSimulated(section); break;
    case Type::Replay: config.driver = readReplay(section, location, problems); break;
    case Type::Hwmon: config.driver = readSysfs(section, SysfsConfig::Class::Hwmon, location); break;
    case Type::Iio: config.driver = readSysfs(section, SysfsConfig::Class::Iio, location); break;
    }
    return config;
}

} // namespace lintel

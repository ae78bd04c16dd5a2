#include "drivers/sysfs/sysfs_config.h"

#include <QSet>

#include <array>

namespace lintel {

using namespace Qt::StringLiterals;
using config::Section;

namespace {

// Linux Documentation/hwmon/sysfs-interface.rst: millidegrees, millivolts, microwatts …
constexpr std::array hwmonKinds{
    ChannelKind{u"temp", Unit::Celsius, 1e-3, u"temp sensor point", u"Temperature_Sensor"},
    ChannelKind{u"fan", Unit::RevolutionsPerMinute, 1, u"fan speed sensor point", u"Fan_Speed_Sensor"},
    ChannelKind{u"in", Unit::Volt, 1e-3, u"elec volt sensor point", u"Voltage_Sensor"},
    ChannelKind{u"curr", Unit::Ampere, 1e-3, u"elec current sensor point", u"Current_Sensor"},
    ChannelKind{u"power", Unit::Watt, 1e-6, u"elec power sensor point", u"Electric_Power_Sensor"},
    ChannelKind{u"energy", Unit::KilowattHour, 1e-6 / 3.6e6, u"elec energy sensor point", u"Electric_Energy_Sensor"},
    ChannelKind{u"humidity", Unit::RelativeHumidity, 1e-3, u"humidity sensor point", u"Humidity_Sensor"},
};

// Linux Documentation/ABI/testing/sysfs-bus-iio: what (raw + offset) · scale is in
constexpr std::array iioKinds{
    ChannelKind{u"in_temp", Unit::Celsius, 1e-3, u"temp sensor point", u"Temperature_Sensor"},
    ChannelKind{u"in_humidityrelative", Unit::RelativeHumidity, 1e-3, u"humidity sensor point",
                u"Relative_Humidity_Sensor"},
    ChannelKind{u"in_pressure", Unit::Pascal, 1e3, u"air pressure sensor point", u"Static_Pressure_Sensor"},
    ChannelKind{u"in_illuminance", Unit::Lux, 1, u"light illuminance sensor point", u"Illuminance_Sensor"},
    ChannelKind{u"in_concentration_co2", Unit::PartsPerMillion, 1e4, u"air co2 concentration sensor point",
                u"CO2_Level_Sensor"},
    ChannelKind{u"in_concentration", Unit::PartsPerMillion, 1e4, u"air concentration sensor point",
                u"Air_Quality_Sensor"},
    ChannelKind{u"in_voltage", Unit::Volt, 1e-3, u"elec volt sensor point", u"Voltage_Sensor"},
    ChannelKind{u"in_current", Unit::Ampere, 1e-3, u"elec current sensor point", u"Current_Sensor"},
    ChannelKind{u"in_power", Unit::Watt, 1e-3, u"elec power sensor point", u"Electric_Power_Sensor"},
};

[[nodiscard]] bool isPathOfFolders(const QString &path)
{
    const QStringList folders = path.split(u'/');
    return path.isEmpty() || !(folders.contains(QString()) || folders.contains(u"."_s) || folders.contains(u".."_s));
}

SysfsChannel readChannel(Section section, SysfsConfig::Class deviceClass, const Location &location)
{
    SysfsChannel channel;
    section.require({u"device"});
    section.text(u"device", channel.device);
    section.text(u"path", channel.path);
    section.check(u"path", isPathOfFolders(channel.path),
                  u"part of where the device is below /sys/devices, such as 1-0076 or i2c-1/1-0076"_s);
    section.text(u"channel", channel.channel);
    section.check(u"channel", !channel.channel.contains(u'/') && !channel.channel.contains(".."_L1),
                  u"the name of a channel, such as temp1 or in_temp"_s);
    if (deviceClass == SysfsConfig::Class::Hwmon)
        section.text(u"label", channel.label);
    if (channel.channel.isEmpty() && channel.label.isEmpty())
        section.complain(u"channel", u"this must be given."_s);
    const ChannelKind kind = kindOfChannel(deviceClass, channel.channel);
    channel.point.unit = kind.unit;
    channel.point.tags = kind.tags.toString().split(u' ', Qt::SkipEmptyParts);
    channel.point.brickClass = kind.brickClass.toString();
    channel.point.siteRef = location.site;
    channel.point.spaceRef = location.space;
    channel.point.equipRef = location.equip;
    readPoint(section, channel.point);
    if (channel.point.kind != Kind::Number)
        section.complain(u"kind", u"these files hold numbers; expected number."_s);
    section.number(u"scale", channel.scale);
    section.number(u"offset", channel.offset);
    return channel;
}

} // namespace

ChannelKind kindOfChannel(SysfsConfig::Class deviceClass, QStringView channel)
{
    const auto find = [channel](auto kinds) {
        for (const ChannelKind &kind : kinds) {
            if (channel.startsWith(kind.prefix))
                return kind;
        }
        return ChannelKind{};
    };
    return deviceClass == SysfsConfig::Class::Hwmon ? find(std::span(hwmonKinds)) : find(std::span(iioKinds));
}

SysfsConfig readSysfs(Section &section, SysfsConfig::Class deviceClass, const Location &location)
{
    using namespace std::chrono_literals;
    SysfsConfig config;
    config.deviceClass = deviceClass;
    section.text(u"root", config.root);
    section.duration(u"timeout", config.timeout, 100ms, 10min);
    section.require({u"points"});
    QSet<QString> ids;
    for (Section &one : section.sections(u"points")) {
        const QString path = one.path();
        SysfsChannel channel = readChannel(std::move(one), deviceClass, location);
        if (ids.contains(channel.point.id))
            section.complain(u"points", u"%1 has the id \"%2\" of a point before it."_s.arg(path, channel.point.id));
        ids.insert(channel.point.id);
        config.channels.append(std::move(channel));
    }
    return config;
}

} // namespace lintel

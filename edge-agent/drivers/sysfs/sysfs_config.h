// Section driver with type "hwmon" or "iio": which files of sysfs are which points.
#pragma once

#include "adapters/yaml/config_reader.h"
#include "drivers/point_config.h"

namespace lintel {

struct SysfsChannel {
    Point point;
    QString device;   // content of the device's file "name": "coretemp", "bme280"
    QString path;     // part of where it is below /sys/devices, whole folder names: "1-0076"; empty = anywhere
    QString channel;  // hwmon: "temp1"; iio: "in_temp" or "in_voltage0"
    QString label;    // hwmon: content of <channel>_label, instead of the channel
    double scale = 1; // after the conversion that sysfs documents: value · scale + offset
    double offset = 0;
};

struct SysfsConfig {
    enum class Class { Hwmon, Iio };
    Class deviceClass = Class::Hwmon;
    QString root = QStringLiteral("/sys");
    Millis timeout{5'000};
    QList<SysfsChannel> channels;
};

[[nodiscard]] SysfsConfig readSysfs(config::Section &section, SysfsConfig::Class deviceClass, const Location &location);

/// What a channel of this name measures: unit, factor to it, tags and Brick class. Unit::None and 1
/// for one that nobody knows.
struct ChannelKind {
    QStringView prefix;
    Unit unit = Unit::None;
    double factor = 1;
    QStringView tags; // separated by blanks
    QStringView brickClass;
};
[[nodiscard]] ChannelKind kindOfChannel(SysfsConfig::Class deviceClass, QStringView channel);

} // namespace lintel

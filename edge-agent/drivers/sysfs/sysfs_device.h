// Where in sysfs a channel is now: which device of a class folder is meant, by the content of its file "name"
// and, where several have the same name, by its place below /sys/devices. Numbers (hwmon3, iio:device0) change
// when hardware is plugged in, so this is asked at each reading.
//
// Values and files only; any thread.
#pragma once

#include "domain/result.h"
#include "drivers/sysfs/sysfs_config.h"

namespace lintel {

struct ChannelPlace {
    QString folder; // of the device
    QString name;   // before the "_" of its files: "temp1" of temp1_input
};

/// NotFound when device or channel are not there now. Conflict when several are meant: the sentence names
/// them and says how to tell them apart. Which one would answer is never left to chance.
[[nodiscard]] Result<ChannelPlace> findChannel(const QString &root, SysfsConfig::Class deviceClass,
                                               const SysfsChannel &channel);
/// Whether any device is the one that the channel names, with that channel or without.
[[nodiscard]] bool isDeviceThere(const QString &root, SysfsConfig::Class deviceClass, const SysfsChannel &channel);
/// The device as a person calls it: its name, and its path where the configuration has one.
[[nodiscard]] QString deviceInWords(const SysfsChannel &channel);
/// <root>/class/hwmon or <root>/bus/iio/devices.
[[nodiscard]] QString classFolder(const QString &root, SysfsConfig::Class deviceClass);
/// Every device name there is, for messages.
[[nodiscard]] QStringList deviceNames(const QString &root, SysfsConfig::Class deviceClass);

/// A file's single line of text, and the same as a number.
[[nodiscard]] Result<QString> readLineOf(const QString &path);
[[nodiscard]] Result<double> readNumberOf(const QString &path);

} // namespace lintel

#include "drivers/sysfs/sysfs_device.h"

#include <QDir>
#include <QFile>

#include <algorithm>
#include <cmath>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

[[nodiscard]] QStringList deviceFolders(const QString &root, SysfsConfig::Class deviceClass)
{
    const QString parent = classFolder(root, deviceClass);
    const QString pattern = deviceClass == SysfsConfig::Class::Hwmon ? u"hwmon*"_s : u"iio:device*"_s;
    QStringList folders;
    for (const QString &entry : QDir(parent).entryList({pattern}, QDir::Dirs | QDir::NoDotAndDotDot, QDir::Name))
        folders.append(parent + u'/' + entry);
    return folders;
}

/// Where the kernel has it: entries of a class folder are links to there.
[[nodiscard]] QString placeOf(const QString &folder)
{
    const QString place = QFileInfo(folder).canonicalFilePath();
    return place.isEmpty() ? folder : place;
}

[[nodiscard]] bool isMeant(const QString &folder, const SysfsChannel &channel)
{
    const auto name = readLineOf(folder + u"/name"_s);
    if (!name || *name != channel.device)
        return false;
    return channel.path.isEmpty() || u"%1/"_s.arg(placeOf(folder)).contains(u"/%1/"_s.arg(channel.path));
}

[[nodiscard]] bool hasChannel(const QString &folder, SysfsConfig::Class deviceClass, const QString &name)
{
    const QString file = folder + u'/' + name;
    return QFile::exists(file + u"_input"_s)
           || (deviceClass == SysfsConfig::Class::Iio && QFile::exists(file + u"_raw"_s));
}

/// Names of the channels of this device that are meant: one, or those that carry the label.
[[nodiscard]] QStringList channelsMeant(const QString &folder, SysfsConfig::Class deviceClass,
                                        const SysfsChannel &channel)
{
    QStringList names;
    if (channel.label.isEmpty()) {
        names.append(channel.channel);
    } else {
        for (const QString &entry : QDir(folder).entryList({u"*_label"_s}, QDir::Files, QDir::Name)) {
            const auto text = readLineOf(folder + u'/' + entry);
            if (text && *text == channel.label)
                names.append(entry.chopped(6));
        }
    }
    names.removeIf([&](const QString &name) { return !hasChannel(folder, deviceClass, name); });
    return names;
}

/// The folder name nearest to the device that no other one has in its place; at worst its own.
[[nodiscard]] QString tellingFolder(const QStringList &places)
{
    const QStringList own = places.first().split(u'/');
    for (qsizetype i = own.size() - 2; i > 0; --i) {
        const auto hasIt = [&](const QString &place) { return place.split(u'/').contains(own[i]); };
        if (std::none_of(places.begin() + 1, places.end(), hasIt))
            return own[i];
    }
    return own.last();
}

[[nodiscard]] Error severalDevices(const QList<ChannelPlace> &found, const SysfsChannel &channel, const QString &wanted)
{
    QStringList places;
    for (const ChannelPlace &one : found)
        places.append(placeOf(one.folder));
    return {Errc::Conflict,
            u"%1 devices are named %2 and have \"%3\" (%4); give the point a path that only one of them "
            "has, such as path: %5."_s.arg(places.size())
                .arg(deviceInWords(channel), wanted, places.join(u", "_s), tellingFolder(places))};
}

} // namespace

Result<ChannelPlace> findChannel(const QString &root, SysfsConfig::Class deviceClass, const SysfsChannel &channel)
{
    const QString wanted = channel.label.isEmpty() ? channel.channel : channel.label;
    const QString noun = deviceClass == SysfsConfig::Class::Hwmon ? u"chip"_s : u"device"_s;
    bool isThere = false;
    QList<ChannelPlace> found;
    for (const QString &folder : deviceFolders(root, deviceClass)) {
        if (!isMeant(folder, channel))
            continue;
        isThere = true;
        const QStringList names = channelsMeant(folder, deviceClass, channel);
        if (names.size() > 1) {
            return Error{Errc::Conflict,
                         u"the %1 %2 has the label \"%3\" at %4; name one of these as channel instead."_s.arg(
                             noun, deviceInWords(channel), wanted, names.join(u", "_s))};
        }
        if (!names.isEmpty())
            found.append({folder, names.first()});
    }
    if (found.size() > 1)
        return severalDevices(found, channel, wanted);
    if (!found.isEmpty())
        return found.first();
    return Error{Errc::NotFound, isThere
                                     ? u"the %1 %2 has no channel \"%3\"."_s.arg(noun, deviceInWords(channel), wanted)
                                     : u"there is no %1 %2 now."_s.arg(noun, deviceInWords(channel))};
}

bool isDeviceThere(const QString &root, SysfsConfig::Class deviceClass, const SysfsChannel &channel)
{
    const QStringList folders = deviceFolders(root, deviceClass);
    return std::ranges::any_of(folders, [&](const QString &folder) { return isMeant(folder, channel); });
}

QString deviceInWords(const SysfsChannel &channel)
{
    return channel.path.isEmpty() ? u"\"%1\""_s.arg(channel.device)
                                  : u"\"%1\" at %2"_s.arg(channel.device, channel.path);
}

QString classFolder(const QString &root, SysfsConfig::Class deviceClass)
{
    return root + (deviceClass == SysfsConfig::Class::Hwmon ? u"/class/hwmon"_s : u"/bus/iio/devices"_s);
}

QStringList deviceNames(const QString &root, SysfsConfig::Class deviceClass)
{
    QStringList names;
    for (const QString &folder : deviceFolders(root, deviceClass)) {
        if (const auto name = readLineOf(folder + u"/name"_s))
            names.append(*name);
    }
    names.removeDuplicates();
    return names;
}

Result<QString> readLineOf(const QString &path)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly | QIODevice::Unbuffered))
        return Error{file.exists() ? Errc::Io : Errc::NotFound,
                     u"%1 cannot be read: %2."_s.arg(path, file.errorString())};
    const QByteArray line = file.read(256); // sysfs attributes are one short line
    if (line.isEmpty())
        return Error{Errc::Io, u"%1 gave nothing: %2."_s.arg(path, file.errorString())};
    return QString::fromUtf8(line).trimmed();
}

Result<double> readNumberOf(const QString &path)
{
    const auto line = readLineOf(path);
    if (!line)
        return line.error();
    bool ok = false;
    const double value = line->toDouble(&ok);
    if (!ok || !std::isfinite(value))
        return Error{Errc::Malformed, u"%1 holds \"%2\", which is not a number."_s.arg(path, line->left(40))};
    return value;
}

} // namespace lintel

#include "drivers/hwmon/hwmon_driver.h"

#include <QDir>
#include <QFileInfo>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

/// "temp1" for the channel whose temp1_label holds the label; empty when there is none.
QString channelLabelled(const QString &folder, const QString &label)
{
    for (const QString &entry : QDir(folder).entryList({u"*_label"_s}, QDir::Files, QDir::Name)) {
        const auto text = readLineOf(folder + u'/' + entry);
        if (text && *text == label)
            return entry.chopped(6);
    }
    return {};
}

} // namespace

Result<double> readHwmonChannel(const QString &root, const SysfsChannel &channel)
{
    const QStringList folders = foldersNamed(root + u"/class/hwmon"_s, u"hwmon*"_s, channel.device);
    for (const QString &folder : folders) {
        const QString name = channel.label.isEmpty() ? channel.channel : channelLabelled(folder, channel.label);
        if (name.isEmpty() || !QFileInfo::exists(folder + u'/' + name + u"_input"_s))
            continue;
        const QString fault = folder + u'/' + name + u"_fault"_s;
        if (const auto isFaulty = readNumberOf(fault); isFaulty && *isFaulty != 0)
            return Error{Errc::Unavailable, u"the chip reports a fault (%1)."_s.arg(fault)};
        const auto raw = readNumberOf(folder + u'/' + name + u"_input"_s);
        if (!raw)
            return raw.error();
        return *raw * kindOfChannel(SysfsConfig::Class::Hwmon, name).factor;
    }
    const QString wanted = channel.label.isEmpty() ? channel.channel : channel.label;
    return Error{Errc::NotFound, folders.isEmpty()
                                     ? u"there is no chip \"%1\" now."_s.arg(channel.device)
                                     : u"the chip \"%1\" has no channel \"%2\"."_s.arg(channel.device, wanted)};
}

} // namespace lintel

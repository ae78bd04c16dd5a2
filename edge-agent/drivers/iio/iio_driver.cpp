#include "drivers/iio/iio_driver.h"

#include <QFileInfo>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

/// The attribute of the channel, else that of its type ("in_voltage0" → "in_voltage"), else a default.
Result<double> attribute(const QString &folder, const QString &channel, const QString &name, double otherwise)
{
    const QString own = u"%1/%2_%3"_s.arg(folder, channel, name);
    if (QFileInfo::exists(own))
        return readNumberOf(own);
    QString type = channel;
    while (!type.isEmpty() && type.back().isDigit())
        type.chop(1);
    const QString shared = u"%1/%2_%3"_s.arg(folder, type, name);
    return QFileInfo::exists(shared) ? readNumberOf(shared) : Result<double>(otherwise);
}

Result<double> readRaw(const QString &folder, const QString &channel)
{
    const auto raw = readNumberOf(u"%1/%2_raw"_s.arg(folder, channel));
    if (!raw)
        return raw.error();
    const auto offset = attribute(folder, channel, u"offset"_s, 0);
    if (!offset)
        return offset.error();
    const auto scale = attribute(folder, channel, u"scale"_s, 1);
    if (!scale)
        return scale.error();
    return (*raw + *offset) * *scale;
}

} // namespace

Result<double> readIioChannel(const QString &root, const SysfsChannel &channel)
{
    const auto place = findChannel(root, SysfsConfig::Class::Iio, channel);
    if (!place)
        return place.error();
    const QString input = u"%1/%2_input"_s.arg(place->folder, place->name);
    const auto value = QFileInfo::exists(input) ? readNumberOf(input) : readRaw(place->folder, place->name);
    if (!value)
        return value.error();
    return *value * kindOfChannel(SysfsConfig::Class::Iio, place->name).factor;
}

} // namespace lintel

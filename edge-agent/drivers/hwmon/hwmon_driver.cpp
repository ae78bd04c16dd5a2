#include "drivers/hwmon/hwmon_driver.h"

namespace lintel {

using namespace Qt::StringLiterals;

Result<double> readHwmonChannel(const QString &root, const SysfsChannel &channel)
{
    const auto place = findChannel(root, SysfsConfig::Class::Hwmon, channel);
    if (!place)
        return place.error();
    const QString file = place->folder + u'/' + place->name;
    const QString fault = file + u"_fault"_s;
    if (const auto isFaulty = readNumberOf(fault); isFaulty && *isFaulty != 0)
        return Error{Errc::Unavailable, u"the chip reports a fault (%1)."_s.arg(fault)};
    const auto raw = readNumberOf(file + u"_input"_s);
    if (!raw)
        return raw.error();
    return *raw * kindOfChannel(SysfsConfig::Class::Hwmon, place->name).factor;
}

} // namespace lintel

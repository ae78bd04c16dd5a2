// What a configuration says about one point, whatever the driver.
#pragma once

#include "adapters/yaml/config_reader.h"
#include "domain/point.h"

namespace lintel {

/// Where a device is: section "location".
struct Location {
    QString site; // default: the Sparkplug group
    QString space;
    QString equip;
};

[[nodiscard]] Location readLocation(config::Section section, const QString &defaultSite);

/// The keys id, name, kind, unit, tags, brick_class, space, equip of a point; `point` brings the
/// defaults. Checked with validate(). Leaves the section open for the driver's own keys.
void readPoint(config::Section &section, Point &point);

/// A point of a driver that knows its own points.
[[nodiscard]] Point makePoint(const Location &location, const QString &id, const QString &name, Kind kind, Unit unit,
                              const QStringList &tags, const QString &brickClass);

} // namespace lintel

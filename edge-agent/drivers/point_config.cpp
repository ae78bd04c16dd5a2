#include "drivers/point_config.h"

namespace lintel {

Location readLocation(config::Section section, const QString &defaultSite)
{
    Location location;
    location.site = defaultSite;
    section.text(u"site", location.site);
    section.text(u"space", location.space);
    section.text(u"equip", location.equip);
    return location;
}

void readPoint(config::Section &section, Point &point)
{
    section.require({u"id"});
    section.text(u"id", point.id);
    if (point.name.isEmpty())
        point.name = point.id;
    section.text(u"name", point.name);
    section.choice<Kind>(
        u"kind", point.kind,
        {{u"number", Kind::Number}, {u"integer", Kind::Integer}, {u"bool", Kind::Bool}, {u"text", Kind::Text}});
    QString unit;
    section.text(u"unit", unit);
    if (!unit.isEmpty()) {
        if (const auto known = unitFromCode(unit))
            point.unit = *known;
        else
            section.complain(u"unit", known.error().message);
    }
    section.texts(u"tags", point.tags, 50);
    section.text(u"brick_class", point.brickClass);
    section.text(u"space", point.spaceRef);
    section.text(u"equip", point.equipRef);
    if (point.id.isEmpty())
        return;
    if (const auto valid = validate(point); !valid)
        section.complain(u"id", valid.error().message);
}

Point makePoint(const Location &location, const QString &id, const QString &name, Kind kind, Unit unit,
                const QStringList &tags, const QString &brickClass)
{
    Point point;
    point.id = id;
    point.name = name;
    point.kind = kind;
    point.unit = unit;
    point.tags = tags;
    point.brickClass = brickClass;
    point.siteRef = location.site;
    point.spaceRef = location.space;
    point.equipRef = location.equip;
    return point;
}

} // namespace lintel

#include "domain/point.h"

#include "domain/stored_cbor.h"

#include <algorithm>

namespace lintel {

namespace {

using namespace stored_cbor;

constexpr quint64 version = 1;
constexpr qsizetype maxIdLength = 128;

// Integer keys of the stored form; empty texts, zero, Kind::Number and Unit::None are left out.
namespace list_key {
constexpr quint64 version = 0, points = 1;
}
namespace point_key {
constexpr quint64 id = 0, name = 1, kind = 2, unit = 3, tags = 4, brickClass = 5, siteRef = 6, spaceRef = 7,
                  equipRef = 8, staleAfter = 9;
}

bool isAsciiWord(QStringView text, QStringView marks)
{
    return std::all_of(text.begin(), text.end(), [marks](QChar c) {
        const char16_t u = c.unicode();
        return (u >= u'a' && u <= u'z') || (u >= u'A' && u <= u'Z') || (u >= u'0' && u <= u'9') || marks.contains(c);
    });
}

bool hasControl(const QString &text)
{
    return std::any_of(text.begin(), text.end(), [](QChar c) { return c.category() == QChar::Other_Control; });
}

void writePoint(Writer &out, const Point &point)
{
    MapWriter map(out);
    map.textUnlessEmpty(point_key::id, point.id);
    map.textUnlessEmpty(point_key::name, point.name);
    map.unsignedUnlessZero(point_key::kind, static_cast<quint64>(point.kind));
    if (point.unit != Unit::None)
        map.key(point_key::unit).text(unitInfo(point.unit).code);
    if (!point.tags.isEmpty()) {
        map.key(point_key::tags).arraySize(point.tags.size());
        for (const QString &tag : point.tags)
            out.text(tag);
    }
    map.textUnlessEmpty(point_key::brickClass, point.brickClass);
    map.textUnlessEmpty(point_key::siteRef, point.siteRef);
    map.textUnlessEmpty(point_key::spaceRef, point.spaceRef);
    map.textUnlessEmpty(point_key::equipRef, point.equipRef);
    map.numberUnlessZero(point_key::staleAfter, point.staleAfter.count());
}

Kind readKind(Reader &in)
{
    const quint64 code = in.nonZeroUnsigned();
    in.require(code <= static_cast<quint64>(Kind::Text));
    return in.ok() ? static_cast<Kind>(code) : Kind::Number;
}

Unit readUnit(Reader &in)
{
    const auto unit = unitFromCode(in.text());
    in.require(unit && *unit != Unit::None);
    return in.ok() ? *unit : Unit::None;
}

QStringList readTags(Reader &in)
{
    QStringList tags;
    const qsizetype count = in.arraySize();
    in.require(count > 0);
    for (qsizetype i = 0; i < count && in.ok(); ++i)
        tags.append(in.text());
    return tags;
}

Point readPoint(Reader &in)
{
    Point point;
    point.staleAfter = Millis{0};
    MapReader map(in);
    while (map.next()) {
        switch (map.key()) {
        case point_key::id: point.id = in.nonEmptyText(); break;
        case point_key::name: point.name = in.nonEmptyText(); break;
        case point_key::kind: point.kind = readKind(in); break;
        case point_key::unit: point.unit = readUnit(in); break;
        case point_key::tags: point.tags = readTags(in); break;
        case point_key::brickClass: point.brickClass = in.nonEmptyText(); break;
        case point_key::siteRef: point.siteRef = in.nonEmptyText(); break;
        case point_key::spaceRef: point.spaceRef = in.nonEmptyText(); break;
        case point_key::equipRef: point.equipRef = in.nonEmptyText(); break;
        case point_key::staleAfter: point.staleAfter = Millis{in.nonZeroNumber()}; break;
        default: in.fail();
        }
    }
    return point;
}

Error refused(const Point &point, const QString &why)
{
    return Error{Errc::Malformed, QStringLiteral("Point \"%1\": %2").arg(point.id.left(64), why)};
}

} // namespace

Result<void> validate(const Point &point)
{
    if (point.id.isEmpty())
        return refused(point, QStringLiteral("id is empty; give it one such as air_temp."));
    if (point.id.size() > maxIdLength || !isAsciiWord(point.id, u"_-."))
        return refused(point, QStringLiteral("id may have up to 128 letters, digits, '_', '-' and '.'."));
    if (hasControl(point.name))
        return refused(point, QStringLiteral("name has control characters."));
    for (const QString &tag : point.tags) {
        const bool spaced = std::any_of(tag.begin(), tag.end(),
                                        [](QChar c) { return c.isSpace() || c.category() == QChar::Other_Control; });
        if (tag.isEmpty() || spaced)
            return refused(point,
                           QStringLiteral("tags has \"%1\"; a tag is one word without spaces.").arg(tag.left(64)));
    }
    if (!isAsciiWord(point.brickClass, u"_"))
        return refused(
            point,
            QStringLiteral(
                "brickClass is \"%1\"; name one class without its namespace, such as Zone_Air_Temperature_Sensor.")
                .arg(point.brickClass.left(64)));
    for (const QString &reference : {point.siteRef, point.spaceRef, point.equipRef}) {
        if (hasControl(reference))
            return refused(point, QStringLiteral("siteRef, spaceRef or equipRef has control characters."));
    }
    if (point.staleAfter <= Millis{0})
        return Error{Errc::OutOfRange,
                     QStringLiteral("Point \"%1\": staleAfter must be longer than zero.").arg(point.id)};
    return {};
}

QByteArray encodePoints(const QList<Point> &points)
{
    Writer out;
    {
        MapWriter map(out);
        map.key(list_key::version).unsignedNumber(version);
        map.key(list_key::points).arraySize(points.size());
        for (const Point &point : points)
            writePoint(out, point);
    }
    return out.take();
}

Result<QList<Point>> decodePoints(QByteArrayView bytes)
{
    Reader in(bytes);
    QList<Point> points;
    bool hasVersion = false;
    bool hasPoints = false;
    MapReader map(in);
    while (map.next()) {
        if (map.key() == list_key::version) {
            hasVersion = in.unsignedNumber() == version;
            in.require(hasVersion);
        } else if (map.key() == list_key::points) {
            const qsizetype count = in.arraySize();
            for (qsizetype i = 0; i < count && in.ok(); ++i)
                points.append(readPoint(in));
            hasPoints = true;
        } else {
            in.fail();
        }
    }
    if (in.atEnd() && hasVersion && hasPoints)
        return points;
    return Error{Errc::Malformed, QStringLiteral("%1 bytes are not a stored list of points.").arg(bytes.size())};
}

} // namespace lintel

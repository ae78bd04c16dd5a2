// What is measured, and where: points with Haystack-style tags, one Brick class each, and
// references that form site → space → equip → point. Values only; any thread.
#pragma once

#include "domain/reading.h"

#include <QStringList>

namespace lintel {

struct Point {
    QString id;   // unique in its device: "air_temp"; letters, digits, '_', '-', '.'
    QString name; // for people: "Supply air temperature"
    Kind kind = Kind::Number;
    Unit unit = Unit::None;
    QStringList tags;           // Haystack markers: {"discharge", "air", "temp", "sensor", "point"}
    QString brickClass;         // one, without namespace: "Supply_Air_Temperature_Sensor"
    QString siteRef;            // "building-1"
    QString spaceRef;           // "floor-2/zone-a"
    QString equipRef;           // "ahu-2"
    Millis staleAfter{180'000}; // a value older than this is shown as stale: three report intervals

    friend bool operator==(const Point &, const Point &) = default;
};

/// Checks id, one Brick class at most, tags without spaces. Says which field and why.
[[nodiscard]] Result<void> validate(const Point &point);

/// The stored form of a device's points, with which a gateway keeps births over a restart: CBOR
/// (RFC 8949), version 1, in the same canonical form as batches. decodePoints refuses what is not
/// exactly that as Malformed and never throws; it does not validate(), because a foreign device
/// may name its points as it likes.
[[nodiscard]] QByteArray encodePoints(const QList<Point> &points);
[[nodiscard]] Result<QList<Point>> decodePoints(QByteArrayView bytes);

} // namespace lintel

// SPDX-License-Identifier: GPL-3.0-only
// A small building for tests of the console's models: a store that is connected, units as reported,
// and short ways to say what devices have and send. One thread.
#pragma once

#include "fakes/fake_clock.h"

#include "feed/building_store.h"
#include "text/display_units.h"

#include <QAbstractItemModel>

namespace lintel {

inline Point point(const QString &id, Unit unit = Unit::Celsius, Kind kind = Kind::Number)
{
    Point made;
    made.id = id;
    made.name = id;
    made.unit = unit;
    made.kind = kind;
    made.staleAfter = std::chrono::seconds(15);
    return made;
}

inline Point recorded(const QString &id, Unit unit = Unit::Celsius)
{
    Point made = point(id, unit);
    made.tags = {QStringLiteral("recorded")};
    return made;
}

inline sparkplug::Participant participant(const QString &node, const QList<Point> &points, Timestamp since,
                                          const QString &device = {})
{
    sparkplug::Participant who;
    who.node = {QStringLiteral("building-1"), node};
    who.device = device;
    who.online = true;
    who.since = since;
    who.points = points;
    return who;
}

struct Building {
    FakeClock clock;
    BuildingStore store{clock};
    DisplayUnits units;

    Building() { store.setLink({LinkState::Phase::Connected, QStringLiteral("gateway:8883"), {}, clock.now(), {}}); }

    void play(const QString &node, const QString &id, double value, Timestamp recordedAt)
    {
        sendReading(node, {id, value, Unit::Celsius, recordedAt, Quality::Good, false});
    }

    void send(const QString &node, const QString &id, double value, Millis age = Millis{0}, bool historical = false)
    {
        sendReading(node, {id, value, Unit::Celsius, clock.now() - age, Quality::Good, historical});
    }

    void sendReading(const QString &node, const Reading &reading)
    {
        store.applyBatch({{QStringLiteral("building-1"), node}, {}, {node, {reading}, {}}, {}, false});
    }
};

/// Years before Lintel, a row a minute.
inline constexpr Timestamp kRecordedAt =
    std::chrono::sys_days{std::chrono::year{2015} / 2 / 2} + std::chrono::hours(14);

inline QStringList namesIn(const QAbstractItemModel &model, int role)
{
    QStringList names;
    for (int row = 0; row < model.rowCount(); ++row)
        names.append(model.data(model.index(row, 0), role).toString());
    return names;
}

} // namespace lintel

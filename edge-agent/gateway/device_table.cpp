#include "gateway/device_table.h"

#include "custody/answers.h"
#include "domain/qt_cbor.h"

#include <QCborArray>

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {

constexpr QLatin1StringView kPrefix = "gateway/device/"_L1;
constexpr QLatin1StringView kGroup = "group"_L1;
constexpr QLatin1StringView kNode = "node"_L1;
constexpr QLatin1StringView kPoints = "points"_L1;
constexpr QLatin1StringView kSpool = "spool"_L1;
constexpr QLatin1StringView kOnline = "online"_L1;
constexpr QLatin1StringView kSince = "since"_L1; // ms, as kSeen
constexpr QLatin1StringView kSeen = "seen"_L1;
constexpr QLatin1StringView kReadings = "readings"_L1;

QByteArray encodeSensor(const Sensor &sensor)
{
    QCborMap map{
        {kGroup, sensor.node.group},
        {kNode, sensor.node.node},
        {kSpool, sensor.storesAndForwards},
        {kPoints, encodePoints(sensor.points)},
        {kOnline, sensor.online},
        {kSince, toEpochMillis(sensor.since)},
        {kReadings, qint64(sensor.readings)},
    };
    if (sensor.lastSeen)
        map.insert(kSeen, toEpochMillis(*sensor.lastSeen));
    return QCborValue(map).toCbor();
}

std::optional<Timestamp> timeOf(const QCborValue &value)
{
    return value.isInteger() ? std::optional(fromEpochMillis(value.toInteger())) : std::nullopt;
}

Result<Sensor> decodeSensor(const QString &name, const QByteArray &bytes)
{
    const QCborMap map = cborMap(bytes);
    const auto points = decodePoints(map.value(kPoints).toByteArray());
    if (!points)
        return points.error();
    Sensor sensor;
    sensor.name = name;
    sensor.node = {map.value(kGroup).toString(), map.value(kNode).toString()};
    sensor.storesAndForwards = map.value(kSpool).toBool();
    sensor.points = *points;
    sensor.online = map.value(kOnline).toBool();
    sensor.since = timeOf(map.value(kSince)).value_or(Timestamp{});
    sensor.lastSeen = timeOf(map.value(kSeen));
    sensor.readings = quint64(std::max<qint64>(0, wholeNumber(map.value(kReadings))));
    return sensor;
}

} // namespace

Result<void> DeviceTable::restore()
{
    const auto keys = m_state.keys(kPrefix);
    if (!keys)
        return keys.error();
    for (const QString &key : *keys) {
        const QString name = key.sliced(kPrefix.size());
        const auto stored = m_state.load(key);
        if (!stored)
            return stored.error();
        if (!*stored)
            continue;
        auto sensor = decodeSensor(name, **stored);
        if (!sensor) {
            return Error{
                Errc::Malformed,
                u"What was stored of the sensor \"%1\" cannot be read (%2); it is known again with its next birth."_s
                    .arg(name, sensor.error().message)};
        }
        // It was online when we went: nobody knows when it went itself, but then it was there.
        sensor->wasOnline = sensor->online;
        if (sensor->online)
            sensor->since = std::max(sensor->since, sensor->lastSeen.value_or(sensor->since));
        if (sensor->since == Timestamp{}) // a version that did not write it down
            sensor->since = m_clock.now();
        sensor->online = false;
        sensor->offlineSince = m_clock.monotonic();
        m_sensors.insert(name, *std::move(sensor));
    }
    return {};
}

void DeviceTable::restoreLast(const QString &device, const Reading &reading)
{
    const auto sensor = m_sensors.find(device);
    if (sensor == m_sensors.end())
        return;
    sensor->last.insert(reading.point, reading);
    const Timestamp at = reading.deviceTime;
    if (!isPlausible(at) || at > m_clock.now())
        return;
    // After a crash: it was seen later than anybody wrote down.
    if (!sensor->lastSeen || *sensor->lastSeen < at)
        sensor->lastSeen = at;
    if (sensor->wasOnline && sensor->since < at)
        sensor->since = at;
}

Result<void> DeviceTable::save()
{
    for (const Sensor &sensor : std::as_const(m_sensors)) {
        if (const auto saved = m_state.save(kPrefix + sensor.name, encodeSensor(sensor)); !saved)
            return saved.error();
    }
    return {};
}

Result<void> DeviceTable::mayUse(const sparkplug::NodeId &node, const QString &name) const
{
    const Sensor *sensor = find(name);
    if (!sensor || sensor->node == node)
        return {};
    if (node.node == name && sensor->node.node != name)
        return {};
    if (!sensor->online && m_clock.monotonic() - sensor->offlineSince >= kNameIsFreeAfter)
        return {};
    return Error{
        Errc::Denied,
        u"Node \"%1\" in group \"%2\" speaks as \"%3\", which belongs to node \"%4\" in group \"%5\"; its data is refused until it uses another name."_s
            .arg(node.node, node.group, name, sensor->node.node, sensor->node.group)};
}

Result<void> DeviceTable::born(const sparkplug::Participant &who)
{
    const QString name = answers::deviceName(who);
    if (const auto allowed = mayUse(who.node, name); !allowed)
        return allowed.error();
    const bool isNew = !m_sensors.contains(name);
    Sensor &sensor = m_sensors[name];
    const bool changed = isNew || !sensor.online || sensor.points != who.points || sensor.node != who.node
                         || sensor.storesAndForwards != who.spool.has_value();
    sensor.name = name;
    sensor.node = who.node;
    sensor.online = true;
    sensor.since = who.since;
    sensor.storesAndForwards = who.spool.has_value();
    sensor.points = who.points;
    if (!changed)
        return {};
    return m_state.save(kPrefix + name, encodeSensor(sensor));
}

Result<void> DeviceTable::died(const sparkplug::Participant &who)
{
    const auto sensor = m_sensors.find(answers::deviceName(who));
    if (sensor == m_sensors.end() || sensor->node != who.node)
        return {};
    if (sensor->online)
        sensor->offlineSince = m_clock.monotonic();
    sensor->online = false;
    sensor->since = who.since;
    return m_state.save(kPrefix + sensor->name, encodeSensor(*sensor));
}

void DeviceTable::received(const sparkplug::HostBatch &batch)
{
    const auto sensor = m_sensors.find(batch.batch.device);
    if (sensor == m_sensors.end() || sensor->node != batch.node)
        return;
    for (const Reading &reading : batch.batch.readings) {
        const auto last = sensor->last.find(reading.point);
        if (last == sensor->last.end())
            sensor->last.insert(reading.point, reading);
        else if (reading.deviceTime >= last->deviceTime)
            *last = reading;
    }
    if (batch.fromBirth)
        return;
    sensor->lastSeen = m_clock.now();
    sensor->readings += quint64(batch.batch.readings.size());
}

const Sensor *DeviceTable::find(const QString &name) const
{
    const auto it = m_sensors.constFind(name);
    return it == m_sensors.constEnd() ? nullptr : &*it;
}

bool DeviceTable::knows(const QString &device, const Reading &reading) const
{
    const Sensor *sensor = find(device);
    if (!sensor)
        return false;
    const auto last = sensor->last.constFind(reading.point);
    return last != sensor->last.constEnd() && last->deviceTime >= reading.deviceTime;
}

int DeviceTable::onlineCount() const
{
    return int(std::count_if(m_sensors.begin(), m_sensors.end(), [](const Sensor &sensor) { return sensor.online; }));
}

sparkplug::EdgeDevice DeviceTable::asEdgeDevice(const QString &name) const
{
    const Sensor *sensor = find(name);
    return sensor ? sparkplug::EdgeDevice{name, sensor->points, sensor->online}
                  : sparkplug::EdgeDevice{name, {}, false};
}

QCborMap DeviceTable::aggregate() const
{
    QCborMap sensors;
    quint64 readings = 0;
    for (const Sensor &sensor : m_sensors) {
        QCborMap last;
        QStringList ids = sensor.last.keys();
        ids.sort();
        for (const QString &id : std::as_const(ids))
            last.insert(id, answers::reading(sensor.last.value(id)));
        QCborMap entry{
            {"status"_L1, sensor.online ? "online"_L1 : "offline"_L1},
            {"since"_L1, toIso8601(sensor.since)},
            {"group"_L1, sensor.node.group},
            {"node"_L1, sensor.node.node},
            {"readings"_L1, last},
            {"readings_received"_L1, qint64(sensor.readings)},
        };
        if (sensor.lastSeen)
            entry.insert("last_seen"_L1, toIso8601(*sensor.lastSeen));
        sensors.insert(sensor.name, entry);
        readings += sensor.readings;
    }
    return {
        {"timestamp"_L1, toIso8601(m_clock.now())},
        {"sensors"_L1, sensors},
        {"total_sensors"_L1, qint64(m_sensors.size())},
        {"online_sensors"_L1, qint64(onlineCount())},
        {"offline_sensors"_L1, qint64(m_sensors.size() - onlineCount())},
        {"readings_received"_L1, qint64(readings)},
    };
}

QCborMap DeviceTable::lastValues(const QString &site) const
{
    QCborArray values;
    for (const Sensor &sensor : m_sensors) {
        if (!site.isEmpty() && sensor.node.group != site)
            continue;
        QStringList ids = sensor.last.keys();
        ids.sort();
        for (const QString &id : std::as_const(ids)) {
            const auto point =
                std::ranges::find_if(sensor.points, [&id](const Point &known) { return known.id == id; });
            QCborMap entry = answers::reading(sensor.last.value(id));
            entry.insert("group"_L1, sensor.node.group);
            entry.insert("device"_L1, sensor.name);
            entry.insert("site"_L1, point == sensor.points.end() ? QString() : point->siteRef);
            entry.insert("point"_L1, id);
            values.append(entry);
        }
    }
    return {{"values"_L1, values}};
}

QCborMap DeviceTable::list() const
{
    QCborArray devices;
    for (const Sensor &sensor : m_sensors) {
        devices.append(QCborMap{
            {"device"_L1, sensor.name},
            {"group"_L1, sensor.node.group},
            {"node"_L1, sensor.node.node},
            {"online"_L1, sensor.online},
            {"since"_L1, toIso8601(sensor.since)},
            {"store_and_forward"_L1, sensor.storesAndForwards},
            {"points"_L1, answers::points(sensor.points)},
        });
    }
    return {{"devices"_L1, devices}};
}

} // namespace lintel

// Devices and points: what births and deaths say of them, and whose they are.
#include "historian.h"
#include "historian_sql.h"

#include <QVariant>

namespace lintel::historian {

namespace {

[[nodiscard]] DeviceKey keyOf(const sparkplug::Participant &who)
{
    return {who.node.group, who.device.isEmpty() ? who.node.node : who.device};
}

} // namespace

Result<qint64> Historian::deviceId(const DeviceKey &key, const QString &node)
{
    if (const auto known = m_deviceIds.constFind(key); known != m_deviceIds.constEnd())
        return *known;
    auto found = select(sql::kFindDevice, {key.group, key.name});
    if (!found)
        return found.error();
    qint64 id = 0;
    if (found->next()) {
        id = found->value(0).toLongLong();
    } else {
        id = m_nextDevice;
        if (const auto inserted = select(sql::kInsertDevice, {id, key.group, key.name, node}); !inserted)
            return inserted.error();
        ++m_nextDevice;
    }
    m_deviceIds.insert(key, id);
    return id;
}

/// A reading of a point that no birth described makes the point known by what it shows itself.
Result<qint64> Historian::pointId(qint64 device, const Reading &reading)
{
    const std::pair<qint64, QString> key{device, reading.point};
    if (const auto known = m_pointIds.constFind(key); known != m_pointIds.constEnd())
        return *known;
    const auto find = [&]() { return select(sql::kFindPoint, {device, reading.point}); };
    auto found = find();
    if (!found)
        return found.error();
    if (!found->next()) {
        Point point;
        point.id = reading.point;
        point.name = reading.point;
        point.kind = kindOf(reading.value);
        point.unit = reading.unit;
        if (const auto saved = savePoint(device, point); !saved)
            return saved.error();
        found = find();
        if (!found)
            return found.error();
        if (!found->next())
            return Error{Errc::Io,
                         QStringLiteral("The historian lost point %1 while storing it; run it on a sound database.")
                             .arg(reading.point)};
    }
    const qint64 id = found->value(0).toLongLong();
    m_pointIds.insert(key, id);
    return id;
}

Result<void> Historian::savePoint(qint64 device, const Point &point)
{
    const auto text = [](const QString &value) { return value.isNull() ? QStringLiteral("") : value; };
    const auto saved =
        select(sql::kSavePoint,
               {m_nextPoint, device, point.id, text(point.name), int(point.kind), QString(unitInfo(point.unit).code),
                text(point.tags.join(QLatin1Char(' '))), text(point.brickClass), text(point.siteRef),
                text(point.spaceRef), text(point.equipRef), qint64(point.staleAfter.count())});
    if (!saved)
        return saved.error();
    ++m_nextPoint; // an id that an update left unused does no harm
    return {};
}

Result<void> Historian::mayUse(const sparkplug::NodeId &node, const QString &name) const
{
    const DeviceKey key{node.group, name};
    if (m_owners.value(key) == node.node)
        return {};
    auto found = select(sql::kOwner, {key.group, key.name});
    if (!found)
        return found.error();
    if (!found->next())
        return {};
    const QString owner = found->value(0).toString();
    m_owners.insert(key, owner);
    if (owner == node.node)
        return {};
    const bool online = found->value(1).toInt() != 0;
    if (!online && !found->isNull(2)
        && m_clock.now() - fromEpochMillis(found->value(2).toLongLong()) >= kNameIsFreeAfter)
        return {};
    return Error{
        Errc::Denied,
        QStringLiteral(
            "Node %1 speaks as device %2 of %3, which belongs to node %4; its data is refused until %4 has been offline for %5 hours.")
            .arg(node.node, name, node.group, owner)
            .arg(kNameIsFreeAfter.count())};
}

Result<void> Historian::noteBorn(const sparkplug::Participant &who)
{
    if (const auto allowed = mayUse(who.node, keyOf(who).name); !allowed)
        return allowed.error();
    m_owners.remove(keyOf(who));
    if (who.spool)
        m_nodesWithSpool.insert(who.node);
    return inTransaction([&]() -> Result<void> {
        const auto device = deviceId(keyOf(who), who.node.node);
        if (!device)
            return device.error();
        if (const auto set =
                select(sql::kSetOnline, {who.online ? 1 : 0, toEpochMillis(who.since), who.node.node, *device});
            !set)
            return set.error();
        for (const Point &point : who.points) {
            if (const auto saved = savePoint(*device, point); !saved)
                return saved.error();
        }
        return {};
    });
}

Result<void> Historian::noteDied(const sparkplug::Participant &who)
{
    if (const auto allowed = mayUse(who.node, keyOf(who).name); !allowed)
        return allowed.error();
    m_owners.remove(keyOf(who));
    return inTransaction([&]() -> Result<void> {
        const auto device = deviceId(keyOf(who), who.node.node);
        if (!device)
            return device.error();
        const auto set = select(sql::kSetOnline, {0, toEpochMillis(who.since), who.node.node, *device});
        if (!set)
            return set.error();
        return {};
    });
}

Result<void> Historian::markAllOffline()
{
    const auto marked = select(sql::kAllOffline, {toEpochMillis(m_clock.now())});
    if (!marked)
        return marked.error();
    return {};
}

} // namespace lintel::historian

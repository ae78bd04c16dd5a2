// SPDX-License-Identifier: GPL-3.0-only
#include "devices/device_condition.h"

#include "text/format.h"

#include <QCoreApplication>

#include <algorithm>

namespace lintel {
namespace {

QString trCondition(const char *text, int n = -1)
{
    return QCoreApplication::translate("DeviceCondition", text, nullptr, n);
}

QString sinceText(const QString &state, const std::optional<Timestamp> &since, Timestamp now)
{
    return since ? trCondition("%1 since %2").arg(state, format::time(*since, now)) : state;
}

/// A sentence that only repeats the state is no reason.
QString reasonBeside(const QString &state, const QString &sentence)
{
    if (!sentence.startsWith(state, Qt::CaseInsensitive))
        return sentence;
    QString rest = sentence.mid(state.size()).trimmed();
    while (!rest.isEmpty() && (rest.front() == QLatin1Char(':') || rest.front() == QLatin1Char('.')))
        rest = rest.mid(1).trimmed();
    return rest;
}

/// Something newer than its slowest point may be.
bool isPlaying(const BuildingStore &store, const DeviceState &device, Timestamp now)
{
    return std::ranges::any_of(device.points, [&](int index) {
        const PointState &state = store.point(index);
        return state.arrivedAt && now - *state.arrivedAt <= state.point.staleAfter;
    });
}

} // namespace

DeviceCondition identityCondition(const DeviceIdentity &identity, Timestamp now)
{
    using enum DeviceIdentity::State;
    const auto made = [&](int priority, const QString &state) {
        return DeviceCondition{priority, sinceText(state, identity.since, now), reasonBeside(state, identity.reason)};
    };
    switch (identity.state) {
    case Unknown:
    case Valid: break;
    case Overdue: return made(3, trCondition("identity not renewed"));
    case Expired: return made(2, trCondition("identity expired, buffering"));
    case Revoked: return made(2, trCondition("revoked"));
    case NotAdmitted: return made(2, trCondition("not admitted"));
    case Refused: return made(2, trCondition("refused by the broker"));
    }
    return {};
}

DeviceCondition conditionOf(const BuildingStore &store, const DeviceState &device, Timestamp now)
{
    if (store.isCut())
        return {0, trCondition("last known"), {}};
    if (auto identity = identityCondition(device.identity, now); identity.priority > 0)
        return identity;
    if (device.isOnlyExpected)
        return {0, trCondition("not heard of yet"), {}};
    if (device.listedOnly && device.online)
        return {0, trCondition("listed, no birth seen yet"), {}};
    if (!device.online)
        return {2, trCondition("offline since %1").arg(format::time(device.since, now)), {}};
    if (isRecorded(store, device))
        return {0,
                isPlaying(store, device, now) ? trCondition("playing a recording") : trCondition("recording at rest"),
                {}};
    int stale = 0;
    int bad = 0;
    for (const int point : device.points) {
        const Freshness freshness = store.freshness(store.point(point), now);
        stale += freshness == Freshness::Stale ? 1 : 0;
        bad += freshness == Freshness::Bad ? 1 : 0;
    }
    if (bad > 0)
        return {2, bad == 1 ? trCondition("1 bad value") : trCondition("%1 bad values").arg(bad), {}};
    if (stale > 0 && stale == device.points.size())
        return {
            3, trCondition("silent since %1").arg(format::time(device.lastReading.value_or(device.since), now)), {}};
    if (stale > 0)
        return {3, stale == 1 ? trCondition("1 stale value") : trCondition("%1 stale values").arg(stale), {}};
    if (device.lostReadings > 0)
        return {3, trCondition("%1 readings lost").arg(device.lostReadings), {}};
    return {0, trCondition("reporting"), {}};
}

QString placeOf(const BuildingStore &store, const DeviceState &device)
{
    if (device.points.isEmpty()) {
        int below = 0;
        for (int i = 0; i < store.deviceCount(); ++i)
            below += store.device(i).node == device.node && !store.device(i).device.isEmpty() ? 1 : 0;
        if (device.device.isEmpty() && below > 0)
            return trCondition("gateway, %1 devices behind it").arg(below);
        return device.node.group;
    }
    const Point &point = store.point(device.points.first()).point;
    QStringList parts;
    if (!point.equipRef.isEmpty())
        parts.append(point.equipRef);
    if (!point.spaceRef.isEmpty())
        parts.append(point.spaceRef);
    if (parts.isEmpty())
        parts.append(point.siteRef.isEmpty() ? device.node.group : point.siteRef);
    if (point.tags.contains(QStringLiteral("simulated")))
        parts.append(trCondition("simulated"));
    else if (point.tags.contains(QStringLiteral("recorded")))
        parts.append(trCondition("recorded"));
    return parts.join(QStringLiteral(" · "));
}

QString lastReadingText(const BuildingStore &store, const DeviceState &device, Timestamp now)
{
    if (!device.lastReading)
        return trCondition("never");
    return isRecorded(store, device) ? format::time(*device.lastReading, now) : format::age(now - *device.lastReading);
}

bool isRecorded(const BuildingStore &store, const DeviceState &device)
{
    return !device.points.isEmpty()
           && std::ranges::all_of(device.points, [&store](int point) { return store.point(point).isRecorded(); });
}

} // namespace lintel

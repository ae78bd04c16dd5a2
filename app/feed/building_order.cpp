// SPDX-License-Identifier: GPL-3.0-only
#include "feed/building_order.h"

#include "text/natural_order.h"

#include <algorithm>
#include <numeric>

namespace lintel {

QList<int> inOrder(const BuildingStore &store)
{
    QList<int> devices(store.deviceCount());
    std::iota(devices.begin(), devices.end(), 0);
    std::ranges::sort(devices, [&store](int a, int b) { return deviceComesBefore(store, a, b); });
    return devices;
}

bool deviceComesBefore(const BuildingStore &store, int a, int b)
{
    const DeviceState &one = store.device(a);
    const DeviceState &other = store.device(b);
    if (one.node.group != other.node.group)
        return lessByName(one.node.group, other.node.group);
    if (one.name != other.name)
        return lessByName(one.name, other.name);
    return lessByName(one.node.node, other.node.node);
}

bool comesBefore(const Point &a, const Point &b)
{
    const QString one = nameOf(a);
    const QString other = nameOf(b);
    return one != other ? lessByName(one, other) : lessByName(a.id, b.id);
}

bool pointComesBefore(const BuildingStore &store, int a, int b)
{
    const PointState &one = store.point(a);
    const PointState &other = store.point(b);
    return one.device != other.device ? deviceComesBefore(store, one.device, other.device)
                                      : comesBefore(one.point, other.point);
}

QString nameOf(const Point &point)
{
    return point.name.isEmpty() ? point.id : point.name;
}

QString labelOf(const BuildingStore &store, const DeviceState &device)
{
    for (int i = 0; i < store.deviceCount(); ++i) {
        if (store.device(i).node.group != device.node.group)
            return device.node.group + QStringLiteral(" · ") + device.name;
    }
    return device.name;
}

} // namespace lintel

// SPDX-License-Identifier: GPL-3.0-only
#include "devices/device_list_model.h"

#include "live/point_picker_model.h"
#include "text/format.h"

#include <QCoreApplication>
#include <QVariantMap>

namespace lintel {
namespace {

constexpr int kShownValues = 3;

QString trCondition(const char *text, int n = -1)
{
    return QCoreApplication::translate("DeviceCondition", text, nullptr, n);
}

} // namespace

DeviceCondition conditionOf(const BuildingStore &store, const DeviceState &device, Timestamp now)
{
    if (store.isCut())
        return {0, trCondition("last known")};
    if (device.listedOnly && device.online)
        return {0, trCondition("listed, no birth seen yet")};
    if (!device.online)
        return {2, trCondition("offline since %1").arg(format::time(device.since, now))};
    int stale = 0;
    int bad = 0;
    for (const int point : device.points) {
        const Freshness freshness = store.freshness(store.point(point), now);
        stale += freshness == Freshness::Stale ? 1 : 0;
        bad += freshness == Freshness::Bad ? 1 : 0;
    }
    if (bad > 0)
        return {2, bad == 1 ? trCondition("1 bad value") : trCondition("%1 bad values").arg(bad)};
    if (stale > 0 && stale == device.points.size())
        return {3, trCondition("silent since %1").arg(format::time(device.lastReading.value_or(device.since), now))};
    if (stale > 0)
        return {3, stale == 1 ? trCondition("1 stale value") : trCondition("%1 stale values").arg(stale)};
    if (device.lostReadings > 0)
        return {3, trCondition("%1 readings lost").arg(device.lostReadings)};
    return {0, trCondition("reporting")};
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

DeviceListModel::DeviceListModel(const BuildingStore &store, QObject *parent)
    : QAbstractListModel(parent), m_store(store)
{
    connect(&store, &BuildingStore::deviceAdded, this, [this] { m_outdated = true; });
    connect(&store, &BuildingStore::deviceChanged, this, [this](int device) {
        m_outdated = m_outdated || m_attentionOnly || !m_search.isEmpty();
        markDirty(device);
    });
    connect(&store, &BuildingStore::valueChanged, this, [this](int point) { markDirty(m_store.point(point).device); });
    connect(&store, &BuildingStore::linkChanged, this, &DeviceListModel::refresh);
}

PageState::State DeviceListModel::state() const
{
    return pageState(m_store, m_store.deviceCount() > 0);
}

QString DeviceListModel::heading() const
{
    return pageHeading(m_store, state());
}

QString DeviceListModel::sentence() const
{
    return pageSentence(m_store, state());
}

QString DeviceListModel::summary() const
{
    const QString devices = total() == 1 ? tr("1 device") : tr("%1 devices").arg(total());
    if (m_store.isCut())
        return tr("%1, last known").arg(devices);
    if (m_attention == 0)
        return tr("%1, all reporting").arg(devices);
    return m_attention == 1 ? tr("%1, 1 needs attention").arg(devices)
                            : tr("%1, %2 need attention").arg(devices).arg(m_attention);
}

void DeviceListModel::setSearch(const QString &search)
{
    if (search == m_search)
        return;
    m_search = search;
    Q_EMIT filterChanged();
    list();
}

void DeviceListModel::setAttentionOnly(bool only)
{
    if (only == m_attentionOnly)
        return;
    m_attentionOnly = only;
    Q_EMIT filterChanged();
    list();
}

void DeviceListModel::markDirty(int device)
{
    const int row = rowOf(device);
    if (row < 0)
        return;
    m_firstDirty = m_firstDirty < 0 ? row : std::min(m_firstDirty, row);
    m_lastDirty = std::max(m_lastDirty, row);
}

void DeviceListModel::flush()
{
    if (m_outdated)
        list();
    if (m_firstDirty < 0)
        return;
    Q_EMIT dataChanged(index(m_firstDirty), index(m_lastDirty));
    m_firstDirty = m_lastDirty = -1;
}

void DeviceListModel::refresh()
{
    if (m_outdated || m_attentionOnly)
        list();
    countAttention();
    if (!m_rows.isEmpty())
        Q_EMIT dataChanged(index(0), index(count() - 1),
                           {StateTextRole, PriorityRole, AgeRole, MutedRole, ValuesRole, AccessibleRole});
    Q_EMIT refreshed();
}

void DeviceListModel::countAttention()
{
    const Timestamp now = m_store.clock().now();
    m_attention = 0;
    m_attentionPriority = 0;
    for (int i = 0; i < m_store.deviceCount(); ++i) {
        const int priority = conditionOf(m_store, m_store.device(i), now).priority;
        if (priority == 0)
            continue;
        ++m_attention;
        m_attentionPriority = m_attentionPriority == 0 ? priority : std::min(m_attentionPriority, priority);
    }
}

bool DeviceListModel::matches(int device, const QStringList &words) const
{
    const DeviceState &state = m_store.device(device);
    const QString place = placeOf(m_store, state);
    return std::ranges::all_of(words, [&](const QString &word) {
        if (state.name.contains(word, Qt::CaseInsensitive) || place.contains(word, Qt::CaseInsensitive)
            || state.node.group.contains(word, Qt::CaseInsensitive))
            return true;
        return std::ranges::any_of(state.points, [&](int point) {
            return m_store.point(point).point.name.contains(word, Qt::CaseInsensitive);
        });
    });
}

void DeviceListModel::list()
{
    m_outdated = false;
    const Timestamp now = m_store.clock().now();
    const QStringList words = m_search.simplified().split(QLatin1Char(' '), Qt::SkipEmptyParts);
    QList<int> rows;
    for (int i = 0; i < m_store.deviceCount(); ++i) {
        if (m_attentionOnly && conditionOf(m_store, m_store.device(i), now).priority == 0)
            continue;
        if (matches(i, words))
            rows.append(i);
    }
    std::ranges::sort(rows,
                      [this](int a, int b) { return lessByName(m_store.device(a).name, m_store.device(b).name); });
    if (rows == m_rows)
        return;
    beginResetModel();
    m_rows = rows;
    m_rowOfDevice.fill(-1, m_store.deviceCount());
    for (int row = 0; row < count(); ++row)
        m_rowOfDevice[m_rows[row]] = row;
    m_firstDirty = m_lastDirty = -1;
    endResetModel();
    Q_EMIT countChanged();
    countAttention();
    Q_EMIT refreshed();
}

int DeviceListModel::rowOf(int device) const
{
    return device >= 0 && device < m_rowOfDevice.size() ? m_rowOfDevice[device] : -1;
}

int DeviceListModel::deviceAt(int row) const
{
    return row >= 0 && row < count() ? m_rows[row] : -1;
}

QVariantList DeviceListModel::values(const DeviceState &device) const
{
    const Timestamp now = m_store.clock().now();
    QVariantList list;
    for (const int point : device.points) {
        if (list.size() == kShownValues)
            break;
        const PointState &state = m_store.point(point);
        list.append(QVariantMap{
            {QStringLiteral("name"), state.point.name.isEmpty() ? state.point.id : state.point.name},
            {QStringLiteral("value"),
             state.last ? format::value(state.last->value, state.last->unit) : QStringLiteral("–")},
            {QStringLiteral("unit"), format::unit(state.point.unit)},
            {QStringLiteral("muted"), m_store.freshness(state, now) != Freshness::Fresh},
        });
    }
    return list;
}

int DeviceListModel::rowCount(const QModelIndex &parent) const
{
    return parent.isValid() ? 0 : count();
}

QVariant DeviceListModel::data(const QModelIndex &index, int role) const
{
    if (!index.isValid() || index.row() >= count())
        return {};
    const int at = m_rows[index.row()];
    const DeviceState &device = m_store.device(at);
    const Timestamp now = m_store.clock().now();
    switch (role) {
    case DeviceRole: return at;
    case NameRole: return device.name;
    case PlaceRole: return placeOf(m_store, device);
    case StateTextRole: return conditionOf(m_store, device, now).text;
    case PriorityRole: return conditionOf(m_store, device, now).priority;
    case ValuesRole: return values(device);
    case AgeRole: return device.lastReading ? format::age(now - *device.lastReading) : tr("never");
    case MutedRole: return m_store.isCut() || !device.online;
    case AccessibleRole:
        return tr("%1, %2, %3").arg(device.name, placeOf(m_store, device), conditionOf(m_store, device, now).text);
    default: return {};
    }
}

QHash<int, QByteArray> DeviceListModel::roleNames() const
{
    return {{DeviceRole, "device"},       {NameRole, "name"},         {PlaceRole, "place"},
            {StateTextRole, "stateText"}, {PriorityRole, "priority"}, {ValuesRole, "values"},
            {AgeRole, "ageText"},         {MutedRole, "muted"},       {AccessibleRole, "accessibleText"}};
}

} // namespace lintel

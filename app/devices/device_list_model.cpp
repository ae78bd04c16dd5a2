// SPDX-License-Identifier: GPL-3.0-only
#include "devices/device_list_model.h"

#include "devices/device_condition.h"
#include "feed/building_order.h"
#include "live/suggestion.h"

#include <QVariantMap>

namespace lintel {
namespace {

constexpr int kShownValues = 3;

} // namespace

DeviceListModel::DeviceListModel(const BuildingStore &store, const DisplayUnits &units, QObject *parent)
    : QAbstractListModel(parent), m_store(store), m_units(units)
{
    connect(&store, &BuildingStore::deviceAdded, this, [this] { m_outdated = true; });
    connect(&store, &BuildingStore::deviceChanged, this, [this](int device) {
        m_outdated = m_outdated || m_attentionOnly || !m_search.isEmpty();
        markDirty(device);
    });
    connect(&store, &BuildingStore::valueChanged, this, [this](int point) { markDirty(m_store.point(point).device); });
    connect(&store, &BuildingStore::linkChanged, this, &DeviceListModel::refresh);
    connect(&units, &DisplayUnits::changed, this, &DeviceListModel::refresh);
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
                           {StateTextRole, ReasonRole, PriorityRole, AgeRole, MutedRole, ValuesRole, AccessibleRole});
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
    for (const int device : inOrder(m_store)) {
        if (m_attentionOnly && conditionOf(m_store, m_store.device(device), now).priority == 0)
            continue;
        if (matches(device, words))
            rows.append(device);
    }
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
    for (const int point : tellingPoints(m_store, device, kShownValues)) {
        const PointState &state = m_store.point(point);
        const auto shown =
            state.last ? m_units.quantity(state.last->value, state.last->unit) : m_units.nothing(state.point.unit);
        const Freshness freshness = m_store.freshness(state, now);
        list.append(QVariantMap{
            {QStringLiteral("name"), nameOf(state.point)},
            {QStringLiteral("value"), shown.number},
            {QStringLiteral("unit"), shown.unit},
            {QStringLiteral("muted"), freshness != Freshness::Fresh && freshness != Freshness::Recorded},
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
    case ReasonRole: return conditionOf(m_store, device, now).reason;
    case PriorityRole: return conditionOf(m_store, device, now).priority;
    case ValuesRole: return values(device);
    case AgeRole: return lastReadingText(m_store, device, now);
    case MutedRole: return m_store.isCut() || !device.online;
    case AccessibleRole: {
        const DeviceCondition condition = conditionOf(m_store, device, now);
        const QString state =
            condition.reason.isEmpty() ? condition.text : tr("%1: %2").arg(condition.text, condition.reason);
        return tr("%1, %2, %3").arg(device.name, placeOf(m_store, device), state);
    }
    default: return {};
    }
}

QHash<int, QByteArray> DeviceListModel::roleNames() const
{
    return {{DeviceRole, "device"}, {NameRole, "name"},
            {PlaceRole, "place"},   {StateTextRole, "stateText"},
            {ReasonRole, "reason"}, {PriorityRole, "priority"},
            {ValuesRole, "values"}, {AgeRole, "ageText"},
            {MutedRole, "muted"},   {AccessibleRole, "accessibleText"}};
}

} // namespace lintel

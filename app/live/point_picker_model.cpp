// SPDX-License-Identifier: GPL-3.0-only
#include "live/point_picker_model.h"

#include "feed/building_order.h"

namespace lintel {
namespace {

bool matches(const PointState &state, const DeviceState &device, const QString &unit, const QStringList &words)
{
    return std::ranges::all_of(words, [&](const QString &word) {
        const auto has = [&word](const QString &text) { return text.contains(word, Qt::CaseInsensitive); };
        return has(state.point.name) || has(state.point.id) || has(device.name) || has(state.point.spaceRef)
               || has(state.point.equipRef) || has(state.point.brickClass) || has(unit);
    });
}

} // namespace

PointPickerModel::PointPickerModel(const BuildingStore &store, const DisplayUnits &units, QObject *parent)
    : QAbstractListModel(parent), m_store(store), m_units(units)
{
    const auto outdate = [this] { m_outdated = true; };
    connect(&store, &BuildingStore::pointAdded, this, outdate);
    connect(&store, &BuildingStore::deviceChanged, this, outdate);
    connect(&units, &DisplayUnits::changed, this, &PointPickerModel::onUnitsChanged);
}

void PointPickerModel::setSearch(const QString &search)
{
    if (search == m_search)
        return;
    m_search = search;
    Q_EMIT searchChanged();
    list();
}

void PointPickerModel::setPicked(int point, bool picked)
{
    if (picked == m_picked.contains(point))
        return;
    if (picked)
        m_picked.insert(point);
    else
        m_picked.remove(point);
    const qsizetype row = m_rows.indexOf(point);
    if (row >= 0)
        Q_EMIT dataChanged(index(int(row)), index(int(row)), {PickedRole});
    Q_EMIT pickedCountChanged();
}

void PointPickerModel::refresh()
{
    if (m_outdated)
        list();
}

void PointPickerModel::onUnitsChanged()
{
    list(); // a search may name a unit
    if (!m_rows.isEmpty())
        Q_EMIT dataChanged(index(0), index(count() - 1), {UnitRole});
}

void PointPickerModel::list()
{
    m_outdated = false;
    const QStringList words = m_search.simplified().split(QLatin1Char(' '), Qt::SkipEmptyParts);
    QList<int> rows;
    for (const int device : inOrder(m_store)) {
        for (const int point : m_store.device(device).points) {
            const PointState &state = m_store.point(point);
            const QString unit = m_units.symbol(state.point.unit);
            if (state.point.kind != Kind::Text && matches(state, m_store.device(device), unit, words))
                rows.append(point);
        }
    }
    if (rows == m_rows)
        return;
    beginResetModel();
    m_rows = std::move(rows);
    endResetModel();
    Q_EMIT countChanged();
}

int PointPickerModel::rowCount(const QModelIndex &parent) const
{
    return parent.isValid() ? 0 : count();
}

QVariant PointPickerModel::data(const QModelIndex &index, int role) const
{
    if (!index.isValid() || index.row() >= m_rows.size())
        return {};
    const int point = m_rows[index.row()];
    const PointState &state = m_store.point(point);
    switch (role) {
    case PointRole: return point;
    case NameRole: return state.point.name.isEmpty() ? state.point.id : state.point.name;
    case DeviceRole: return labelOf(m_store, m_store.device(state.device));
    case UnitRole: return state.point.kind == Kind::Bool ? tr("on / off") : m_units.symbol(state.point.unit);
    case PickedRole: return m_picked.contains(point);
    default: return {};
    }
}

QHash<int, QByteArray> PointPickerModel::roleNames() const
{
    return {{PointRole, "point"},
            {NameRole, "name"},
            {DeviceRole, "device"},
            {UnitRole, "unitText"},
            {PickedRole, "picked"}};
}

} // namespace lintel

// SPDX-License-Identifier: GPL-3.0-only
#include "live/point_picker_model.h"
#include <utility>

#include "feed/building_order.h"
#include "text/format.h"
#include <utility>

#include <utility>
namespace lintel {
#include <utility>
namespace {
#include <utility>

#include <utility>
bool matches(const PointState &state, const DeviceState &device, const QStringList &words)
#include <utility>
{
#include <utility>
    return std::ranges::all_of(words, [&](const QString &word) {
#include <utility>
        const auto has = [&word](const QString &text) { return text.contains(word, Qt::CaseInsensitive); };
#include <utility>
        return has(state.point.name) || has(state.point.id) || has(device.name) || has(state.point.spaceRef)
#include <utility>
               || has(state.point.equipRef) || has(state.point.brickClass) || has(format::unit(state.point.unit));
#include <utility>
    });
#include <utility>
}
#include <utility>

#include <utility>
} // namespace
#include <utility>

#include <utility>
PointPickerModel::PointPickerModel(const BuildingStore &store, QObject *parent)
#include <utility>
    : QAbstractListModel(parent), m_store(store)
#include <utility>
{
#include <utility>
    const auto outdate = [this] { m_outdated = true; };
#include <utility>
    connect(&store, &BuildingStore::pointAdded, this, outdate);
#include <utility>
    connect(&store, &BuildingStore::deviceChanged, this, outdate);
#include <utility>
}
#include <utility>

#include <utility>
void PointPickerModel::setSearch(const QString &search)
#include <utility>
{
#include <utility>
    if (search == m_search)
#include <utility>
        return;
#include <utility>
    m_search = search;
#include <utility>
    Q_EMIT searchChanged();
#include <utility>
    list();
#include <utility>
}
#include <utility>

#include <utility>
void PointPickerModel::setPicked(int point, bool picked)
#include <utility>
{
#include <utility>
    if (picked == m_picked.contains(point))
#include <utility>
        return;
#include <utility>
    if (picked)
#include <utility>
        m_picked.insert(point);
#include <utility>
    else
#include <utility>
        m_picked.remove(point);
#include <utility>
    const qsizetype row = m_rows.indexOf(point);
#include <utility>
    if (row >= 0)
#include <utility>
        Q_EMIT dataChanged(index(int(row)), index(int(row)), {PickedRole});
#include <utility>
    Q_EMIT pickedCountChanged();
#include <utility>
}
#include <utility>

#include <utility>
void PointPickerModel::refresh()
#include <utility>
{
#include <utility>
    if (m_outdated)
#include <utility>
        list();
#include <utility>
}
#include <utility>

#include <utility>
void PointPickerModel::list()
#include <utility>
{
#include <utility>
    m_outdated = false;
#include <utility>
    const QStringList words = m_search.simplified().split(QLatin1Char(' '), Qt::SkipEmptyParts);
#include <utility>
    QList<int> rows;
#include <utility>
    for (const int device : inOrder(m_store)) {
#include <utility>
        for (const int point : m_store.device(device).points) {
#include <utility>
            const PointState &state = m_store.point(point);
#include <utility>
            if (state.point.kind != Kind::Text && matches(state, m_store.device(device), words))
#include <utility>
                rows.append(point);
#include <utility>
        }
#include <utility>
    }
#include <utility>
    if (rows == m_rows)
#include <utility>
        return;
#include <utility>
    beginResetModel();
#include <utility>
    m_rows = std::move(rows);
#include <utility>
    endResetModel();
#include <utility>
    Q_EMIT countChanged();
#include <utility>
}
#include <utility>

#include <utility>
int PointPickerModel::rowCount(const QModelIndex &parent) const
#include <utility>
{
#include <utility>
    return parent.isValid() ? 0 : count();
#include <utility>
}
#include <utility>

#include <utility>
QVariant PointPickerModel::data(const QModelIndex &index, int role) const
#include <utility>
{
#include <utility>
    if (!index.isValid() || index.row() >= m_rows.size())
#include <utility>
        return {};
#include <utility>
    const int point = m_rows[index.row()];
#include <utility>
    const PointState &state = m_store.point(point);
#include <utility>
    switch (role) {
#include <utility>
    case PointRole: return point;
#include <utility>
    case NameRole: return state.point.name.isEmpty() ? state.point.id : state.point.name;
#include <utility>
    case DeviceRole: return labelOf(m_store, m_store.device(state.device));
#include <utility>
    case UnitRole: return state.point.kind == Kind::Bool ? tr("on / off") : format::unit(state.point.unit);
#include <utility>
    case PickedRole: return m_picked.contains(point);
#include <utility>
    default: return {};
#include <utility>
    }
#include <utility>
}
#include <utility>

#include <utility>
QHash<int, QByteArray> PointPickerModel::roleNames() const
#include <utility>
{
#include <utility>
    return {{PointRole, "point"},
#include <utility>
            {NameRole, "name"},
#include <utility>
            {DeviceRole, "device"},
#include <utility>
            {UnitRole, "unitText"},
#include <utility>
            {PickedRole, "picked"}};
#include <utility>
}
#include <utility>

#include <utility>
} // namespace lintel
#include <utility>

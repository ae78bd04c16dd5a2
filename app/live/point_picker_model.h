// SPDX-License-Identifier: GPL-3.0-only
// The list from which points are picked for the Live page: every point that can be drawn, by
// device, narrowed by a search. Owned by LivePageModel. GUI thread.
#pragma once

#include "feed/building_store.h"
#include "text/display_units.h"

#include <QAbstractListModel>
#include <QSet>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class PointPickerModel : public QAbstractListModel
{
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("The picker belongs to the Live page's model.")
    Q_PROPERTY(QString search READ search WRITE setSearch NOTIFY searchChanged)
    Q_PROPERTY(int count READ count NOTIFY countChanged)
    Q_PROPERTY(int pickedCount READ pickedCount NOTIFY pickedCountChanged)

public:
    enum Role { PointRole = Qt::UserRole + 1, NameRole, DeviceRole, UnitRole, PickedRole };

    PointPickerModel(const BuildingStore &store, const DisplayUnits &units, QObject *parent = nullptr);

    [[nodiscard]] QString search() const { return m_search; }
    void setSearch(const QString &search);
    [[nodiscard]] int count() const { return int(m_rows.size()); }
    [[nodiscard]] int pickedCount() const { return int(m_picked.size()); }

    void setPicked(int point, bool picked);
    [[nodiscard]] bool isPicked(int point) const { return m_picked.contains(point); }
    /// Lists anew if points came or changed since the last time.
    void refresh();

    [[nodiscard]] int rowCount(const QModelIndex &parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex &index, int role) const override;
    [[nodiscard]] QHash<int, QByteArray> roleNames() const override;

Q_SIGNALS:
    void searchChanged();
    void countChanged();
    void pickedCountChanged();

private:
    void list();
    void onUnitsChanged();

    const BuildingStore &m_store;
    const DisplayUnits &m_units;
    QString m_search;
    QList<int> m_rows;
    QSet<int> m_picked;
    bool m_outdated = true;
};

} // namespace lintel

// SPDX-License-Identifier: GPL-3.0-only
// The points of the one device that is selected on the Devices page. Owned by AppModel, which
// calls flush() every 250 ms and refresh() once a second. GUI thread.
#pragma once

#include "feed/building_store.h"
#include "text/display_units.h"

#include <QAbstractListModel>
#include <QPointF>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class DeviceDetailModel : public QAbstractListModel
{
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("Made in main.cpp.")
    /// Index of the device in the store; -1 = none.
    Q_PROPERTY(int device READ device WRITE setDevice NOTIFY deviceChanged)
    Q_PROPERTY(QString name READ name NOTIFY refreshed)
    Q_PROPERTY(QString place READ place NOTIFY refreshed)
    Q_PROPERTY(QString stateText READ stateText NOTIFY refreshed)
    /// Why it is in that state, in a sentence; may be empty.
    Q_PROPERTY(QString reason READ reason NOTIFY refreshed)
    Q_PROPERTY(int priority READ priority NOTIFY refreshed)
    /// [{label, text}]: site, address, since when, buffer.
    Q_PROPERTY(QVariantList facts READ facts NOTIFY refreshed)
    Q_PROPERTY(int count READ count NOTIFY countChanged)

public:
    enum Role {
        PointRole = Qt::UserRole + 1,
        NameRole,
        IdRole,
        ValueRole,
        UnitRole,
        AgeRole,
        MutedRole,
        PriorityRole,
        TrendRole,
        ChartableRole,
        AccessibleRole
    };

    DeviceDetailModel(const BuildingStore &store, const DisplayUnits &units, QObject *parent = nullptr);

    [[nodiscard]] int device() const { return m_device; }
    void setDevice(int device);
    [[nodiscard]] QString name() const;
    [[nodiscard]] QString place() const;
    [[nodiscard]] QString stateText() const;
    [[nodiscard]] QString reason() const;
    [[nodiscard]] int priority() const;
    [[nodiscard]] QVariantList facts() const;
    [[nodiscard]] int count() const { return int(m_points.size()); }

    void flush();
    void refresh();

    [[nodiscard]] int rowCount(const QModelIndex &parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex &index, int role) const override;
    [[nodiscard]] QHash<int, QByteArray> roleNames() const override;

Q_SIGNALS:
    void deviceChanged();
    void countChanged();
    void refreshed();
    void historyWanted(int point, lintel::Timestamp from, lintel::Timestamp to);

private:
    void list();
    void wantHistory();
    [[nodiscard]] bool isSet() const { return m_device >= 0 && m_device < m_store.deviceCount(); }
    [[nodiscard]] QVariantList trustFacts(const BuildingTrust &trust, Timestamp now) const;
    [[nodiscard]] QString recordedRange() const;
    /// The last quarter of an hour in fractions, for Sparkline; a hole is a point without number.
    [[nodiscard]] QList<QPointF> trend(const PointState &state) const;

    const BuildingStore &m_store;
    const DisplayUnits &m_units;
    int m_device = -1;
    QList<int> m_points;
    bool m_dirty = false;
};

} // namespace lintel

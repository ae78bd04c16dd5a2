// SPDX-License-Identifier: GPL-3.0-only
// The list of devices, one row each, with state and first values. Owned by AppModel. GUI thread.
//
// Changes are collected: flush(), called every 250 ms, emits at most one dataChanged from the first
// to the last changed row, whatever came in between. refresh(), called once a second, lets ages and
// staleness follow the time.
#pragma once

#include "feed/building_store.h"
#include "shell/page_state.h"
#include "text/display_units.h"

#include <QAbstractListModel>
#include <QSet>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class DeviceListModel : public QAbstractListModel
{
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("Made in main.cpp.")
    Q_PROPERTY(lintel::PageState::State state READ state NOTIFY refreshed)
    Q_PROPERTY(QString heading READ heading NOTIFY refreshed)
    Q_PROPERTY(QString sentence READ sentence NOTIFY refreshed)
    Q_PROPERTY(QString search READ search WRITE setSearch NOTIFY filterChanged)
    Q_PROPERTY(bool attentionOnly READ attentionOnly WRITE setAttentionOnly NOTIFY filterChanged)
    Q_PROPERTY(int total READ total NOTIFY refreshed)
    Q_PROPERTY(int attention READ attention NOTIFY refreshed)
    /// The highest priority among them; 1 is highest, 0 = none.
    Q_PROPERTY(int attentionPriority READ attentionPriority NOTIFY refreshed)
    Q_PROPERTY(int count READ count NOTIFY countChanged)
    /// "9 devices, all reporting" or "9 devices, 1 silent".
    Q_PROPERTY(QString summary READ summary NOTIFY refreshed)

public:
    enum Role {
        DeviceRole = Qt::UserRole + 1, // index in the store
        NameRole,
        PlaceRole,
        StateTextRole,
        ReasonRole,   // why, in a sentence; empty where the state says all
        PriorityRole, // 0 = nothing abnormal, 1 … 3
        ValuesRole,   // [{name, value, unit, muted}], at most three
        AgeRole,
        MutedRole,
        AccessibleRole,
    };

    DeviceListModel(const BuildingStore &store, const DisplayUnits &units, QObject *parent = nullptr);

    [[nodiscard]] PageState::State state() const;
    [[nodiscard]] QString heading() const;
    [[nodiscard]] QString sentence() const;
    [[nodiscard]] QString search() const { return m_search; }
    void setSearch(const QString &search);
    [[nodiscard]] bool attentionOnly() const { return m_attentionOnly; }
    void setAttentionOnly(bool only);
    [[nodiscard]] int total() const { return m_store.deviceCount(); }
    [[nodiscard]] int attention() const { return m_attention; }
    [[nodiscard]] int attentionPriority() const { return m_attentionPriority; }
    [[nodiscard]] int count() const { return int(m_rows.size()); }
    [[nodiscard]] QString summary() const;

    void flush();
    void refresh();
    /// Row of a device, or -1 when the filter hides it.
    Q_INVOKABLE int rowOf(int device) const;
    Q_INVOKABLE int deviceAt(int row) const;

    [[nodiscard]] int rowCount(const QModelIndex &parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex &index, int role) const override;
    [[nodiscard]] QHash<int, QByteArray> roleNames() const override;

Q_SIGNALS:
    void refreshed();
    void filterChanged();
    void countChanged();

private:
    void list();
    void markDirty(int device);
    void countAttention();
    [[nodiscard]] bool matches(int device, const QStringList &words) const;
    [[nodiscard]] QVariantList values(const DeviceState &device) const;

    const BuildingStore &m_store;
    const DisplayUnits &m_units;
    QList<int> m_rows;        // row → device
    QList<int> m_rowOfDevice; // device → row or -1
    QString m_search;
    bool m_attentionOnly = false;
    bool m_outdated = true;
    int m_attention = 0;
    int m_attentionPriority = 0;
    int m_firstDirty = -1;
    int m_lastDirty = -1;
};

} // namespace lintel

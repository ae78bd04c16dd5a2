// SPDX-License-Identifier: GPL-3.0-only
// What the whole window binds to: one model for each page, and the two timers that keep them in
// step with time. Made in main.cpp (or by a test, which calls refresh() itself). GUI thread.
#pragma once

#include "connection/connection_model.h"
#include "devices/device_detail_model.h"
#include "devices/device_list_model.h"
#include "live/live_page_model.h"
#include "text/display_units.h"
#include "trust/trust_page_model.h"

#include <QTimer>
#include <QtQml/qqmlregistration.h>

namespace lintel {

class AppModel : public QObject
{
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("Made in main.cpp.")
    Q_PROPERTY(lintel::ConnectionModel *connection READ connection CONSTANT)
    Q_PROPERTY(lintel::LivePageModel *live READ live CONSTANT)
    Q_PROPERTY(lintel::DeviceListModel *devices READ devices CONSTANT)
    Q_PROPERTY(lintel::DeviceDetailModel *detail READ detail CONSTANT)
    Q_PROPERTY(lintel::TrustPageModel *trust READ trust CONSTANT)
    Q_PROPERTY(lintel::DisplayUnits *units READ units CONSTANT)

public:
    /// `place` is what the console looks at, for people: "building-1"; empty = ask the devices.
    AppModel(BuildingStore &store, const QString &place, QObject *parent = nullptr);

    [[nodiscard]] ConnectionModel *connection() { return &m_connection; }
    [[nodiscard]] LivePageModel *live() { return &m_live; }
    [[nodiscard]] DeviceListModel *devices() { return &m_devices; }
    [[nodiscard]] DeviceDetailModel *detail() { return &m_detail; }
    [[nodiscard]] TrustPageModel *trust() { return &m_trust; }
    [[nodiscard]] DisplayUnits *units() { return &m_units; }

    /// Lets the models follow time by themselves: changes every 250 ms, ages every second.
    void run();
    void refresh();

private:
    DisplayUnits m_units; // before those who ask it
    ConnectionModel m_connection;
    LivePageModel m_live;
    DeviceListModel m_devices;
    DeviceDetailModel m_detail;
    TrustPageModel m_trust;
    QTimer m_flush;
    QTimer m_refresh;
};

} // namespace lintel

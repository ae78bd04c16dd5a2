// SPDX-License-Identifier: GPL-3.0-only
#include "shell/app_model.h"

namespace lintel {

AppModel::AppModel(BuildingStore &store, const QString &place, QObject *parent)
    : QObject(parent), m_connection(store, place), m_live(store, m_units), m_devices(store, m_units),
      m_detail(store, m_units), m_trust(store)
{
    m_flush.setInterval(250);
    m_refresh.setInterval(1'000);
    connect(&m_flush, &QTimer::timeout, this, [this] {
        m_devices.flush();
        m_detail.flush();
    });
    connect(&m_refresh, &QTimer::timeout, this, &AppModel::refresh);
}

void AppModel::run()
{
    m_flush.start();
    m_refresh.start();
    refresh();
}

void AppModel::refresh()
{
    m_connection.refresh();
    m_devices.refresh();
    if (m_detail.device() < 0)
        m_detail.setDevice(m_devices.deviceAt(0));
    m_detail.refresh();
    m_live.refresh();
    m_trust.refresh();
}

} // namespace lintel

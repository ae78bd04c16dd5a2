// The backend's configuration file, one typed struct. Values only.
#pragma once

#include "adapters/yaml/common_config.h"

#include <QStringList>

namespace lintel {

struct BackendConfig {
    CommonConfig common;
    MqttConfig mqtt;
    BrokerFilesConfig broker; // the cloud's broker, when it stands beside this backend
    // host
    QString hostId = QStringLiteral("lintel-cloud");
    QStringList groups;    // sites; empty = all
    Millis nodeSilence{0}; // see sparkplug::HostConfig::silence
    // historian
    QString database;    // a file; its folder is made
    Millis maxAge{0};    // older readings go; 0 = none
    qint64 maxBytes = 0; // the oldest readings go when the database uses more; 0 = no limit
};

/// What a backend answers, for agent.capabilities.
[[nodiscard]] QStringList callsOfBackend();

/// The whole file; Malformed lists everything that is wrong with it, a line each.
[[nodiscard]] Result<BackendConfig> readBackendConfig(const QString &path);

} // namespace lintel

// The gateway's configuration file, one typed struct. See resources/config/gateway.yaml.
// Values only.
#pragma once

#include "adapters/yaml/common_config.h"

#include <QStringList>

namespace lintel {

/// Section workload_api: identities for other programs on this host. Empty socket: not served.
struct WorkloadApiConfig {
    QString socket;
    uint mode = 0777; // who may ask; what anybody is given is decided by the authority's entries
    QString group;
};

struct GatewayConfig {
    CommonConfig common;

    // building: the side of the sensors
    MqttConfig buildingBroker;
    QString hostId;
    QStringList groups;    // sites whose sensors are ours
    Millis nodeSilence{0}; // see sparkplug::HostConfig::silence
    // cloud: the uplink
    MqttConfig cloudBroker;
    QString primaryHost = QStringLiteral("lintel-cloud");
    QString group; // the site we report as
    QString node;
    Millis syncInterval{300'000};
    int window = 256;    // batches in flight
    bool aliases = true; // off: every metric by its name
    Millis ackTimeout{5'000};
    BrokerFilesConfig broker; // the building's broker, when it stands beside this gateway
    WorkloadApiConfig workloadApi;
    // storage
    QString directory;
    qint64 spoolBytes = 256LL * 1024 * 1024;
    qint64 historyBytes = 512LL * 1024 * 1024;
    std::chrono::hours historyAge{24 * 31};

    [[nodiscard]] QString spoolFile() const { return directory + QStringLiteral("/spool.db"); }
    [[nodiscard]] QString stateFile() const { return directory + QStringLiteral("/state.db"); }
};

/// What a gateway answers, for agent.capabilities.
[[nodiscard]] QStringList callsOfGateway();

/// The whole file; Malformed lists everything that is wrong with it, a line each.
[[nodiscard]] Result<GatewayConfig> readGatewayConfig(const QString &path);

} // namespace lintel

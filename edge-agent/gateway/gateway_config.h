// The gateway's configuration file, one typed struct. See resources/config/gateway.yaml.
// Values only.
#pragma once

#include "process/process_config.h"

#include <QStringList>

namespace lintel {

struct GatewayConfig {
    AgentConfig agent;
    IdentityConfig identity;

    // building: the side of the sensors
    BrokerConfig buildingBroker;
    QString hostId;
    QStringList groups;          // sites whose sensors are ours
    // cloud: the uplink
    BrokerConfig cloudBroker;
    QString primaryHost = QStringLiteral("lintel-cloud");
    QString group;               // the site we report as
    QString node;
    Millis syncInterval{300'000};
    int window = 256;            // batches in flight
    Millis ackTimeout{5'000};
    // storage
    QString directory;
    qint64 spoolBytes = 256LL * 1024 * 1024;
    qint64 historyBytes = 512LL * 1024 * 1024;
    std::chrono::hours historyAge{24 * 31};
    // observability.logging is read by the log adapter

    [[nodiscard]] QString spoolFile() const { return directory + QStringLiteral("/spool.db"); }
    [[nodiscard]] QString stateFile() const { return directory + QStringLiteral("/state.db"); }
};

/// Reads the sections that are the gateway's; the caller reads observability and calls finish().
[[nodiscard]] GatewayConfig readGatewayConfig(config::Section &root);

} // namespace lintel

// Sections of a configuration file that gateway and backend have in common.
// Values only; see adapters/yaml/config_reader.h.
#pragma once

#include "adapters/yaml/config_reader.h"
#include "domain/principal.h"

namespace lintel {

/// agent: name, trust_domain, description, capabilities (the last two are for people).
struct AgentConfig {
    QString name;
    TrustDomain trustDomain;

    /// spiffe://<trust_domain>/agent/<name>
    [[nodiscard]] SpiffeId spiffeId() const;
};

/// identity: provider (files), directory.
struct IdentityConfig {
    QString directory;
};

/// host, port, id: a broker, and who it must prove to be.
struct BrokerConfig {
    QString host = QStringLiteral("127.0.0.1");
    quint16 port = 8883;
    SpiffeId id;
    std::chrono::seconds keepAlive{30};
};

[[nodiscard]] AgentConfig readAgent(config::Section section);
[[nodiscard]] IdentityConfig readIdentity(config::Section section);
[[nodiscard]] BrokerConfig readBroker(config::Section section);

} // namespace lintel

// The sections that every Lintel process has: agent, identity, authorization, transport, server,
// observability, and mqtt and spool, which agents share. One struct and one reading function each;
// defaults are the structs' own. docs/configuration.md describes every key.
//
// Values only. Reading: see adapters/yaml/config_reader.h.
#pragma once

#include "adapters/yaml/config_reader.h"

#include <QString>
#include <QStringList>

#include <optional>

namespace lintel {

struct CapabilityConfig {
    QString name;
    QString description;

    friend bool operator==(const CapabilityConfig &, const CapabilityConfig &) = default;
};

/// Section agent.
struct AgentConfig {
    QString name; // Sparkplug edge node and last segment of the SPIFFE ID
    TrustDomain trustDomain;
    SpiffeId spiffeId; // default spiffe://<trust_domain>/agent/<name>
    QString description;
    QList<CapabilityConfig> capabilities; // empty = everything that the process offers

    /// The names of the capabilities.
    [[nodiscard]] QStringList calls() const;
};

/// Section identity.
struct IdentityConfig {
    enum class Provider {
        Files,    // SVID, key and bundles in a directory
        Spiffe,   // SPIFFE Workload API
        Embedded, // attests to the authority by itself
    };
    /// How an embedded identity proves which device this is.
    enum class Attestor { LintelTpm, Tpm, JoinToken };
    Provider provider = Provider::Files;
    QString directory; // files
    // embedded
    QString authority;    // host:port
    SpiffeId authorityId; // default spiffe://<trust_domain>/spire/server
    Attestor attestor = Attestor::LintelTpm;
    QString tpm = QStringLiteral("device:/dev/tpmrm0"); // TCTI
    QString stateDir;                                   // default /var/lib/lintel/<name>/identity
    QString bootstrapBundle;                            // file: whom to believe the first time
    QString joinTokenFile;
    double renewAt = 0.5; // of the SVID's life
    // spiffe
    QString spiffeEndpoint; // unix:///run/lintel/agent.sock; empty: SPIFFE_ENDPOINT_SOCKET
    bool lightweight = false;
    int svidCacheSize = 1;
    std::chrono::seconds bundleRefreshInterval{3'600};
};

/// Section authorization.
struct AuthorizationConfig {
    enum class Provider {
        None, // whoever the broker's topic table lets through may call
        Opa,  // a policy decides on each call
    };
    Provider provider = Provider::None;
    QString opaEndpoint;
    std::chrono::seconds policyCacheTtl{300};
};

/// Section transport.
struct TransportConfig {
    bool connectionReuse = true;
    std::chrono::seconds keepaliveInterval{30};
};

/// Section server.
struct ServerConfig {
    QString host = QStringLiteral("127.0.0.1");
    quint16 port = 8443;
    int maxConnections = 5;
    std::chrono::seconds requestTimeout{30};
};

/// Section observability.
struct ObservabilityConfig {
    enum class Level { Debug, Info, Warning, Error, Critical };
    enum class Destination { Stderr, Syslog, Journald };
    bool metricsEnabled = false;
    Level level = Level::Info;
    Destination destination = Destination::Stderr;
};

struct CommonConfig {
    AgentConfig agent;
    IdentityConfig identity;
    AuthorizationConfig authorization;
    TransportConfig transport;
    ServerConfig server;
    ObservabilityConfig observability;
};

/// One broker connection: section mqtt of a sensor; a gateway has two such sections.
struct MqttConfig {
    QString host = QStringLiteral("localhost");
    quint16 port = 8883;
    SpiffeId brokerId;                  // whom to expect at the other end
    std::chrono::seconds keepAlive{30}; // default: transport.keepalive_interval
    /// The longest wait between two attempts to connect. Sensors are many at one broker, so theirs is long.
    std::chrono::seconds reconnectMax{30};
};

/// Of a gateway or a backend: few at one broker, and a person waits for what they bring.
inline constexpr std::chrono::seconds kReconnectMaxOfHosts{10};

/// Section spool.
struct SpoolConfig {
    QString path; // a file; its folder must exist and be writable
    qint64 maxBytes = 64 * 1024 * 1024;
    quint64 maxBatches = 1'000'000;
};

/// Section broker: the files of the broker beside this agent, which keeps them. Empty directory: there
/// is none.
struct BrokerFilesConfig {
    QString directory; // bundles/, deny-lists/, broker.pem
    QString status;    // what the broker's plugin writes; default <directory>/status.json
    SpiffeId id;       // default spiffe://<trust_domain>/broker
    double renewAt = 0.5;

    [[nodiscard]] QString bundlesDir() const { return directory + QStringLiteral("/bundles"); }
    [[nodiscard]] QString denyListsDir() const { return directory + QStringLiteral("/deny-lists"); }
    [[nodiscard]] QString identityFile() const { return directory + QStringLiteral("/broker.pem"); }
};

[[nodiscard]] AgentConfig readAgent(config::Section section);
/// `agent` gives the defaults; a program that only reads an identity from files has none.
[[nodiscard]] IdentityConfig readIdentity(config::Section section, const AgentConfig &agent = {});
[[nodiscard]] AuthorizationConfig readAuthorization(config::Section section);
[[nodiscard]] TransportConfig readTransport(config::Section section);
[[nodiscard]] ServerConfig readServer(config::Section section);
[[nodiscard]] ObservabilityConfig readObservability(config::Section section);
/// `keepAlive` is what stands in section transport, `defaultBroker` whom to expect when the file
/// names nobody. Without `reconnectMax`, its default, there is no key reconnect_max.
[[nodiscard]] MqttConfig readMqtt(config::Section section, std::chrono::seconds keepAlive,
                                  const SpiffeId &defaultBroker, std::optional<std::chrono::seconds> reconnectMax = {});
[[nodiscard]] SpoolConfig readSpool(config::Section section, const QString &defaultPath);
[[nodiscard]] BrokerFilesConfig readBrokerFiles(config::Section section, const CommonConfig &common);

/// The six sections that every process has, from the root of its file.
[[nodiscard]] CommonConfig readCommon(config::Section &root);

/// Complains of each capability that `program` ("a gateway") does not offer.
void checkCapabilities(config::Section &root, const AgentConfig &agent, QStringView program,
                       const QStringList &offered);

/// A broker's identity by convention: spiffe://<trust domain>/broker.
[[nodiscard]] SpiffeId brokerOf(const TrustDomain &domain);

} // namespace lintel

#include "adapters/yaml/common_config.h"

#include "domain/topic.h"
#include "domain/workload_endpoint.h"

namespace lintel {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using config::Section;

namespace {

constexpr Millis day = 24h;
constexpr qint64 mebibyte = 1024 * 1024;

SpiffeId idOf(const TrustDomain &domain, const QString &path)
{
    const auto id = SpiffeId::parse(u"spiffe://%1%2"_s.arg(domain.name(), path));
    return id ? *id : SpiffeId{};
}

CapabilityConfig readCapability(Section section)
{
    CapabilityConfig capability;
    section.require({u"name"});
    section.text(u"name", capability.name);
    section.text(u"description", capability.description);
    return capability;
}

bool isHostAndPort(const QString &address)
{
    const qsizetype colon = address.lastIndexOf(u':');
    bool isNumber = false;
    const uint port = address.mid(colon + 1).toUInt(&isNumber);
    return colon > 0 && isNumber && port > 0 && port <= 65'535;
}

/// The ways to a TPM that Lintel is tried with; the name before the colon is a library's.
bool isTcti(const QString &text)
{
    const QString name = text.section(u':', 0, 0);
    return name == "device"_L1 || name == "swtpm"_L1 || name == "mssim"_L1 || name == "tabrmd"_L1;
}

void readEmbedded(Section &section, const AgentConfig &agent, IdentityConfig &identity)
{
    using Attestor = IdentityConfig::Attestor;
    identity.authorityId = agent.trustDomain.isEmpty() ? SpiffeId() : idOf(agent.trustDomain, u"/spire/server"_s);
    if (!agent.name.isEmpty())
        identity.stateDir = u"/var/lib/lintel/%1/identity"_s.arg(agent.name);
    section.text(u"authority", identity.authority);
    section.check(u"authority", isHostAndPort(identity.authority), u"host:port, such as authority.local:8081"_s);
    section.spiffeId(u"authority_id", identity.authorityId);
    section.check(u"authority_id", identity.authorityId.isMemberOf(agent.trustDomain),
                  u"an ID in the trust domain %1"_s.arg(agent.trustDomain.name()));
    section.choice<Attestor>(
        u"attestor", identity.attestor,
        {{u"lintel_tpm", Attestor::LintelTpm}, {u"tpm", Attestor::Tpm}, {u"join_token", Attestor::JoinToken}});
    section.text(u"tpm", identity.tpm);
    section.check(u"tpm", isTcti(identity.tpm), u"device:/dev/tpmrm0, or swtpm:path=/run/tpm.sock"_s);
    section.text(u"state_dir", identity.stateDir);
    section.text(u"bootstrap_bundle", identity.bootstrapBundle);
    section.text(u"join_token_file", identity.joinTokenFile);
    section.number(u"renew_at", identity.renewAt, 0.2, 0.8);
}

/// What a provider cannot do without.
void requireOfProvider(Section &section, const IdentityConfig &identity)
{
    using Provider = IdentityConfig::Provider;
    if (section.isPresent() && identity.provider == Provider::Files && identity.directory.isEmpty())
        section.complain(
            u"directory",
            u"this must be given with provider \"files\": the folder with the SVID, its key and the bundles."_s);
    if (identity.provider != Provider::Embedded)
        return;
    if (identity.authority.isEmpty() && !section.has(u"authority"))
        section.complain(u"authority", u"this must be given with provider \"embedded\": host:port of the authority."_s);
    if (identity.bootstrapBundle.isEmpty() && !section.has(u"bootstrap_bundle"))
        section.complain(
            u"bootstrap_bundle",
            u"this must be given with provider \"embedded\": the file with the authority's trust bundle."_s);
    if (identity.attestor == IdentityConfig::Attestor::JoinToken && identity.joinTokenFile.isEmpty()
        && !section.has(u"join_token_file"))
        section.complain(u"join_token_file",
                         u"this must be given with attestor \"join_token\": the file with the token."_s);
}

} // namespace

QStringList AgentConfig::calls() const
{
    QStringList names;
    for (const CapabilityConfig &one : capabilities)
        names.append(one.name);
    return names;
}

AgentConfig readAgent(Section section)
{
    AgentConfig agent;
    section.require({u"name", u"trust_domain"});
    section.text(u"name", agent.name);
    if (!agent.name.isEmpty()) {
        if (const auto valid = validateSparkplugId(agent.name); !valid)
            section.complain(u"name", valid.error().message);
    }
    section.trustDomain(u"trust_domain", agent.trustDomain);
    section.text(u"description", agent.description);
    section.spiffeId(u"spiffe_id", agent.spiffeId);
    const bool isForeign = !agent.spiffeId.isEmpty() && !agent.spiffeId.isMemberOf(agent.trustDomain);
    section.check(u"spiffe_id", !isForeign, u"an ID in the trust domain %1"_s.arg(agent.trustDomain.name()));
    if (agent.spiffeId.isEmpty() && !agent.trustDomain.isEmpty() && !agent.name.isEmpty()) {
        agent.spiffeId = idOf(agent.trustDomain, u"/agent/"_s + agent.name);
        if (agent.spiffeId.isEmpty())
            section.complain(
                u"name",
                u"\"%1\" cannot stand in a SPIFFE ID; use letters, digits, '.', '-' and '_', or give agent.spiffe_id."_s
                    .arg(agent.name.left(64)));
    }
    for (Section &one : section.sections(u"capabilities"))
        agent.capabilities.append(readCapability(std::move(one)));
    return agent;
}

IdentityConfig readIdentity(Section section, const AgentConfig &agent)
{
    using Provider = IdentityConfig::Provider;
    IdentityConfig identity;
    section.choice<Provider>(
        u"provider", identity.provider,
        {{u"files", Provider::Files}, {u"spiffe", Provider::Spiffe}, {u"embedded", Provider::Embedded}});
    section.text(u"directory", identity.directory);
    readEmbedded(section, agent, identity);
    section.text(u"spiffe_endpoint", identity.spiffeEndpoint);
    section.check(u"spiffe_endpoint", bool(WorkloadEndpoint::parse(identity.spiffeEndpoint)),
                  u"unix:///path/of/socket or tcp://address:port"_s);
    section.flag(u"lightweight", identity.lightweight);
    section.integer(u"svid_cache_size", identity.svidCacheSize, 1, 1'000);
    section.duration(u"bundle_refresh_interval", identity.bundleRefreshInterval, 1s, 7 * day);
    requireOfProvider(section, identity);
    return identity;
}

AuthorizationConfig readAuthorization(Section section)
{
    using Provider = AuthorizationConfig::Provider;
    AuthorizationConfig authorization;
    section.choice<Provider>(u"provider", authorization.provider, {{u"none", Provider::None}, {u"opa", Provider::Opa}});
    section.text(u"opa_endpoint", authorization.opaEndpoint);
    const QString &endpoint = authorization.opaEndpoint;
    section.check(u"opa_endpoint", endpoint.startsWith("http://"_L1) || endpoint.startsWith("https://"_L1),
                  u"an address such as http://127.0.0.1:8181"_s);
    section.duration(u"policy_cache_ttl", authorization.policyCacheTtl, 0s, day);
    return authorization;
}

TransportConfig readTransport(Section section)
{
    TransportConfig transport;
    int tls13 = 13;
    section.choice<int>(u"tls_min_version", tls13, {{u"1.3", 13}}); // the only one there is
    section.flag(u"connection_reuse", transport.connectionReuse);
    section.duration(u"keepalive_interval", transport.keepaliveInterval, 1s, 1h);
    return transport;
}

ServerConfig readServer(Section section)
{
    ServerConfig server;
    section.text(u"host", server.host);
    section.integer(u"port", server.port, 0, 65'535);
    section.integer(u"max_connections", server.maxConnections, 1, 10'000);
    section.duration(u"request_timeout", server.requestTimeout, 1s, 10min);
    return server;
}

ObservabilityConfig readObservability(Section section)
{
    using Level = ObservabilityConfig::Level;
    using Destination = ObservabilityConfig::Destination;
    ObservabilityConfig observability;
    section.section(u"metrics").flag(u"enabled", observability.metricsEnabled);
    Section logging = section.section(u"logging");
    logging.choice<Level>(u"level", observability.level,
                          {{u"DEBUG", Level::Debug},
                           {u"INFO", Level::Info},
                           {u"WARNING", Level::Warning},
                           {u"ERROR", Level::Error},
                           {u"CRITICAL", Level::Critical}});
    logging.choice<Destination>(
        u"destination", observability.destination,
        {{u"stderr", Destination::Stderr}, {u"syslog", Destination::Syslog}, {u"journald", Destination::Journald}});
    return observability;
}

MqttConfig readMqtt(Section section, std::chrono::seconds keepAlive, const SpiffeId &defaultBroker,
                    std::optional<std::chrono::seconds> reconnectMax)
{
    MqttConfig mqtt;
    mqtt.keepAlive = keepAlive;
    mqtt.brokerId = defaultBroker;
    section.text(u"host", mqtt.host);
    section.integer(u"port", mqtt.port, 1, 65'535);
    section.spiffeId(u"broker_id", mqtt.brokerId);
    section.duration(u"keep_alive", mqtt.keepAlive, 1s, 1h);
    if (reconnectMax) {
        mqtt.reconnectMax = *reconnectMax;
        section.duration(u"reconnect_max", mqtt.reconnectMax, 1s, 1h);
    }
    return mqtt;
}

SpoolConfig readSpool(Section section, const QString &defaultPath)
{
    SpoolConfig spool;
    spool.path = defaultPath;
    section.text(u"path", spool.path);
    section.size(u"max_bytes", spool.maxBytes, mebibyte, 1024 * 1024 * mebibyte);
    section.integer(u"max_batches", spool.maxBatches, 100, 1'000'000'000);
    return spool;
}

BrokerFilesConfig readBrokerFiles(Section section, const CommonConfig &common)
{
    BrokerFilesConfig broker;
    broker.id = brokerOf(common.agent.trustDomain);
    if (section.isPresent())
        section.require({u"directory"});
    section.text(u"directory", broker.directory);
    if (!broker.directory.isEmpty())
        broker.status = broker.directory + u"/status.json"_s;
    section.text(u"status", broker.status);
    section.spiffeId(u"id", broker.id);
    section.check(u"id", broker.id.isMemberOf(common.agent.trustDomain),
                  u"an ID in the trust domain %1"_s.arg(common.agent.trustDomain.name()));
    section.number(u"renew_at", broker.renewAt, 0.2, 0.8);
    if (section.isPresent() && common.identity.provider != IdentityConfig::Provider::Embedded)
        section.complain(u"directory", u"a broker's files are kept with identity.provider \"embedded\" only; "
                                       "remove this section, or correct identity.provider."_s);
    return broker;
}

CommonConfig readCommon(Section &root)
{
    root.require({u"agent"});
    CommonConfig common;
    common.agent = readAgent(root.section(u"agent"));
    common.identity = readIdentity(root.section(u"identity"), common.agent);
    common.authorization = readAuthorization(root.section(u"authorization"));
    common.transport = readTransport(root.section(u"transport"));
    common.server = readServer(root.section(u"server"));
    common.observability = readObservability(root.section(u"observability"));
    return common;
}

void checkCapabilities(Section &root, const AgentConfig &agent, QStringView program, const QStringList &offered)
{
    for (const CapabilityConfig &one : agent.capabilities) {
        if (!one.name.isEmpty() && !offered.contains(one.name))
            root.complain(u"agent", u"%1 does not offer the capability \"%2\"; it offers %3."_s.arg(
                                        program, one.name, offered.join(u", "_s)));
    }
}

SpiffeId brokerOf(const TrustDomain &domain)
{
    return idOf(domain, u"/broker"_s);
}

} // namespace lintel

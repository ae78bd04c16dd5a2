#include "gateway/gateway_config.h"

#include "domain/topic.h"

namespace lintel {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr qsizetype kLongestSocketPath = 108; // sun_path of sockaddr_un

void checkId(config::Section &section, QStringView key, const QString &id)
{
    if (id.isEmpty())
        return;
    const auto valid = validateSparkplugId(id);
    if (!valid)
        section.complain(key, valid.error().message);
}

void readBuilding(config::Section section, GatewayConfig &config)
{
    section.require({u"broker", u"host_id", u"groups"});
    config.buildingBroker = readMqtt(section.section(u"broker"), config.common.transport.keepaliveInterval,
                                     brokerOf(config.common.agent.trustDomain), kReconnectMaxOfHosts);
    section.text(u"host_id", config.hostId);
    checkId(section, u"host_id", config.hostId);
    section.texts(u"groups", config.groups);
    for (const QString &group : std::as_const(config.groups))
        checkId(section, u"groups", group);
    section.duration(u"node_silence", config.nodeSilence, 1s, 24h * 7);
}

void readCloud(config::Section section, GatewayConfig &config)
{
    section.require({u"broker"});
    config.cloudBroker = readMqtt(section.section(u"broker"), config.common.transport.keepaliveInterval, SpiffeId{},
                                  kReconnectMaxOfHosts);
    if (section.isPresent() && config.cloudBroker.brokerId.isEmpty())
        section.complain(u"broker", u"broker_id must be given: the SPIFFE ID that the cloud's broker must prove"_s);
    section.text(u"primary_host", config.primaryHost);
    checkId(section, u"primary_host", config.primaryHost);
    config.group = config.groups.value(0);
    config.node = config.common.agent.name;
    section.text(u"group", config.group);
    checkId(section, u"group", config.group);
    section.text(u"node", config.node);
    checkId(section, u"node", config.node);
    section.duration(u"sync_interval", config.syncInterval, 5s, 24h);
    section.integer(u"window", config.window, 1, 10'000);
    section.flag(u"aliases", config.aliases);
    section.duration(u"ack_timeout", config.ackTimeout, 500ms, 10min);
}

void readStorage(config::Section section, GatewayConfig &config)
{
    constexpr qint64 kMiB = 1024 * 1024;
    section.require({u"directory"});
    section.text(u"directory", config.directory);
    section.size(u"spool_size", config.spoolBytes, kMiB, 1024 * 1024 * kMiB);
    section.size(u"history_size", config.historyBytes, kMiB, 1024 * 1024 * kMiB);
    section.duration(u"history_age", config.historyAge, 1h, 24h * 3660);
}

WorkloadApiConfig readWorkloadApi(config::Section section, const CommonConfig &common)
{
    WorkloadApiConfig api;
    if (!section.isPresent())
        return api;
    api.socket = u"/run/lintel-workload/agent.sock"_s;
    section.text(u"socket", api.socket);
    section.check(u"socket", api.socket.startsWith(u'/') && api.socket.toLocal8Bit().size() < kLongestSocketPath,
                  u"an absolute path of at most %1 bytes"_s.arg(kLongestSocketPath - 1));
    section.choice<uint>(u"mode", api.mode, {{u"0777", 0777}, {u"0770", 0770}, {u"0660", 0660}, {u"0600", 0600}});
    section.text(u"group", api.group);
    if (common.identity.provider != IdentityConfig::Provider::Embedded)
        section.complain(u"", u"it needs identity.provider embedded: only an agent of the authority can serve its "
                              "entries"_s);
    return api;
}

} // namespace

QStringList callsOfGateway()
{
    return {u"aggregate_sensors"_s, u"last_values"_s,  u"list_devices"_s, u"read_births"_s, u"status"_s,
            u"sync_to_cloud"_s,     u"query_history"_s};
}

Result<GatewayConfig> readGatewayConfig(const QString &path)
{
    const auto document = config::readConfigFile(path);
    if (!document)
        return document.error();
    config::Problems problems;
    config::Section root(*document, problems);
    root.require({u"identity", u"building", u"cloud", u"storage"});
    GatewayConfig config;
    config.common = readCommon(root);
    checkCapabilities(root, config.common.agent, u"a gateway", callsOfGateway());
    readBuilding(root.section(u"building"), config);
    readCloud(root.section(u"cloud"), config);
    readStorage(root.section(u"storage"), config);
    config.broker = readBrokerFiles(root.section(u"broker"), config.common);
    config.workloadApi = readWorkloadApi(root.section(u"workload_api"), config.common);
    root.finish();
    if (!problems.isEmpty())
        return problems.error();
    return config;
}

} // namespace lintel

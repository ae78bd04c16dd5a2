#include "backend_config.h"

#include "domain/topic.h"

namespace lintel {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

void readHost(config::Section section, BackendConfig &config)
{
    section.text(u"host_id", config.hostId);
    if (const auto valid = validateSparkplugId(config.hostId); !valid)
        section.complain(u"host_id", valid.error().message);
    section.texts(u"groups", config.groups);
    section.duration(u"node_silence", config.nodeSilence, 1s, 24h * 7);
}

void readHistorian(config::Section section, BackendConfig &config)
{
    section.require({u"database"});
    section.text(u"database", config.database);
    section.duration(u"max_age", config.maxAge, 1h, 24h * 36'600);
    constexpr qint64 kMiB = 1024 * 1024;
    section.size(u"max_size", config.maxBytes, 16 * kMiB, 1024 * 1024 * 1024 * kMiB);
}

} // namespace

QStringList callsOfBackend()
{
    return {u"query_history"_s, u"last_values"_s, u"list_devices"_s, u"list_gaps"_s, u"read_births"_s, u"status"_s};
}

Result<BackendConfig> readBackendConfig(const QString &path)
{
    const auto document = config::readConfigFile(path);
    if (!document)
        return document.error();
    config::Problems problems;
    config::Section root(*document, problems);
    root.require({u"identity", u"mqtt", u"historian"});
    BackendConfig config;
    config.common = readCommon(root);
    config.mqtt = readMqtt(root.section(u"mqtt"), config.common.transport.keepaliveInterval,
                           brokerOf(config.common.agent.trustDomain), kReconnectMaxOfHosts);
    checkCapabilities(root, config.common.agent, u"a backend", callsOfBackend());
    config.broker = readBrokerFiles(root.section(u"broker"), config.common);
    readHost(root.section(u"host"), config);
    readHistorian(root.section(u"historian"), config);
    root.finish();
    if (!problems.isEmpty())
        return problems.error();
    return config;
}

} // namespace lintel

#include "sensor/sensor_config.h"

#include "domain/topic.h"

#include <QFileInfo>

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using config::Section;

namespace {

SparkplugConfig readSparkplug(Section section, const AgentConfig &agent)
{
    SparkplugConfig sparkplug;
    sparkplug.group = agent.trustDomain.name().section(u'.', 0, 0);
    section.text(u"group", sparkplug.group);
    section.text(u"host_id", sparkplug.hostId);
    section.integer(u"window", sparkplug.window, 1, 10'000);
    section.flag(u"aliases", sparkplug.aliases);
    for (const auto &[key, id] : {std::pair{u"group", sparkplug.group}, std::pair{u"host_id", sparkplug.hostId}}) {
        const auto valid = validateSparkplugId(id);
        if (!valid && !id.isEmpty())
            section.complain(key, valid.error().message);
    }
    return sparkplug;
}

PointRule readRule(Section section)
{
    PointRule rule;
    section.number(u"deadband", rule.deadband, 0, 1e12);
    section.duration(u"heartbeat", rule.heartbeat, 1s, 24h);
    return rule;
}

void readSampling(Section section, SensorSettings &settings)
{
    section.duration(u"period", settings.period, 100ms, 24h);
    section.flag(u"report_by_exception", settings.reports.byException);
    section.duration(u"heartbeat", settings.reports.heartbeat, 1s, 24h);
    section.duration(u"send_every", settings.sendEvery, 0ms, 1h);
    section.duration(u"drain_time", settings.drainTime, 0ms, 5min);
    section.integer(u"memory_batches", settings.memoryBatches, 64, 100'000);
    for (auto &[id, one] : section.named(u"points"))
        settings.reports.points.insert(id, readRule(std::move(one)));
}

/// Names in sampling.points must be points of the driver, where the file lists them.
void checkPointNames(Section &root, const DriverConfig &driver, const ReportRules &reports)
{
    QStringList known;
    if (const auto *replay = std::get_if<ReplayConfig>(&driver.driver)) {
        for (const ColumnMap::Column &column : replay->map.columns)
            known.append(column.point.id);
    } else if (const auto *sysfs = std::get_if<SysfsConfig>(&driver.driver)) {
        for (const SysfsChannel &channel : sysfs->channels)
            known.append(channel.point.id);
    }
    for (auto it = reports.points.begin(); it != reports.points.end() && !known.isEmpty(); ++it) {
        if (!known.contains(it.key()))
            root.complain(u"sampling",
                          u"there is no point \"%1\"; the driver has %2."_s.arg(it.key(), known.join(u", "_s)));
    }
}

QStringList callsOfSensor()
{
    return {capability::kReadSensors.toString(), capability::kSyncBuffered.toString(), capability::kStatus.toString()};
}

} // namespace

Result<SensorConfig> sensorConfigFrom(const config::Document &document)
{
    config::Problems problems;
    Section root(document, problems);
    SensorConfig config;
    config.common = readCommon(root);
    const AgentConfig &agent = config.common.agent;
    config.mqtt = readMqtt(root.section(u"mqtt"), config.common.transport.keepaliveInterval,
                           brokerOf(agent.trustDomain), MqttConfig{}.reconnectMax);
    config.sparkplug = readSparkplug(root.section(u"sparkplug"), agent);
    config.spool = readSpool(root.section(u"spool"), u"/var/lib/lintel/%1/spool.db"_s.arg(agent.name));
    config.stateFile = QFileInfo(config.spool.path).path() + u"/state.db"_s;
    const Location location = readLocation(root.section(u"location"), config.sparkplug.group);
    config.driver = readDriver(root.section(u"driver"), location, problems);
    readSampling(root.section(u"sampling"), config.settings);
    checkPointNames(root, config.driver, config.settings.reports);

    config.settings.device = agent.name;
    config.settings.reports.period = config.settings.period;
    if (std::holds_alternative<ReplayConfig>(config.driver.driver))
        config.settings.sendEvery = Millis{0}; // recordings go by their own pace
    checkCapabilities(root, agent, u"a sensor", callsOfSensor());
    config.settings.capabilities = agent.calls();
    config.settings.callsNeedPolicy = config.common.authorization.provider == AuthorizationConfig::Provider::Opa;
    root.finish();
    if (!problems.isEmpty())
        return problems.error();
    return config;
}

Result<SensorConfig> readSensorConfig(const QString &path)
{
    const auto document = config::readConfigFile(path);
    if (!document)
        return document.error();
    return sensorConfigFrom(*document);
}

} // namespace lintel

// Chooses the adapters of a sensor and runs it. Exit codes: adapters/process/service_main.h.

#include "adapters/log/log.h"
#include "adapters/mqtt/paho_transport.h"
#include "adapters/process/service_main.h"
#include "adapters/process/small_memory.h"
#include "adapters/process/stop_signals.h"
#include "adapters/sqlite/sqlite_spool.h"
#include "adapters/sqlite/sqlite_state_store.h"
#include "adapters/tls/file_identity_source.h"
#include "drivers/driver_factory.h"
#include "ports/system_clock.h"
#include "sensor/sensor_agent.h"
#include "sensor/sensor_config.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QLoggingCategory>
#include <QMetaEnum>
#include <QTimer>

namespace {

using namespace lintel;
using namespace Qt::StringLiterals;

Q_LOGGING_CATEGORY(lcSensor, "lintel.sensor")

const service::Program program{u"lintel-sensor"_s, QStringLiteral(LINTEL_VERSION),
                               u"Measures, stores, and forwards to its gateway."_s, false};

void logNotices(const SensorConfig &config)
{
    if (config.common.observability.metricsEnabled)
        qCWarning(lcSensor).noquote()
            << u"observability.metrics is enabled, but a sensor serves no metrics; ask with the call \"status\""_s;
    if (config.settings.callsNeedPolicy)
        qCWarning(lcSensor).noquote()
            << u"authorization.provider is opa: capability calls are refused, because this sensor has no policy decider"_s;
    if (std::holds_alternative<SimulatedConfig>(config.driver.driver))
        qCWarning(lcSensor).noquote() << u"the driver is simulated: the readings belong to no real building"_s;
}

sparkplug::EdgeNodeConfig sessionConfig(const SensorConfig &config)
{
    sparkplug::EdgeNodeConfig session;
    session.group = config.sparkplug.group;
    session.node = config.common.agent.name;
    session.self = Principal(config.common.agent.spiffeId);
    session.primaryHost = config.sparkplug.hostId;
    session.keepAlive = config.mqtt.keepAlive;
    session.window = config.sparkplug.window;
    session.useAliases = config.sparkplug.aliases;
    return session;
}

/// What a person wants to read of a connection's life.
void logConnection(const PahoTransport &transport, const MqttConfig &mqtt, QObject *context)
{
    const QString broker = u"%1:%2"_s.arg(mqtt.host).arg(mqtt.port);
    QObject::connect(&transport, &MqttTransport::connected, context,
                     [broker] { qCInfo(lcSensor).noquote() << u"connected"_s << log::field(u"broker", broker); });
    QObject::connect(&transport, &MqttTransport::disconnected, context, [broker](const Error &reason) {
        qCWarning(lcSensor).noquote() << u"disconnected; readings stay in the spool: %1"_s.arg(reason.message)
                                      << log::field(u"broker", broker);
    });
    QObject::connect(&transport, &MqttTransport::connectFailed, context, [broker](const Error &reason) {
        qCWarning(lcSensor).noquote() << u"no connection; readings stay in the spool: %1"_s.arg(reason.message)
                                      << log::field(u"broker", broker);
    });
}

int fail(const Error &error)
{
    qCCritical(lcSensor).noquote() << error.message;
    log::uninstall();
    return service::kCannotRun;
}

int run(const SensorConfig &config)
{
    if (const auto usable = service::checkIdentity(config.common); !usable)
        return fail(usable.error());
    tls::FileIdentitySource identity(config.common.identity.directory);
    if (const auto self = service::checkIsSelf(identity, config.common.agent.spiffeId); !self)
        return fail(self.error());
    if (const auto current = identity.current(); !current)
        qCWarning(lcSensor).noquote() << u"no identity yet, so readings stay in the spool: %1"_s.arg(
            current.error().message);
    QObject::connect(&identity, &tls::FileIdentitySource::problemFound, &identity,
                     [](const Error &problem) { qCWarning(lcSensor).noquote() << problem.message; });

    const QString folder = QFileInfo(config.spool.path).absolutePath();
    if (!QDir().mkpath(folder))
        return fail(
            Error{Errc::Io,
                  u"The folder %1 for the spool cannot be made; correct spool.path or its permissions."_s.arg(folder)});
    const SystemClock clock;
    auto spool = SqliteSpool::open(
        {config.spool.path, config.settings.device, {config.spool.maxBytes, config.spool.maxBatches}, {}}, clock);
    if (!spool)
        return fail(spool.error());
    auto state = SqliteStateStore::open(config.stateFile, clock);
    if (!state)
        return fail(state.error());
    auto driver = makeDriver(config.driver, clock, **state);
    if (!driver)
        return fail(driver.error());

    MqttEndpoint endpoint;
    endpoint.host = config.mqtt.host;
    endpoint.port = config.mqtt.port;
    endpoint.broker = config.mqtt.brokerId;
    PahoTransport transport(endpoint, identity);
    sparkplug::EdgeNodeSession session(sessionConfig(config), clock, transport, **spool, **state);
    CallServer calls(Principal(config.common.agent.spiffeId), clock, transport);
    SensorAgent agent(config.settings, **driver, clock, **spool, session, calls);
    StopSignals signals;

    logConnection(transport, config.mqtt, &agent);
    QObject::connect(&identity, &IdentitySource::svidChanged, &session, &sparkplug::EdgeNodeSession::reconnect);
    QObject::connect(
        &session, &sparkplug::EdgeNodeSession::phaseChanged, &agent, [](sparkplug::EdgeNodeSession::Phase phase) {
            const char *name = QMetaEnum::fromType<sparkplug::EdgeNodeSession::Phase>().valueToKey(int(phase));
            qCInfo(lcSensor).noquote() << u"session"_s << log::field(u"phase", QString::fromLatin1(name));
        });
    int exitCode = service::kStopped;
    QObject::connect(&agent, &SensorAgent::trouble, &agent,
                     [&](const Error &what) {
                         qCWarning(lcSensor).noquote() << what.message;
                         if (!(*spool)->isDamaged() || exitCode != service::kStopped)
                             return;
                         qCCritical(lcSensor).noquote()
                             << u"the spool's file is damaged; stopping, so that the next start sets it aside"_s
                             << log::field(u"spool", config.spool.path);
                         exitCode = service::kCannotRun;
                         // Later, because trouble comes from inside the agent; twice, because there is nothing to wait for.
                         QTimer::singleShot(0, &agent, [&agent] {
                             agent.stop();
                             agent.stop();
                         });
                     });
    QObject::connect(&agent, &SensorAgent::playbackFinished, &agent, [](quint64 rows) {
        qCInfo(lcSensor).noquote() << u"the recording is over and stored; this sensor goes on sending what waits"_s
                                   << log::field(u"rows", qint64(rows));
    });
    QObject::connect(&signals, &StopSignals::stopRequested, &agent, &SensorAgent::stop);
    QObject::connect(&agent, &SensorAgent::stopped, &agent, [] { QCoreApplication::quit(); });

    logNotices(config);
    if (const auto started = agent.start(); !started)
        return fail(started.error());
    qCInfo(lcSensor).noquote() << u"started: %1"_s.arg((*driver)->info().description)
                               << log::field(u"version", program.version)
                               << log::field(u"id", config.common.agent.spiffeId.toString())
                               << log::field(u"spool", config.spool.path);
    process::returnIdleMemory(&agent);
    const int code = QCoreApplication::exec();
    qCInfo(lcSensor).noquote() << u"stopped"_s
                               << log::field(u"unsent_readings", qint64((*spool)->status().pendingReadings));
    log::uninstall();
    return code != service::kStopped ? code : exitCode;
}

} // namespace

int main(int argc, char *argv[])
{
    process::keepMemorySmall();
    QCoreApplication app(argc, argv);
    service::CommandLine line;
    if (const auto code = service::parseCommandLine(program, QCoreApplication::arguments(), line))
        return *code;
    auto config = readSensorConfig(line.config);
    if (!config) {
        service::complain(program, config.error());
        return service::kBadConfig;
    }
    if (line.check)
        return service::kStopped;
    config->settings.version = program.version;
    service::startLogging(program, config->common.observability);
    return run(*config);
}

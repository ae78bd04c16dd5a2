// Chooses the adapters of a sensor and runs it. Exit codes: adapters/process/service_main.h.

#include "adapters/log/log.h"
#include "adapters/mqtt/paho_transport.h"
#include "adapters/process/identity_report.h"
#include "adapters/process/service_run.h"
#include "adapters/process/small_memory.h"
#include "adapters/sqlite/sqlite_spool.h"
#include "adapters/sqlite/sqlite_state_store.h"
#include "drivers/driver_factory.h"
#include "ports/system_clock.h"
#include "sensor/late_storage.h"
#include "sensor/sensor_agent.h"
#include "sensor/sensor_config.h"

#include <QCoreApplication>
#include <QLoggingCategory>
#include <QMetaEnum>
#include <QTimer>

namespace {

using namespace lintel;
using namespace Qt::StringLiterals;

Q_LOGGING_CATEGORY(lcSensor, "lintel.sensor")

constexpr std::chrono::seconds kReopenEvery{1};

const service::Program program{u"lintel-sensor"_s, QStringLiteral(LINTEL_VERSION),
                               u"Measures, stores, and forwards to its gateway."_s, lcSensor};

void logNotices(const SensorConfig &config)
{
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
    session.sendEvery = config.settings.sendEvery;
    return session;
}

/// What a person wants to read of a connection's life.
void logConnection(const PahoTransport &transport, const MqttConfig &mqtt, QObject *context)
{
    const QString broker = u"%1:%2"_s.arg(mqtt.host).arg(mqtt.port);
    const auto told = std::make_shared<QString>(); // why attempts fail; said again when it is another reason
    QObject::connect(&transport, &MqttTransport::connected, context, [broker, told] {
        told->clear();
        qCInfo(lcSensor).noquote() << u"connected"_s << log::field(u"broker", broker);
    });
    QObject::connect(&transport, &MqttTransport::disconnected, context, [broker](const Error &reason) {
        qCWarning(lcSensor).noquote() << u"disconnected; readings stay in the spool: %1"_s.arg(reason.message)
                                      << log::field(u"broker", broker);
    });
    QObject::connect(&transport, &MqttTransport::connectFailed, context, [broker, told](const Error &reason) {
        if (std::exchange(*told, reason.message) == reason.message)
            return;
        qCWarning(lcSensor).noquote() << u"no connection; readings stay in the spool: %1"_s.arg(reason.message)
                                      << log::field(u"broker", broker);
    });
}

Result<OpenStorage> openStorage(const SensorConfig &config, const Clock &clock, const SqliteSpool *&opened)
{
    auto state = SqliteStateStore::open(config.stateFile, clock);
    if (!state)
        return state.error();
    auto spool = SqliteSpool::open(
        {config.spool.path, config.settings.device, {config.spool.maxBytes, config.spool.maxBatches}, {}}, clock);
    if (!spool)
        return spool.error();
    opened = spool->get();
    return OpenStorage{*std::move(spool), *std::move(state)};
}

/// What a start refuses, though the file is right.
QList<Result<void>> check(const SensorConfig &config)
{
    return {checkDriver(config.driver), service::checkIdentity(config.common)};
}

Result<int> run(const SensorConfig &config)
{
    if (const auto usable = checkDriver(config.driver); !usable)
        return usable.error();
    const auto identity = service::openIdentity(program, config.common, u"readings stay in the spool"_s);
    if (!identity)
        return identity.error();

    const SystemClock clock;
    const SqliteSpool *opened = nullptr; // for what only it can tell
    LateStorage storage([&] { return openStorage(config, clock, opened); });
    if (const auto open = storage.tryOpen(); !open) {
        if (open.error().code != Errc::Full)
            return open.error();
        qCWarning(lcSensor).noquote()
            << u"readings wait in memory, nothing is sent, and none of it is known after an end of this process, until the spool can be opened: %1"_s
                   .arg(open.error().message);
    }
    auto driver = makeDriver(config.driver, clock, storage.state());
    if (!driver)
        return driver.error();

    PahoTransport transport(service::endpointOf(config.mqtt), **identity);
    sparkplug::EdgeNodeSession session(sessionConfig(config), clock, transport, storage.spool(), storage.state());
    CallServer calls(Principal(config.common.agent.spiffeId), clock, transport);
    SensorAgent agent(config.settings, **driver, clock, storage.spool(), session, calls);
    agent.setIdentityReport([&source = **identity] { return service::identityReport(source); });
    service::ServiceRun life(program, agent, service::ServiceRun::SecondSignal::StopAgain);

    logConnection(transport, config.mqtt, &agent);
    QObject::connect(identity->get(), &IdentitySource::svidChanged, &session, &sparkplug::EdgeNodeSession::reconnect);
    QObject::connect(
        &session, &sparkplug::EdgeNodeSession::phaseChanged, &agent, [](sparkplug::EdgeNodeSession::Phase phase) {
            const char *name = QMetaEnum::fromType<sparkplug::EdgeNodeSession::Phase>().valueToKey(int(phase));
            qCInfo(lcSensor).noquote() << u"session"_s << log::field(u"phase", QString::fromLatin1(name));
        });
    QObject::connect(&agent, &SensorAgent::trouble, &life, [&] {
        if (!opened || !opened->isDamaged())
            return;
        // Later, because trouble comes from inside the agent; twice, because there is nothing to wait for.
        life.stopForDamage(config.spool.path, [&agent] {
            QTimer::singleShot(0, &agent, [&agent] {
                agent.stop();
                agent.stop();
            });
        });
    });
    QObject::connect(&agent, &SensorAgent::playbackFinished, &agent, [](quint64 rows) {
        qCInfo(lcSensor).noquote() << u"the recording is over and stored; this sensor goes on sending what waits"_s
                                   << log::field(u"rows", qint64(rows));
    });

    QTimer reopening; // a recording waits for the spool, and appends nothing that would try
    QObject::connect(&reopening, &QTimer::timeout, &agent, [&] {
        if (!storage.tryOpen())
            return;
        qCInfo(lcSensor).noquote() << u"there is room again; the spool is open"_s;
        reopening.stop();
    });
    if (!storage.isOpen())
        reopening.start(kReopenEvery);

    logNotices(config);
    if (const auto started = agent.start(); !started)
        return started.error();
    qCInfo(lcSensor).noquote() << u"started: %1"_s.arg((*driver)->info().description)
                               << log::field(u"version", program.version)
                               << log::field(u"id", config.common.agent.spiffeId.toString())
                               << log::field(u"spool", config.spool.path);
    // An attestation runs much that nothing else does.
    QObject::connect(identity->get(), &IdentitySource::svidChanged, &agent, process::returnIdleMemory(&agent));
    const int exitCode = life.exec();
    qCInfo(lcSensor).noquote() << u"stopped"_s
                               << log::field(u"unsent_readings", qint64(storage.spool().status().pendingReadings));
    return exitCode;
}

} // namespace

int main(int argc, char *argv[])
{
    process::keepMemorySmall();
    QCoreApplication app(argc, argv);
    const auto read = [](const service::CommandLine &line) {
        auto config = readSensorConfig(line.config);
        if (config)
            config->settings.version = program.version;
        return config;
    };
    return service::runProgram(program, read, run, check);
}

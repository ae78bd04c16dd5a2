// lintel-gateway: chooses the adapters and puts the gateway together.
#include "adapters/sqlite/sqlite_history.h"
#include "adapters/sqlite/sqlite_spool.h"
#include "adapters/sqlite/sqlite_state_store.h"
#include "gateway/gateway_config.h"
#include "gateway/gateway_service.h"
#include "mqtt/paho_transport.h"
#include "ports/system_clock.h"
#include "process/service_main.h"
#include "process/small_memory.h"
#include "process/stop_signals.h"
#include "tls/file_identity_source.h"

#include <QCoreApplication>
#include <QDir>
#include <QLoggingCategory>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

Q_LOGGING_CATEGORY(lcGateway, "lintel.gateway", QtInfoMsg)

namespace {

const service::Program kProgram{u"lintel-gateway"_s, QStringLiteral(LINTEL_VERSION),
                                u"Host of a building's sensors, and their way to the cloud."_s, false};

constexpr int kRestartForDamage = 1;

struct Storage {
    std::unique_ptr<SqliteHistory> history; // before the spool, which writes into it
    std::unique_ptr<SqliteSpool> spool;
    std::unique_ptr<SqliteStateStore> state;
};

Result<Storage> openStorage(const GatewayConfig &config, const Clock &clock)
{
    if (!QDir().mkpath(config.directory))
        return Error{Errc::Io,
                     u"The folder \"%1\" (storage.directory) cannot be made; check its path and permissions."_s.arg(
                         config.directory)};
    Storage storage;
    HistoryLimits history;
    history.maxAge = config.historyAge;
    history.maxRows = quint64(config.historyBytes / HistoryLimits::kBytesPerRow);
    storage.history = std::make_unique<SqliteHistory>(history, clock);
    SqliteSpoolOptions options{config.spoolFile(), config.node, {}, {}};
    options.limits.maxBytes = config.spoolBytes;
    auto spool = SqliteSpool::open(options, clock, storage.history.get());
    if (!spool)
        return spool.error();
    storage.spool = *std::move(spool);
    auto state = SqliteStateStore::open(config.stateFile(), clock);
    if (!state)
        return state.error();
    storage.state = *std::move(state);
    return storage;
}

sparkplug::HostConfig hostConfig(const GatewayConfig &config, const Principal &self)
{
    sparkplug::HostConfig host;
    host.hostId = config.hostId;
    host.self = self;
    host.groups = config.groups;
    host.keepAlive = config.buildingBroker.keepAlive;
    host.silence = config.nodeSilence;
    return host;
}

sparkplug::EdgeNodeConfig uplinkConfig(const GatewayConfig &config, const Principal &self)
{
    sparkplug::EdgeNodeConfig uplink;
    uplink.group = config.group;
    uplink.node = config.node;
    uplink.self = self;
    uplink.primaryHost = config.primaryHost;
    uplink.keepAlive = config.cloudBroker.keepAlive;
    uplink.window = config.window;
    uplink.useAliases = config.aliases;
    uplink.ackTimeout = config.ackTimeout;
    return uplink;
}

MqttEndpoint endpointOf(const MqttConfig &config)
{
    MqttEndpoint endpoint;
    endpoint.host = config.host;
    endpoint.port = config.port;
    endpoint.broker = config.brokerId;
    return endpoint;
}

void logConnection(const MqttTransport &transport, const QString &where)
{
    QObject::connect(&transport, &MqttTransport::connected, &transport,
                     [where] { qCInfo(lcGateway).noquote() << u"connected to the %1 broker"_s.arg(where); });
    QObject::connect(&transport, &MqttTransport::disconnected, &transport, [where, &transport](const Error &reason) {
        if (transport.state() != MqttTransport::State::Stopped)
            qCWarning(lcGateway).noquote() << u"the %1 broker is gone: %2"_s.arg(where, reason.message);
    });
    QObject::connect(&transport, &MqttTransport::connectFailed, &transport, [where](const Error &reason) {
        qCWarning(lcGateway).noquote() << u"the %1 broker cannot be reached: %2"_s.arg(where, reason.message);
    });
}

int run(const GatewayConfig &config)
{
    for (const auto &usable : {service::checkIdentity(config.common), service::checkAuthorization(config.common)}) {
        if (!usable) {
            service::complain(kProgram, usable.error());
            return service::kCannotRun;
        }
    }
    tls::FileIdentitySource identity(config.common.identity.directory);
    if (const auto isSelf = service::checkIsSelf(identity, config.common.agent.spiffeId); !isSelf) {
        service::complain(kProgram, isSelf.error());
        return service::kCannotRun;
    }
    const SystemClock clock;
    auto storage = openStorage(config, clock);
    if (!storage) {
        service::complain(kProgram, storage.error());
        return service::kCannotRun;
    }
    if (!isPlausible(clock.now()))
        qCWarning(lcGateway).noquote()
            << u"the clock was never set (%1); late and live readings cannot be told apart until it is."_s.arg(
                   toIso8601(clock.now()));

    QObject::connect(&identity, &tls::FileIdentitySource::problemFound, &identity,
                     [](const Error &problem) { qCWarning(lcGateway).noquote() << problem.message; });
    if (const auto current = identity.current(); !current)
        qCWarning(lcGateway).noquote() << u"no identity yet, so no connection: %1"_s.arg(current.error().message);

    const Principal self(config.common.agent.spiffeId);
    PahoTransport building(endpointOf(config.buildingBroker), identity);
    PahoTransport cloud(endpointOf(config.cloudBroker), identity);
    logConnection(building, u"building's"_s);
    logConnection(cloud, u"cloud's"_s);

    sparkplug::HostSession host(hostConfig(config, self), clock, building);
    sparkplug::EdgeNodeSession uplink(uplinkConfig(config, self), clock, cloud, *storage->spool, *storage->state);
    QObject::connect(&identity, &IdentitySource::svidChanged, &host, [&] {
        host.reconnect();
        uplink.reconnect();
    });

    DeviceTable devices(*storage->state, clock);
    if (const auto restored = devices.restore(); !restored)
        qCWarning(lcGateway).noquote() << restored.error().message;
    if (const auto last = storage->history->lastValues()) {
        for (const SqliteHistory::DeviceReading &known : *last)
            devices.restoreLast(known.device, known.reading);
    } else {
        qCWarning(lcGateway).noquote() << last.error().message;
    }

    GatewayLimits limits;
    limits.syncInterval = config.syncInterval;
    GatewayService gateway(host, uplink, *storage->spool, devices, clock, limits);
    gateway.setHistory(
        [&history = *storage->history](const QString &device, const QString &point, Timestamp from, Timestamp to,
                                       int limit) { return history.query(device, point, from, to, limit); },
        [&history = *storage->history](const QString &device, const QString &point, Timestamp from, Timestamp to,
                                       std::chrono::seconds length) {
            return history.buckets(device, point, from, to, length);
        });
    CallServer buildingCalls(self, clock, building);
    CallServer cloudCalls(self, clock, cloud);
    gateway.serve(buildingCalls);
    gateway.serve(cloudCalls);

    int exitCode = service::kStopped;
    QObject::connect(&gateway, &GatewayService::trouble, &gateway, [&](const Error &what) {
        qCWarning(lcGateway).noquote() << what.message;
        if (storage->spool->isDamaged() && exitCode == service::kStopped) {
            qCCritical(lcGateway).noquote()
                << u"the spool's file is damaged; stopping, so that the next start sets it aside."_s;
            exitCode = kRestartForDamage;
            gateway.stop();
        }
    });
    QObject::connect(&gateway, &GatewayService::notice, &gateway,
                     [](const QString &what) { qCInfo(lcGateway).noquote() << what; });
    QObject::connect(&gateway, &GatewayService::stopped, qApp, &QCoreApplication::quit);
    StopSignals stopSignals;
    QObject::connect(&stopSignals, &StopSignals::stopRequested, &gateway, [&gateway](bool again) {
        qCInfo(lcGateway).noquote() << u"stopping"_s;
        if (again)
            QCoreApplication::exit(service::kStopped);
        else
            gateway.stop();
    });
    QTimer prune;
    QObject::connect(&prune, &QTimer::timeout, &gateway, [&history = *storage->history] {
        if (const auto pruned = history.prune(); !pruned)
            qCWarning(lcGateway).noquote() << pruned.error().message;
    });
    prune.start(1h);

    qCInfo(lcGateway).noquote() << u"%1 %2 starts as %3"_s.arg(kProgram.name, kProgram.version,
                                                               config.common.agent.spiffeId.toString());
    gateway.start();
    process::returnIdleMemory(&gateway);
    const int code = QCoreApplication::exec();
    return code != 0 ? code : exitCode;
}

} // namespace

int main(int argc, char **argv)
{
    process::keepMemorySmall();
    QCoreApplication application(argc, argv);
    service::CommandLine line;
    if (const auto finished = service::parseCommandLine(kProgram, QCoreApplication::arguments(), line))
        return *finished;
    const auto config = readGatewayConfig(line.config);
    if (!config) {
        service::complain(kProgram, config.error());
        return service::kBadConfig;
    }
    if (line.check)
        return service::kStopped;
    service::startLogging(kProgram, config->common.observability);
    return run(*config);
}

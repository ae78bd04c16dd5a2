// lintel-gateway: chooses the adapters and puts the gateway together.
#include "adapters/sqlite/sqlite_history.h"
#include "adapters/sqlite/sqlite_spool.h"
#include "adapters/sqlite/sqlite_state_store.h"
#include "broker-plugin/broker_status.h"
#include "gateway/gateway_config.h"
#include "gateway/gateway_service.h"
#include "gateway/history_pruning.h"
#include "mqtt/paho_transport.h"
#include "ports/system_clock.h"
#include "process/broker_trust.h"
#include "process/identity_report.h"
#include "process/service_run.h"
#include "process/small_memory.h"
#include "tls/identity_files.h"
#include "workload-api/workload_service.h"

#include <QCborArray>
#include <QCoreApplication>
#include <QDir>
#include <QLoggingCategory>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

Q_LOGGING_CATEGORY(lcGateway, "lintel.gateway", QtInfoMsg)

const service::Program kProgram{u"lintel-gateway"_s, QStringLiteral(LINTEL_VERSION),
                                u"Host of a building's sensors, and their way to the cloud."_s, lcGateway};

struct Storage {
    std::unique_ptr<SqliteHistory> history; // before the spool, which writes into it
    std::unique_ptr<SqliteSpool> spool;
    std::unique_ptr<SqliteStateStore> state;
};

/// {name: {connected, expires, last_accepted, role}}: what the broker saw of the certificates of this site's
/// agents. Why one of them has none it tells itself, in its own "status".
QCborMap agentIdentities(const QString &statusFile, const TrustDomain &domain)
{
    QCborMap identities;
    const auto bytes = tls::readWholeFile(statusFile);
    const auto status = bytes ? broker::parseStatus(*bytes) : Result<broker::BrokerStatus>(bytes.error());
    if (!status)
        return identities;
    for (auto it = status->principals.cbegin(); it != status->principals.cend(); ++it) {
        const auto id = SpiffeId::parse(it.key());
        if (!id || !id->isMemberOf(domain) || !id->path().startsWith("/agent/"_L1))
            continue;
        QCborMap facts{{"connected"_L1, it->connected}, {"role"_L1, it->role}};
        if (it->expiresAt > Timestamp{})
            facts.insert("expires"_L1, toIso8601(it->expiresAt));
        if (it->lastAccepted)
            facts.insert("last_accepted"_L1, toIso8601(*it->lastAccepted));
        identities.insert(id->path().section(u'/', -1), facts);
    }
    return identities;
}

/// [{who, proved, from, cause, sentence, first, last, count}]: whom the broker refused, last first.
QCborArray refusedCertificates(const QString &statusFile)
{
    QCborArray refused;
    const auto bytes = tls::readWholeFile(statusFile);
    const auto status = bytes ? broker::parseStatus(*bytes) : Result<broker::BrokerStatus>(bytes.error());
    if (!status)
        return refused;
    for (const broker::RefusedClient &one : status->refusals) {
        refused.append(QCborMap{{"who"_L1, one.who},
                                {"proved"_L1, one.isProved},
                                {"from"_L1, one.from},
                                {"cause"_L1, nameOf(one.cause)},
                                {"sentence"_L1, one.why},
                                {"first"_L1, toIso8601(one.firstAt)},
                                {"last"_L1, toIso8601(one.lastAt)},
                                {"count"_L1, qint64(one.count)}});
    }
    return refused;
}

/// [{device, state, sentence, since}]: this site's agents that the authority has revoked, and why.
QCborArray revokedAgents(const spire::DenyListWatch &denyLists, const TrustDomain &domain)
{
    QCborArray revoked;
    const auto list = denyLists.lists().find(domain);
    if (list == denyLists.lists().end())
        return revoked;
    for (const tls::DenyEntry &entry : list->second.entries) {
        const bool isEnrolledAnew = entry.issuedBefore.has_value();
        if (!entry.id || isEnrolledAnew || !entry.id->path().startsWith("/agent/"_L1))
            continue;
        revoked.append(QCborMap{{"device"_L1, entry.id->path().section(u'/', -1)},
                                {"state"_L1, u"revoked"_s},
                                {"sentence"_L1, entry.reason},
                                {"since"_L1, toIso8601(entry.revokedAt)}});
    }
    return revoked;
}

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

/// What the broker's plugin tells of its clients.
spire::ReadPrincipals principalsIn(const QString &statusFile)
{
    return [statusFile]() -> Result<QMap<QString, spire::BrokerPrincipal>> {
        const auto bytes = tls::readWholeFile(statusFile);
        if (!bytes)
            return bytes.error();
        const auto status = broker::parseStatus(*bytes);
        if (!status)
            return status.error();
        QMap<QString, spire::BrokerPrincipal> principals;
        for (auto it = status->principals.cbegin(); it != status->principals.cend(); ++it)
            principals.insert(it.key(), {it->serial, it->lastAccepted.value_or(Timestamp{})});
        return principals;
    };
}

/// Null when the configuration has no section workload_api.
Result<std::unique_ptr<workloads::WorkloadService>> openWorkloadApi(const GatewayConfig &config,
                                                                    IdentitySource &identity,
                                                                    const spire::BrokerTrustKeeper *trust,
                                                                    const Clock &clock)
{
    std::unique_ptr<workloads::WorkloadService> service;
    spire::EmbeddedIdentitySource *embedded = service::embeddedIn(identity);
    if (config.workloadApi.socket.isEmpty() || embedded == nullptr)
        return service;
    workloads::WorkloadServiceOptions options;
    options.socket = config.workloadApi.socket;
    options.mode = config.workloadApi.mode;
    options.group = config.workloadApi.group;
    options.authority = config.common.identity.authority;
    options.authorityId = config.common.identity.authorityId;
    options.excluded = {config.common.agent.spiffeId, brokerOf(config.common.agent.trustDomain)};
    if (!config.broker.id.isEmpty())
        options.excluded.insert(config.broker.id);
    service = std::make_unique<workloads::WorkloadService>(std::move(options), *embedded, clock,
                                                           trust ? &trust->denyLists() : nullptr);
    QObject::connect(service.get(), &workloads::WorkloadService::trouble, service.get(),
                     [](const Error &what) { qCWarning(lcGateway).noquote() << what.message; });
    QObject::connect(service.get(), &workloads::WorkloadService::notice, service.get(),
                     [](const QString &what) { qCInfo(lcGateway).noquote() << what; });
    if (const auto started = service->start(); !started)
        return started.error();
    return service;
}

/// What a start refuses, though the file is right.
QList<Result<void>> check(const GatewayConfig &config)
{
    return {service::checkIdentity(config.common), service::checkAuthorization(config.common)};
}

Result<int> run(const GatewayConfig &config)
{
    const auto identity = service::openIdentity(kProgram, config.common, u"no connection"_s);
    if (!identity)
        return identity.error();
    if (const auto usable = service::checkAuthorization(config.common); !usable)
        return usable.error();
    const SystemClock clock;
    auto storage = openStorage(config, clock);
    if (!storage)
        return storage.error();
    if (!isPlausible(clock.now()))
        qCWarning(lcGateway).noquote()
            << u"the clock was never set (%1); set it, for example with timedatectl or NTP: until then late and live "
               "readings cannot be told apart."_s.arg(toIso8601(clock.now()));

    const Principal self(config.common.agent.spiffeId);
    PahoTransport building(service::endpointOf(config.buildingBroker), **identity);
    PahoTransport cloud(service::endpointOf(config.cloudBroker), **identity);
    service::logConnection(kProgram, building, u"the building's broker"_s);
    service::logConnection(kProgram, cloud, u"the cloud's broker"_s);

    sparkplug::HostSession host(hostConfig(config, self), clock, building);
    sparkplug::EdgeNodeSession uplink(uplinkConfig(config, self), clock, cloud, *storage->spool, *storage->state);
    QObject::connect(identity->get(), &IdentitySource::svidChanged, &host, [&] {
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
    for (CallServer *calls : {&buildingCalls, &cloudCalls})
        calls->offerOnly(config.common.agent.calls());
    gateway.serve(buildingCalls);
    gateway.serve(cloudCalls);

    const auto trust = service::openBrokerTrust(kProgram, config.common, config.broker, **identity,
                                                principalsIn(config.broker.status), clock);
    gateway.addReport(u"site"_s, [&config] { return QCborValue(config.group); });
    gateway.addReport(u"identity"_s, [&source = **identity, &trust] {
        return service::identityReport(source, service::credentialsOf(trust.get()));
    });
    if (trust) {
        gateway.addReport(u"broker"_s, [&trust] { return service::brokerTrustReport(*trust); });
        gateway.addReport(u"refused"_s, [&trust, &config] {
            return revokedAgents(trust->denyLists(), config.common.agent.trustDomain);
        });
        gateway.addReport(u"waiting"_s, [&trust] { return service::waitingReport(trust->waitingDevices()); });
    }
    if (!config.broker.status.isEmpty()) {
        gateway.addReport(u"agent_identities"_s,
                          [&config] { return agentIdentities(config.broker.status, config.common.agent.trustDomain); });
        gateway.addReport(u"refused_certificates"_s, [&config] { return refusedCertificates(config.broker.status); });
    }

    gateway.setTrust([&source = **identity, &trust, &clock] {
        const service::TrustSummary summary = service::trustSummary(source, clock, service::credentialsOf(trust.get()));
        sparkplug::TrustState state;
        if (summary.runway) {
            state.runway = std::chrono::duration_cast<std::chrono::seconds>(summary.runway->left);
            state.credential = summary.runway->limitedBy;
        }
        state.clock = summary.clock;
        return state;
    });
    const auto workloadApi = openWorkloadApi(config, **identity, trust.get(), clock);
    if (!workloadApi)
        return workloadApi.error();
    if (workloads::WorkloadService *api = workloadApi->get()) {
        gateway.addReport(u"workload_api"_s, [api] { return api->report(); });
        QObject::connect(&gateway, &GatewayService::stopping, api, [api] { api->close(std::chrono::seconds{1}); });
    }

    service::ServiceRun life(kProgram, gateway);
    QObject::connect(&gateway, &GatewayService::trouble, &life, [&] {
        if (storage->spool->isDamaged())
            life.stopForDamage(config.spoolFile(), [&gateway] { gateway.stop(); });
    });
    HistoryPruning pruning(
        clock, *storage->state, config.historyAge,
        [&history = *storage->history](Timestamp now) { return history.prune(now); },
        [&building, &cloud] {
            return building.state() == MqttTransport::State::Connected
                   || cloud.state() == MqttTransport::State::Connected;
        },
        signedTimeOf(**identity));
    QObject::connect(&pruning, &HistoryPruning::trouble, &gateway, &GatewayService::trouble);
    QObject::connect(&pruning, &HistoryPruning::notice, &gateway, &GatewayService::notice);
    gateway.addReport(u"history_retention"_s, [&pruning] { return pruning.report(); });
    pruning.start();

    service::logStart(kProgram, config.common);
    gateway.start();
    QObject::connect(identity->get(), &IdentitySource::svidChanged, &gateway, process::returnIdleMemory(&gateway));
    return life.exec();
}

} // namespace

int main(int argc, char **argv)
{
    process::keepMemorySmall();
    QCoreApplication application(argc, argv);
    return service::runProgram(
        kProgram, [](const service::CommandLine &line) { return readGatewayConfig(line.config); }, run, check);
}

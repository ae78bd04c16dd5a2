// lintel-backend: chooses the adapters and puts the cloud's services together.
#include "backend_config.h"
#include "calls/call_server.h"
#include "ingestion/backend_calls.h"
#include "ingestion/historian_store.h"
#include "ingestion/ingestion_service.h"
#include "mqtt/paho_transport.h"
#include "ports/system_clock.h"
#include "process/service_main.h"
#include "process/stop_signals.h"
#include "tls/file_identity_source.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QLoggingCategory>

using namespace lintel;
using namespace Qt::StringLiterals;

Q_LOGGING_CATEGORY(lcBackend, "lintel.backend", QtInfoMsg)

namespace {

const service::Program kProgram{u"lintel-backend"_s, QStringLiteral(LINTEL_VERSION),
                                u"The cloud: primary host of the gateways, and the historian."_s, true};

Result<void> checkServices(const QString &names)
{
    const QStringList all = names.isEmpty() ? QStringList{} : names.split(u',');
    for (const QString &name : all) {
        if (name != u"historian" && name != u"all")
            return Error{Errc::Malformed, u"--services: there is no service \"%1\"; there is: historian."_s.arg(name)};
    }
    return {};
}

void logConnection(const MqttTransport &transport)
{
    QObject::connect(&transport, &MqttTransport::connected, &transport,
                     [] { qCInfo(lcBackend).noquote() << u"connected to the broker"_s; });
    QObject::connect(&transport, &MqttTransport::disconnected, &transport, [&transport](const Error &reason) {
        if (transport.state() != MqttTransport::State::Stopped)
            qCWarning(lcBackend).noquote() << u"the broker is gone: %1"_s.arg(reason.message);
    });
    QObject::connect(&transport, &MqttTransport::connectFailed, &transport, [](const Error &reason) {
        qCWarning(lcBackend).noquote() << u"the broker cannot be reached: %1"_s.arg(reason.message);
    });
}

int run(const BackendConfig &config)
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
    const QString folder = QFileInfo(config.database).absolutePath();
    if (!QDir().mkpath(folder)) {
        service::complain(
            kProgram,
            {Errc::Io,
             u"The folder \"%1\" (of historian.database) cannot be made; check its path and permissions."_s.arg(
                 folder)});
        return service::kCannotRun;
    }
    auto opened = historian::Historian::open({config.database}, clock);
    if (!opened) {
        service::complain(kProgram, opened.error());
        return service::kCannotRun;
    }
    historian::Historian &historian = **opened;
    const auto before = historian.counters(clock.now());
    if (!before) {
        service::complain(kProgram, before.error());
        return service::kCannotRun;
    }

    QObject::connect(&identity, &tls::FileIdentitySource::problemFound, &identity,
                     [](const Error &problem) { qCWarning(lcBackend).noquote() << problem.message; });
    if (const auto current = identity.current(); !current)
        qCWarning(lcBackend).noquote() << u"no identity yet, so no connection: %1"_s.arg(current.error().message);

    const Principal self(config.common.agent.spiffeId);
    MqttEndpoint endpoint;
    endpoint.host = config.mqtt.host;
    endpoint.port = config.mqtt.port;
    endpoint.broker = config.mqtt.brokerId;
    PahoTransport transport(endpoint, identity);
    logConnection(transport);
    sparkplug::HostConfig hostConfig;
    hostConfig.hostId = config.hostId;
    hostConfig.self = self;
    hostConfig.groups = config.groups;
    hostConfig.keepAlive = config.mqtt.keepAlive;
    hostConfig.silence = config.nodeSilence;
    sparkplug::HostSession host(hostConfig, clock, transport);
    QObject::connect(&identity, &IdentitySource::svidChanged, &host, &sparkplug::HostSession::reconnect);

    HistorianStore store(historian, clock, *before);
    IngestionService ingestion(host, historian, store, clock);
    CallServer calls(self, clock, transport);
    BackendCalls answers(historian, store, ingestion, host, clock);
    answers.serve(calls);

    QObject::connect(&ingestion, &IngestionService::trouble, &ingestion,
                     [](const Error &what) { qCWarning(lcBackend).noquote() << what.message; });
    QObject::connect(&ingestion, &IngestionService::notice, &ingestion,
                     [](const QString &what) { qCInfo(lcBackend).noquote() << what; });
    QObject::connect(&ingestion, &IngestionService::stopped, qApp, &QCoreApplication::quit);
    StopSignals stopSignals;
    QObject::connect(&stopSignals, &StopSignals::stopRequested, &ingestion, [&ingestion](bool again) {
        qCInfo(lcBackend).noquote() << u"stopping"_s;
        if (again)
            QCoreApplication::exit(service::kStopped);
        else
            ingestion.stop();
    });

    qCInfo(lcBackend).noquote() << u"%1 %2 starts as %3"_s.arg(kProgram.name, kProgram.version,
                                                               config.common.agent.spiffeId.toString());
    ingestion.start();
    return QCoreApplication::exec();
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    service::CommandLine line;
    if (const auto finished = service::parseCommandLine(kProgram, QCoreApplication::arguments(), line))
        return *finished;
    if (const auto services = checkServices(line.services); !services) {
        service::complain(kProgram, services.error());
        return service::kBadConfig;
    }
    const auto config = readBackendConfig(line.config);
    if (!config) {
        service::complain(kProgram, config.error());
        return service::kBadConfig;
    }
    if (line.check)
        return service::kStopped;
    service::startLogging(kProgram, config->common.observability);
    return run(*config);
}

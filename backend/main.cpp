// lintel-backend: chooses the adapters and puts the cloud's services together.
#include "backend_config.h"
#include "broker-plugin/broker_status.h"
#include "calls/call_server.h"
#include "ingestion/backend_calls.h"
#include "ingestion/historian_store.h"
#include "ingestion/ingestion_service.h"
#include "ingestion/retention.h"
#include "mqtt/paho_transport.h"
#include "ports/system_clock.h"
#include "process/broker_trust.h"
#include "process/identity_report.h"
#include "process/service_run.h"
#include "tls/identity_files.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QLoggingCategory>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

Q_LOGGING_CATEGORY(lcBackend, "lintel.backend", QtInfoMsg)

const service::Program kProgram{u"lintel-backend"_s, QStringLiteral(LINTEL_VERSION),
                                u"The cloud: primary host of the gateways, and the historian."_s, lcBackend, true};

Result<void> checkServices(const QString &names)
{
    const QStringList all = names.isEmpty() ? QStringList{} : names.split(u',');
    for (const QString &name : all) {
        if (name != u"historian" && name != u"all")
            return Error{Errc::Malformed, u"--services: there is no service \"%1\"; there is: historian."_s.arg(name)};
    }
    return {};
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

/// What a start refuses, though the file is right.
QList<Result<void>> check(const BackendConfig &config)
{
    return {service::checkIdentity(config.common), service::checkAuthorization(config.common)};
}

Result<int> run(const BackendConfig &config)
{
    const auto identity = service::openIdentity(kProgram, config.common, u"no connection"_s);
    if (!identity)
        return identity.error();
    if (const auto usable = service::checkAuthorization(config.common); !usable)
        return usable.error();
    const SystemClock clock;
    const QString folder = QFileInfo(config.database).absolutePath();
    if (!QDir().mkpath(folder))
        return Error{
            Errc::Io,
            u"The folder \"%1\" (of historian.database) cannot be made; check its path and permissions."_s.arg(folder)};
    auto opened = historian::Historian::open({config.database}, clock);
    if (!opened)
        return opened.error();
    historian::Historian &historian = **opened;

    const Principal self(config.common.agent.spiffeId);
    PahoTransport transport(service::endpointOf(config.mqtt), **identity);
    service::logConnection(kProgram, transport, u"the broker"_s);
    sparkplug::HostConfig hostConfig;
    hostConfig.hostId = config.hostId;
    hostConfig.self = self;
    hostConfig.groups = config.groups;
    hostConfig.keepAlive = config.mqtt.keepAlive;
    hostConfig.silence = config.nodeSilence;
    sparkplug::HostSession host(hostConfig, clock, transport);
    QObject::connect(identity->get(), &IdentitySource::svidChanged, &host, &sparkplug::HostSession::reconnect);

    HistorianStore store(historian, clock);
    IngestionService ingestion(host, historian, store, clock);
    CallServer calls(self, clock, transport);
    calls.offerOnly(config.common.agent.calls());
    BackendCalls answers(historian, store, ingestion, host, clock);
    answers.serve(calls);
    Retention retention(
        historian, clock, {config.maxAge, config.maxBytes},
        [&transport] { return transport.state() == MqttTransport::State::Connected; }, signedTimeOf(**identity));
    QObject::connect(&retention, &Retention::trouble, &ingestion, &IngestionService::trouble);
    QObject::connect(&retention, &Retention::removed, &ingestion, [&ingestion](quint64 readings) {
        Q_EMIT ingestion.notice(u"%1 readings were older than historian.max_age and are removed."_s.arg(readings));
    });

    QObject::connect(&retention, &Retention::notice, &ingestion, &IngestionService::notice);
    QObject::connect(&retention, &Retention::removedForSize, &ingestion, [&ingestion](quint64 readings) {
        Q_EMIT ingestion.notice(
            u"The database reached historian.max_size: its oldest %1 readings are removed, and the gaps say so."_s.arg(
                readings));
    });
    answers.addReport(u"retention"_s, [&retention] { return retention.report(); });

    const auto trust = service::openBrokerTrust(kProgram, config.common, config.broker, **identity,
                                                principalsIn(config.broker.status), clock);
    answers.addReport(u"identity"_s, [&source = **identity, &trust] {
        return service::identityReport(source, service::credentialsOf(trust.get()));
    });
    if (trust)
        answers.addReport(u"broker"_s, [&trust] { return service::brokerTrustReport(*trust); });

    const service::ServiceRun life(kProgram, ingestion);
    service::logStart(kProgram, config.common);
    ingestion.start();
    retention.start();
    return life.exec();
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    const auto read = [](const service::CommandLine &line) -> Result<BackendConfig> {
        if (const auto services = checkServices(line.services); !services)
            return services.error();
        return readBackendConfig(line.config);
    };
    return service::runProgram(kProgram, read, run, check);
}

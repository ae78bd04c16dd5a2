#include "process/service_run.h"

#include "adapters/log/log.h"

#include <utility>

namespace lintel::service {

using namespace Qt::StringLiterals;

MqttEndpoint endpointOf(const MqttConfig &config)
{
    MqttEndpoint endpoint;
    endpoint.host = config.host;
    endpoint.port = config.port;
    endpoint.broker = config.brokerId;
    endpoint.backoff.max = config.reconnectMax;
    return endpoint;
}

void logConnection(const Program &program, const MqttTransport &transport, const QString &broker)
{
    const LogCategory category = program.category;
    const auto told = std::make_shared<QString>(); // why attempts fail; said again when it is another reason
    QObject::connect(&transport, &MqttTransport::connected, &transport, [category, broker, told] {
        told->clear();
        qCInfo(category).noquote() << u"connected to %1"_s.arg(broker);
    });
    QObject::connect(&transport, &MqttTransport::disconnected, &transport,
                     [category, broker, &transport](const Error &reason) {
                         if (transport.state() != MqttTransport::State::Stopped)
                             qCWarning(category).noquote() << u"%1 is gone: %2"_s.arg(broker, reason.message);
                     });
    QObject::connect(&transport, &MqttTransport::connectFailed, &transport,
                     [category, broker, told](const Error &reason) {
                         if (std::exchange(*told, reason.message) != reason.message)
                             qCWarning(category).noquote() << u"%1 cannot be reached: %2"_s.arg(broker, reason.message);
                     });
}

void logStart(const Program &program, const CommonConfig &config)
{
    qCInfo(program.category).noquote() << u"%1 %2 starts as %3"_s.arg(program.name, program.version,
                                                                      config.agent.spiffeId.toString());
}

void ServiceRun::stopForDamage(const QString &spoolFile, const std::function<void()> &stop)
{
    if (m_exitCode != kStopped)
        return;
    m_exitCode = kCannotRun;
    qCCritical(m_program.category).noquote()
        << u"the spool's file is damaged; stopping, so that the next start sets it aside"_s
        << log::field(u"spool", spoolFile);
    stop();
}

int ServiceRun::exec() const
{
    const int code = QCoreApplication::exec();
    return code != kStopped ? code : m_exitCode;
}

void ServiceRun::logTrouble(const Error &what) const
{
    qCWarning(m_program.category).noquote() << what.message;
}

void ServiceRun::logNotice(const QString &what) const
{
    qCInfo(m_program.category).noquote() << what;
}

void ServiceRun::onStopRequested(bool again, const std::function<void()> &stop) const
{
    qCInfo(m_program.category).noquote() << u"stopping"_s;
    if (again && m_second == SecondSignal::ExitAtOnce)
        QCoreApplication::exit(kStopped);
    else
        stop();
}

} // namespace lintel::service

// What sensor, gateway and backend share while they run: the identity, the words about a connection,
// stop signals, trouble and the exit code. The main thread; needs QCoreApplication.
#pragma once

#include "mqtt/mqtt_endpoint.h"
#include "ports/mqtt_transport.h"
#include "process/open_identity.h"
#include "process/service_main.h"
#include "process/stop_signals.h"

#include <QCoreApplication>

#include <functional>
#include <memory>

namespace lintel::service {

[[nodiscard]] MqttEndpoint endpointOf(const MqttConfig &config);

/// Log lines when the connection to `broker` ("the cloud's broker") comes, goes or fails; why attempts
/// fail is said once per reason.
void logConnection(const Program &program, const MqttTransport &transport, const QString &broker);

/// The log line with which a service begins: name, version, SPIFFE ID.
void logStart(const Program &program, const CommonConfig &config);

/// One service from its start to its end. Made after the service, so that signals stop first.
class ServiceRun : public QObject
{
public:
    /// What a second SIGTERM does: end the event loop at once, or call the service's stop() again.
    enum class SecondSignal { ExitAtOnce, StopAgain };

    /// Logs the service's trouble and notices, stops it at SIGTERM, and ends the event loop when it
    /// has stopped. `program` outlives it.
    template <class Service>
    ServiceRun(const Program &program, Service &service, SecondSignal second = SecondSignal::ExitAtOnce)
        : m_program(program), m_second(second)
    {
        connect(&service, &Service::trouble, this, &ServiceRun::logTrouble);
        if constexpr (requires { &Service::notice; })
            connect(&service, &Service::notice, this, &ServiceRun::logNotice);
        connect(&service, &Service::stopped, qApp, &QCoreApplication::quit);
        connect(&m_signals, &StopSignals::stopRequested, &service,
                [this, &service](bool again) { onStopRequested(again, [&service] { service.stop(); }); });
    }

    /// The spool's file is damaged: said once, then `stop`; the process ends with kCannotRun, and the
    /// next start sets the file aside.
    void stopForDamage(const QString &spoolFile, const std::function<void()> &stop);

    /// The event loop; its exit code or what stopForDamage() left.
    [[nodiscard]] int exec() const;

private:
    void logTrouble(const Error &what) const;
    void logNotice(const QString &what) const;
    void onStopRequested(bool again, const std::function<void()> &stop) const;

    const Program &m_program;
    const SecondSignal m_second;
    StopSignals m_signals;
    int m_exitCode = kStopped;
};

} // namespace lintel::service

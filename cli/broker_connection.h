// A connection of lintelctl to a broker, for making calls: identity from files, TLS transport, call
// client. Keeps itself alive until it is destroyed. Thread: its owner's.
#pragma once

#include "calls/call_client.h"
#include "mqtt/broker_options.h"
#include "ports/identity_source.h"
#include "ports/system_clock.h"

#include <QObject>

#include <memory>

namespace lintel::cli {

class BrokerConnection : public QObject
{
    Q_OBJECT
public:
    /// Reads the identity and begins to connect; the error is about the identity's files.
    [[nodiscard]] static Result<std::unique_ptr<BrokerConnection>> open(const mqtt::BrokerOptions &options);
    ~BrokerConnection() override;

    [[nodiscard]] CallClient &client() { return *m_client; }
    /// To listen to more than answers.
    [[nodiscard]] MqttTransport &transport() { return *m_transport; }
    [[nodiscard]] bool isConnected() const { return m_transport->state() == MqttTransport::State::Connected; }
    [[nodiscard]] bool wasConnected() const { return m_wasConnected; }
    /// Why the last attempt failed.
    [[nodiscard]] std::optional<Error> lastFailure() const { return m_lastFailure; }

    /// Ends the connection; at most two seconds.
    void close();

private:
    BrokerConnection() = default;

    SystemClock m_clock;
    std::unique_ptr<IdentitySource> m_identity;
    std::unique_ptr<MqttTransport> m_transport;
    std::unique_ptr<CallClient> m_client;
    std::optional<Error> m_lastFailure;
    bool m_wasConnected = false;
};

} // namespace lintel::cli

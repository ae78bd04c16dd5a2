// MQTT 5 over mutual TLS 1.3 with the Paho C library: the adapter of every agent.
//
// The broker is verified by SPIFFE ID under the trust bundles of the moment; our SVID is the one
// that is current when the handshake asks for it. Lives on the thread that made it; what blocks
// runs on a thread of its own, so no call here waits, except the destructor: up to two seconds.
// Destroyed while connected, it makes the broker publish the will. Fails as MqttTransport says.
#pragma once

#include "mqtt/mqtt_endpoint.h"
#include "ports/identity_source.h"
#include "ports/mqtt_transport.h"

#include <memory>

namespace lintel {

class PahoTransport final : public MqttTransport
{
    Q_OBJECT
public:
    /// `identity` outlives the transport. Call reconnect() when its svidChanged() comes.
    PahoTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent = nullptr);
    ~PahoTransport() override;

    void start(std::function<MqttConnect()> connectPacket) override;
    void stop(Goodbye goodbye = Goodbye::Graceful) override;
    void reconnect(Goodbye goodbye = Goodbye::Graceful) override;
    [[nodiscard]] State state() const override;
    [[nodiscard]] Result<void> subscribe(const QString &filter, int qos) override;
    /// Full beyond 4,096 messages or 16 MiB that are not yet on the wire or not acknowledged.
    [[nodiscard]] Result<void> publish(const MqttMessage &message) override;

private:
    struct Private;
    std::unique_ptr<Private> d;
};

} // namespace lintel

// MQTT 5 over mutual TLS 1.3 with Qt MQTT, for the console on systems whose Qt has that module.
//
// The socket is ours: the broker's chain is verified by SPIFFE ID right after the TLS handshake,
// before one byte of MQTT is sent. Everything happens on the thread that made the transport, and
// no call waits. Destroyed while connected, it makes the broker publish the will. Keys must be
// exportable, since Qt's socket wants their bytes. Fails as MqttTransport says.
#pragma once

#include "mqtt/mqtt_endpoint.h"
#include "ports/identity_source.h"
#include "ports/mqtt_transport.h"

#include <memory>

namespace lintel {

class QtMqttTransport final : public MqttTransport
{
    Q_OBJECT
public:
    /// `identity` outlives the transport. Call reconnect() when its svidChanged() comes.
    QtMqttTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent = nullptr);
    ~QtMqttTransport() override;

    void start(std::function<MqttConnect()> connectPacket) override;
    /// WithWill closes the connection without DISCONNECT, since this library cannot send a reason.
    void stop(Goodbye goodbye = Goodbye::Graceful) override;
    void reconnect(Goodbye goodbye = Goodbye::Graceful) override;
    [[nodiscard]] State state() const override;
    [[nodiscard]] Result<void> subscribe(const QString &filter, int qos) override;
    /// Full beyond 4,096 messages that are not acknowledged, or 16 MiB that are not on the wire.
    [[nodiscard]] Result<void> publish(const MqttMessage &message) override;

private:
    struct Private;
    std::unique_ptr<Private> d;
};

} // namespace lintel

// MQTT 5 over mutual TLS 1.3 with Qt MQTT, for the console on systems whose Qt has that module.
//
// The socket is ours: the broker's chain is verified by SPIFFE ID right after the TLS handshake,
// before one byte of MQTT is sent. Everything happens on the thread that made the transport, and
// no call waits. Destroyed while connected, it makes the broker publish the will. Keys must be
// exportable, since Qt's socket wants their bytes. Fails as MqttTransport says.
#pragma once

#include "mqtt/reconnecting_transport.h"

#include <memory>

namespace lintel {

class QtMqttTransport final : public ReconnectingTransport
{
    Q_OBJECT
public:
    /// What lies between publish() and the wire at most: 4,096 messages that are not acknowledged, or
    /// 16 MiB that are not on the wire. Goodbye::WithWill closes the connection without DISCONNECT,
    /// since this library cannot send a reason. `identity` outlives the transport. Call reconnect()
    /// when its svidChanged() comes.
    QtMqttTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent = nullptr);
    ~QtMqttTransport() override;

private:
    [[nodiscard]] Result<void> openLink(const MqttConnect &packet, const X509Svid &svid) override;
    void dropLink() override;
    void closeLink(Goodbye goodbye, std::function<void()> then) override;
    void watchLink() override;
    [[nodiscard]] Result<void> sendSubscription(const QString &filter, int qos) override;
    [[nodiscard]] Result<void> sendMessage(const MqttMessage &message) override;

    struct Private;
    std::unique_ptr<Private> d;
};

} // namespace lintel

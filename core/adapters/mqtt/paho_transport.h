// MQTT 5 over mutual TLS 1.3 with the Paho C library: the adapter of every agent.
//
// The broker is verified by SPIFFE ID under the trust bundles of the moment; our SVID is the one
// that is current when the handshake asks for it. Lives on the thread that made it; what blocks
// runs on a thread of its own, so no call here waits, except the destructor: up to two seconds.
// Destroyed while connected, it makes the broker publish the will. Fails as MqttTransport says.
#pragma once

#include "mqtt/reconnecting_transport.h"

#include <memory>

namespace lintel {

class PahoTransport final : public ReconnectingTransport
{
    Q_OBJECT
public:
    /// What lies between publish() and the wire at most: 4,096 messages or 16 MiB that are not yet on
    /// the wire or not acknowledged. `identity` outlives the transport. Call reconnect() when its
    /// svidChanged() comes.
    PahoTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent = nullptr);
    ~PahoTransport() override;

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

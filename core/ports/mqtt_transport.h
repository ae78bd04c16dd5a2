// One MQTT 5 connection that keeps itself alive: connects, reconnects with back-off and jitter,
// and tells what came. What a session asks of a broker, and no more.
//
// Lives on the thread that made it; every signal is emitted there, never from inside a call to
// it. An adapter does its blocking work elsewhere. Every adapter passes the suite in
// tests/contract/mqtt_transport_contract.h.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QObject>
#include <QString>

#include <chrono>
#include <functional>
#include <optional>

namespace lintel {

struct MqttMessage {
    QString topic;
    QByteArray payload;
    int qos = 0;
    bool retain = false;
};

/// What one CONNECT packet carries (MQTT 5.0 section 3.1).
struct MqttConnect {
    QString clientId;
    std::optional<MqttMessage> will;
    std::chrono::seconds keepAlive{30};
    bool cleanStart = true;                // Sparkplug nodes and hosts: always
    std::chrono::seconds sessionExpiry{0}; // 0 = the session ends with the connection
};

class MqttTransport : public QObject
{
    Q_OBJECT
public:
    enum class State { Stopped, Connecting, Connected, WaitingToRetry };
    Q_ENUM(State)

    /// How a connection ends: Graceful sends DISCONNECT, so the broker forgets the will;
    /// WithWill sends DISCONNECT with reason 0x04, so the broker publishes it.
    enum class Goodbye { Graceful, WithWill };

    using QObject::QObject;

    /// Connects and stays connected until stop(). `connectPacket` is asked anew before each
    /// attempt, so that each connection can have its own will (Sparkplug's bdSeq).
    virtual void start(std::function<MqttConnect()> connectPacket) = 0;
    /// Ends the connection; no reconnection follows. Waits at most two seconds for packets that
    /// were handed over before, then emits disconnected() if it was connected.
    virtual void stop(Goodbye goodbye = Goodbye::Graceful) = 0;
    /// Ends this connection and opens a new one at once, with the identity that is current then:
    /// what an agent does with a new certificate.
    virtual void reconnect(Goodbye goodbye = Goodbye::Graceful) = 0;

    [[nodiscard]] virtual State state() const = 0;

    /// Only while connected (else Unavailable). With cleanStart nothing is remembered: subscribe
    /// again on each connected().
    [[nodiscard]] virtual Result<void> subscribe(const QString &filter, int qos) = 0;
    /// Only while connected (else Unavailable); Full when the adapter's send queue is full, and
    /// then the caller tries later. For QoS 1 acceptance means nothing more than "in the queue":
    /// custody rests on Lintel's own acknowledgements.
    [[nodiscard]] virtual Result<void> publish(const MqttMessage &message) = 0;

Q_SIGNALS:
    void connected(bool sessionPresent);
    /// The connection is gone; why, in a sentence. A reconnection is already being prepared
    /// unless stop() was called.
    void disconnected(const lintel::Error &reason);
    /// An attempt failed; the next one comes after `retryIn`.
    void connectFailed(const lintel::Error &reason, std::chrono::milliseconds retryIn);
    void messageReceived(const lintel::MqttMessage &message);
    /// The broker does not let us subscribe to this; why and what to do, in a sentence. The connection
    /// stays, and nothing of the filter comes on it. Ask again on the next connected(), as always.
    void subscriptionRefused(const QString &filter, const lintel::Error &why);
    void stateChanged(lintel::MqttTransport::State state);
};

} // namespace lintel

Q_DECLARE_METATYPE(lintel::Error)
Q_DECLARE_METATYPE(lintel::MqttMessage)
Q_DECLARE_METATYPE(std::chrono::milliseconds)

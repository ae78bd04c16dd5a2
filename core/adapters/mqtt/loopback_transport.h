// MQTT without a network: a broker in this process and transports that speak to it. The console's
// offline mode runs on it, and so do the tests of everything that speaks MQTT.
//
// The broker knows subscriptions with wildcards, retained messages, wills, sessions that outlive a
// connection, and that a client id belongs to one connection at a time. Deliveries go through the
// event loop, so no signal is emitted from inside a call. A half-open connection, which only a network
// has, is not imitated. Broker and transports live on one thread, and the broker outlives its transports.
#pragma once

#include "ports/backoff.h"
#include "ports/clock.h"
#include "ports/mqtt_transport.h"

#include <memory>

namespace lintel {

class LoopbackTransport;

class LoopbackBroker
{
public:
    LoopbackBroker();
    /// With a clock of the caller's, which decides when a kept session expires.
    explicit LoopbackBroker(const Clock &clock);
    LoopbackBroker(const LoopbackBroker &) = delete;
    LoopbackBroker &operator=(const LoopbackBroker &) = delete;
    ~LoopbackBroker();

    /// The client's connection is lost, its will is published, and its attempts fail until
    /// restore().
    void cut(const QString &clientId);
    void restore(const QString &clientId);
    /// The same for every client at once.
    void setReachable(bool reachable);

    /// From now on nobody may subscribe to exactly this filter; or may again.
    void refuse(const QString &filter);
    void allow(const QString &filter);

    /// A message from nobody's connection.
    void publish(const MqttMessage &message);

    [[nodiscard]] bool isConnected(const QString &clientId) const;
    [[nodiscard]] QStringList subscriptions(const QString &clientId) const;

private:
    friend class LoopbackTransport;
    struct Private;
    std::unique_ptr<Private> d;
};

class LoopbackTransport final : public MqttTransport
{
    Q_OBJECT
public:
    /// Shorter than over a network: nobody is spared by waiting.
    static constexpr BackoffPolicy kBackoff{std::chrono::milliseconds{20}, std::chrono::milliseconds{500}};

    explicit LoopbackTransport(LoopbackBroker &broker, QObject *parent = nullptr, BackoffPolicy backoff = kBackoff);
    /// A transport that is destroyed while connected is a lost connection: its will is published.
    ~LoopbackTransport() override;

    void start(std::function<MqttConnect()> connectPacket) override;
    void stop(Goodbye goodbye = Goodbye::Graceful) override;
    void reconnect(Goodbye goodbye = Goodbye::Graceful) override;
    [[nodiscard]] State state() const override;
    [[nodiscard]] Result<void> subscribe(const QString &filter, int qos) override;
    [[nodiscard]] Result<void> publish(const MqttMessage &message) override;

private:
    friend class LoopbackBroker;
    void postAttempt(std::chrono::milliseconds delay);
    void attempt();
    void leave(Goodbye goodbye, const Error &reason);
    void setState(State state);
    void post(std::function<void()> action);
    /// The broker says: the connection `generation` is gone; messages lie in the outbox.
    void onLost(const Error &reason);
    void onDeliverable();
    void deliver();

    LoopbackBroker &m_broker;
    Backoff m_backoff;
    std::function<MqttConnect()> m_connectPacket;
    QString m_clientId;
    State m_state = State::Stopped;
    quint64 m_generation = 0; // of the connection or the attempt; what belongs to an older one is void
};

} // namespace lintel

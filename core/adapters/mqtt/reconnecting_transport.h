// The life of a connection as every MQTT library has it here: start and stop, an attempt with its
// deadline, back-off, state, and what is refused while there is no connection. A transport derives
// from it and adds the link: what its library does between CONNECT and the end.
//
// Lives on the thread that made it. The link's functions are called there and never wait; the link
// answers there, too, with linkUp(), linkFailed() and linkLost(), from the event loop.
#pragma once

#include "mqtt/mqtt_endpoint.h"
#include "ports/identity_source.h"
#include "ports/mqtt_transport.h"

#include <QTimer>

namespace lintel {

class ReconnectingTransport : public MqttTransport
{
    Q_OBJECT
public:
    void start(std::function<MqttConnect()> connectPacket) final;
    void stop(Goodbye goodbye = Goodbye::Graceful) final;
    void reconnect(Goodbye goodbye = Goodbye::Graceful) final;
    [[nodiscard]] State state() const final { return m_state; }
    [[nodiscard]] Result<void> subscribe(const QString &filter, int qos) final;
    [[nodiscard]] Result<void> publish(const MqttMessage &message) final;

protected:
    ReconnectingTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent);

    // --- what a library does; its destructor lets go of its link by itself ---

    /// Begins a connection; `svid` is valid at this moment. An error is a failed attempt.
    [[nodiscard]] virtual Result<void> openLink(const MqttConnect &packet, const X509Svid &svid) = 0;
    /// Lets go of the link, if there is one, without a word to the broker; it is not heard again.
    virtual void dropLink() = 0;
    /// Ends a connected link as `goodbye` says, then calls `then` from the event loop. It is not
    /// heard again. Waits at most two seconds for what was handed over.
    virtual void closeLink(Goodbye goodbye, std::function<void()> then) = 0;
    /// Eight times per keep-alive interval while connected: looks whether the broker still answers.
    virtual void watchLink() = 0;
    // Only while connected, and with valid names.
    [[nodiscard]] virtual Result<void> sendSubscription(const QString &filter, int qos) = 0;
    [[nodiscard]] virtual Result<void> sendMessage(const MqttMessage &message) = 0;

    // --- what the link tells ---

    void linkUp(bool sessionPresent);
    void linkFailed(const Error &reason);
    /// Of a link that is not up yet: a failed attempt.
    void linkLost(const Error &reason);
    /// Drops the link and begins another attempt at once; it is no failure yet.
    void attemptAgain();

    [[nodiscard]] const MqttEndpoint &endpoint() const { return m_endpoint; }
    [[nodiscard]] const IdentitySource &identity() const { return m_identity; }
    [[nodiscard]] std::chrono::seconds keepAlive() const { return m_keepAlive; }
    /// Changes with each connection and each end of one; what belongs to an older one is void.
    [[nodiscard]] quint64 generation() const { return m_generation; }
    [[nodiscard]] static Error notConnected();
    [[nodiscard]] static Error queueFull();

private:
    void attempt();
    [[nodiscard]] Result<void> open();
    void leave(Goodbye goodbye, const Error &reason, bool thenAttempt);
    /// True when no listener stopped or restarted us meanwhile.
    [[nodiscard]] bool enter(State next);
    void enterLater(State next);
    void letGo();

    const MqttEndpoint m_endpoint;
    const IdentitySource &m_identity;
    Backoff m_backoff;
    std::optional<Error> m_clockDoubt; // of this attempt: what is told in place of a certificate refused
    std::function<MqttConnect()> m_connectPacket;
    State m_state = State::Stopped;
    quint64 m_generation = 0;
    std::chrono::seconds m_keepAlive{30};
    QTimer m_retryTimer;
    QTimer m_deadlineTimer;
    QTimer m_watchTimer;
};

} // namespace lintel

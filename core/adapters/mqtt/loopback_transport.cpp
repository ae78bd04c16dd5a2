#include "mqtt/loopback_transport.h"

#include "mqtt/topic_rules.h"
#include "ports/system_clock.h"

#include <QHash>
#include <QMap>
#include <QQueue>
#include <QSet>
#include <QTimer>

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;

struct LoopbackBroker::Private {
    struct Session {
        LoopbackTransport *connection = nullptr; // null: the session waits for its client
        std::optional<MqttMessage> will;
        QMap<QString, int> subscriptions; // filter → QoS
        QQueue<MqttMessage> outbox;
        std::chrono::seconds expiry{0};
        std::chrono::nanoseconds expiresAt{};
    };

    explicit Private(const Clock &c) : clock(c) {}

    /// The client's session, if `connection` is the one that holds it.
    Session *connectionOf(const QString &clientId, const LoopbackTransport *connection)
    {
        const auto session = sessions.find(clientId);
        return session != sessions.end() && session->connection == connection ? &*session : nullptr;
    }

    void purgeExpired()
    {
        const auto now = clock.monotonic();
        sessions.removeIf([&](const auto &it) { return !it.value().connection && it.value().expiresAt <= now; });
    }

    static void enqueue(Session &session, const MqttMessage &message)
    {
        if (!session.connection && message.qos == 0)
            return;
        session.outbox.enqueue(message);
        if (session.connection)
            session.connection->onDeliverable();
    }

    void publish(const MqttMessage &message)
    {
        purgeExpired();
        if (message.retain) {
            if (message.payload.isEmpty())
                retained.remove(message.topic);
            else
                retained.insert(message.topic, message);
        }
        for (Session &session : sessions) {
            int granted = -1; // one copy, with the highest QoS of the filters that match
            for (auto it = session.subscriptions.cbegin(); it != session.subscriptions.cend(); ++it)
                if (mqtt::matches(it.key(), message.topic))
                    granted = std::max(granted, it.value());
            if (granted < 0)
                continue;
            MqttMessage copy = message;
            copy.qos = std::min(granted, message.qos);
            copy.retain = false; // MQTT 5.0 section 3.3.1.3: set only for what was retained before
            enqueue(session, copy);
        }
    }

    void subscribe(const QString &clientId, const QString &filter, int qos)
    {
        const auto session = sessions.find(clientId);
        if (session == sessions.end())
            return;
        session->subscriptions.insert(filter, qos);
        for (const MqttMessage &message : std::as_const(retained)) {
            if (!mqtt::matches(filter, message.topic))
                continue;
            MqttMessage copy = message;
            copy.qos = std::min(qos, message.qos);
            enqueue(*session, copy);
        }
    }

    /// The connection ends; the session stays if it was asked to.
    void end(const QString &clientId, bool publishWill)
    {
        const auto session = sessions.find(clientId);
        if (session == sessions.end() || !session->connection)
            return;
        session->connection = nullptr;
        const auto will = std::exchange(session->will, std::nullopt);
        if (session->expiry > std::chrono::seconds{0}) {
            session->expiresAt = clock.monotonic() + session->expiry;
            session->outbox.removeIf([](const MqttMessage &m) { return m.qos == 0; });
        } else {
            sessions.erase(session);
        }
        if (publishWill && will)
            publish(*will);
    }

    void lose(const QString &clientId, const Error &reason)
    {
        const auto session = sessions.constFind(clientId);
        if (session == sessions.constEnd() || !session->connection)
            return;
        LoopbackTransport *connection = session->connection;
        end(clientId, true);
        connection->onLost(reason);
    }

    Result<bool> connect(const MqttConnect &packet, LoopbackTransport &connection)
    {
        if (!reachable || cutOff.contains(packet.clientId))
            return Error{Errc::Unavailable, u"The broker cannot be reached; trying again."_s};
        lose(packet.clientId, Error{Errc::Conflict, u"Another client connected with the client id \"%1\"; "
                                                    "each client needs its own."_s.arg(packet.clientId)});
        purgeExpired();
        if (packet.cleanStart)
            sessions.remove(packet.clientId);
        const bool present = sessions.contains(packet.clientId);
        Session &session = sessions[packet.clientId];
        session.connection = &connection;
        session.will = packet.will;
        session.expiry = packet.sessionExpiry;
        return present;
    }

    const Clock &clock;
    QHash<QString, Session> sessions;
    QMap<QString, MqttMessage> retained;
    QSet<QString> refused; // filters
    QSet<QString> cutOff;
    bool reachable = true;
};

namespace {
const Clock &systemClock()
{
    static const SystemClock clock;
    return clock;
}
Error lost()
{
    return {Errc::Unavailable, u"The connection to the broker was lost; connecting again."_s};
}

Error notConnected()
{
    return {Errc::Unavailable, u"There is no connection to the broker; try again when there is one."_s};
}
} // namespace

LoopbackBroker::LoopbackBroker() : LoopbackBroker(systemClock()) {}
LoopbackBroker::LoopbackBroker(const Clock &clock) : d(std::make_unique<Private>(clock)) {}
LoopbackBroker::~LoopbackBroker() = default;

void LoopbackBroker::cut(const QString &clientId)
{
    d->cutOff.insert(clientId);
    d->lose(clientId, lost());
}

void LoopbackBroker::restore(const QString &clientId)
{
    d->cutOff.remove(clientId);
}

void LoopbackBroker::setReachable(bool reachable)
{
    d->reachable = reachable;
    if (reachable)
        return;
    const QStringList clients = d->sessions.keys();
    for (const QString &clientId : clients)
        d->lose(clientId, lost());
}

void LoopbackBroker::publish(const MqttMessage &message)
{
    d->publish(message);
}

bool LoopbackBroker::isConnected(const QString &clientId) const
{
    const auto session = d->sessions.constFind(clientId);
    return session != d->sessions.constEnd() && session->connection;
}

void LoopbackBroker::refuse(const QString &filter)
{
    d->refused.insert(filter);
}

void LoopbackBroker::allow(const QString &filter)
{
    d->refused.remove(filter);
}

QStringList LoopbackBroker::subscriptions(const QString &clientId) const
{
    return d->sessions.value(clientId).subscriptions.keys();
}

LoopbackTransport::LoopbackTransport(LoopbackBroker &broker, QObject *parent, BackoffPolicy backoff)
    : MqttTransport(parent), m_broker(broker), m_backoff(backoff)
{}

LoopbackTransport::~LoopbackTransport()
{
    if (m_state == State::Connected)
        m_broker.d->end(m_clientId, true);
}

void LoopbackTransport::start(std::function<MqttConnect()> connectPacket)
{
    m_connectPacket = std::move(connectPacket);
    if (m_state != State::Stopped)
        return; // already at it; the next attempt asks the new function
    m_backoff.reset();
    setState(State::Connecting);
    postAttempt({});
}

void LoopbackTransport::stop(Goodbye goodbye)
{
    if (m_state == State::Stopped)
        return;
    leave(goodbye, Error{Errc::Unavailable, u"The connection was closed on request."_s});
    setState(State::Stopped);
}

void LoopbackTransport::reconnect(Goodbye goodbye)
{
    if (m_state == State::Stopped)
        return;
    leave(goodbye, Error{Errc::Unavailable, u"The connection was closed to open a new one."_s});
    m_backoff.reset();
    setState(State::Connecting);
    postAttempt({});
}

MqttTransport::State LoopbackTransport::state() const
{
    return m_state;
}

Result<void> LoopbackTransport::subscribe(const QString &filter, int qos)
{
    if (m_state != State::Connected)
        return notConnected();
    if (auto valid = mqtt::validateTopicFilter(filter); !valid)
        return valid;
    if (m_broker.d->refused.contains(filter))
        post([this, filter, generation = m_generation] {
            if (generation != m_generation)
                return;
            Q_EMIT subscriptionRefused(
                filter, mqtt::subscriptionRefused(u"loopback:0"_s, m_clientId, filter, u"Not authorized"_s));
        });
    else if (m_broker.d->connectionOf(m_clientId, this))
        m_broker.d->subscribe(m_clientId, filter, qos);
    return {};
}

Result<void> LoopbackTransport::publish(const MqttMessage &message)
{
    if (m_state != State::Connected)
        return notConnected();
    if (auto valid = mqtt::validateTopicName(message.topic); !valid)
        return valid;
    // A connection that was cut a moment ago swallows it, as a real one would.
    if (m_broker.d->connectionOf(m_clientId, this))
        m_broker.d->publish(message);
    return {};
}

void LoopbackTransport::postAttempt(std::chrono::milliseconds delay)
{
    const quint64 generation = ++m_generation;
    QTimer::singleShot(delay, this, [this, generation] {
        if (generation == m_generation)
            attempt();
    });
}

void LoopbackTransport::attempt()
{
    // Called by the event loop only, so it may emit directly.
    if (m_state != State::Connecting) {
        m_state = State::Connecting;
        const quint64 generation = m_generation;
        Q_EMIT stateChanged(m_state);
        if (generation != m_generation)
            return; // a listener stopped or restarted us
    }
    const MqttConnect packet = m_connectPacket();
    const auto present = m_broker.d->connect(packet, *this);
    if (!present) {
        const auto retryIn = m_backoff.next();
        postAttempt(retryIn);
        m_state = State::WaitingToRetry;
        Q_EMIT stateChanged(m_state);
        Q_EMIT connectFailed(present.error(), retryIn);
        return;
    }
    m_backoff.reset();
    m_clientId = packet.clientId;
    m_state = State::Connected;
    const quint64 generation = m_generation;
    Q_EMIT stateChanged(m_state);
    if (generation != m_generation)
        return;
    Q_EMIT connected(*present);
    if (generation == m_generation)
        onDeliverable(); // what the session kept
}

void LoopbackTransport::leave(Goodbye goodbye, const Error &reason)
{
    ++m_generation;
    if (m_state != State::Connected)
        return;
    if (m_broker.d->connectionOf(m_clientId, this))
        m_broker.d->end(m_clientId, goodbye == Goodbye::WithWill);
    post([this, reason] { Q_EMIT disconnected(reason); });
}

void LoopbackTransport::setState(State state)
{
    if (state == m_state)
        return;
    m_state = state;
    post([this, state] { Q_EMIT stateChanged(state); });
}

void LoopbackTransport::post(std::function<void()> action)
{
    QMetaObject::invokeMethod(this, std::move(action), Qt::QueuedConnection);
}

void LoopbackTransport::onLost(const Error &reason)
{
    const quint64 generation = m_generation;
    post([this, generation, reason] {
        if (generation != m_generation)
            return; // it was left meanwhile, and that has been said
        const auto retryIn = m_backoff.next();
        postAttempt(retryIn);
        m_state = State::WaitingToRetry;
        Q_EMIT stateChanged(m_state);
        Q_EMIT disconnected(reason);
    });
}

void LoopbackTransport::onDeliverable()
{
    const quint64 generation = m_generation;
    post([this, generation] {
        if (generation == m_generation)
            deliver();
    });
}

void LoopbackTransport::deliver()
{
    // As many as lie there now: what a listener publishes meanwhile has its own turn. Looked up
    // anew each time, because a listener may end the connection.
    qsizetype left = -1;
    for (;;) {
        const auto session = m_broker.d->connectionOf(m_clientId, this);
        if (!session || session->outbox.isEmpty() || left == 0)
            return;
        left = (left < 0 ? session->outbox.size() : left) - 1;
        const MqttMessage message = session->outbox.dequeue();
        Q_EMIT messageReceived(message);
    }
}

} // namespace lintel

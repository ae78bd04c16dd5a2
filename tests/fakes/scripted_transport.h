// An MqttTransport whose other side is the test: it writes down what is subscribed and published,
// and brings what the test says. Signals come from accept(), drop() and bring(), which the test
// calls, or through the event loop after stop() and reconnect().
#pragma once

#include "ports/mqtt_transport.h"

namespace lintel {

class ScriptedTransport final : public MqttTransport
{
    Q_OBJECT
public:
    void start(std::function<MqttConnect()> connectPacket) override
    {
        m_connectPacket = std::move(connectPacket);
        setState(State::Connecting);
    }
    void stop(Goodbye goodbye = Goodbye::Graceful) override
    {
        goodbyes.append(goodbye);
        later([this] { leave(State::Stopped); });
    }
    void reconnect(Goodbye goodbye = Goodbye::Graceful) override
    {
        goodbyes.append(goodbye);
        later([this] { leave(State::Connecting); });
    }
    [[nodiscard]] State state() const override { return m_state; }

    [[nodiscard]] Result<void> subscribe(const QString &filter, int qos) override
    {
        if (m_state != State::Connected)
            return Error{Errc::Unavailable, QStringLiteral("not connected")};
        subscriptions.append({filter, qos});
        log.append(QStringLiteral("SUBSCRIBE ") + filter);
        return {};
    }
    [[nodiscard]] Result<void> publish(const MqttMessage &message) override
    {
        if (m_state != State::Connected)
            return Error{Errc::Unavailable, QStringLiteral("not connected")};
        if (room == 0)
            return Error{Errc::Full, QStringLiteral("the queue is full")};
        if (room > 0)
            --room;
        published.append(message);
        log.append(QStringLiteral("PUBLISH ") + message.topic);
        if (onPublish)
            onPublish(message);
        return {};
    }

    /// The broker answers the next attempt.
    void accept()
    {
        packets.append(m_connectPacket());
        subscriptions.clear();
        setState(State::Connected);
        Q_EMIT connected(false);
    }
    void drop() { leave(State::WaitingToRetry); }
    void bring(const MqttMessage &message) { Q_EMIT messageReceived(message); }
    [[nodiscard]] QList<MqttMessage> take() { return std::exchange(published, {}); }
    [[nodiscard]] bool wantsConnection() const
    {
        return m_state == State::Connecting || m_state == State::WaitingToRetry;
    }

    QList<MqttConnect> packets;
    QList<MqttMessage> published;
    QList<std::pair<QString, int>> subscriptions; // of this connection
    QStringList log;
    QList<Goodbye> goodbyes;
    int room = -1; // messages that the queue still takes; -1 = any number
    std::function<void(const MqttMessage &)> onPublish;

private:
    void later(std::function<void()> action)
    {
        QMetaObject::invokeMethod(this, std::move(action), Qt::QueuedConnection);
    }
    void leave(State next)
    {
        const bool was = m_state == State::Connected;
        setState(next);
        if (was)
            Q_EMIT disconnected({Errc::Unavailable, QStringLiteral("the connection ended")});
    }
    void setState(State next)
    {
        if (m_state == next)
            return;
        m_state = next;
        Q_EMIT stateChanged(next);
    }

    std::function<MqttConnect()> m_connectPacket;
    State m_state = State::Stopped;
};

} // namespace lintel

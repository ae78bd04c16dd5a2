// Makes capability calls over a transport: repeats each until it is answered or has expired.
// One thread: the transport's.
#pragma once

#include "calls/call.h"
#include "ports/clock.h"
#include "ports/mqtt_transport.h"

#include <QHash>
#include <QObject>
#include <QTimer>

#include <functional>

namespace lintel {

class CallClient : public QObject
{
    Q_OBJECT
public:
    using Done = std::function<void(Result<QCborMap>)>;

    /// Subscribes to the responses for `self` on each connected() of the transport.
    CallClient(Principal self, const Clock &clock, MqttTransport &transport, QObject *parent = nullptr);

    /// `done` is called exactly once: with the answer, the callee's error, or Timeout. A call made
    /// while disconnected waits for the connection within its timeout.
    void call(const Principal &callee, const QString &method, const QCborMap &args, Millis timeout, Done done);

private:
    void onConnected();
    void onMessage(const MqttMessage &message);
    void onTimer();
    struct Pending {
        Principal callee;
        QString method;
        QByteArray request;
        std::chrono::nanoseconds deadline{};
        std::chrono::nanoseconds nextSend{};
        Done done;
    };
    void send(Pending &pending);

    Principal m_self;
    const Clock &m_clock;
    MqttTransport &m_transport;
    QHash<QString, Pending> m_pending; // by correlation
    QTimer m_timer;
};

} // namespace lintel

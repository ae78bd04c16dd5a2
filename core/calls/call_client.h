// Makes capability calls over a transport: repeats each until it is answered or has expired.
// One thread: the transport's. The transport and the clock must outlive it; calls that are open
// when it is destroyed are forgotten without a word.
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
    /// while disconnected waits for the connection within its timeout, which is cut to
    /// maxCallTimeout. Never called from inside call(). A method or callee that cannot stand in a
    /// topic is Malformed.
    void call(const Principal &callee, const QString &method, const QCborMap &args, Millis timeout, Done done);

private:
    void onConnected();
    void onMessage(const MqttMessage &message);
    void onRefused(const QString &filter, const Error &why);
    void onTimer();
    struct Pending {
        Principal callee;
        QString method;
        QByteArray request;
        Millis timeout{};
        std::chrono::nanoseconds deadline{}; // monotonic, as is nextSend
        std::chrono::nanoseconds nextSend{};
        Done done;
    };
    void send(Pending &pending);
    void finish(const QString &correlation, const Result<QCborMap> &outcome);

    Principal m_self;
    const Clock &m_clock;
    MqttTransport &m_transport;
    QHash<QString, Pending> m_pending; // by correlation
    std::optional<Error> m_refused;    // the broker does not let us hear answers on this connection
    QTimer m_timer;
};

} // namespace lintel

// Answers capability calls that arrive over a transport. One thread: the transport's.
#pragma once

#include "calls/call.h"
#include "domain/topic.h"
#include "ports/clock.h"
#include "ports/mqtt_transport.h"

#include <QHash>
#include <QObject>

#include <functional>

namespace lintel {

class CallServer : public QObject
{
    Q_OBJECT
public:
    /// Give the answer now or later, exactly once.
    using Reply = std::function<void(Result<QCborMap>)>;
    struct Call {
        Principal caller;
        QString method;
        QCborMap args;
        Timestamp expires{};
    };
    using Handler = std::function<void(const Call &, Reply)>;

    /// Subscribes to the requests for `self` on each connected() of the transport.
    CallServer(Principal self, const Clock &clock, MqttTransport &transport, QObject *parent = nullptr);

    void provide(const QString &method, Handler handler);
    [[nodiscard]] QStringList methods() const;

private:
    void onConnected();
    void onMessage(const MqttMessage &message);
    void answer(const RequestTopic &topic, const QString &correlation, const Result<QCborMap> &outcome);
    void forgetOld();

    struct Known {
        Timestamp seen{};
        QByteArray response; // empty while the handler runs
    };

    Principal m_self;
    const Clock &m_clock;
    MqttTransport &m_transport;
    QHash<QString, Handler> m_handlers;
    QHash<QString, Known> m_known; // by caller and correlation
};

} // namespace lintel

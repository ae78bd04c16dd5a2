// Answers capability calls that arrive over a transport. One thread: the transport's, which with
// the clock must outlive it.
//
// A request that has expired (clocks may differ by 30 s) is dropped in silence. What has been
// asked before is answered from memory, and not run again, for ten minutes and at most 1,000
// requests; when that many are still running, a new one is refused as Full.
#pragma once

#include "calls/call.h"
#include "domain/topic.h"
#include "ports/clock.h"
#include "ports/mqtt_transport.h"

#include <QHash>
#include <QObject>
#include <QStringList>

#include <functional>

namespace lintel {

class CallServer : public QObject
{
    Q_OBJECT
public:
    /// Give the answer now or later, once; further answers, and answers after the server is gone,
    /// are ignored.
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
    /// Of what is provided, sooner or later, only these methods can be called; the others are not there.
    /// Empty: all of them.
    void offerOnly(const QStringList &methods) { m_offered = methods; }
    /// What can be called, sorted.
    [[nodiscard]] QStringList methods() const;

private:
    void onConnected();
    void onMessage(const MqttMessage &message);
    void onRequest(const RequestTopic &topic, const CallRequest &request);
    void run(const RequestTopic &topic, const CallRequest &request);
    void answer(const RequestTopic &topic, const QString &correlation, const Result<QCborMap> &outcome);
    void publish(const RequestTopic &topic, const QString &correlation, const QByteArray &response);
    void forgetOld();
    [[nodiscard]] bool makeRoom();
    [[nodiscard]] bool isOffered(const QString &method) const;

    struct Known {
        std::chrono::nanoseconds seen{}; // monotonic
        QByteArray response;             // empty while the handler runs
    };

    Principal m_self;
    const Clock &m_clock;
    MqttTransport &m_transport;
    QHash<QString, Handler> m_handlers;
    QStringList m_offered;         // empty = all of them
    QHash<QString, Known> m_known; // by caller and correlation
};

} // namespace lintel

// A caller, a callee and a listener on one broker in this process, for tests of capability calls.
// The test's thread.
#pragma once

#include "calls/call_client.h"
#include "calls/call_server.h"
#include "fakes/fake_clock.h"
#include "mqtt/loopback_transport.h"

#include <QJsonDocument>
#include <QtTest>

#include <memory>

namespace lintel::test {

using namespace std::chrono_literals;

inline const Principal gateway = *Principal::parse(u"building-1~smart~local:agent:gateway");
inline const Principal demo = *Principal::parse(u"smart-building~cloud:operator:demo");
inline const QString status = QStringLiteral("status");

inline QCborMap mapOf(const char *json)
{
    return QCborMap::fromJsonObject(QJsonDocument::fromJson(json).object());
}

/// One broker, one client, one server, and a listener who sees every request and answer and can
/// speak on the bus itself.
struct Bus {
    FakeClock clock;
    LoopbackBroker broker{clock};
    LoopbackTransport callerSide{broker};
    LoopbackTransport calleeSide{broker};
    LoopbackTransport listener{broker};
    QList<MqttMessage> requests;
    QList<MqttMessage> responses;
    CallClient client{demo, clock, callerSide};
    std::unique_ptr<CallServer> server = std::make_unique<CallServer>(gateway, clock, calleeSide);

    Bus()
    {
        QObject::connect(&listener, &MqttTransport::connected, &listener,
                         [this] { QVERIFY(listener.subscribe(QStringLiteral("lintel/v1/#"), 1)); });
        QObject::connect(&listener, &MqttTransport::messageReceived, &listener, [this](const MqttMessage &message) {
            const auto topic = parseTopic(message.topic);
            if (topic && std::holds_alternative<RequestTopic>(*topic))
                requests.append(message);
            else
                responses.append(message);
        });
        start(listener, "listener");
    }

    void startBoth()
    {
        start(calleeSide, "callee");
        start(callerSide, "caller");
        QTRY_VERIFY(broker.subscriptions(QStringLiteral("caller")).size() == 1);
        QTRY_VERIFY(broker.subscriptions(QStringLiteral("callee")).size() == 1);
        QTRY_VERIFY(broker.subscriptions(QStringLiteral("listener")).size() == 1);
    }

    static void start(LoopbackTransport &transport, const char *id)
    {
        transport.start([id] { return MqttConnect{QString::fromLatin1(id), {}, 30s, true, 0s}; });
    }

    /// A request from the listener, as a caller without CallClient would send it.
    void send(const QString &method, const QByteArray &payload, const Principal &callee = gateway)
    {
        QVERIFY(listener.publish({toString(RequestTopic{callee, demo, method}), payload, 1, false}));
    }
    [[nodiscard]] QByteArray request(const QString &correlation, Millis lifetime = 10s) const
    {
        return encode(CallRequest{correlation, clock.now() + lifetime, {}});
    }
    [[nodiscard]] Result<QCborMap> outcome(qsizetype i) const
    {
        const auto response = decodeCallResponse(responses.value(i).payload);
        return response ? response->outcome : Result<QCborMap>(response.error());
    }
    /// Everything sent before has arrived when this has gone round.
    void settle()
    {
        const qsizetype before = responses.size();
        QVERIFY(listener.publish({QStringLiteral("lintel/v1/settled"), {}, 1, false}));
        QTRY_VERIFY(!responses.isEmpty() && responses.last().topic == u"lintel/v1/settled");
        responses.removeLast();
        QVERIFY(responses.size() >= before);
    }
};

} // namespace lintel::test

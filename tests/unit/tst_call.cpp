#include "calls/call_client.h"
#include "calls/call_server.h"
#include "fakes/fake_clock.h"
#include "mqtt/loopback_transport.h"

#include <QCborArray>
#include <QJsonDocument>
#include <QtTest>

#include <memory>

using namespace lintel;
using namespace std::chrono_literals;

namespace {

const Principal gateway = *Principal::parse(u"building-1~smart~local:agent:gateway");
const Principal demo = *Principal::parse(u"smart-building~cloud:operator:demo");
const QString status = QStringLiteral("status");

QCborMap mapOf(const char *json)
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

} // namespace

class TestCall : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void codec_roundTrips();
    void codec_carriesEveryError();
    void codec_keepsTheSentenceOfAnUnknownError();
    void decodeRequest_refuses_data();
    void decodeRequest_refuses();
    void decodeResponse_refuses_data();
    void decodeResponse_refuses();
    void correlation_isFoundInBrokenRequests();

    void call_isAnswered();
    void call_isAnsweredLater();
    void call_carriesTheCalleesError();
    void call_timesOutWithASentence();
    void call_refusesAMethodThatFitsNoTopic();
    void call_madeWhileDisconnectedWaits();
    void call_isRepeatedUntilAnswered();
    void call_isRepeatedAtOnceAfterAReconnection();
    void call_takesAnAnswerFromTheCalleeOnly();
    void call_mayDestroyItsClient();
    void call_failsWhereNoAnswerCanArrive();

    void server_runsARepeatedRequestOnce();
    void server_doesNotStartARunningRequestAgain();
    void server_forgetsAfterTenMinutes();
    void server_dropsExpiredRequestsInSilence();
    void server_refusesARequestFromTheFuture();
    void server_namesItsMethods();
    void server_refusesArgumentsThatAreNoMap();
    void server_ignoresWhatIsNotForIt();
    void server_limitsItsMemory();
    void server_refusesAnAnswerTooLargeToCarry();
    void server_ignoresASecondReplyAndReplyAfterItsEnd();
};

void TestCall::codec_roundTrips()
{
    const CallRequest request{QStringLiteral("c-1"), fromEpochMillis(1795254060000),
                              mapOf(R"({"points":["a","b"],"max":5,"deep":{"x":null}})")};
    const auto back = decodeCallRequest(encode(request));
    QVERIFY(back);
    QCOMPARE(back->correlation, request.correlation);
    QVERIFY(back->expires == request.expires);
    QCOMPARE(back->args, request.args);

    const auto response = decodeCallResponse(encode(CallResponse{QStringLiteral("c-1"), request.args}));
    QVERIFY(response && response->outcome);
    QCOMPARE(*response->outcome, request.args);
    QCOMPARE(response->outcome->toJsonObject(), request.args.toJsonObject());
}

void TestCall::codec_carriesEveryError()
{
    QStringList names;
    for (int code = int(Errc::Malformed); code <= int(Errc::Unsupported); ++code) {
        const QString name = wireName(Errc(code));
        QVERIFY(!names.contains(name));
        names.append(name);
        QVERIFY(errcFromWireName(name) == Errc(code));
        const auto back =
            decodeCallResponse(encode(CallResponse{QStringLiteral("c"), Error{Errc(code), QStringLiteral("Why.")}}));
        QVERIFY(back && !back->outcome);
        QCOMPARE(back->outcome.error().code, Errc(code));
        QCOMPARE(back->outcome.error().message, QStringLiteral("Why."));
    }
    QCOMPARE(names.first(), QStringLiteral("malformed"));
    QVERIFY(!errcFromWireName(u"Malformed"));
    QVERIFY(!errcFromWireName(u""));
}

void TestCall::codec_keepsTheSentenceOfAnUnknownError()
{
    const auto back =
        decodeCallResponse(mapOf(R"({"corr":"c","status":"failed","error":{"code":"melted","message":"Too hot."}})")
                               .toCborValue()
                               .toCbor());
    QVERIFY(back && !back->outcome);
    QCOMPARE(back->outcome.error().code, Errc::Unsupported);
    QVERIFY(back->outcome.error().message.startsWith(QStringLiteral("Too hot.")));
    QVERIFY(back->outcome.error().message.contains(QStringLiteral("melted")));
}

void TestCall::decodeRequest_refuses_data()
{
    QTest::addColumn<QByteArray>("bytes");
    const auto json = [](const char *text) { QTest::newRow(text) << mapOf(text).toCborValue().toCbor(); };
    json(R"({})");
    json(R"({"corr":"","expires":1,"args":{}})");
    json(R"({"corr":7,"expires":1,"args":{}})");
    json(R"({"corr":"a b","expires":1,"args":{}})");
    json(R"({"corr":"a/b","expires":1,"args":{}})");
    json(R"({"corr":"a_b","expires":1,"args":{}})");
    json(R"({"corr":"c","args":{}})");
    json(R"({"corr":"c","expires":"now","args":{}})");
    json(R"({"corr":"c","expires":1.5,"args":{}})");
    json(R"({"corr":"c","expires":1})");
    json(R"({"corr":"c","expires":1,"args":[]})");
    json(R"({"corr":"c","expires":1,"args":"x"})");
    QTest::newRow("nothing") << QByteArray();
    QTest::newRow("an array") << QByteArray::fromHex("80");
    QTest::newRow("correlation of 65") << encode(CallRequest{QString(65, u'c'), {}, {}});
    const QByteArray good = encode(CallRequest{QStringLiteral("c"), {}, {}});
    QTest::newRow("cut") << good.chopped(1);
    QTest::newRow("goes on") << good + '\0';
    QTest::newRow("nested without end") << QByteArray(100'000, '\x81');
    QTest::newRow("claims to be large") << QByteArray::fromHex("bb7fffffffffffffff");
    QTest::newRow("is large") << encode(
        CallRequest{QStringLiteral("c"), {}, {{QStringLiteral("x"), QString(maxCallBytes, u'x')}}});
}

void TestCall::decodeRequest_refuses()
{
    QFETCH(QByteArray, bytes);
    const auto request = decodeCallRequest(bytes);
    QVERIFY(!request);
    QCOMPARE(request.error().code, Errc::Malformed);
    QVERIFY(!request.error().message.isEmpty());
}

void TestCall::decodeResponse_refuses_data()
{
    QTest::addColumn<QByteArray>("bytes");
    const auto json = [](const char *text) { QTest::newRow(text) << mapOf(text).toCborValue().toCbor(); };
    json(R"({})");
    json(R"({"corr":"c"})");
    json(R"({"corr":"c","status":"running"})");
    json(R"({"corr":"c","status":"completed"})");
    json(R"({"corr":"c","status":"completed","data":[1]})");
    json(R"({"corr":"c","status":"failed"})");
    json(R"({"corr":"c","status":"failed","error":"no"})");
    json(R"({"status":"completed","data":{}})");
}

void TestCall::decodeResponse_refuses()
{
    QFETCH(QByteArray, bytes);
    const auto response = decodeCallResponse(bytes);
    QVERIFY(!response);
    QCOMPARE(response.error().code, Errc::Malformed);
}

void TestCall::correlation_isFoundInBrokenRequests()
{
    QVERIFY(correlationOf(mapOf(R"({"corr":"c","args":[1]})").toCborValue().toCbor()) == QStringLiteral("c"));
    QVERIFY(!correlationOf(mapOf(R"({"corr":"c c"})").toCborValue().toCbor()));
    QVERIFY(!correlationOf("junk"));
}

void TestCall::call_isAnswered()
{
    Bus bus;
    bus.server->provide(QStringLiteral("read_sensors"),
                        [](const CallServer::Call &call, const CallServer::Reply &reply) {
                            QCborMap data = call.args;
                            data.insert(QStringLiteral("caller"), call.caller.toString());
                            data.insert(QStringLiteral("method"), call.method);
                            reply(data);
                        });
    bus.startBoth();
    QList<QCborMap> answers;
    bus.client.call(gateway, QStringLiteral("read_sensors"), mapOf(R"({"max":5})"), 10s,
                    [&](const Result<QCborMap> &r) { answers.append(*r); });
    QVERIFY2(answers.isEmpty(), "never from inside call()");
    QTRY_COMPARE(answers.size(), 1);
    QCOMPARE(
        answers[0].toJsonObject(),
        mapOf(R"({"max":5,"caller":"smart-building~cloud:operator:demo","method":"read_sensors"})").toJsonObject());
    bus.settle();
    QCOMPARE(bus.requests.size(), 1);
    QCOMPARE(bus.requests[0].qos, 1);
    QCOMPARE(bus.responses[0].qos, 1);
    QVERIFY(!bus.requests[0].retain && !bus.responses[0].retain);
    QCOMPARE(answers.size(), 1);
}

void TestCall::call_isAnsweredLater()
{
    Bus bus;
    CallServer::Reply later;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &reply) { later = reply; });
    bus.startBoth();
    int answers = 0;
    bus.client.call(gateway, status, {}, 10s, [&](const Result<QCborMap> &r) { answers += r ? 1 : 100; });
    QTRY_VERIFY(later);
    later(QCborMap{});
    QTRY_COMPARE(answers, 1);
}

void TestCall::call_carriesTheCalleesError()
{
    Bus bus;
    bus.server->provide(status, [](const CallServer::Call &, const CallServer::Reply &reply) {
        reply(Error{Errc::Denied, QStringLiteral("Not you.")});
    });
    bus.startBoth();
    std::optional<Result<QCborMap>> answer;
    bus.client.call(gateway, status, {}, 10s, [&](const Result<QCborMap> &r) { answer = r; });
    QTRY_VERIFY(answer);
    QVERIFY(!*answer);
    QCOMPARE(answer->error().code, Errc::Denied);
    QCOMPARE(answer->error().message, QStringLiteral("Not you."));
}

void TestCall::call_timesOutWithASentence()
{
    Bus bus;
    bus.startBoth();
    const Principal nobody = *Principal::parse(u"nobody");
    std::optional<Result<QCborMap>> answer;
    bus.client.call(nobody, status, {}, 5s, [&](const Result<QCborMap> &r) { answer = r; });
    bus.clock.advance(4999ms);
    QTRY_VERIFY(bus.requests.size() >= 2);
    QVERIFY(!answer);
    bus.clock.advance(1ms);
    QTRY_VERIFY(answer);
    QCOMPARE(answer->error().code, Errc::Timeout);
    QVERIFY2(answer->error().message.contains(QStringLiteral("nobody did not answer status within 5 s")),
             qPrintable(answer->error().message));
}

void TestCall::call_refusesAMethodThatFitsNoTopic()
{
    Bus bus;
    for (const QString &method : {QString(), QStringLiteral("a/b"), QStringLiteral("#")}) {
        std::optional<Result<QCborMap>> answer;
        bus.client.call(gateway, method, {}, 10s, [&](const Result<QCborMap> &r) { answer = r; });
        QVERIFY(!answer);
        QTRY_VERIFY(answer);
        QCOMPARE(answer->error().code, Errc::Malformed);
    }
}

void TestCall::call_madeWhileDisconnectedWaits()
{
    Bus bus;
    bus.server->provide(status, [](const CallServer::Call &, const CallServer::Reply &reply) { reply(QCborMap{}); });
    int answers = 0;
    bus.client.call(gateway, status, {}, 10s, [&](const Result<QCborMap> &r) { answers += r ? 1 : 100; });
    QCoreApplication::processEvents();
    QCOMPARE(answers, 0);
    bus.startBoth();
    // The callee may have subscribed after the first sending.
    bus.clock.advance(2s);
    QTRY_COMPARE(answers, 1);
}

void TestCall::call_isRepeatedUntilAnswered()
{
    Bus bus;
    int runs = 0;
    CallServer::Reply later;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &reply) {
        ++runs;
        later = reply;
    });
    bus.startBoth();
    int answers = 0;
    bus.client.call(gateway, status, {}, 60s, [&](const Result<QCborMap> &r) { answers += r ? 1 : 100; });
    QTRY_COMPARE(bus.requests.size(), 1);
    for (int i = 2; i < 5; ++i) {
        bus.clock.advance(2s);
        QTRY_COMPARE(bus.requests.size(), i);
        QCOMPARE(bus.requests.last().payload, bus.requests.first().payload);
    }
    bus.settle();
    QCOMPARE(runs, 1);
    later(QCborMap{});
    QTRY_COMPARE(answers, 1);
    bus.clock.advance(10s);
    bus.settle();
    QCOMPARE(bus.requests.size(), 4);
}

void TestCall::call_isRepeatedAtOnceAfterAReconnection()
{
    Bus bus;
    bus.startBoth();
    int answers = 0;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &) {});
    bus.client.call(gateway, status, {}, 60s, [&](const Result<QCborMap> &) { ++answers; });
    QTRY_COMPARE(bus.requests.size(), 1);
    bus.broker.cut(QStringLiteral("caller"));
    QTRY_VERIFY(bus.callerSide.state() != MqttTransport::State::Connected);
    bus.broker.restore(QStringLiteral("caller"));
    QTRY_COMPARE(bus.requests.size(), 2); // and time has not moved
    QCOMPARE(bus.requests[1].payload, bus.requests[0].payload);
    QCOMPARE(bus.broker.subscriptions(QStringLiteral("caller")), QStringList{filter::responsesTo(demo)});
    QCOMPARE(answers, 0);
}

void TestCall::call_takesAnAnswerFromTheCalleeOnly()
{
    Bus bus;
    bus.server->provide(status, [](const CallServer::Call &, const CallServer::Reply &) {});
    bus.startBoth();
    QList<Result<QCborMap>> answers;
    bus.client.call(gateway, status, {}, 60s, [&](const Result<QCborMap> &r) { answers.append(r); });
    QTRY_COMPARE(bus.requests.size(), 1);
    const QString correlation = decodeCallRequest(bus.requests[0].payload)->correlation;
    const auto speak = [&](const Principal &as, const QString &inTopic, const QString &inPayload) {
        QVERIFY(bus.listener.publish(
            {toString(ResponseTopic{demo, as, inTopic}), encode(CallResponse{inPayload, QCborMap{}}), 1, false}));
    };
    speak(*Principal::parse(u"mallory"), correlation, correlation);
    speak(gateway, QStringLiteral("other"), correlation);
    speak(gateway, correlation, QStringLiteral("other"));
    bus.settle();
    QCoreApplication::processEvents();
    QVERIFY(answers.isEmpty());
    QVERIFY(bus.listener.publish({toString(ResponseTopic{demo, gateway, correlation}), "junk", 1, false}));
    QTRY_COMPARE(answers.size(), 1);
    QCOMPARE(answers[0].error().code, Errc::Malformed);
    speak(gateway, correlation, correlation);
    bus.settle();
    QCOMPARE(answers.size(), 1);
}

/// The broker refuses the subscription to answers: said at once and not after the time is over.
void TestCall::call_failsWhereNoAnswerCanArrive()
{
    Bus bus;
    bus.broker.refuse(filter::responsesTo(demo));
    QList<Result<QCborMap>> outcomes;
    const auto ask = [&] {
        bus.client.call(gateway, status, {}, 30s, [&](const Result<QCborMap> &result) { outcomes.append(result); });
    };
    ask();
    Bus::start(bus.callerSide, "caller");
    QTRY_COMPARE(outcomes.size(), 1);
    ask();
    QTRY_COMPARE(outcomes.size(), 2);
    for (const auto &outcome : std::as_const(outcomes)) {
        QVERIFY(!outcome);
        QCOMPARE(outcome.error().code, Errc::Denied);
        QVERIFY(outcome.error().message.contains(filter::responsesTo(demo)));
    }
    bus.server->provide(status, [](const CallServer::Call &, const CallServer::Reply &reply) { reply(QCborMap()); });
    bus.broker.allow(filter::responsesTo(demo));
    Bus::start(bus.calleeSide, "callee");
    bus.callerSide.reconnect();
    QTRY_COMPARE(bus.broker.subscriptions(QStringLiteral("caller")).size(), 1);
    QTRY_COMPARE(bus.broker.subscriptions(QStringLiteral("callee")).size(), 1);
    ask();
    QTRY_COMPARE(outcomes.size(), 3);
    QVERIFY(outcomes.last());
}

void TestCall::call_mayDestroyItsClient()
{
    Bus bus;
    bus.startBoth();
    auto client = std::make_unique<CallClient>(demo, bus.clock, bus.callerSide);
    const Principal nobody = *Principal::parse(u"nobody");
    int answers = 0;
    for (int i = 0; i < 3; ++i)
        client->call(nobody, status, {}, 1s, [&](const Result<QCborMap> &) {
            ++answers;
            client.reset();
        });
    bus.clock.advance(1s);
    QTRY_VERIFY(!client);
    QCOMPARE(answers, 1);
}

void TestCall::server_runsARepeatedRequestOnce()
{
    Bus bus;
    int runs = 0;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &reply) {
        reply(QCborMap{{QStringLiteral("run"), ++runs}});
    });
    bus.startBoth();
    const QByteArray request = bus.request(QStringLiteral("c-1"));
    for (int i = 1; i <= 3; ++i) {
        bus.send(status, request);
        QTRY_COMPARE(bus.responses.size(), i);
    }
    QCOMPARE(runs, 1);
    QCOMPARE(bus.responses[2].payload, bus.responses[0].payload);
    bus.send(status, bus.request(QStringLiteral("c-2")));
    QTRY_COMPARE(runs, 2);
}

void TestCall::server_doesNotStartARunningRequestAgain()
{
    Bus bus;
    QList<CallServer::Reply> running;
    bus.server->provide(status,
                        [&](const CallServer::Call &, const CallServer::Reply &reply) { running.append(reply); });
    bus.startBoth();
    const QByteArray request = bus.request(QStringLiteral("c-1"));
    for (int i = 0; i < 3; ++i)
        bus.send(status, request);
    bus.settle();
    QCOMPARE(running.size(), 1);
    QVERIFY(bus.responses.isEmpty());
    running[0](QCborMap{});
    QTRY_COMPARE(bus.responses.size(), 1);
}

void TestCall::server_forgetsAfterTenMinutes()
{
    Bus bus;
    int runs = 0;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &reply) {
        ++runs;
        reply(QCborMap{});
    });
    bus.startBoth();
    bus.send(status, bus.request(QStringLiteral("c-1")));
    QTRY_COMPARE(bus.responses.size(), 1);
    bus.clock.advance(10min);
    bus.send(status, bus.request(QStringLiteral("c-1")));
    QTRY_COMPARE(bus.responses.size(), 2);
    QCOMPARE(runs, 1);
    bus.clock.advance(1min);
    bus.send(status, bus.request(QStringLiteral("c-1")));
    QTRY_COMPARE(bus.responses.size(), 3);
    QCOMPARE(runs, 2);
}

void TestCall::server_dropsExpiredRequestsInSilence()
{
    Bus bus;
    int runs = 0;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &reply) {
        ++runs;
        reply(QCborMap{});
    });
    bus.startBoth();
    bus.send(status, bus.request(QStringLiteral("late"), -30001ms));
    bus.send(status,
             encode(CallRequest{
                 QStringLiteral("first-time-of-all"), fromEpochMillis(std::numeric_limits<qint64>::min()), {}}));
    bus.settle();
    QVERIFY(bus.responses.isEmpty());
    QCOMPARE(runs, 0);
    bus.send(status, bus.request(QStringLiteral("clocks-differ"), -30000ms));
    QTRY_COMPARE(bus.responses.size(), 1);
    QCOMPARE(runs, 1);
}

void TestCall::server_refusesARequestFromTheFuture()
{
    Bus bus;
    int runs = 0;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &reply) {
        ++runs;
        reply(QCborMap{});
    });
    bus.startBoth();
    bus.send(status, bus.request(QStringLiteral("a"), maxCallTimeout + 31s));
    bus.send(status, encode(CallRequest{QStringLiteral("b"), fromEpochMillis(std::numeric_limits<qint64>::max()), {}}));
    QTRY_COMPARE(bus.responses.size(), 2);
    QCOMPARE(bus.outcome(0).error().code, Errc::OutOfRange);
    QCOMPARE(bus.outcome(1).error().code, Errc::OutOfRange);
    QCOMPARE(runs, 0);
}

void TestCall::server_namesItsMethods()
{
    Bus bus;
    for (const char *method : {"sync_to_cloud", "aggregate_sensors", "status"})
        bus.server->provide(QString::fromLatin1(method), [](const CallServer::Call &, const CallServer::Reply &) {});
    QCOMPARE(bus.server->methods().join(u' '), QStringLiteral("aggregate_sensors status sync_to_cloud"));
    bus.startBoth();
    bus.send(QStringLiteral("self_destruct"), bus.request(QStringLiteral("c")));
    QTRY_COMPARE(bus.responses.size(), 1);
    QCOMPARE(bus.outcome(0).error().code, Errc::NotFound);
    QVERIFY(bus.outcome(0).error().message.contains(QStringLiteral("aggregate_sensors, status, sync_to_cloud")));
}

void TestCall::server_refusesArgumentsThatAreNoMap()
{
    Bus bus;
    bus.server->provide(status, [](const CallServer::Call &, const CallServer::Reply &reply) { reply(QCborMap{}); });
    bus.startBoth();
    const QCborMap bad{{QStringLiteral("corr"), QStringLiteral("c")},
                       {QStringLiteral("expires"), toEpochMillis(bus.clock.now() + 10s)},
                       {QStringLiteral("args"), QCborArray{1, 2}}};
    bus.send(status, bad.toCborValue().toCbor());
    QTRY_COMPARE(bus.responses.size(), 1);
    QCOMPARE(bus.outcome(0).error().code, Errc::Malformed);
    QVERIFY(bus.outcome(0).error().message.contains(QStringLiteral("args")));
}

void TestCall::server_ignoresWhatIsNotForIt()
{
    Bus bus;
    int runs = 0;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &reply) {
        ++runs;
        reply(QCborMap{});
    });
    bus.startBoth();
    bus.send(status, "junk");
    bus.send(status, bus.request(QStringLiteral("not a correlation")));
    bus.send(status, bus.request(QStringLiteral("c")), demo);
    bus.settle();
    // Even when somebody subscribes more on the same connection.
    QVERIFY(bus.calleeSide.subscribe(QStringLiteral("#"), 1));
    bus.send(status, bus.request(QStringLiteral("c")), demo);
    bus.settle();
    QVERIFY(bus.responses.isEmpty());
    QCOMPARE(runs, 0);
}

void TestCall::server_limitsItsMemory()
{
    Bus bus;
    int runs = 0;
    QList<CallServer::Reply> running;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &reply) {
        ++runs;
        running.append(reply);
    });
    bus.startBoth();
    for (int i = 0; i < 1000; ++i) {
        bus.send(status, bus.request(QStringLiteral("c-%1").arg(i)));
        if (i % 100 == 99)
            bus.settle();
    }
    QTRY_COMPARE(runs, 1000);
    bus.send(status, bus.request(QStringLiteral("one-more")));
    QTRY_COMPARE(bus.responses.size(), 1);
    QCOMPARE(bus.outcome(0).error().code, Errc::Full);
    running[7](QCborMap{});
    QTRY_COMPARE(bus.responses.size(), 2);
    bus.send(status, bus.request(QStringLiteral("one-more")));
    QTRY_COMPARE(runs, 1001);
    // What never answers is forgotten when nobody can ask for it any more.
    bus.clock.advance(11min);
    bus.send(status, bus.request(QStringLiteral("again")));
    QTRY_COMPARE(runs, 1002);
    running[0](QCborMap{});
    bus.settle();
    QCOMPARE(bus.responses.size(), 2);
}

void TestCall::server_refusesAnAnswerTooLargeToCarry()
{
    Bus bus;
    bus.server->provide(status, [&](const CallServer::Call &, const CallServer::Reply &reply) {
        reply(QCborMap{{QStringLiteral("x"), QString(maxCallBytes, u'x')}});
    });
    bus.startBoth();
    bus.send(status, bus.request(QStringLiteral("c")));
    QTRY_COMPARE(bus.responses.size(), 1);
    QCOMPARE(bus.outcome(0).error().code, Errc::Full);
}

void TestCall::server_ignoresASecondReplyAndReplyAfterItsEnd()
{
    Bus bus;
    QList<CallServer::Reply> running;
    bus.server->provide(status,
                        [&](const CallServer::Call &, const CallServer::Reply &reply) { running.append(reply); });
    bus.startBoth();
    bus.send(status, bus.request(QStringLiteral("a")));
    bus.send(status, bus.request(QStringLiteral("b")));
    QTRY_COMPARE(running.size(), 2);
    running[0](QCborMap{{QStringLiteral("n"), 1}});
    running[0](QCborMap{{QStringLiteral("n"), 2}});
    bus.settle();
    QCOMPARE(bus.responses.size(), 1);
    QCOMPARE(*bus.outcome(0), mapOf(R"({"n":1})"));
    bus.server.reset();
    running[1](QCborMap{});
    bus.settle();
    QCOMPARE(bus.responses.size(), 1);
}

QTEST_GUILESS_MAIN(TestCall)
#include "tst_call.moc"

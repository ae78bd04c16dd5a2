#include "fakes/call_bus.h"

using namespace lintel;
using namespace lintel::test;
using namespace std::chrono_literals;

class TestCallClient : public QObject
{
    Q_OBJECT

private Q_SLOTS:
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
};

void TestCallClient::call_isAnswered()
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

void TestCallClient::call_isAnsweredLater()
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

void TestCallClient::call_carriesTheCalleesError()
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

void TestCallClient::call_timesOutWithASentence()
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

void TestCallClient::call_refusesAMethodThatFitsNoTopic()
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

void TestCallClient::call_madeWhileDisconnectedWaits()
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

void TestCallClient::call_isRepeatedUntilAnswered()
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

void TestCallClient::call_isRepeatedAtOnceAfterAReconnection()
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

void TestCallClient::call_takesAnAnswerFromTheCalleeOnly()
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

void TestCallClient::call_mayDestroyItsClient()
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

/// The broker refuses the subscription to answers: said at once and not after the time is over.
void TestCallClient::call_failsWhereNoAnswerCanArrive()
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

QTEST_GUILESS_MAIN(TestCallClient)
#include "tst_call_client.moc"

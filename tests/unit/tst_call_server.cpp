#include "fakes/call_bus.h"

#include <QCborArray>

using namespace lintel;
using namespace lintel::test;
using namespace std::chrono_literals;

class TestCallServer : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void server_runsARepeatedRequestOnce();
    void server_doesNotStartARunningRequestAgain();
    void server_forgetsAfterTenMinutes();
    void server_dropsExpiredRequestsInSilence();
    void server_refusesARequestFromTheFuture();
    void server_namesItsMethods();
    void server_offersOnlyWhatItMay();
    void server_refusesArgumentsThatAreNoMap();
    void server_ignoresWhatIsNotForIt();
    void server_limitsItsMemory();
    void server_refusesAnAnswerTooLargeToCarry();
    void server_ignoresASecondReplyAndReplyAfterItsEnd();
};

void TestCallServer::server_runsARepeatedRequestOnce()
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

void TestCallServer::server_doesNotStartARunningRequestAgain()
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

void TestCallServer::server_forgetsAfterTenMinutes()
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

void TestCallServer::server_dropsExpiredRequestsInSilence()
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

void TestCallServer::server_refusesARequestFromTheFuture()
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

void TestCallServer::server_namesItsMethods()
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

void TestCallServer::server_offersOnlyWhatItMay()
{
    Bus bus;
    int runs = 0;
    const auto provide = [&](const char *method) {
        bus.server->provide(QString::fromLatin1(method), [&](const CallServer::Call &, const CallServer::Reply &reply) {
            ++runs;
            reply(QCborMap{});
        });
    };
    provide("sync_to_cloud");
    bus.server->offerOnly({status, QStringLiteral("read_births"), QStringLiteral("never_provided")});
    provide("status");
    provide("read_births");
    QCOMPARE(bus.server->methods().join(u' '), QStringLiteral("read_births status"));
    bus.startBoth();
    bus.send(QStringLiteral("sync_to_cloud"), bus.request(QStringLiteral("a")));
    bus.send(QStringLiteral("never_provided"), bus.request(QStringLiteral("b")));
    QTRY_COMPARE(bus.responses.size(), 2);
    for (const qsizetype answer : {0, 1}) {
        QCOMPARE(bus.outcome(answer).error().code, Errc::NotFound);
        QVERIFY(bus.outcome(answer).error().message.contains(QStringLiteral("there are: read_births, status.")));
    }
    QCOMPARE(runs, 0);
    bus.send(status, bus.request(QStringLiteral("c")));
    QTRY_COMPARE(bus.responses.size(), 3);
    QVERIFY(bus.outcome(2));
    QCOMPARE(runs, 1);

    bus.server->offerOnly({});
    bus.send(QStringLiteral("sync_to_cloud"), bus.request(QStringLiteral("d")));
    QTRY_COMPARE(runs, 2);
}

void TestCallServer::server_refusesArgumentsThatAreNoMap()
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

void TestCallServer::server_ignoresWhatIsNotForIt()
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

void TestCallServer::server_limitsItsMemory()
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

void TestCallServer::server_refusesAnAnswerTooLargeToCarry()
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

void TestCallServer::server_ignoresASecondReplyAndReplyAfterItsEnd()
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

QTEST_GUILESS_MAIN(TestCallServer)
#include "tst_call_server.moc"

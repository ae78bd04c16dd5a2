#include "fakes/sensor_bench.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

class TestSensorAgent : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void sampling_storesWithoutABroker();
    void sampling_leavesOutWhatComesTooSoon();
    void failedRead_isBadQuality();
    void clockIn1970_holdsAndStampsLater();
    void start_refusesWhatTheDriverRefuses();
    void gateway_receivesEveryReadingAndCustodyMoves();
    void sendEvery_storesAtOnceAndSendsTogether();
    void sendEvery_syncBufferedSendsAtOnce();
    void sendEvery_aNewConnectionSendsAtOnce();
    void sendEvery_stopSendsWhatWaits();
    void calls_readSensorsIsFresh();
    void calls_syncBufferedDeletesNothing();
    void calls_areRefusedWithoutAPolicyDecider();
    void stop_drainsThenSaysGoodbye();
    void stop_withoutConnectionIsQuick();
};

void TestSensorAgent::sampling_storesWithoutABroker()
{
    Bench bench;
    bench.broker.setReachable(false);
    QVERIFY(bench.agent->start());
    QTRY_COMPARE(bench.spool.status().head, 1u);
    for (quint64 i = 2; i <= 6; ++i) {
        bench.period();
        QTRY_COMPARE(bench.spool.status().head, i);
    }
    const auto stored = bench.spool.read(0, 10);
    QVERIFY(stored);
    QCOMPARE(stored->first().batch.device, u"s1"_s);
    QCOMPARE(stored->at(1).batch.readings[0].deviceTime - stored->at(0).batch.readings[0].deviceTime, Millis{1s});
}

void TestSensorAgent::sampling_leavesOutWhatComesTooSoon()
{
    Bench bench;
    bench.driver.hangs = true;
    QSignalSpy trouble(bench.agent.get(), &SensorAgent::trouble);
    QVERIFY(bench.agent->start());
    bench.period();
    bench.period();
    QCOMPARE(bench.driver.reads, 1);
    QVERIFY(trouble.count() >= 1);
    bench.driver.answer();
    QCOMPARE(bench.spool.status().totalReadings, 1u);
}

void TestSensorAgent::failedRead_isBadQuality()
{
    Bench bench;
    QVERIFY(bench.agent->start());
    QTRY_COMPARE(bench.spool.status().head, 1u);
    bench.driver.failure = Error{Errc::Timeout, u"bus hangs"_s};
    bench.period();
    QTRY_COMPARE(bench.spool.status().head, 2u);
    const Reading reading = bench.spool.read(1, 1)->first().batch.readings.first();
    QCOMPARE(reading.quality, Quality::Bad);
    QCOMPARE(reading.value, Value{20.0});
}

void TestSensorAgent::clockIn1970_holdsAndStampsLater()
{
    Bench bench;
    bench.clock.setNow(fromEpochMillis(5'000));
    QVERIFY(bench.agent->start());
    QCoreApplication::processEvents();
    bench.period();
    bench.period();
    QTRY_COMPARE(bench.agent->counts().waiting, 3u);
    QCOMPARE(bench.spool.status().head, 0u);
    const Timestamp now{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1}};
    bench.clock.setNow(now);
    bench.clock.advance(1s);
    bench.agent->tick();
    QTRY_COMPARE(bench.spool.status().head, 3u);
    const auto stored = bench.spool.read(0, 10);
    QCOMPARE(stored->at(2).batch.readings[0].deviceTime, now);
    QCOMPARE(stored->at(0).batch.readings[0].deviceTime, now - 2s);
}

void TestSensorAgent::start_refusesWhatTheDriverRefuses()
{
    Bench bench;
    bench.driver.openFailure = Error{Errc::NotFound, u"no such chip"_s};
    const auto started = bench.agent->start();
    QVERIFY(!started);
    QCOMPARE(started.error().message, u"no such chip"_s);
}

void TestSensorAgent::gateway_receivesEveryReadingAndCustodyMoves()
{
    Bench bench;
    Gateway gateway(bench);
    QVERIFY(bench.agent->start());
    QTRY_COMPARE(bench.session.status().phase, EdgeNodeSession::Phase::Custody);
    for (int i = 0; i < 5; ++i) {
        bench.driver.value = 21 + i;
        bench.period();
        QTRY_COMPARE(bench.spool.status().head, quint64(i + 2));
        QTRY_COMPARE(bench.spool.status().pendingBatches, 0u);
    }
    QCOMPARE(gateway.batches.size(), 6);
    QCOMPARE(bench.spool.status().head, 6u);
    QVERIFY(!gateway.births.isEmpty());
    QCOMPARE(gateway.births[0].points[0].staleAfter, Millis{3s});
    QCOMPARE(gateway.batches.last().batch.readings[0].value, Value{25.0});
}

/// Connected, and the first sample is the gateway's; `samples` more are stored and wait.
#define PREPARE_WAITING(bench, gateway, samples)                                                                       \
    QVERIFY(bench.agent->start());                                                                                     \
    QTRY_COMPARE(bench.session.status().phase, EdgeNodeSession::Phase::Custody);                                       \
    QTRY_COMPARE(bench.spool.status().pendingBatches, 0u);                                                             \
    QCOMPARE(gateway.batches.size(), 1);                                                                               \
    for (quint64 i = 1; i <= samples; ++i) {                                                                           \
        bench.period();                                                                                                \
        QTRY_COMPARE(bench.spool.status().head, i + 1);                                                                \
    }                                                                                                                  \
    QCOMPARE(gateway.batches.size(), 1)

void TestSensorAgent::sendEvery_storesAtOnceAndSendsTogether()
{
    Bench bench(60s);
    Gateway gateway(bench);
    PREPARE_WAITING(bench, gateway, 59);
    QCOMPARE(gateway.births.size(), 1); // its silence worried nobody
    QCOMPARE(gateway.births[0].points[0].staleAfter, Millis{63s});
    QCOMPARE(bench.spool.status().pendingBatches, 59u);

    // The sample that is taken in this moment may come along, or be the first of those that wait next.
    bench.period();
    QTRY_VERIFY(gateway.batches.size() >= 60);
    QTRY_VERIFY(bench.spool.status().pendingBatches <= 1u);
    const qsizetype together = gateway.batches.size();
    for (qsizetype i = 1; i < together; ++i) {
        QCOMPARE(gateway.batches[i].receipt->msn, Msn(i + 1));
        QVERIFY(!gateway.batches[i].batch.readings[0].isHistorical); // as planned, not late
    }
    for (int i = 0; i < 30; ++i)
        bench.period();
    QTRY_VERIFY(bench.spool.status().pendingBatches >= 29u);
    QCOMPARE(gateway.batches.size(), together);
}

void TestSensorAgent::sendEvery_syncBufferedSendsAtOnce()
{
    Bench bench(60s);
    Gateway gateway(bench);
    PREPARE_WAITING(bench, gateway, 5);
    std::optional<Result<QCborMap>> answer;
    gateway.client.call(principal(u"s1"_s), u"sync_buffered"_s, {}, 10s,
                        [&](Result<QCborMap> outcome) { answer = outcome; });
    QTRY_VERIFY(answer && *answer);
    QTRY_COMPARE(gateway.batches.size(), 6);
    QTRY_COMPARE(bench.spool.status().pendingBatches, 0u);
    // From here on it waits again.
    bench.period();
    QTRY_COMPARE(bench.spool.status().head, 7u);
    bench.period();
    QCOMPARE(gateway.batches.size(), 6);
}

void TestSensorAgent::sendEvery_aNewConnectionSendsAtOnce()
{
    Bench bench(60s);
    Gateway gateway(bench);
    PREPARE_WAITING(bench, gateway, 5);
    bench.session.reconnect();
    QTRY_COMPARE(gateway.batches.size(), 6);
    QTRY_COMPARE(bench.spool.status().pendingBatches, 0u);
}

void TestSensorAgent::sendEvery_stopSendsWhatWaits()
{
    Bench bench(60s);
    Gateway gateway(bench);
    PREPARE_WAITING(bench, gateway, 5);
    QSignalSpy stopped(bench.agent.get(), &SensorAgent::stopped);
    bench.agent->stop();
    QTRY_COMPARE(stopped.count(), 1);
    QCOMPARE(gateway.batches.size(), 6);
    QCOMPARE(bench.spool.status().pendingBatches, 0u);
}

void TestSensorAgent::calls_readSensorsIsFresh()
{
    Bench bench;
    Gateway gateway(bench);
    QVERIFY(bench.agent->start());
    QTRY_COMPARE(bench.session.status().phase, EdgeNodeSession::Phase::Custody);
    bench.driver.value = 33;
    const quint64 storedBefore = bench.spool.status().head;
    std::optional<Result<QCborMap>> answer;
    gateway.client.call(principal(u"s1"_s), u"read_sensors"_s, {}, 10s,
                        [&](Result<QCborMap> outcome) { answer = outcome; });
    QTRY_VERIFY(answer);
    QVERIFY(*answer);
    QCOMPARE((**answer)["readings"_L1].toMap()["temp"_L1].toMap()["value"_L1].toDouble(), 33.0);
    QCOMPARE(bench.spool.status().head, storedBefore);
}

void TestSensorAgent::calls_syncBufferedDeletesNothing()
{
    Bench bench;
    Gateway gateway(bench, false);
    QVERIFY(bench.agent->start());
    QTRY_COMPARE(bench.session.status().phase, EdgeNodeSession::Phase::Born);
    bench.period();
    QTRY_COMPARE(bench.spool.status().head, 2u);
    std::optional<Result<QCborMap>> answer;
    gateway.client.call(principal(u"s1"_s), u"sync_buffered"_s, {{"limit"_L1, 10}}, 10s,
                        [&](Result<QCborMap> outcome) { answer = outcome; });
    QTRY_VERIFY(answer);
    QVERIFY(*answer);
    QCOMPARE((**answer)["count"_L1].toInteger(), 2);
    QCOMPARE((**answer)["readings"_L1].toArray().size(), 2);
    QCOMPARE((**answer)["readings"_L1].toArray()[0].toMap()["point"_L1].toString(), u"temp"_s);
    QCOMPARE(bench.spool.status().pendingBatches, 2u);
    answer.reset();
    // Unless told otherwise it shows what waits, too; and it always says so as a list.
    gateway.client.call(principal(u"s1"_s), u"sync_buffered"_s, {}, 10s,
                        [&](Result<QCborMap> outcome) { answer = outcome; });
    QTRY_VERIFY(answer);
    QVERIFY(*answer);
    QCOMPARE((**answer)["readings"_L1].toArray().size(), 2);
    answer.reset();
    gateway.client.call(principal(u"s1"_s), u"sync_buffered"_s, {{"limit"_L1, 0}}, 10s,
                        [&](Result<QCborMap> outcome) { answer = outcome; });
    QTRY_VERIFY(answer);
    QVERIFY(*answer);
    QCOMPARE((**answer)["count"_L1].toInteger(), 2);
    QVERIFY((**answer)["readings"_L1].isArray());
    QVERIFY((**answer)["readings"_L1].toArray().isEmpty());
    answer.reset();
    gateway.client.call(principal(u"s1"_s), u"sync_buffered"_s, {{"limit"_L1, -1}}, 10s,
                        [&](Result<QCborMap> outcome) { answer = outcome; });
    QTRY_VERIFY(answer);
    QCOMPARE(answer->error().code, Errc::OutOfRange);
}

void TestSensorAgent::calls_areRefusedWithoutAPolicyDecider()
{
    Bench bench;
    SensorSettings settings = Bench::settings();
    settings.callsNeedPolicy = true;
    settings.capabilities = {u"read_sensors"_s};
    bench.remake(settings);
    Gateway gateway(bench);
    QVERIFY(bench.agent->start());
    QCOMPARE(bench.calls.methods(), QStringList{u"read_sensors"_s});
    QTRY_COMPARE(bench.session.status().phase, EdgeNodeSession::Phase::Custody);
    std::optional<Result<QCborMap>> answer;
    gateway.client.call(principal(u"s1"_s), u"read_sensors"_s, {}, 10s,
                        [&](Result<QCborMap> outcome) { answer = outcome; });
    QTRY_VERIFY(answer);
    QCOMPARE(answer->error().code, Errc::Denied);
}

void TestSensorAgent::stop_drainsThenSaysGoodbye()
{
    Bench bench;
    Gateway gateway(bench);
    gateway.acknowledges = false;
    QVERIFY(bench.agent->start());
    QTRY_COMPARE(bench.session.status().phase, EdgeNodeSession::Phase::Born);
    QTRY_COMPARE(gateway.batches.size(), 1);
    QSignalSpy stopped(bench.agent.get(), &SensorAgent::stopped);
    bench.agent->stop();
    QTest::qWait(200);
    QCOMPARE(stopped.count(), 0); // waits for the acknowledgement
    gateway.host.acknowledge(gateway.batches[0].node, gateway.batches[0].receipt->stream, 1);
    QTRY_COMPARE(stopped.count(), 1);
    QCOMPARE(bench.spool.status().pendingBatches, 0u);
}

void TestSensorAgent::stop_withoutConnectionIsQuick()
{
    Bench bench;
    bench.broker.setReachable(false);
    QVERIFY(bench.agent->start());
    QTRY_COMPARE(bench.spool.status().head, 1u);
    QSignalSpy stopped(bench.agent.get(), &SensorAgent::stopped);
    bench.agent->stop();
    QTRY_COMPARE(stopped.count(), 1);
    QCOMPARE(bench.spool.status().pendingBatches, 1u);
}

QTEST_GUILESS_MAIN(TestSensorAgent)
#include "tst_sensor_agent.moc"

// The gateway as its callers see it, between two loopback brokers: sensors on one side, the cloud on
// the other.
#include "fakes/loopback_edge.h"
#include "gateway/gateway_config.h"
#include "gateway/gateway_service.h"

#include <QCborArray>
#include <QSignalSpy>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using sparkplug::EdgeNodeSession;
using sparkplug::HostSession;

namespace {

/// The cloud: takes everything, and acknowledges while it may.
struct Cloud {
    Cloud(LoopbackBroker &broker, const Clock &clock) : transport(broker), host(config(), clock, transport)
    {
        QObject::connect(&host, &HostSession::born, &host, [this](const sparkplug::Participant &who) {
            if (who.spool && acknowledges)
                host.acknowledge(who.node, who.spool->stream, store.contiguousReceipt(who.spool->stream));
        });
        QObject::connect(&host, &HostSession::batchReceived, &host, [this](const sparkplug::HostBatch &batch) {
            if (batch.fromBirth || !batch.receipt)
                return;
            const IncomingBatch incoming{batch.batch, batch.receipt};
            QVERIFY(store.append({&incoming, 1}));
            stream = batch.receipt->stream;
            node = batch.node;
            acknowledge();
        });
        QObject::connect(&timer, &QTimer::timeout, &host, &HostSession::tick);
        timer.start(10);
    }
    static sparkplug::HostConfig config()
    {
        sparkplug::HostConfig config;
        config.hostId = u"lintel-cloud"_s;
        config.self = agent(u"cloud"_s);
        return config;
    }
    void acknowledge()
    {
        if (acknowledges && !stream.isNull())
            host.acknowledge(node, stream, store.contiguousReceipt(stream));
    }

    LoopbackTransport transport;
    HostSession host;
    MemorySpool store;
    StreamId stream;
    sparkplug::NodeId node;
    QTimer timer;
    bool acknowledges = true;
};

struct Bench {
    Bench()
        : host(hostConfig(), clock, buildingTransport),
          uplink(LoopbackEdge::config(u"gateway"_s, u"lintel-cloud"_s), clock, cloudTransport, spool, state),
          devices(state, clock), gateway(host, uplink, spool, devices, clock),
          calls(agent(u"gateway"_s), clock, buildingTransport), cloud(cloudBroker, clock), caller(building, clock)
    {
        gateway.serve(calls);
        gateway.start();
        // Time stands still here, so a call that nobody hears is not repeated.
        if (!QTest::qWaitFor([this] { return isListening(); }, 20'000))
            qFatal("the service did not subscribe");
    }
    [[nodiscard]] bool isListening() const
    {
        const QStringList filters = building.subscriptions(agent(u"gateway"_s).toString());
        return filters.contains(filter::group(u"building-1"_s))
               && filters.contains(filter::requestsTo(agent(u"gateway"_s)));
    }
    static sparkplug::HostConfig hostConfig()
    {
        sparkplug::HostConfig config;
        config.hostId = u"gateway-1"_s;
        config.self = agent(u"gateway"_s);
        config.groups = {u"building-1"_s};
        return config;
    }
    [[nodiscard]] QCborMap call(const QString &method, const QCborMap &args = {})
    {
        return caller.call(agent(u"gateway"_s), method, args);
    }
    [[nodiscard]] QCborMap sensor(const QString &name)
    {
        return call(u"aggregate_sensors"_s).value("sensors"_L1).toMap().value(name).toMap();
    }
    [[nodiscard]] bool isUplinkIn(EdgeNodeSession::Phase phase) const { return uplink.status().phase == phase; }

    FakeClock clock;
    LoopbackBroker building{clock};
    LoopbackBroker cloudBroker{clock};
    LoopbackTransport buildingTransport{building};
    LoopbackTransport cloudTransport{cloudBroker};
    MemorySpool spool;
    MemoryStateStore state;
    HostSession host;
    EdgeNodeSession uplink;
    DeviceTable devices;
    GatewayService gateway;
    CallServer calls;
    Cloud cloud;
    LoopbackCaller caller;
};

/// What a node that we did not write sends: names, no receipts.
MqttMessage plain(SparkplugVerb verb, quint64 seq, Timestamp time, double value)
{
    sparkplug::Payload payload;
    payload.timestamp = time;
    payload.seq = seq;
    auto metric = sparkplug::Metric::named(u"pressure"_s, sparkplug::DataType::Double, value);
    metric.timestamp = time;
    payload.metrics.append(metric);
    if (verb == SparkplugVerb::NBirth)
        payload.metrics.append(sparkplug::Metric::named(u"bdSeq"_s, sparkplug::DataType::UInt64, quint64(0)));
    return {toString(SparkplugTopic{u"building-1"_s, verb, u"press-7"_s, {}}), sparkplug::encode(payload), 0, false};
}

constexpr int kPatience = 20'000;

} // namespace

class TestGatewayService : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void refusedSubscription_isToldAndAskedForAgain()
    {
        Bench bench;
        QSignalSpy trouble(&bench.gateway, &GatewayService::trouble);
        const QString self = agent(u"gateway"_s).toString();
        const QString sensors = filter::group(u"building-1"_s);
        const QString cloudState = toString(StateTopic{u"lintel-cloud"_s});
        const auto refusals = [&] { return bench.gateway.status().value("refused_subscriptions"_L1).toArray(); };
        QTRY_VERIFY_WITH_TIMEOUT(bench.cloudBroker.subscriptions(self).contains(cloudState), kPatience);
        QVERIFY(refusals().isEmpty());

        for (const auto &[broker, filter] :
             {std::pair(&bench.building, sensors), std::pair(&bench.cloudBroker, cloudState)}) {
            broker->refuse(filter);
            broker->cut(self);
            broker->restore(self);
            QTRY_COMPARE_WITH_TIMEOUT(refusals().size(), 1, kPatience);
            const QString sentence = refusals().first().toString();
            QVERIFY2(sentence.contains(filter) && sentence.contains(u"access rules"_s), qPrintable(sentence));
            QCOMPARE(trouble.takeLast().first().value<Error>().message, sentence);

            broker->allow(filter);
            broker->cut(self);
            broker->restore(self);
            QTRY_VERIFY_WITH_TIMEOUT(broker->subscriptions(self).contains(filter), kPatience);
            QTRY_VERIFY_WITH_TIMEOUT(refusals().isEmpty(), kPatience);
        }
    }

    void queryHistory_answersInBuckets()
    {
        Bench bench;
        QString asked;
        bench.gateway.setHistory(
            [](const QString &, const QString &, Timestamp, Timestamp, int) { return QList<Reading>(); },
            [&asked](const QString &device, const QString &point, Timestamp from, Timestamp to,
                     std::chrono::seconds length) -> Result<QList<HistoryBucket>> {
                asked = u"%1 %2 %3 %4"_s.arg(device, point).arg((to - from) / 1s).arg(length.count());
                return QList<HistoryBucket>{{from, 3, 1.0, 4.0, 2.5, 2}};
            });
        QCborMap args{{"device"_L1, u"hvac-001"_s},
                      {"point"_L1, u"air_temp"_s},
                      {"from"_L1, u"2026-01-15T08:00:00.000Z"_s},
                      {"to"_L1, u"2026-01-15T09:00:00.000Z"_s},
                      {"bucket"_L1, 60}};
        const QCborMap answer = bench.call(u"query_history"_s, args);
        QCOMPARE(asked, u"hvac-001 air_temp 3600 60"_s);
        QVERIFY(!answer.contains("readings"_L1));
        const QCborMap expected{{"start"_L1, u"2026-01-15T08:00:00.000Z"_s},
                                {"count"_L1, 3},
                                {"min"_L1, 1.0},
                                {"max"_L1, 4.0},
                                {"avg"_L1, 2.5},
                                {"historical"_L1, 2}};
        QCOMPARE(answer.value("buckets"_L1).toArray(), QCborArray{expected});
        for (const qint64 absurd : {qint64(-1), qint64(9e18), qint64(367 * 24 * 3600)}) {
            args["bucket"_L1] = absurd;
            const auto refused = bench.caller.ask(agent(u"gateway"_s), u"query_history"_s, args);
            QTRY_VERIFY_WITH_TIMEOUT(refused->has_value(), kPatience);
            QCOMPARE((*refused)->error().code, Errc::OutOfRange);
        }
    }

    void aggregateSensors_tellsLastValuesAndSinceWhenOneIsOffline()
    {
        Bench bench;
        LoopbackEdge hvac(bench.building, bench.clock, u"hvac-001"_s, u"gateway-1"_s);
        hvac.session.setNodePoints({temperaturePoint()});
        hvac.session.start();
        const Timestamp bornAt = bench.clock.now();
        QTRY_VERIFY_WITH_TIMEOUT(hvac.session.status().phase == EdgeNodeSession::Phase::Custody, kPatience);
        hvac.measure(21.5);
        QTRY_COMPARE_WITH_TIMEOUT(bench.spool.status().totalReadings, 1u, kPatience);

        QCborMap sensor = bench.sensor(u"hvac-001"_s);
        QCOMPARE(sensor.value("status"_L1).toString(), u"online"_s);
        QCOMPARE(sensor.value("since"_L1).toString(), toIso8601(bornAt));
        const QCborMap last = sensor.value("readings"_L1).toMap().value("air_temp"_L1).toMap();
        QCOMPARE(last.value("value"_L1).toDouble(), 21.5);
        QCOMPARE(last.value("time"_L1).toString(), toIso8601(bornAt));

        bench.clock.advance(60s);
        const Timestamp cutAt = bench.clock.now();
        bench.building.cut(agent(u"hvac-001"_s).toString()); // its will tells
        const auto isOffline = [&] {
            bench.clock.advance(100ms); // a death counts after the time that a reconnection takes
            return bench.sensor(u"hvac-001"_s).value("status"_L1).toString() == u"offline";
        };
        QTRY_VERIFY_WITH_TIMEOUT(isOffline(), kPatience);
        sensor = bench.sensor(u"hvac-001"_s);
        const auto since = timestampFromIso8601(sensor.value("since"_L1).toString());
        QVERIFY(since);
        QVERIFY(*since >= cutAt && *since <= bench.clock.now());
        const QCborMap all = bench.call(u"aggregate_sensors"_s);
        QCOMPARE(all.value("total_sensors"_L1).toInteger(), 1);
        QCOMPARE(all.value("online_sensors"_L1).toInteger(-1), 0);
        QCOMPARE(all.value("offline_sensors"_L1).toInteger(), 1);
        QCOMPARE(sensor.value("readings"_L1).toMap().value("air_temp"_L1).toMap().value("value"_L1).toDouble(), 21.5);

        // And "since" does not move while it stays away.
        bench.clock.advance(3600s);
        QCOMPARE(bench.sensor(u"hvac-001"_s).value("since"_L1).toString(), toIso8601(*since));
    }

    void listDevicesAndReadBirths_tellWhatABirthSaid()
    {
        Bench bench;
        LoopbackEdge hvac(bench.building, bench.clock, u"hvac-001"_s, u"gateway-1"_s);
        hvac.session.setNodePoints({temperaturePoint()});
        hvac.session.start();
        QTRY_VERIFY_WITH_TIMEOUT(hvac.session.status().phase == EdgeNodeSession::Phase::Custody, kPatience);

        const QCborArray listed = bench.call(u"list_devices"_s).value("devices"_L1).toArray();
        QCOMPARE(listed.size(), 1);
        const QCborMap device = listed.first().toMap();
        QCOMPARE(device.value("device"_L1).toString(), u"hvac-001"_s);
        QCOMPARE(device.value("group"_L1).toString(), u"building-1"_s);
        QVERIFY(device.value("online"_L1).toBool());
        QVERIFY(device.value("store_and_forward"_L1).toBool());
        const QCborArray points = device.value("points"_L1).toArray();
        QCOMPARE(points.size(), 1);
        QCOMPARE(points.first().toMap().value("name"_L1).toString(), u"Supply air temperature"_s);

        // An observer that missed the birth knows the sensor from the answer alone.
        const QCborArray births = bench.call(u"read_births"_s).value("births"_L1).toArray();
        QCOMPARE(births.size(), 1);
        LoopbackBroker elsewhere;
        LoopbackTransport transport(elsewhere);
        sparkplug::HostConfig config;
        config.role = sparkplug::HostConfig::Role::Observer;
        HostSession observer(config, bench.clock, transport);
        const QCborMap birth = births.first().toMap();
        observer.learnBirth({birth.value("topic"_L1).toString(), birth.value("payload"_L1).toByteArray()});
        const sparkplug::Participant *who = observer.participant({u"building-1"_s, u"hvac-001"_s});
        QVERIFY(who);
        QCOMPARE(who->points, QList<Point>{temperaturePoint()});
    }

    /// agent.capabilities may name exactly what is served.
    void calls_areThoseThatTheConfigurationKnows()
    {
        Bench bench;
        QStringList known = callsOfGateway();
        known.sort();
        QCOMPARE(bench.calls.methods(), known);
    }

    void periodicSync_comesAtItsInterval()
    {
        Bench bench;
        bench.cloud.host.start();
        QTRY_VERIFY_WITH_TIMEOUT(bench.isUplinkIn(EdgeNodeSession::Phase::Custody), kPatience);
        LoopbackEdge hvac(bench.building, bench.clock, u"hvac-001"_s, u"gateway-1"_s);
        hvac.session.setNodePoints({temperaturePoint()});
        hvac.session.start();
        QTRY_VERIFY_WITH_TIMEOUT(hvac.session.status().phase == EdgeNodeSession::Phase::Custody, kPatience);
        const auto lastSync = [&bench] { return bench.gateway.status().value("last_sync"_L1).toString(); };
        // A reading that has come round the bench: every timer has run since the clock was moved.
        const auto letRun = [&] {
            const quint64 before = bench.cloud.store.status().totalReadings;
            hvac.measure(20);
            QTRY_COMPARE_WITH_TIMEOUT(bench.cloud.store.status().totalReadings, before + 1, kPatience);
            int ticks = 0;
            QTimer twice;
            QObject::connect(&twice, &QTimer::timeout, &bench.gateway, [&ticks] { ++ticks; });
            twice.start(100); // as often as the gateway looks at the clock
            QTRY_VERIFY_WITH_TIMEOUT(ticks >= 2, kPatience);
        };
        const Millis interval = GatewayLimits{}.syncInterval;
        bench.clock.advance(interval - 1s);
        letRun();
        if (QTest::currentTestFailed())
            return;
        QCOMPARE(lastSync(), QString());
        for (int i = 0; i < 2; ++i) {
            bench.clock.advance(i == 0 ? 1s : interval);
            QTRY_COMPARE_WITH_TIMEOUT(lastSync(), toIso8601(bench.clock.now()), kPatience);
        }

        // What the cloud does not acknowledge is not synced, and counts as soon as it is.
        const QString before = lastSync();
        bench.cloud.acknowledges = false;
        letRun();
        if (QTest::currentTestFailed())
            return;
        bench.clock.advance(interval);
        letRun();
        if (QTest::currentTestFailed())
            return;
        QCOMPARE(lastSync(), before);
        bench.cloud.acknowledges = true;
        bench.cloud.acknowledge();
        QTRY_COMPARE_WITH_TIMEOUT(lastSync(), toIso8601(bench.clock.now()), kPatience);
    }

    void syncToCloud_saysWhatWaitsWhileTheCloudIsAway()
    {
        Bench bench; // its cloud has not started
        LoopbackEdge hvac(bench.building, bench.clock, u"hvac-001"_s, u"gateway-1"_s);
        hvac.session.setNodePoints({temperaturePoint()});
        hvac.session.start();
        QTRY_VERIFY_WITH_TIMEOUT(hvac.session.status().phase == EdgeNodeSession::Phase::Custody, kPatience);
        for (int i = 0; i < 3; ++i)
            hvac.measure(20 + i);
        QTRY_COMPARE_WITH_TIMEOUT(bench.spool.status().totalReadings, 3u, kPatience);

        QCborMap answer = bench.call(u"sync_to_cloud"_s);
        QVERIFY(!answer.value("cloud_available"_L1).toBool(true));
        QCOMPARE(answer.value("synced_readings"_L1).toInteger(-1), 0);
        QCOMPARE(answer.value("pending_readings"_L1).toInteger(-1), 3);
        QVERIFY(answer.value("last_sync"_L1).isNull());
        QVERIFY(answer.contains("oldest_pending"_L1));

        bench.cloud.host.start();
        QTRY_COMPARE_WITH_TIMEOUT(bench.spool.status().pendingReadings, 0u, kPatience);
        answer = bench.call(u"sync_to_cloud"_s);
        QVERIFY(answer.value("cloud_available"_L1).toBool());
        QCOMPARE(answer.value("pending_readings"_L1).toInteger(-1), 0);
        QCOMPARE(answer.value("last_sync"_L1).toString(), toIso8601(bench.clock.now()));
        QVERIFY(!answer.contains("oldest_pending"_L1));
    }

    void syncToCloud_answersWhenTheCloudHasAcknowledged()
    {
        Bench bench;
        bench.cloud.host.start();
        LoopbackEdge hvac(bench.building, bench.clock, u"hvac-001"_s, u"gateway-1"_s);
        hvac.session.setNodePoints({temperaturePoint()});
        hvac.session.start();
        QTRY_VERIFY_WITH_TIMEOUT(bench.isUplinkIn(EdgeNodeSession::Phase::Custody), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(hvac.session.status().phase == EdgeNodeSession::Phase::Custody, kPatience);
        bench.cloud.acknowledges = false;
        hvac.measure(20);
        hvac.measure(21);
        QTRY_COMPARE_WITH_TIMEOUT(bench.cloud.store.status().totalReadings, 2u, kPatience);

        const auto answer = bench.caller.ask(agent(u"gateway"_s), u"sync_to_cloud"_s);
        (void)bench.call(u"status"_s); // asked later, answered already
        QVERIFY(!answer->has_value());
        bench.cloud.acknowledges = true;
        bench.cloud.acknowledge();
        QTRY_VERIFY_WITH_TIMEOUT(answer->has_value(), kPatience);
        QVERIFY(**answer);
        QCOMPARE((***answer).value("synced_readings"_L1).toInteger(-1), 2);
        QCOMPARE((***answer).value("pending_readings"_L1).toInteger(-1), 0);
    }

    void syncToCloud_givesUpInTimeForItsCaller()
    {
        Bench bench;
        bench.cloud.host.start();
        LoopbackEdge hvac(bench.building, bench.clock, u"hvac-001"_s, u"gateway-1"_s);
        hvac.session.setNodePoints({temperaturePoint()});
        hvac.session.start();
        QTRY_VERIFY_WITH_TIMEOUT(bench.isUplinkIn(EdgeNodeSession::Phase::Custody), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(hvac.session.status().phase == EdgeNodeSession::Phase::Custody, kPatience);
        bench.cloud.acknowledges = false;
        hvac.measure(20);
        QTRY_COMPARE_WITH_TIMEOUT(bench.cloud.store.status().totalReadings, 1u, kPatience);

        const auto answer = bench.caller.ask(agent(u"gateway"_s), u"sync_to_cloud"_s);
        (void)bench.call(u"status"_s);
        QVERIFY(!answer->has_value());
        bench.clock.advance(23s); // more than the 20 s it may wait, less than the caller's 30 s
        QTRY_VERIFY_WITH_TIMEOUT(answer->has_value(), kPatience);
        QVERIFY(**answer);
        QCOMPARE((***answer).value("pending_readings"_L1).toInteger(-1), 1);
        QVERIFY((***answer).value("last_sync"_L1).isNull());
    }

    void plainNode_isCountedOnce()
    {
        Bench bench;
        bench.cloud.host.start();
        QTRY_VERIFY_WITH_TIMEOUT(bench.isUplinkIn(EdgeNodeSession::Phase::Custody), kPatience);
        const Timestamp first = bench.clock.now();
        bench.building.publish(plain(SparkplugVerb::NBirth, 0, first, 1.0));
        QTRY_COMPARE_WITH_TIMEOUT(bench.spool.status().totalReadings, 1u, kPatience);
        bench.clock.advance(1s);
        const Timestamp second = bench.clock.now();
        bench.building.publish(plain(SparkplugVerb::NData, 1, second, 2.0));
        QTRY_COMPARE_WITH_TIMEOUT(bench.spool.status().totalReadings, 2u, kPatience);

        // A rebirth repeats the value that is known; only what comes after it is new.
        bench.building.publish(plain(SparkplugVerb::NBirth, 0, second, 2.0));
        bench.clock.advance(1s);
        bench.building.publish(plain(SparkplugVerb::NData, 1, bench.clock.now(), 3.0));
        QTRY_COMPARE_WITH_TIMEOUT(bench.cloud.store.status().totalReadings, 3u, kPatience);
        QCOMPARE(bench.spool.status().totalReadings, 3u);
        const auto stored = bench.cloud.store.read(0, 10);
        QVERIFY(stored);
        QList<double> values;
        for (const StoredBatch &one : *stored) {
            QCOMPARE(one.batch.device, u"press-7"_s);
            for (const Reading &reading : one.batch.readings)
                values.append(toDouble(reading.value));
        }
        QCOMPARE(values, (QList<double>{1.0, 2.0, 3.0}));
        QVERIFY(!bench.call(u"list_devices"_s)
                     .value("devices"_L1)
                     .toArray()
                     .first()
                     .toMap()
                     .value("store_and_forward"_L1)
                     .toBool(true));
    }

    void failingStore_tellsWhatItHoldsOfAPlainNode()
    {
        Bench bench;
        bench.building.publish(plain(SparkplugVerb::NBirth, 0, bench.clock.now(), 1.0));
        QTRY_COMPARE_WITH_TIMEOUT(bench.spool.status().totalReadings, 1u, kPatience);
        bench.spool.failWith(Error{Errc::Full, u"The disk is full."_s});
        bench.clock.advance(1s);
        bench.building.publish(plain(SparkplugVerb::NData, 1, bench.clock.now(), 2.0));
        QTRY_VERIFY_WITH_TIMEOUT(bench.call(u"status"_s).value("storage_failing"_L1).toBool(), kPatience);
        const QCborMap status = bench.call(u"status"_s);
        QCOMPARE(status.value("held_in_memory"_L1).toInteger(-1), 1); // the sensor's name for it, and no other
        QVERIFY(!status.contains("readings_held_in_memory"_L1));
        QCOMPARE(status.value("waiting_batches"_L1).toInteger(-1), 1);
        QVERIFY(status.value("held_is_noted"_L1).toBool());

        bench.spool.failWith({});
        bench.clock.advance(2s);
        QTRY_COMPARE_WITH_TIMEOUT(bench.call(u"status"_s).value("held_in_memory"_L1).toInteger(-1), 0, kPatience);
        QCOMPARE(bench.spool.status().totalReadings, 2u);
    }

    void failingStore_leavesReadingsWithTheirSensorAndSaysSo()
    {
        Bench bench;
        LoopbackEdge hvac(bench.building, bench.clock, u"hvac-001"_s, u"gateway-1"_s);
        hvac.session.setNodePoints({temperaturePoint()});
        hvac.session.start();
        QTRY_VERIFY_WITH_TIMEOUT(hvac.session.status().phase == EdgeNodeSession::Phase::Custody, kPatience);
        QSignalSpy trouble(&bench.gateway, &GatewayService::trouble);
        bench.spool.failWith(Error{Errc::Full, u"The disk is full."_s});
        hvac.measure(20);
        QTRY_VERIFY_WITH_TIMEOUT(bench.call(u"status"_s).value("storage_failing"_L1).toBool(), kPatience);
        QVERIFY(!trouble.isEmpty());
        QVERIFY(trouble.first().first().value<Error>().message.contains(u"The disk is full."_s));
        QCOMPARE(bench.call(u"status"_s).value("held_in_memory"_L1).toInteger(-1), 0); // the sensor keeps its own
        QCOMPARE(hvac.spool.status().pendingReadings, 1u);

        bench.spool.failWith({});
        const auto delivered = [&] {
            bench.clock.advance(200ms); // the sensor sends again after a silence
            return hvac.spool.status().pendingReadings == 0;
        };
        QTRY_VERIFY_WITH_TIMEOUT(delivered(), kPatience);
        QCOMPARE(bench.spool.status().totalReadings, 1u);
        QTRY_VERIFY_WITH_TIMEOUT(!bench.call(u"status"_s).value("storage_failing"_L1).toBool(true), kPatience);
    }
};

QTEST_GUILESS_MAIN(TestGatewayService)
#include "tst_gateway_service.moc"

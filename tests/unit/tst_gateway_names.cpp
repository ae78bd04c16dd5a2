// Whose name it is, and what a restart remembers: the gateway against nodes of its building that claim
// what is not theirs or say again what it has.
#include "fakes/loopback_edge.h"
#include "gateway/gateway_service.h"

#include <QCborArray>
#include <QSignalSpy>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using sparkplug::DataType;
using sparkplug::EdgeNodeSession;
using sparkplug::HostSession;
using sparkplug::Metric;

namespace {

constexpr int kPatience = 20'000;

/// What outlives a restart.
struct Disk {
    MemorySpool spool;
    MemoryStateStore state;

    [[nodiscard]] Result<QList<Reading>> query(const QString &device, const QString &point, Timestamp from,
                                               Timestamp to, int limit)
    {
        QList<Reading> found;
        const auto batches = spool.read(0, 1'000);
        for (const StoredBatch &one : *batches) {
            for (const Reading &reading : one.batch.readings) {
                if (one.batch.device == device && reading.point == point && reading.deviceTime >= from
                    && reading.deviceTime < to && found.size() < limit)
                    found.append(reading);
            }
        }
        return found;
    }
};

/// A gateway whose cloud is away.
struct Bench {
    Bench(LoopbackBroker &building, const Clock &clock, Disk &disk)
        : hostTransport(building), cloudTransport(cloudBroker), host(hostConfig(), clock, hostTransport),
          uplink(LoopbackEdge::config(u"gateway"_s, u"lintel-cloud"_s), clock, cloudTransport, disk.spool, disk.state),
          devices(disk.state, clock), gateway(host, uplink, disk.spool, devices, clock)
    {
        if (const auto restored = devices.restore(); !restored)
            qFatal("%s", qPrintable(restored.error().message));
        gateway.setHistory([&disk](const QString &device, const QString &point, Timestamp from, Timestamp to,
                                   int limit) { return disk.query(device, point, from, to, limit); });
        gateway.start();
        const auto isListening = [&building] {
            return building.subscriptions(agent(u"gateway"_s).toString()).contains(filter::group(u"building-1"_s));
        };
        if (!QTest::qWaitFor(isListening, kPatience))
            qFatal("the service did not subscribe");
    }
    static sparkplug::HostConfig hostConfig()
    {
        sparkplug::HostConfig config;
        config.hostId = u"gateway-1"_s;
        config.self = agent(u"gateway"_s);
        config.groups = {u"building-1"_s};
        return config;
    }

    LoopbackBroker cloudBroker;
    LoopbackTransport hostTransport;
    LoopbackTransport cloudTransport;
    HostSession host;
    EdgeNodeSession uplink;
    DeviceTable devices;
    GatewayService gateway;
};

/// What a node that we did not write sends.
MqttMessage message(SparkplugVerb verb, const QString &node, const QString &device, quint64 seq, Timestamp time,
                    double value)
{
    sparkplug::Payload payload;
    payload.timestamp = time;
    payload.seq = seq;
    if (verb == SparkplugVerb::NBirth)
        payload.metrics.append(Metric::named(u"bdSeq"_s, DataType::UInt64, quint64(0)));
    if (verb != SparkplugVerb::NBirth || device.isEmpty()) {
        auto metric = Metric::named(u"air_temp"_s, DataType::Double, value);
        metric.timestamp = time;
        payload.metrics.append(metric);
    }
    const bool ofNode = verb == SparkplugVerb::NBirth || verb == SparkplugVerb::NData;
    return {toString(SparkplugTopic{u"building-1"_s, verb, node, ofNode ? QString() : device}),
            sparkplug::encode(payload), 0, false};
}

QStringList topicsOf(const QCborMap &births)
{
    QStringList topics;
    for (const auto &birth : births.value("births"_L1).toArray())
        topics.append(birth.toMap().value("topic"_L1).toString());
    topics.sort();
    return topics;
}

} // namespace

class TestGatewayNames : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void anotherNodesBirth_cannotTakeASensorsPlace()
    {
        FakeClock clock;
        LoopbackBroker building{clock};
        Disk disk;
        Bench bench(building, clock, disk);
        LoopbackEdge hvac(building, clock, u"hvac-001"_s, u"gateway-1"_s);
        hvac.session.setNodePoints({temperaturePoint()});
        hvac.session.start();
        QTRY_VERIFY_WITH_TIMEOUT(hvac.session.status().phase == EdgeNodeSession::Phase::Custody, kPatience);
        hvac.measure(21.5);
        QTRY_COMPARE_WITH_TIMEOUT(disk.spool.status().totalReadings, 1u, kPatience);

        QSignalSpy trouble(&bench.gateway, &GatewayService::trouble);
        clock.advance(1s);
        building.publish(message(SparkplugVerb::NBirth, u"evil"_s, u"hvac-001"_s, 0, clock.now(), 0));
        building.publish(message(SparkplugVerb::DBirth, u"evil"_s, u"hvac-001"_s, 1, clock.now(), -40));
        for (quint64 seq = 2; seq < 6; ++seq)
            building.publish(message(SparkplugVerb::DData, u"evil"_s, u"hvac-001"_s, seq, clock.now(), -40));
        building.publish(message(SparkplugVerb::DData, u"evil"_s, u"evil-1"_s, 6, clock.now(), -40));
        building.publish(message(SparkplugVerb::DDeath, u"evil"_s, u"hvac-001"_s, 7, clock.now(), 0));
        building.publish(message(SparkplugVerb::DBirth, u"evil"_s, u"hvac-001"_s, 8, clock.now(), -40));
        QTRY_COMPARE_WITH_TIMEOUT(bench.host.counters().messages >= 9, true, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(!trouble.isEmpty(), kPatience);

        clock.advance(1s);
        hvac.measure(22.5); // the sensor itself goes on as before
        QTRY_COMPARE_WITH_TIMEOUT(hvac.spool.status().pendingReadings, 0u, kPatience);
        const Sensor *sensor = bench.devices.find(u"hvac-001"_s);
        QVERIFY(sensor);
        QVERIFY(sensor->online);
        QCOMPARE(sensor->node.node, u"hvac-001"_s);
        QCOMPARE(toDouble(sensor->last.value(u"air_temp"_s).value), 22.5);
        const auto stored = disk.query(u"hvac-001"_s, u"air_temp"_s, {}, clock.now() + 1s, 100);
        QCOMPARE(stored->size(), 2);
        int refusals = 0; // one sentence, however much it sends
        for (const QList<QVariant> &one : std::as_const(trouble))
            refusals += one.first().value<Error>().code == Errc::Denied ? 1 : 0;
        QCOMPARE(refusals, 1);
        QCOMPARE(topicsOf(bench.gateway.births()),
                 QStringList({u"spBv1.0/building-1/NBIRTH/evil"_s, u"spBv1.0/building-1/NBIRTH/hvac-001"_s}));
    }

    void plainNodesRebirth_afterARestartAddsNoTwin()
    {
        FakeClock clock;
        LoopbackBroker building{clock};
        Disk disk;
        const Timestamp measured = clock.now();
        const auto birth = [&] { return message(SparkplugVerb::NBirth, u"press-7"_s, {}, 0, measured, 1.0); };
        {
            Bench before(building, clock, disk);
            building.publish(birth());
            QTRY_COMPARE_WITH_TIMEOUT(disk.spool.status().totalReadings, 1u, kPatience);
        }
        clock.advance(60s);
        Bench after(building, clock, disk);
        building.publish(birth());
        clock.advance(1s);
        building.publish(message(SparkplugVerb::NData, u"press-7"_s, {}, 1, clock.now(), 2.0));
        QTRY_VERIFY_WITH_TIMEOUT(disk.query(u"press-7"_s, u"air_temp"_s, clock.now(), clock.now() + 1s, 9)->size() == 1,
                                 kPatience);
        QCOMPARE(disk.query(u"press-7"_s, u"air_temp"_s, {}, clock.now() + 1s, 9)->size(), 2);
    }
};

QTEST_GUILESS_MAIN(TestGatewayNames)
#include "tst_gateway_names.moc"

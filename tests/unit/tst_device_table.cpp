#include "fakes/fake_clock.h"
#include "fakes/memory_state_store.h"
#include "gateway/device_table.h"

#include <QCborArray>
#include <QCborMap>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

sparkplug::Participant hvac(Timestamp since)
{
    Point temperature;
    temperature.id = u"air_temp"_s;
    temperature.name = u"Supply air temperature"_s;
    temperature.unit = Unit::Celsius;
    sparkplug::Participant who;
    who.node = {u"building-1"_s, u"hvac-001"_s};
    who.online = true;
    who.since = since;
    who.points = {temperature};
    who.spool = sparkplug::SpoolOffer{1, QUuid::createUuid(), 0, 1, 0};
    return who;
}

sparkplug::HostBatch batchAt(Timestamp time, double value)
{
    Reading reading;
    reading.point = u"air_temp"_s;
    reading.value = value;
    reading.unit = Unit::Celsius;
    reading.deviceTime = time;
    return {{u"building-1"_s, u"hvac-001"_s}, {}, {u"hvac-001"_s, {reading}, {}}, {}};
}

} // namespace

class TestDeviceTable : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void aggregate_tellsLastReadingAndSinceWhenOffline()
    {
        FakeClock clock;
        MemoryStateStore state;
        DeviceTable table(state, clock);
        QVERIFY(table.born(hvac(clock.now())));
        table.received(batchAt(clock.now(), 21.5));
        clock.advance(Millis{60'000});

        QCborMap answer = table.aggregate();
        QCOMPARE(answer.value("total_sensors"_L1).toInteger(), 1);
        QCOMPARE(answer.value("online_sensors"_L1).toInteger(), 1);
        QCborMap sensor = answer.value("sensors"_L1).toMap().value(u"hvac-001"_s).toMap();
        QCOMPARE(sensor.value("status"_L1).toString(), u"online"_s);
        const QCborMap last = sensor.value("readings"_L1).toMap().value(u"air_temp"_s).toMap();
        QCOMPARE(last.value("value"_L1).toDouble(), 21.5);
        QCOMPARE(last.value("unit"_L1).toString(), u"celsius"_s);

        sparkplug::Participant dead = hvac(clock.now());
        dead.online = false;
        QVERIFY(table.died(dead));
        answer = table.aggregate();
        QCOMPARE(answer.value("online_sensors"_L1).toInteger(), 0);
        QCOMPARE(answer.value("offline_sensors"_L1).toInteger(), 1);
        sensor = answer.value("sensors"_L1).toMap().value(u"hvac-001"_s).toMap();
        QCOMPARE(sensor.value("status"_L1).toString(), u"offline"_s);
        QCOMPARE(sensor.value("since"_L1).toString(), toIso8601(clock.now()));
    }

    void received_aLateReadingDoesNotReplaceANewerOne()
    {
        FakeClock clock;
        MemoryStateStore state;
        DeviceTable table(state, clock);
        QVERIFY(table.born(hvac(clock.now())));
        table.received(batchAt(clock.now(), 21.5));
        table.received(batchAt(clock.now() - Millis{5'000}, 19.0));
        const Sensor *sensor = table.find(u"hvac-001"_s);
        QVERIFY(sensor);
        QCOMPARE(std::get<double>(sensor->last.value(u"air_temp"_s).value), 21.5);
        QCOMPARE(sensor->readings, 2u);
    }

    void restore_knowsASensorThatHasNotComeBack()
    {
        FakeClock clock;
        MemoryStateStore state;
        const Timestamp seen = clock.now() + Millis{60'000};
        Timestamp died{};
        {
            DeviceTable before(state, clock);
            QVERIFY(before.born(hvac(clock.now())));
            clock.setNow(seen);
            before.received(batchAt(clock.now(), 21.5));
            clock.advance(Millis{60'000});
            sparkplug::Participant dead = hvac(clock.now());
            dead.online = false;
            died = dead.since;
            QVERIFY(before.died(dead));
        }
        clock.advance(std::chrono::hours{5});
        DeviceTable after(state, clock);
        QVERIFY(after.restore());
        const Sensor *sensor = after.find(u"hvac-001"_s);
        QVERIFY(sensor);
        QVERIFY(!sensor->online);
        QVERIFY(sensor->storesAndForwards);
        QCOMPARE(sensor->points, hvac(clock.now()).points);
        const sparkplug::EdgeDevice device = after.asEdgeDevice(u"hvac-001"_s);
        QVERIFY(!device.online);
        QCOMPARE(device.points.size(), 1);
        QCOMPARE(sensor->since, died);
        QCOMPARE(*sensor->lastSeen, seen);
        QCOMPARE(sensor->readings, 1u);
        QVERIFY(sensor->last.isEmpty()); // they stand in the history
        after.restoreLast(u"hvac-001"_s, batchAt(seen, 21.5).batch.readings.first());
        after.restoreLast(u"nobody"_s, batchAt(seen, 21.5).batch.readings.first());
        QCOMPARE(after.sensors().size(), 1);
        const QCborMap told = after.aggregate().value("sensors"_L1).toMap().value(u"hvac-001"_s).toMap();
        QCOMPARE(told.value("since"_L1).toString(), toIso8601(died));
        QCOMPARE(told.value("last_seen"_L1).toString(), toIso8601(seen));
        QCOMPARE(told.value("readings"_L1).toMap().value(u"air_temp"_s).toMap().value("value"_L1).toDouble(), 21.5);
        QVERIFY(after.born(hvac(clock.now())));
        QVERIFY(after.find(u"hvac-001"_s)->online);
    }

    void restore_afterACrashKnowsWhenTheHistoryEnds()
    {
        FakeClock clock;
        MemoryStateStore state;
        DeviceTable before(state, clock);
        QVERIFY(before.born(hvac(clock.now())));
        const Timestamp seen = clock.now() + Millis{60'000};
        clock.advance(std::chrono::hours{5});
        DeviceTable after(state, clock);
        QVERIFY(after.restore());
        after.restoreLast(u"hvac-001"_s, batchAt(seen, 21.5).batch.readings.first());
        QCOMPARE(after.find(u"hvac-001"_s)->since, seen);
        QCOMPARE(*after.find(u"hvac-001"_s)->lastSeen, seen);
        // A device's clock that runs ahead says nothing about us.
        after.restoreLast(u"hvac-001"_s, batchAt(clock.now() + std::chrono::hours{1}, 22).batch.readings.first());
        QCOMPARE(after.find(u"hvac-001"_s)->since, seen);
    }

    void lastValues_areOfOneSiteOrOfAll()
    {
        FakeClock clock;
        MemoryStateStore state;
        DeviceTable table(state, clock);
        sparkplug::Participant who = hvac(clock.now());
        who.points.first().siteRef = u"b1"_s;
        QVERIFY(table.born(who));
        table.received(batchAt(clock.now(), 21.5));
        const QCborArray values = table.lastValues().value("values"_L1).toArray();
        QCOMPARE(values.size(), 1);
        const QCborMap value = values.first().toMap();
        QCOMPARE(value.value("device"_L1).toString(), u"hvac-001"_s);
        QCOMPARE(value.value("group"_L1).toString(), u"building-1"_s);
        QCOMPARE(value.value("site"_L1).toString(), u"b1"_s);
        QCOMPARE(value.value("point"_L1).toString(), u"air_temp"_s);
        QCOMPARE(value.value("value"_L1).toDouble(), 21.5);
        QCOMPARE(table.lastValues(u"building-1"_s).value("values"_L1).toArray().size(), 1);
        QVERIFY(table.lastValues(u"building-2"_s).value("values"_L1).toArray().isEmpty());
    }

    void save_keepsTheCounts()
    {
        FakeClock clock;
        MemoryStateStore state;
        DeviceTable before(state, clock);
        QVERIFY(before.born(hvac(clock.now())));
        before.received(batchAt(clock.now(), 21.5));
        QVERIFY(before.save());
        DeviceTable after(state, clock);
        QVERIFY(after.restore());
        QCOMPARE(after.find(u"hvac-001"_s)->readings, 1u);
    }

    void name_staysWithTheNodeThatHadItFirst()
    {
        FakeClock clock;
        MemoryStateStore state;
        {
            DeviceTable table(state, clock);
            QVERIFY(table.born(hvac(clock.now())));
            table.received(batchAt(clock.now(), 21.5));
            sparkplug::Participant evil = hvac(clock.now());
            evil.node.node = u"evil"_s;
            evil.device = u"hvac-001"_s;
            evil.points.clear();
            const auto refused = table.born(evil);
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, Errc::Denied);
            QVERIFY(refused.error().message.contains(u"evil"_s));
            sparkplug::HostBatch forged = batchAt(clock.now() + Millis{1}, -40.0);
            forged.node = evil.node;
            forged.device = evil.device;
            table.received(forged);
            QVERIFY(table.died(evil));
            const Sensor *sensor = table.find(u"hvac-001"_s);
            QVERIFY(sensor->online);
            QCOMPARE(sensor->node.node, u"hvac-001"_s);
            QCOMPARE(sensor->points.size(), 1);
            QCOMPARE(std::get<double>(sensor->last.value(u"air_temp"_s).value), 21.5);
        }
        DeviceTable after(state, clock);
        QVERIFY(after.restore());
        QVERIFY(!after.mayUse({u"building-1"_s, u"evil"_s}, u"hvac-001"_s));
        QVERIFY(after.mayUse({u"building-1"_s, u"hvac-001"_s}, u"hvac-001"_s));
        QVERIFY(after.mayUse({u"building-1"_s, u"evil"_s}, u"evil"_s));
    }

    void name_isFreeWhenItsOwnerIsAwayForADay()
    {
        FakeClock clock;
        MemoryStateStore state;
        DeviceTable table(state, clock);
        sparkplug::Participant meter = hvac(clock.now());
        meter.node.node = u"floor-1"_s;
        meter.device = u"meter-1"_s;
        QVERIFY(table.born(meter));
        sparkplug::Participant heir = meter;
        heir.node.node = u"floor-1b"_s;
        clock.advance(std::chrono::hours{48});
        QVERIFY(!table.born(heir)); // its owner is online
        QVERIFY(table.died(meter));
        clock.setNow(clock.now() + std::chrono::hours{1000}); // a clock that was set is no time that passed
        QVERIFY(!table.born(heir));
        clock.advance(DeviceTable::kNameIsFreeAfter);
        QVERIFY(table.born(heir));
        QCOMPARE(table.find(u"meter-1"_s)->node, heir.node);
        QVERIFY(!table.born(meter));
    }

    void name_ofANodeIsItsOwnWhoeverUsedItForADevice()
    {
        FakeClock clock;
        MemoryStateStore state;
        DeviceTable table(state, clock);
        sparkplug::Participant squatter = hvac(clock.now());
        squatter.node.node = u"evil"_s;
        squatter.device = u"hvac-001"_s;
        QVERIFY(table.born(squatter)); // nobody has it yet
        QVERIFY(table.born(hvac(clock.now())));
        QCOMPARE(table.find(u"hvac-001"_s)->node.node, u"hvac-001"_s);
        QVERIFY(!table.born(squatter));
        sparkplug::Participant elsewhere = hvac(clock.now());
        elsewhere.node.group = u"building-2"_s;
        QVERIFY(!table.born(elsewhere));
    }

    void restore_refusesWhatItCannotRead()
    {
        FakeClock clock;
        MemoryStateStore state;
        QVERIFY(state.save(u"gateway/device/hvac-001"_s, "nonsense"));
        DeviceTable table(state, clock);
        const auto restored = table.restore();
        QVERIFY(!restored);
        QVERIFY(restored.error().message.contains(u"hvac-001"_s));
    }
};

QTEST_GUILESS_MAIN(TestDeviceTable)
#include "tst_device_table.moc"

// A sensor agent whose spool refuses, or opens late: what waits in memory, what is noted of it, and what is said.
#include "fakes/sensor_bench.h"
#include "sensor/late_storage.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

/// A recording that does not know the spool that it meets.
class UnusableRecording final : public SensorDriver, public RecordedDriver
{
public:
    DriverInfo info() const override { return {u"recording"_s, u"for tests"_s, false}; }
    QList<Point> points() const override { return {}; }
    Result<void> open() override { return {}; }
    void read() override {}
    RecordedDriver *recorded() override { return this; }
    Result<void> resume(const StreamId &, quint64) override
    {
        ++resumed;
        return Error{Errc::Conflict, u"the recording belongs to another spool"_s};
    }
    Result<QList<RecordedRow>> take(int) override
    {
        ++taken;
        return QList<RecordedRow>{};
    }
    Result<void> accepted(quint64) override { return {}; }
    std::optional<Millis> untilNext() const override { return Millis{0}; }
    quint64 window() const override { return 0; }

    int resumed = 0;
    int taken = 0;
};

} // namespace

class TestSensorStorage : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void refusingSpool_keepsInMemoryThenSaysWhatWasLost();
    void heldReadings_areNotedBeforeTheyAreHeld();
    void heldReadings_thatAreStoredSettleTheirNote();
    void heldReadings_thatCannotBeNotedAreSaid();
    void status_tellsWhatIsOnlyInMemory();
    void spoolThatOpensLate_keepsInMemoryAndConnectsThen();
    void spoolThatOpensLate_stopsWithoutIt();
    void spoolThatOpensLate_endsASensorWhoseRecordingCannotGoOn();
};

void TestSensorStorage::refusingSpool_keepsInMemoryThenSaysWhatWasLost()
{
    Bench bench;
    bench.spool.failWith(Error{Errc::Full, u"The disk is full."_s});
    QSignalSpy trouble(bench.agent.get(), &SensorAgent::trouble);
    QSignalSpy notice(bench.agent.get(), &SensorAgent::notice);
    QVERIFY(bench.agent->start());
    QCoreApplication::processEvents();
    for (int i = 0; i < 7; ++i)
        bench.period();
    QTRY_COMPARE(bench.agent->counts().lost, 3u); // 8 samples, room for 5
    QCOMPARE(bench.agent->counts().waiting, 5u);
    QCOMPARE(trouble.count(), 2); // it cannot be stored, and then that the oldest go; each once
    bench.spool.failWith(Error{Errc::Io, u"The disk is gone."_s});
    bench.period();
    QTRY_COMPARE(trouble.count(), 3); // another reason
    bench.spool.failWith(Error{Errc::Full, u"The disk is full."_s});
    QVERIFY(notice.isEmpty());
    bench.spool.failWith({});
    bench.clock.advance(2s);
    bench.agent->tick();
    QTRY_COMPARE(bench.agent->counts().waiting, 0u);
    QCOMPARE(notice.count(), 1);
    const auto stored = bench.spool.read(0, 10);
    QCOMPARE(stored->size(), 5);
    const QList<Loss> losses = stored->first().batch.losses;
    QCOMPARE(losses.size(), 1);
    QCOMPARE(losses[0].readings, 4u);
    QCOMPARE(losses[0].reason, LossReason::StorageFailed);
    QCOMPARE(losses[0].to - losses[0].from, Millis{3s});
    QVERIFY(losses[0].to < stored->first().batch.readings[0].deviceTime);
}

void TestSensorStorage::heldReadings_areNotedBeforeTheyAreHeld()
{
    Bench bench;
    bench.spool.failWith(Error{Errc::Full, u"The disk is full."_s});
    QVERIFY(bench.agent->start());
    QTRY_COMPARE(bench.agent->counts().waiting, 1u);
    const Timestamp first = bench.clock.now();
    QCOMPARE(bench.spool.unstored(), (Unstored{1, first, first}));
    for (quint64 i = 2; i <= 8; ++i) { // beyond the five that memory takes
        bench.period();
        QTRY_COMPARE(bench.spool.unstored().readings, i);
        const SpoolWriter::Counts counts = bench.agent->counts();
        QCOMPARE(counts.held + counts.lost, i); // never more than the note says
        QVERIFY(counts.isNoted);
    }
    QCOMPARE(bench.spool.unstored(), (Unstored{8, first, bench.clock.now()}));
}

void TestSensorStorage::heldReadings_thatAreStoredSettleTheirNote()
{
    Bench bench;
    bench.spool.failWith(Error{Errc::Full, u"The disk is full."_s});
    QVERIFY(bench.agent->start());
    QCoreApplication::processEvents();
    for (int i = 0; i < 7; ++i)
        bench.period();
    QTRY_COMPARE(bench.spool.unstored().readings, 8u);
    bench.spool.failWith({});
    bench.clock.advance(2s);
    bench.agent->tick();
    QTRY_COMPARE(bench.agent->counts().held, 0u);
    QCOMPARE(bench.spool.status().notedReadings, 0u);
    QCOMPARE(bench.spool.losses(10)->size(), 1);
    QCOMPARE(bench.spool.losses(10)->first().readings, 3u);
    const quint64 before = bench.agent->counts().accepted;
    bench.period(); // as ever: no note for what is stored at once
    QTRY_COMPARE(bench.agent->counts().accepted, before + 1);
    QCOMPARE(bench.spool.unstored(), Unstored{});
}

void TestSensorStorage::heldReadings_thatCannotBeNotedAreSaid()
{
    Bench bench;
    bench.spool.failWith(Error{Errc::Full, u"The disk is full."_s});
    bench.spool.failNotesWith(Error{Errc::Full, u"No room for the note."_s});
    QSignalSpy trouble(bench.agent.get(), &SensorAgent::trouble);
    QVERIFY(bench.agent->start());
    QTRY_VERIFY(!bench.agent->counts().isNoted);
    bench.period();
    bench.period();
    int said = 0;
    for (const QList<QVariant> &one : trouble)
        said += one.first().value<Error>().message.contains(u"No room for the note.") ? 1 : 0;
    QCOMPARE(said, 1);
    bench.spool.failNotesWith({});
    bench.period();
    QTRY_VERIFY(bench.agent->counts().isNoted);
    QCOMPARE(bench.spool.unstored().readings, bench.agent->counts().held);
}

void TestSensorStorage::status_tellsWhatIsOnlyInMemory()
{
    Bench bench;
    QVERIFY(bench.agent->start());
    QTRY_COMPARE(bench.spool.status().head, 1u);
    QCOMPARE(bench.agent->status().value("held_in_memory"_L1).toInteger(-1), 0);
    QVERIFY(bench.agent->status().value("not_durable_since"_L1).isNull());
    bench.spool.failWith(Error{Errc::Full, u"The disk is full."_s});
    bench.clock.advance(1s);
    const QString since = toIso8601(bench.clock.now());
    bench.agent->tick();
    QTRY_COMPARE(bench.agent->status().value("held_in_memory"_L1).toInteger(-1), 1);
    for (int i = 0; i < 6; ++i) // two go
        bench.period();
    QTRY_COMPARE(bench.agent->counts().lost, 2u);
    QCborMap status = bench.agent->status();
    QCOMPARE(status.value("held_in_memory"_L1).toInteger(-1), 5);
    QCOMPARE(status.value("waiting_batches"_L1).toInteger(-1), 5);
    QCOMPARE(status.value("held_is_noted"_L1).toBool(), true);
    QVERIFY(status.value("not_durable_since"_L1).toString() > since);
    bench.spool.failWith({});
    bench.clock.advance(2s);
    bench.agent->tick();
    QTRY_COMPARE(bench.agent->counts().held, 0u);
    status = bench.agent->status();
    QCOMPARE(status.value("losses"_L1).toArray().size(), 1);
    QCOMPARE(status.value("losses"_L1).toArray().first().toMap().value("readings"_L1).toInteger(), 2);
    QCOMPARE(status.value("losses"_L1).toArray().first().toMap().value("from"_L1).toString(), since);
}

void TestSensorStorage::spoolThatOpensLate_keepsInMemoryAndConnectsThen()
{
    Bench bench;
    Gateway gateway(bench);
    bool hasRoom = false;
    LateStorage storage([&hasRoom]() -> Result<OpenStorage> {
        if (!hasRoom)
            return Error{Errc::Full, u"disk full: s1.db cannot grow."_s};
        return OpenStorage{std::make_unique<MemorySpool>(), std::make_unique<MemoryStateStore>()};
    });
    QCOMPARE(storage.tryOpen().error().code, Errc::Full);
    LoopbackTransport transport(bench.broker);
    EdgeNodeSession session(Bench::sessionConfig({}), bench.clock, transport, storage.spool(), storage.state());
    SensorAgent agent(Bench::settings(), bench.driver, bench.clock, storage.spool(), session, bench.calls);
    QSignalSpy trouble(&agent, &SensorAgent::trouble);
    QVERIFY(agent.start());
    const auto period = [&] {
        bench.clock.advance(1s);
        agent.tick();
        QCoreApplication::processEvents();
    };
    QTRY_COMPARE(agent.counts().waiting, 1u);
    for (int i = 0; i < 6; ++i)
        period();
    QTRY_COMPARE(agent.counts().lost, 2u);
    QCOMPARE(agent.counts().held, 5u);
    QVERIFY(!agent.counts().isNoted); // a note has its place with the spool
    QCOMPARE(agent.status().value("held_in_memory"_L1).toInteger(-1), 5);
    QCOMPARE(agent.status().value("held_is_noted"_L1).toBool(true), false);
    QVERIFY(trouble.first().first().value<Error>().message.contains(u"s1.db cannot grow"));
    QCOMPARE(trouble.count(), 3); // cannot be noted, cannot be stored, does not fit: each is said once
    QCOMPARE(session.status().phase, EdgeNodeSession::Phase::Stopped);
    QVERIFY(!storage.state().load(u"k"_s));

    hasRoom = true;
    period();
    QVERIFY(storage.isOpen());
    QVERIFY(agent.counts().isNoted);
    QCOMPARE(agent.status().value("held_in_memory"_L1).toInteger(-1), 0);
    QTRY_COMPARE(session.status().phase, EdgeNodeSession::Phase::Custody);
    QTRY_COMPARE(storage.spool().status().pendingBatches, 0u);
    quint64 lost = 0;
    quint64 readings = 0;
    for (const sparkplug::HostBatch &batch : gateway.batches) {
        readings += quint64(batch.batch.readings.size());
        for (const Loss &loss : batch.batch.losses)
            lost += loss.readings;
    }
    QCOMPARE(lost, 2u);
    QCOMPARE(readings + lost, quint64(agent.counts().accepted + agent.counts().lost));
}

void TestSensorStorage::spoolThatOpensLate_stopsWithoutIt()
{
    Bench bench;
    LateStorage storage([]() -> Result<OpenStorage> { return Error{Errc::Full, u"disk full: s1.db cannot grow."_s}; });
    LoopbackTransport transport(bench.broker);
    EdgeNodeSession session(Bench::sessionConfig({}), bench.clock, transport, storage.spool(), storage.state());
    SensorAgent agent(Bench::settings(), bench.driver, bench.clock, storage.spool(), session, bench.calls);
    QSignalSpy stopped(&agent, &SensorAgent::stopped);
    QVERIFY(agent.start());
    QTRY_COMPARE(agent.counts().waiting, 1u);
    agent.stop();
    QTRY_COMPARE(stopped.count(), 1);
}

/// At the start it would have been the answer of start(); later the agent says it and ends, instead of
/// sitting there without a session.
void TestSensorStorage::spoolThatOpensLate_endsASensorWhoseRecordingCannotGoOn()
{
    Bench bench;
    bool hasRoom = false;
    LateStorage storage([&hasRoom]() -> Result<OpenStorage> {
        if (!hasRoom)
            return Error{Errc::Full, u"disk full: s1.db cannot grow."_s};
        return OpenStorage{std::make_unique<MemorySpool>(), std::make_unique<MemoryStateStore>()};
    });
    UnusableRecording recording;
    LoopbackTransport transport(bench.broker);
    EdgeNodeSession session(Bench::sessionConfig({}), bench.clock, transport, storage.spool(), storage.state());
    SensorAgent agent(Bench::settings(), recording, bench.clock, storage.spool(), session, bench.calls);
    QSignalSpy trouble(&agent, &SensorAgent::trouble);
    QSignalSpy stopped(&agent, &SensorAgent::stopped);
    QVERIFY(agent.start());
    bench.clock.advance(1s);
    agent.tick();
    QCOMPARE(recording.resumed, 0);
    QVERIFY(stopped.isEmpty());

    hasRoom = true;
    QVERIFY(storage.tryOpen());
    bench.clock.advance(1s);
    agent.tick();
    QTRY_COMPARE(stopped.count(), 1);
    QCOMPARE(recording.resumed, 1);
    QCOMPARE(trouble.count(), 1);
    QCOMPARE(trouble.first().first().value<Error>().message, u"the recording belongs to another spool"_s);
    QCOMPARE(session.status().phase, EdgeNodeSession::Phase::Stopped);
    QCOMPARE(recording.taken, 0);
}

QTEST_GUILESS_MAIN(TestSensorStorage)
#include "tst_sensor_storage.moc"

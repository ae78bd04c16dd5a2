#include "adapters/mqtt/loopback_transport.h"
#include "calls/call_client.h"
#include "fakes/fake_clock.h"
#include "fakes/memory_spool.h"
#include "fakes/memory_state_store.h"
#include "sensor/late_storage.h"
#include "sensor/sensor_agent.h"
#include "sparkplug/host_session.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using sparkplug::EdgeNodeSession;
using sparkplug::HostSession;

namespace {

Principal principal(const QString &name)
{
    return Principal(*SpiffeId::parse(u"spiffe://b.org/agent/"_s + name));
}

/// Hardware that a test holds in its hand.
class ScriptedDriver final : public SensorDriver
{
public:
    DriverInfo info() const override { return {u"scripted"_s, u"for tests"_s, false}; }
    QList<Point> points() const override
    {
        Point point;
        point.id = u"temp"_s;
        point.name = u"Temperature"_s;
        point.unit = Unit::Celsius;
        return {point};
    }
    Result<void> open() override
    {
        if (openFailure)
            return *openFailure;
        return {};
    }
    void read() override
    {
        ++reads;
        if (hangs)
            return;
        QMetaObject::invokeMethod(
            this, [this] { answer(); }, Qt::QueuedConnection);
    }
    void answer()
    {
        if (failure)
            Q_EMIT readFailed(*failure);
        else
            Q_EMIT readFinished({Reading{u"temp"_s, value, Unit::Celsius, {}, Quality::Good, false}});
    }

    std::optional<Error> openFailure;
    std::optional<Error> failure;
    double value = 20;
    int reads = 0;
    bool hangs = false;
};

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

struct Bench {
    FakeClock clock;
    LoopbackBroker broker;
    LoopbackTransport transport{broker};
    MemorySpool spool;
    MemoryStateStore state;
    ScriptedDriver driver;
    EdgeNodeSession session;
    CallServer calls;
    std::unique_ptr<SensorAgent> agent;

    explicit Bench(Millis sendEvery = {})
        : session(sessionConfig(sendEvery), clock, transport, spool, state), calls(principal(u"s1"_s), clock, transport)
    {
        SensorSettings with = settings();
        with.sendEvery = sendEvery;
        remake(with);
    }
    static SensorSettings settings()
    {
        SensorSettings settings;
        settings.device = u"s1"_s;
        settings.memoryBatches = 5;
        settings.reports.byException = false;
        settings.reports.period = 1s; // shorter than any timeout of the session
        return settings;
    }
    static sparkplug::EdgeNodeConfig sessionConfig(Millis sendEvery)
    {
        sparkplug::EdgeNodeConfig config;
        config.sendEvery = sendEvery;
        config.group = u"b"_s;
        config.node = u"s1"_s;
        config.self = principal(u"s1"_s);
        config.primaryHost = u"g"_s;
        return config;
    }
    void remake(const SensorSettings &with)
    {
        agent = std::make_unique<SensorAgent>(with, driver, clock, spool, session, calls);
    }
    /// One sampling period, with everything that it causes.
    void period()
    {
        clock.advance(1s);
        agent->tick();
        QCoreApplication::processEvents();
    }
};

/// A gateway that takes everything.
struct Gateway {
    LoopbackTransport transport;
    HostSession host;
    CallClient client;
    QList<sparkplug::HostBatch> batches;
    QList<sparkplug::Participant> births;
    QTimer timer;
    bool acknowledges = true;

    Gateway(Bench &bench, bool withAcks = true)
        : transport(bench.broker), host(config(), bench.clock, transport),
          client(principal(u"g"_s), bench.clock, transport), acknowledges(withAcks)
    {
        QObject::connect(&host, &HostSession::born, &host,
                         [this](const sparkplug::Participant &who) { births.append(who); });
        QObject::connect(&host, &HostSession::batchReceived, &host, [this](const sparkplug::HostBatch &batch) {
            if (batch.fromBirth)
                return;
            batches.append(batch);
            if (acknowledges && batch.receipt)
                host.acknowledge(batch.node, batch.receipt->stream, batch.receipt->msn);
        });
        QObject::connect(&timer, &QTimer::timeout, &host, [this] { host.tick(); });
        timer.start(10);
        host.start();
    }
    static sparkplug::HostConfig config()
    {
        sparkplug::HostConfig config;
        config.hostId = u"g"_s;
        config.self = principal(u"g"_s);
        config.groups = {u"b"_s};
        return config;
    }
};

} // namespace

class TestSensorAgent : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void sampling_storesWithoutABroker();
    void sampling_leavesOutWhatComesTooSoon();
    void failedRead_isBadQuality();
    void refusingSpool_keepsInMemoryThenSaysWhatWasLost();
    void heldReadings_areNotedBeforeTheyAreHeld();
    void heldReadings_thatAreStoredSettleTheirNote();
    void heldReadings_thatCannotBeNotedAreSaid();
    void status_tellsWhatIsOnlyInMemory();
    void clockIn1970_holdsAndStampsLater();
    void spoolThatOpensLate_keepsInMemoryAndConnectsThen();
    void spoolThatOpensLate_stopsWithoutIt();
    void spoolThatOpensLate_endsASensorWhoseRecordingCannotGoOn();
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

void TestSensorAgent::refusingSpool_keepsInMemoryThenSaysWhatWasLost()
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

void TestSensorAgent::heldReadings_areNotedBeforeTheyAreHeld()
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

void TestSensorAgent::heldReadings_thatAreStoredSettleTheirNote()
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

void TestSensorAgent::heldReadings_thatCannotBeNotedAreSaid()
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

void TestSensorAgent::status_tellsWhatIsOnlyInMemory()
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

void TestSensorAgent::spoolThatOpensLate_keepsInMemoryAndConnectsThen()
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

void TestSensorAgent::spoolThatOpensLate_stopsWithoutIt()
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
void TestSensorAgent::spoolThatOpensLate_endsASensorWhoseRecordingCannotGoOn()
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

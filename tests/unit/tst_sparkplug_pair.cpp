// Edge node and host over a broker that loses, repeats and cuts: whatever was appended arrives
// exactly once after receipts, and what arrives late says so.
#include "custody/custody_intake.h"
#include "fakes/fake_clock.h"
#include "fakes/memory_spool.h"
#include "fakes/memory_state_store.h"
#include "fakes/scripted_transport.h"
#include "sparkplug/edge_node_session.h"
#include "sparkplug/host_session.h"
#include "sparkplug/state_message.h"

#include <QTest>

#include <deque>
#include <random>

using namespace lintel;
using namespace lintel::sparkplug;
using namespace std::chrono_literals;

namespace {

/// A broker between scripted transports: wills, retained messages, and QoS 0 that may get lost.
class BadBroker
{
public:
    explicit BadBroker(quint32 seed) : m_random(seed) {}

    void add(ScriptedTransport &transport)
    {
        m_clients.append(&transport);
        transport.onPublish = [this](const MqttMessage &message) { route(message); };
    }

    void cut(ScriptedTransport &transport)
    {
        if (transport.state() != MqttTransport::State::Connected)
            return;
        const auto will = transport.packets.last().will;
        transport.drop();
        if (will)
            route(*will);
    }

    void step()
    {
        QCoreApplication::processEvents(); // what stop() and reconnect() promised
        for (ScriptedTransport *client : std::as_const(m_clients)) {
            if (!client->wantsConnection() || !reachable)
                continue;
            const auto kept = m_retained; // who subscribes first gets what was there before
            client->accept();
            for (const MqttMessage &message : kept) {
                MqttMessage copy = message;
                copy.retain = true;
                deliver(*client, copy);
            }
        }
        std::deque<MqttMessage> queue;
        queue.swap(m_queue);
        for (const MqttMessage &message : queue) {
            if (message.qos == 0 && chance(lossPercent))
                continue;
            for (ScriptedTransport *client : std::as_const(m_clients)) {
                deliver(*client, message);
                if (chance(repeatPercent))
                    deliver(*client, message);
            }
        }
    }

    bool reachable = true;
    int lossPercent = 0;
    int repeatPercent = 0;

private:
    bool chance(int percent) { return int(m_random() % 100) < percent; }

    void route(const MqttMessage &message)
    {
        if (message.retain)
            m_retained.insert(message.topic, message);
        MqttMessage live = message;
        live.retain = false;
        m_queue.push_back(live);
    }

    static bool matches(const QString &pattern, const QString &topic)
    {
        const auto wanted = pattern.split(u'/');
        const auto given = topic.split(u'/');
        for (qsizetype i = 0; i < wanted.size(); ++i) {
            if (wanted[i] == u"#")
                return true;
            if (i >= given.size() || (wanted[i] != u"+" && wanted[i] != given[i]))
                return false;
        }
        return wanted.size() == given.size();
    }

    static void deliver(ScriptedTransport &client, const MqttMessage &message)
    {
        if (client.state() != MqttTransport::State::Connected)
            return;
        for (const auto &[pattern, qos] : std::as_const(client.subscriptions)) {
            if (matches(pattern, message.topic)) {
                client.bring(message);
                return;
            }
        }
    }

    std::mt19937 m_random;
    QList<ScriptedTransport *> m_clients;
    QMap<QString, MqttMessage> m_retained;
    std::deque<MqttMessage> m_queue;
};

struct Pair {
    explicit Pair(quint32 seed, SpoolLimits limits = {}, bool gateway = false)
        : broker(seed), spool(limits), asGateway(gateway)
    {
        EdgeNodeConfig edgeConfig;
        edgeConfig.group = QStringLiteral("building-1");
        edgeConfig.node = gateway ? QStringLiteral("gateway") : QStringLiteral("hvac-001");
        edgeConfig.primaryHost = QStringLiteral("cloud");
        edgeConfig.window = 16;
        edge.emplace(edgeConfig, clock, edgeTransport, spool, state);
        broker.add(edgeTransport);
        broker.add(hostTransport);
        QObject::connect(&*edge, &EdgeNodeSession::trouble, &*edge,
                         [this](const Error &what) { edgeTroubles.append(what.message); });
        edge->start();
        startHost();
    }

    /// Also a second time, as after a hard end.
    void startHost()
    {
        HostConfig hostConfig;
        hostConfig.hostId = QStringLiteral("cloud");
        host.emplace(hostConfig, hostClock, hostTransport);
        QObject::connect(&*host, &HostSession::trouble, &*host,
                         [this](const Error &what) { hostTroubles.append(what.message); });
        // What a gateway or an historian does: commit once, acknowledge what is complete.
        QObject::connect(&*host, &HostSession::batchReceived, &*host, [this](const HostBatch &batch) {
            if (batch.fromBirth || !batch.receipt)
                return;
            for (const Reading &reading : batch.batch.readings)
                unmarked += clock.now() - reading.deviceTime > 10s && !reading.isHistorical ? 1 : 0;
            const IncomingBatch incoming{batch.batch, batch.receipt};
            const auto taken = store.append({&incoming, 1});
            QVERIFY(taken);
            host->acknowledge(batch.node, batch.receipt->stream, store.contiguousReceipt(batch.receipt->stream));
        });
        QObject::connect(&*host, &HostSession::born, &*host, [this](const Participant &who) {
            if (who.spool)
                settle(who.node, who.spool->stream, who.spool->tail);
        });
        QObject::connect(&*host, &HostSession::tailMoved, &*host,
                         [this](const NodeId &node, const StreamId &stream, Msn tail) { settle(node, stream, tail); });
        host->start();
    }

    /// As kill -9 does: only the broker speaks of it.
    void killHost()
    {
        broker.cut(hostTransport);
        host.reset();
        hostTransport.stop();
    }

    void settle(const NodeId &node, const StreamId &stream, Msn tail)
    {
        QVERIFY(store.senderDropped(stream, node.node, tail));
        host->acknowledge(node, stream, store.contiguousReceipt(stream));
    }

    void append()
    {
        ReadingBatch batch;
        batch.device = asGateway ? QStringLiteral("sensor-%1").arg(produced % 3) : QStringLiteral("hvac-001");
        Reading reading;
        reading.point = QStringLiteral("air_temp");
        reading.value = double(produced++);
        reading.deviceTime = clock.now();
        batch.readings.append(reading);
        if (produced % 5 == 0) {
            reading.point = QStringLiteral("fan");
            reading.value = qint64(produced);
            reading.quality = Quality::Bad;
            batch.readings.append(reading);
        }
        const IncomingBatch incoming{batch, std::nullopt};
        QVERIFY(spool.append({&incoming, 1}));
        appended.append(batch);
        edge->pump();
    }

    void run(Millis time)
    {
        for (Millis spent{0}; spent < time; spent += 50ms) {
            clock.advance(50ms);
            hostClock.advance(50ms);
            broker.step();
            edge->tick();
            if (host)
                host->tick();
        }
    }

    [[nodiscard]] QList<ReadingBatch> stored()
    {
        QList<ReadingBatch> all;
        const auto kept = store.read(0, 1'000'000);
        for (const StoredBatch &batch : *kept)
            all.append(batch.batch);
        return all;
    }

    FakeClock clock;
    FakeClock hostClock;
    BadBroker broker;
    ScriptedTransport edgeTransport;
    ScriptedTransport hostTransport;
    MemorySpool spool;
    MemorySpool store;
    MemoryStateStore state;
    std::optional<EdgeNodeSession> edge;
    std::optional<HostSession> host;
    QStringList edgeTroubles;
    QStringList hostTroubles;
    QList<ReadingBatch> appended;
    int produced = 0;
    int unmarked = 0; // readings that came late and did not say so
    bool asGateway = false;
};

/// A spool as the store of an intake, the way a gateway has it.
class SpoolStore final : public CustodyStore
{
public:
    explicit SpoolStore(ReadingSpool &spool) : m_spool(spool) {}

    Result<Stored> append(std::span<const HostBatch> batches) override
    {
        std::vector<IncomingBatch> incoming;
        for (const HostBatch &batch : batches)
            incoming.push_back({batch.batch, batch.receipt});
        const auto appended = m_spool.append(incoming);
        if (!appended)
            return appended.error();
        return Stored{quint32(incoming.size()) - appended->duplicates, appended->duplicates};
    }
    Msn contiguousReceipt(const NodeId &, const StreamId &stream) const override
    {
        return m_spool.contiguousReceipt(stream);
    }
    Result<void> senderDropped(const NodeId &node, const StreamId &stream, Msn tail) override
    {
        const auto dropped = m_spool.senderDropped(stream, node.node, tail);
        return dropped ? Result<void>() : Result<void>(dropped.error());
    }

private:
    ReadingSpool &m_spool;
};

QList<ReadingBatch> withoutMarks(QList<ReadingBatch> batches)
{
    for (ReadingBatch &batch : batches) {
        for (Reading &reading : batch.readings)
            reading.isHistorical = false;
    }
    return batches;
}

/// By value, since a resent batch may come after younger ones.
QList<ReadingBatch> sorted(QList<ReadingBatch> batches)
{
    std::sort(batches.begin(), batches.end(), [](const ReadingBatch &a, const ReadingBatch &b) {
        return std::get<double>(a.readings.first().value) < std::get<double>(b.readings.first().value);
    });
    return batches;
}

} // namespace

class TestSparkplugPair : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void pair_deliversLiveReadingsUnmarked();
    void pair_deliversEverythingOnceOverABadBroker_data();
    void pair_deliversEverythingOnceOverABadBroker();
    void pair_saysWhatAFullSpoolLost();
    void pair_passesAnUnreadableBatch();
    void pair_keepsCustodyWhileTheHostsStoreFails();
    void pair_meetsAgainWhenTheHostsClockWentBack_data();
    void pair_meetsAgainWhenTheHostsClockWentBack();
};

void TestSparkplugPair::pair_deliversLiveReadingsUnmarked()
{
    Pair pair(1);
    Point point;
    point.id = QStringLiteral("air_temp");
    Point fan;
    fan.id = QStringLiteral("fan");
    fan.kind = Kind::Integer;
    pair.edge->setNodePoints({point, fan});
    pair.run(1s);
    QCOMPARE(pair.edge->status().phase, EdgeNodeSession::Phase::Custody);
    for (int i = 0; i < 100; ++i) {
        pair.append();
        pair.run(100ms);
    }
    QCOMPARE(pair.stored(), pair.appended); // unmarked, in order
    QCOMPARE(pair.spool.status().acknowledged, Msn(100));
    QCOMPARE(pair.edge->status().resentBatches, quint64(0));
    QCOMPARE(pair.host->counters().rebirthRequests, quint64(0));
}

void TestSparkplugPair::pair_deliversEverythingOnceOverABadBroker_data()
{
    QTest::addColumn<quint32>("seed");
    QTest::addColumn<bool>("gateway");
    for (quint32 seed = 1; seed <= 30; ++seed)
        QTest::addRow("%s, seed %u", seed % 2 ? "sensor" : "gateway", seed) << seed << (seed % 2 == 0);
}

void TestSparkplugPair::pair_deliversEverythingOnceOverABadBroker()
{
    QFETCH(quint32, seed);
    QFETCH(bool, gateway);
    Pair pair(seed, {}, gateway);
    std::mt19937 dice(seed);
    pair.broker.lossPercent = int(dice() % 20);
    pair.broker.repeatPercent = int(dice() % 20);
    for (int round = 0; round < 400; ++round) {
        switch (dice() % 40) {
        case 0: pair.broker.cut(pair.edgeTransport); break;
        case 1: pair.broker.cut(pair.hostTransport); break;
        case 2: pair.broker.reachable = !pair.broker.reachable; break;
        case 3: pair.edge->reconnect(); break;
        case 4: pair.host->reconnect(); break;
        case 5: pair.edgeTransport.room = int(dice() % 4); break;
        case 6: pair.edgeTransport.room = -1; break;
        default: break;
        }
        for (quint32 n = dice() % 4; n > 0; --n)
            pair.append();
        pair.run(Millis(50 * (1 + dice() % 10)));
    }
    pair.broker.reachable = true;
    pair.broker.lossPercent = 0;
    pair.broker.repeatPercent = 0;
    pair.edgeTransport.room = -1;
    pair.run(5min);
    QCOMPARE(pair.spool.status().pendingBatches, quint64(0));
    QCOMPARE(sorted(withoutMarks(pair.stored())), pair.appended);
    QCOMPARE(pair.store.status().droppedReadings, quint64(0));
    QCOMPARE(pair.unmarked, 0);
    QVERIFY(pair.edge->status().resentBatches > 0);
    const Participant *node = pair.host->participant(
        {QStringLiteral("building-1"), gateway ? QStringLiteral("gateway") : QStringLiteral("hvac-001")});
    QVERIFY(node && node->online);
}

void TestSparkplugPair::pair_saysWhatAFullSpoolLost()
{
    SpoolLimits limits;
    limits.maxBatches = 20;
    Pair pair(3, limits);
    pair.run(1s);
    for (int i = 0; i < 5; ++i)
        pair.append();
    pair.run(1s);
    pair.broker.reachable = false;
    pair.broker.cut(pair.edgeTransport);
    for (int i = 0; i < 60; ++i)
        pair.append();
    pair.broker.reachable = true;
    pair.run(1min);
    QCOMPARE(pair.spool.status().pendingBatches, quint64(0));
    const auto losses = pair.store.losses(100);
    QVERIFY(losses);
    quint64 lost = 0;
    for (const Loss &loss : *losses)
        lost += loss.last - loss.first + 1;
    qsizetype readings = 0;
    for (const ReadingBatch &batch : pair.stored())
        readings += batch.readings.isEmpty() ? 0 : 1;
    QCOMPARE(lost, quint64(40));
    QCOMPARE(readings, 25);

    // The same while the connection stands and the host is slow: the tail travels in DATA.
    pair.broker.lossPercent = 100;
    for (int i = 0; i < 60; ++i)
        pair.append();
    pair.broker.lossPercent = 0;
    pair.run(2min);
    QCOMPARE(pair.spool.status().pendingBatches, quint64(0));
    QCOMPARE(pair.spool.status().acknowledged, Msn(125));
}

void TestSparkplugPair::pair_passesAnUnreadableBatch()
{
    Pair pair(4);
    pair.run(1s);
    pair.broker.reachable = false;
    pair.broker.cut(pair.edgeTransport);
    for (int i = 0; i < 10; ++i)
        pair.append();
    pair.spool.makeUnreadable(4);
    pair.spool.makeUnreadable(10);
    pair.broker.reachable = true;
    pair.run(1min);
    QCOMPARE(pair.spool.status().acknowledged, Msn(10));
    QCOMPARE(pair.store.losses(10)->size(), 2);
}

void TestSparkplugPair::pair_keepsCustodyWhileTheHostsStoreFails()
{
    Pair pair(5);
    pair.host->disconnect(&*pair.host); // the intake takes over
    SpoolStore store(pair.store);
    CustodyIntake intake(store, pair.clock);
    connect(&*pair.host, &HostSession::born, &intake, &CustodyIntake::nodeBorn);
    connect(&*pair.host, &HostSession::tailMoved, &intake, &CustodyIntake::tailMoved);
    connect(&*pair.host, &HostSession::batchReceived, &intake, [&intake](const HostBatch &batch) {
        if (!batch.fromBirth)
            intake.take(batch);
    });
    connect(&intake, &CustodyIntake::acknowledge, &*pair.host, &HostSession::acknowledge);

    // Known to fail before the node is born, until long after plain Sparkplug would have given up.
    pair.store.failWith(Error{Errc::Full, QStringLiteral("The disk is full; make room.")});
    const NodeId other{QStringLiteral("building-1"), QStringLiteral("hvac-002")};
    intake.take({other, {}, {other.node, {}, {}}, Receipt{QUuid::createUuid(), 1}, false});
    intake.flush();
    QVERIFY(intake.isFailing());
    bool gaveUp = false;
    connect(&*pair.edge, &EdgeNodeSession::phaseChanged, this, [&gaveUp](EdgeNodeSession::Phase phase) {
        gaveUp = gaveUp || phase == EdgeNodeSession::Phase::BestEffort;
    });
    for (int i = 0; i < 40; ++i)
        pair.append();
    for (int i = 0; i < 300; ++i) {
        pair.run(1s);
        intake.flush(); // its timer runs by another clock than this test's
    }
    QVERIFY(!gaveUp);
    QCOMPARE(pair.edge->status().phase, EdgeNodeSession::Phase::Custody);
    QCOMPARE(pair.spool.status().pendingBatches, quint64(40));

    pair.store.failWith({});
    for (int i = 0; i < 180; ++i) {
        pair.run(1s);
        intake.flush();
    }
    QCOMPARE(pair.spool.status().pendingBatches, quint64(0));
    QCOMPARE(sorted(withoutMarks(pair.stored())), pair.appended);
}

void TestSparkplugPair::pair_meetsAgainWhenTheHostsClockWentBack_data()
{
    QTest::addColumn<bool>("ended");
    QTest::addColumn<Timestamp>("clock");
    const Timestamp start = FakeClock().now();
    QTest::newRow("killed, four minutes") << true << start - 4min;
    QTest::newRow("killed, a board that starts in 1970") << true << fromEpochMillis(40'000);
    QTest::newRow("set while it runs, four minutes") << false << start - 4min;
}

void TestSparkplugPair::pair_meetsAgainWhenTheHostsClockWentBack()
{
    QFETCH(bool, ended);
    QFETCH(Timestamp, clock);
    Pair pair(6);
    pair.run(1s);
    pair.append();
    pair.run(1s);
    QCOMPARE(pair.edge->status().phase, EdgeNodeSession::Phase::Custody);

    const auto connections = pair.hostTransport.packets.size();
    if (ended) {
        pair.killHost();
        pair.run(1s);
        QCOMPARE(pair.edge->status().phase, EdgeNodeSession::Phase::WaitingForHost);
        pair.hostClock.setNow(clock);
        pair.startHost();
    } else {
        pair.hostClock.setNow(clock);
        pair.broker.cut(pair.hostTransport);
    }
    pair.append();
    pair.run(10s);
    QCOMPARE(pair.edge->status().phase, EdgeNodeSession::Phase::Custody);
    QCOMPARE(pair.spool.status().pendingBatches, quint64(0));
    // One connection more after a hard end, and none afterwards; what the process remembers costs none.
    QCOMPARE(pair.hostTransport.packets.size(), connections + (ended ? 2 : 1));
    const auto will = decodeState(pair.hostTransport.packets.last().will->payload);
    QVERIFY(will);
    std::optional<HostState> birth;
    for (const MqttMessage &message : std::as_const(pair.hostTransport.published)) {
        if (message.topic.contains(QStringLiteral("/STATE/")))
            birth = *decodeState(message.payload);
    }
    QCOMPARE(birth, std::optional(HostState{true, will->timestamp}));
    QVERIFY(will->timestamp > pair.hostClock.now());
    QCOMPARE(pair.hostTroubles.filter(QStringLiteral("clock seems to have gone back")).size(), ended ? 1 : 0);
    QCOMPARE(pair.edgeTroubles.filter(QStringLiteral("is ignored")).size(), ended ? 1 : 0);

    // The end of such a host is heard, too, and the next start needs no help once the clock is right.
    pair.host->stop();
    pair.run(1s);
    QVERIFY(pair.edge->status().phase != EdgeNodeSession::Phase::Custody);
    pair.hostClock.setNow(pair.clock.now());
    pair.startHost();
    pair.append();
    pair.run(10s);
    QCOMPARE(pair.hostTransport.packets.size(), connections + (ended ? 3 : 2));
    QCOMPARE(pair.edge->status().phase, EdgeNodeSession::Phase::Custody);
    QCOMPARE(sorted(withoutMarks(pair.stored())), pair.appended);
}

QTEST_GUILESS_MAIN(TestSparkplugPair)
#include "tst_sparkplug_pair.moc"

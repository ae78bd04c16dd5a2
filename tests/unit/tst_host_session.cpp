#include "domain/topic.h"
#include "fakes/fake_clock.h"
#include "fakes/scripted_transport.h"
#include "sparkplug/host_session.h"
#include "sparkplug/names.h"
#include "sparkplug/point_metrics.h"
#include "sparkplug/sf_extension.h"
#include "sparkplug/state_message.h"

#include <QTest>

#include <limits>

using namespace lintel;
using namespace lintel::sparkplug;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

namespace {

const NodeId kNode{u"site"_s, u"plc"_s};

struct Host {
    explicit Host(HostConfig::Role role = HostConfig::Role::Host)
    {
        config.role = role;
        config.hostId = role == HostConfig::Role::Host ? u"cloud"_s : QString();
        session = std::make_unique<HostSession>(config, clock, transport);
        const auto *s = session.get();
        QObject::connect(s, &HostSession::born, s,
                         [this](const Participant &p) { events.append(u"born "_s + nameOf(p)); });
        QObject::connect(s, &HostSession::died, s,
                         [this](const Participant &p) { events.append(u"died "_s + nameOf(p)); });
        QObject::connect(s, &HostSession::birthMissing, s,
                         [this](const NodeId &n) { events.append(u"missing "_s + n.node); });
        QObject::connect(s, &HostSession::tailMoved, s,
                         [this](const NodeId &, const StreamId &, Msn t) { events.append(u"tail %1"_s.arg(t)); });
        QObject::connect(s, &HostSession::batchReceived, s, [this](const HostBatch &b) { batches.append(b); });
        QObject::connect(s, &HostSession::trouble, s, [this](const Error &e) { troubles.append(e.message); });
        session->start();
        transport.accept();
    }

    static QString nameOf(const Participant &p) { return p.device.isEmpty() ? p.node.node : p.device; }

    void bring(SparkplugVerb verb, Payload payload, const QString &device = {})
    {
        if (!payload.timestamp)
            payload.timestamp = clock.now();
        transport.bring(
            {lintel::toString(SparkplugTopic{kNode.group, verb, kNode.node, device}), encode(payload), 0, false});
    }

    void birth(quint64 bdSeq = 0, bool withSpool = false, quint64 head = 9, quint64 tail = 4)
    {
        Payload payload;
        payload.seq = 0;
        payload.metrics.append(Metric::named(names::kBdSeq.toString(), DataType::UInt64, bdSeq));
        payload.metrics.append(Metric::named(names::kRebirth.toString(), DataType::Boolean, false));
        Metric up = Metric::named(u"Up/time"_s, DataType::Int32, qint64(1));
        up.alias = 1;
        payload.metrics.append(up);
        if (withSpool) {
            payload.metrics.append(Metric::named(sf::kVersionName.toString(), DataType::Int32, qint64(1)));
            payload.metrics.append(
                Metric::named(sf::kStream.toString(), DataType::Uuid, stream.toString(QUuid::WithoutBraces)));
            payload.metrics.append(Metric::named(sf::kHead.toString(), DataType::UInt64, head));
            payload.metrics.append(Metric::named(sf::kTail.toString(), DataType::UInt64, tail));
            Metric msn;
            msn.name = sf::kMsn.toString();
            msn.alias = 50;
            msn.type = DataType::UInt64;
            msn.isNull = true;
            payload.metrics.append(msn);
        }
        bring(SparkplugVerb::NBirth, payload);
    }

    void deviceBirth(quint64 seq, const QString &device = u"ahu"_s)
    {
        Payload payload;
        payload.seq = seq;
        Metric temp = Metric::named(u"temp"_s, DataType::Float, 20.5f);
        temp.alias = 2;
        temp.properties.emplace();
        temp.properties->set(u"engUnit"_s, DataType::String, u"°C"_s);
        payload.metrics.append(temp);
        bring(SparkplugVerb::DBirth, payload, device);
    }

    void data(std::optional<quint64> seq, QList<Metric> metrics, const QString &device = {})
    {
        Payload payload;
        payload.seq = seq;
        payload.metrics = std::move(metrics);
        bring(device.isEmpty() ? SparkplugVerb::NData : SparkplugVerb::DData, payload, device);
    }

    static Metric alias(quint64 number, Scalar value)
    {
        Metric metric;
        metric.alias = number;
        metric.value = std::move(value);
        return metric;
    }

    void death(std::optional<quint64> bdSeq)
    {
        Payload payload;
        if (bdSeq)
            payload.metrics.append(Metric::named(names::kBdSeq.toString(), DataType::UInt64, *bdSeq));
        bring(SparkplugVerb::NDeath, payload);
    }

    void pass(Millis time)
    {
        for (; time > 0ms; time -= 100ms) {
            clock.advance(100ms);
            session->tick();
        }
    }

    qsizetype rebirthRequests() const
    {
        qsizetype count = 0;
        for (const MqttMessage &message : transport.published) {
            const auto payload = decode(message.payload);
            count += message.topic == u"spBv1.0/site/NCMD/plc" && payload && payload->find(names::kRebirth) ? 1 : 0;
        }
        return count;
    }

    QList<double> values() const
    {
        QList<double> all;
        for (const HostBatch &batch : batches) {
            if (batch.fromBirth)
                continue;
            for (const Reading &reading : batch.batch.readings)
                all.append(toDouble(reading.value));
        }
        return all;
    }

    FakeClock clock;
    ScriptedTransport transport;
    HostConfig config;
    std::unique_ptr<HostSession> session;
    StreamId stream = QUuid::createUuid();
    QStringList events;
    QStringList troubles;
    QList<HostBatch> batches;
};

} // namespace

class TestHostSession : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void connect_subscribesThenPublishesStateOfTheWill();
    void state_isPublishedAgainWhenSomebodySaysOffline();
    void stop_publishesTheDeath();
    void birth_makesPointsOfForeignMetrics();
    void birth_carriesTheSpoolsOffer();
    void data_isReadWithTheBirthsTypes();
    void data_byNameWithoutSeqIsUnderstood();
    void data_withoutBirthAsksForOne();
    void data_halfUnderstoodIsNotReceipted();
    void data_nullIsBadQuality();
    void data_tellsTheTailAndLosses();
    void data_ofAnImpossibleNumberIsRefused();
    void birth_ofAnImpossibleSpoolOffersNone();
    void data_writesDownWhatItCannotRead();
    void order_isRestored();
    void order_asksForRebirthAfterTheTimeout();
    void order_dropsRepetitions();
    void death_isHeldBackForTheGrace();
    void death_ofAnOlderConnectionIsIgnored();
    void death_ofADeviceIsTold();
    void rebirth_endsDevicesThatDoNotReturn();
    void reconnection_verifiesWhatWasOnline();
    void silence_asksAndThenEndsANodeThatLeftWithoutADeath();
    void silence_endsWithAnyWord();
    void silence_ofANodeWithASpoolLastsLonger();
    void silence_isAsLongAsTheLongestStaleAfter();
    void acknowledge_namesStreamAndNumber();
    void command_goesByTheRightVerb();
    void malformed_isCountedAndReported();
    void observer_learnsRecordedBirths();
};

void TestHostSession::connect_subscribesThenPublishesStateOfTheWill()
{
    Host host;
    QCOMPARE(host.transport.log, QStringList({u"SUBSCRIBE spBv1.0/STATE/cloud"_s, u"SUBSCRIBE spBv1.0/#"_s,
                                              u"PUBLISH spBv1.0/STATE/cloud"_s}));
    const MqttConnect packet = host.transport.packets[0];
    QVERIFY(packet.cleanStart && packet.will && packet.will->retain);
    QCOMPARE(packet.will->qos, 1);
    QCOMPARE(packet.will->topic, u"spBv1.0/STATE/cloud"_s);
    const auto will = decodeState(packet.will->payload);
    const auto birth = decodeState(host.transport.published[0].payload);
    QVERIFY(will && birth);
    QVERIFY(!will->online && birth->online);
    QCOMPARE(will->timestamp, birth->timestamp);
    QCOMPARE(will->timestamp, host.clock.now());
    QVERIFY(host.transport.published[0].retain);
    QCOMPARE(host.transport.published[0].qos, 1);
}

void TestHostSession::state_isPublishedAgainWhenSomebodySaysOffline()
{
    Host host;
    const QByteArray first = host.transport.published[0].payload;
    host.clock.advance(1min);
    host.transport.bring({u"spBv1.0/STATE/cloud"_s, encodeState({true, host.clock.now()}), 1, false});
    host.transport.bring({u"spBv1.0/STATE/other"_s, encodeState({false, host.clock.now()}), 1, false});
    QCOMPARE(host.transport.published.size(), 1);
    host.transport.bring({u"spBv1.0/STATE/cloud"_s, encodeState({false, host.clock.now()}), 1, false});
    QCOMPARE(host.transport.published.size(), 2);
    QCOMPARE(host.transport.published[1].payload, first);
}

void TestHostSession::stop_publishesTheDeath()
{
    Host host;
    host.clock.advance(1min);
    host.session->stop();
    const auto death = decodeState(host.transport.published.last().payload);
    QVERIFY(death && !death->online);
    QCOMPARE(death->timestamp, host.clock.now());
    QVERIFY(host.transport.published.last().retain);
    QVERIFY(!host.session->isConnected());
}

void TestHostSession::birth_makesPointsOfForeignMetrics()
{
    Host host;
    host.birth();
    host.deviceBirth(1);
    QCOMPARE(host.events, QStringList({u"born plc"_s, u"born ahu"_s}));
    const Participant *node = host.session->participant(kNode);
    QVERIFY(node && node->online && !node->spool);
    QCOMPARE(node->points.size(), 1);
    QCOMPARE(node->points[0].id, u"Up.time"_s);
    QCOMPARE(node->points[0].name, u"Up/time"_s);
    QCOMPARE(node->points[0].kind, Kind::Integer);
    const Participant *device = host.session->participant(kNode, u"ahu"_s);
    QVERIFY(device);
    QCOMPARE(device->points[0].unit, Unit::Celsius);
    QCOMPARE(host.batches.size(), 2);
    QVERIFY(host.batches[1].fromBirth && !host.batches[1].receipt);
    QCOMPARE(host.batches[1].batch.device, u"ahu"_s);
    QCOMPARE(host.batches[1].batch.readings[0].value, Value(20.5));
    QCOMPARE(host.session->births().size(), 2);
    QVERIFY(!host.session->participant({u"site"_s, u"none"_s}));
}

void TestHostSession::birth_carriesTheSpoolsOffer()
{
    Host host;
    host.birth(3, true);
    const Participant *node = host.session->participant(kNode);
    QVERIFY(node && node->spool);
    QCOMPARE(node->spool->stream, host.stream);
    QCOMPARE(node->spool->head, Msn(9));
    QCOMPARE(node->spool->tail, Msn(4));
    host.data(1, {Host::alias(50, quint64(9)), Host::alias(1, quint64(5))});
    QVERIFY(host.batches.last().receipt);
    QCOMPARE(*host.batches.last().receipt, (Receipt{host.stream, 9}));
    QCOMPARE(host.batches.last().batch.device, u"plc"_s);
}

void TestHostSession::data_isReadWithTheBirthsTypes()
{
    Host host;
    host.birth();
    Metric metric = Host::alias(1, quint64(0xFFFFFFFFu)); // -1 as an Int32 has it on the wire
    metric.timestamp = fromEpochMillis(1234);
    metric.isHistorical = true;
    host.data(1, {metric});
    const Reading reading = host.batches.last().batch.readings[0];
    QCOMPARE(reading.value, Value(qint64(-1)));
    QCOMPARE(reading.deviceTime, fromEpochMillis(1234));
    QVERIFY(reading.isHistorical);
    QVERIFY(!host.batches.last().receipt);
}

void TestHostSession::data_byNameWithoutSeqIsUnderstood()
{
    Host host;
    host.birth();
    host.deviceBirth(1);
    Metric metric;
    metric.name = u"temp"_s;
    metric.value = 21.0f;
    host.data(std::nullopt, {metric}, u"ahu"_s);
    QCOMPARE(host.values(), QList{21.0});
    host.data(std::nullopt, {Metric::named(u"undeclared"_s, DataType::Double, 3.0)}, u"ahu"_s);
    QCOMPARE(host.values(), QList({21.0, 3.0}));
    QCOMPARE(host.session->counters().unknownAliases, quint64(1));
    QCOMPARE(host.rebirthRequests(), 1);
}

void TestHostSession::data_withoutBirthAsksForOne()
{
    Host host;
    for (int i = 0; i < 5; ++i)
        host.data(i, {Host::alias(1, quint64(1))});
    QCOMPARE(host.rebirthRequests(), 1);
    host.pass(9s);
    QCOMPARE(host.rebirthRequests(), 1);
    host.pass(2s);
    QCOMPARE(host.rebirthRequests(), 2); // still wanted
    host.birth();
    host.pass(60s);
    QCOMPARE(host.rebirthRequests(), 2);
    host.data(1, {Host::alias(2, 1.0f)}, u"ahu"_s); // DDATA before DBIRTH
    QCOMPARE(host.rebirthRequests(), 3);
    QVERIFY(host.values().isEmpty());
}

void TestHostSession::data_halfUnderstoodIsNotReceipted()
{
    Host host;
    host.birth(0, true);
    const qsizetype before = host.batches.size();
    host.data(1, {Host::alias(50, quint64(9)), Host::alias(1, quint64(5)), Host::alias(99, quint64(5))});
    QCOMPARE(host.batches.size(), before);
    QCOMPARE(host.rebirthRequests(), 1);
}

void TestHostSession::data_nullIsBadQuality()
{
    Host host;
    host.birth();
    Metric metric = Host::alias(1, {});
    metric.isNull = true;
    host.data(1, {metric});
    QCOMPARE(host.batches.last().batch.readings[0].quality, Quality::Bad);
    host.data(2, {Host::alias(1, u"text"_s)}); // no Int32
    QCOMPARE(host.troubles.size(), 1);
}

void TestHostSession::data_tellsTheTailAndLosses()
{
    Host host;
    host.birth(0, true);
    Metric loss;
    loss.name = sf::kLoss.toString();
    loss.type = DataType::DataSet;
    Loss lost{u"plc"_s, host.stream, 1, 3, 7, fromEpochMillis(5), fromEpochMillis(9), LossReason::StorageFailed};
    loss.dataSet = toDataSet({lost});
    host.data(1,
              {Metric::named(sf::kTail.toString(), DataType::UInt64, quint64(4)), Host::alias(50, quint64(10)), loss});
    QCOMPARE(host.events.last(), u"tail 4"_s);
    QCOMPARE(host.batches.last().batch.losses, QList{lost});
    QVERIFY(host.batches.last().receipt);
}

void TestHostSession::data_ofAnImpossibleNumberIsRefused()
{
    constexpr quint64 most = std::numeric_limits<qint64>::max(); // what a store can number
    Host host;
    host.birth(0, true);
    const qsizetype before = host.batches.size();
    const auto tail = [](quint64 number) { return Metric::named(sf::kTail.toString(), DataType::UInt64, number); };
    host.data(1, {Host::alias(50, most + 1), Host::alias(1, quint64(5))});
    host.data(2, {tail(most + 1)});
    host.data(3, {Host::alias(50, quint64(3)), tail(quint64(-1)), Host::alias(1, quint64(5))});
    QCOMPARE(host.batches.size(), before);
    QCOMPARE(host.events, QStringList{u"born plc"_s});
    QCOMPARE(host.session->counters().malformed, quint64(3));
    QCOMPARE(host.troubles.size(), 3);
    QCOMPARE(host.rebirthRequests(), 0); // it would bring the same number again
    host.data(4, {Host::alias(50, most), Host::alias(1, quint64(5))});
    QCOMPARE(host.batches.last().receipt, Receipt({host.stream, most}));
    QCOMPARE(host.troubles.size(), 3);
}

void TestHostSession::birth_ofAnImpossibleSpoolOffersNone()
{
    for (const bool ofHead : {true, false}) {
        Host host;
        const quint64 impossible = quint64(std::numeric_limits<qint64>::max()) + 1;
        host.birth(0, true, ofHead ? impossible : 9, ofHead ? 4 : impossible);
        QVERIFY(host.session->participant(kNode));
        QVERIFY(!host.session->participant(kNode)->spool);
        QCOMPARE(host.session->counters().malformed, quint64(1));
        QCOMPARE(host.troubles.size(), 1);
        host.data(1, {Host::alias(50, quint64(1)), Host::alias(1, quint64(5))});
        QVERIFY(!host.batches.last().receipt); // readings count, its numbers do not
        QCOMPARE(host.values(), QList{5.0});
    }
}

void TestHostSession::data_writesDownWhatItCannotRead()
{
    Host host;
    host.birth(0, true);
    const auto stamped = [](Metric metric, qint64 ms) {
        metric.timestamp = fromEpochMillis(ms);
        return metric;
    };
    host.data(1, {Host::alias(50, quint64(1)), stamped(Host::alias(1, quint64(5)), 1000),
                  stamped(Host::alias(1, u"text"_s), 2000), stamped(Host::alias(1, u"text"_s), 3000)});
    const HostBatch mixed = host.batches.last();
    QVERIFY(mixed.receipt);
    QCOMPARE(host.values(), QList{5.0});
    const Loss lost{u"plc"_s, {}, 0, 0, 2, fromEpochMillis(2000), fromEpochMillis(3000), LossReason::Unreadable};
    QCOMPARE(mixed.batch.losses, QList{lost});
    QCOMPARE(host.troubles.size(), 1);

    // A loss table that cannot be read, or has numbers that cannot be: something is lost, nobody knows how much.
    Metric table;
    table.name = sf::kLoss.toString();
    table.type = DataType::DataSet;
    table.timestamp = fromEpochMillis(7000);
    table.dataSet = toDataSet({});
    table.dataSet->columns[0] = u"other"_s;
    host.data(2, {Host::alias(50, quint64(2)), table});
    const Loss unknown{u"plc"_s, {}, 0, 0, 0, fromEpochMillis(7000), fromEpochMillis(7000), LossReason::Unreadable};
    QCOMPARE(host.batches.last().batch.losses, QList{unknown});
    table.dataSet = toDataSet({Loss{u"plc"_s, host.stream, 1, quint64(-1), 7, {}, {}, LossReason::SpoolFull}});
    host.data(3, {Host::alias(50, quint64(3)), table});
    QCOMPARE(host.batches.last().batch.losses, QList{unknown});
    QCOMPARE(host.troubles.size(), 3);
}

void TestHostSession::order_isRestored()
{
    Host host;
    host.birth();
    for (const quint64 seq : {3, 2, 5, 1, 4})
        host.data(seq, {Host::alias(1, seq)});
    QCOMPARE(host.values(), QList({1.0, 2.0, 3.0, 4.0, 5.0}));
    QCOMPARE(host.session->counters().reordered, quint64(3));
    host.pass(5s);
    QCOMPARE(host.rebirthRequests(), 0);
}

void TestHostSession::order_asksForRebirthAfterTheTimeout()
{
    Host host;
    host.birth();
    host.data(2, {Host::alias(1, quint64(2))});
    host.data(3, {Host::alias(1, quint64(3))});
    host.pass(1900ms);
    QVERIFY(host.values().isEmpty());
    host.pass(200ms);
    QCOMPARE(host.values(), QList({2.0, 3.0}));
    QCOMPARE(host.rebirthRequests(), 1);
    host.data(4, {Host::alias(1, quint64(4))});
    QCOMPARE(host.values().size(), 3);
}

void TestHostSession::order_dropsRepetitions()
{
    Host host;
    host.birth();
    for (int i = 0; i < 3; ++i)
        host.data(1, {Host::alias(1, quint64(1))});
    host.pass(5s);
    QCOMPARE(host.values(), QList{1.0});
    QCOMPARE(host.rebirthRequests(), 0);
}

void TestHostSession::death_isHeldBackForTheGrace()
{
    Host host;
    host.birth(4);
    host.deviceBirth(1);
    host.events.clear();
    host.death(4);
    host.pass(4s);
    host.birth(5);
    host.deviceBirth(1);
    host.pass(10s);
    QCOMPARE(host.events, QStringList({u"born plc"_s, u"born ahu"_s})); // a reconnection
    host.death(std::nullopt);                                           // a foreign node that forgets its number
    host.pass(4900ms);
    QVERIFY(host.session->participant(kNode)->online);
    host.pass(200ms);
    QCOMPARE(host.events.mid(2), QStringList({u"died ahu"_s, u"died plc"_s}));
    QVERIFY(!host.session->participant(kNode)->online);
    QVERIFY(host.session->births().isEmpty());
}

void TestHostSession::death_ofAnOlderConnectionIsIgnored()
{
    Host host;
    host.birth(7);
    host.death(6);
    host.pass(10s);
    QVERIFY(host.session->participant(kNode)->online);
}

void TestHostSession::death_ofADeviceIsTold()
{
    Host host;
    host.birth();
    host.deviceBirth(1);
    host.clock.advance(1min);
    Payload payload;
    payload.seq = 2;
    payload.timestamp = host.clock.now() - 10s;
    host.bring(SparkplugVerb::DDeath, payload, u"ahu"_s);
    QCOMPARE(host.events.last(), u"died ahu"_s);
    QCOMPARE(host.session->participant(kNode, u"ahu"_s)->since, host.clock.now() - 10s);
    QVERIFY(host.session->participant(kNode)->online);
}

void TestHostSession::rebirth_endsDevicesThatDoNotReturn()
{
    Host host;
    host.birth();
    host.deviceBirth(1);
    host.birth();
    host.pass(6s);
    QCOMPARE(host.events.last(), u"died ahu"_s);
    QVERIFY(host.session->participant(kNode)->online);
}

void TestHostSession::reconnection_verifiesWhatWasOnline()
{
    Host host;
    host.birth();
    host.data(1, {Host::alias(1, quint64(1))});
    host.transport.drop();
    QVERIFY(!host.session->isConnected());
    host.transport.accept();
    host.data(2, {Host::alias(1, quint64(2))}); // nothing was missed
    QCOMPARE(host.values(), QList({1.0, 2.0}));
    host.transport.drop();
    host.transport.accept();
    host.data(9, {Host::alias(1, quint64(9))}); // a birth may have been
    QCOMPARE(host.values().size(), 2);
    QCOMPARE(host.rebirthRequests(), 1);
    host.pass(40s);
    QCOMPARE(host.events.last(), u"died plc"_s);
}

/// sparkplug-client's stop(): a clean DISCONNECT, so the broker publishes no will.
void TestHostSession::silence_asksAndThenEndsANodeThatLeftWithoutADeath()
{
    Host host;
    host.birth();
    host.deviceBirth(1);
    host.events.clear();
    host.pass(179s);
    QCOMPARE(host.rebirthRequests(), 0);
    host.pass(2s);
    QCOMPARE(host.rebirthRequests(), 1);
    QVERIFY(host.session->participant(kNode)->online);
    host.pass(25s);
    QCOMPARE(host.events, QStringList({u"died ahu"_s, u"died plc"_s}));
    QVERIFY(!host.session->participant(kNode)->online);
    QVERIFY(host.session->births().isEmpty());
    const qsizetype asked = host.rebirthRequests();
    host.pass(10min);
    QCOMPARE(host.rebirthRequests(), asked); // nobody is there to be asked
}

void TestHostSession::silence_endsWithAnyWord()
{
    Host host;
    host.birth();
    host.data(1, {Host::alias(1, qint64(5))});
    host.events.clear();
    host.pass(181s);
    QCOMPARE(host.rebirthRequests(), 1);
    // A message in between was lost: that is told by the hole in seq, and nothing is thrown away.
    host.data(3, {Host::alias(1, qint64(7))});
    host.pass(60s);
    QVERIFY(host.session->participant(kNode)->online);
    QCOMPARE(host.values(), QList<double>({5, 7}));
    host.pass(125s);
    host.birth(1);
    host.pass(150s);
    QVERIFY(host.session->participant(kNode)->online);
    QVERIFY(!host.events.contains(u"died plc"_s));
}

void TestHostSession::silence_ofANodeWithASpoolLastsLonger()
{
    Host host;
    host.birth(0, true);
    host.pass(535s);
    QCOMPARE(host.rebirthRequests(), 0);
    host.pass(10s);
    QCOMPARE(host.rebirthRequests(), 1);
    host.pass(25s);
    QVERIFY(!host.session->participant(kNode)->online);
}

void TestHostSession::silence_isAsLongAsTheLongestStaleAfter()
{
    Host host;
    Payload payload;
    payload.seq = 0;
    for (const Millis staleAfter : {Millis{30s}, Millis{400s}}) {
        Point point;
        point.id = u"p%1"_s.arg(staleAfter.count());
        point.staleAfter = staleAfter;
        payload.metrics.append(birthMetric(point, quint64(10), nullptr, host.clock.now()));
    }
    host.bring(SparkplugVerb::NBirth, payload);
    host.pass(395s);
    QCOMPARE(host.rebirthRequests(), 0);
    host.pass(10s);
    QCOMPARE(host.rebirthRequests(), 1);
}

void TestHostSession::acknowledge_namesStreamAndNumber()
{
    Host host;
    host.session->acknowledge(kNode, host.stream, 12);
    const MqttMessage message = host.transport.published.last();
    QCOMPARE(message.topic, u"spBv1.0/site/NCMD/plc"_s);
    QCOMPARE(message.qos, 0);
    QVERIFY(!message.retain);
    const auto payload = decode(message.payload);
    QVERIFY(payload && payload->timestamp && !payload->seq);
    QCOMPARE(payload->find(sf::kAck)->value, Scalar(quint64(12)));
    QCOMPARE(payload->find(sf::kAckStream)->value, Scalar(host.stream.toString(QUuid::WithoutBraces)));
}

void TestHostSession::command_goesByTheRightVerb()
{
    Host host;
    QVERIFY(host.session->sendCommand(kNode, u"ahu"_s, Metric::named(u"temp"_s, DataType::Float, 1.0f)));
    QCOMPARE(host.transport.published.last().topic, u"spBv1.0/site/DCMD/plc/ahu"_s);
    host.transport.drop();
    QVERIFY(!host.session->sendCommand(kNode, {}, Metric::named(u"temp"_s, DataType::Float, 1.0f)));
    Host observer(HostConfig::Role::Observer);
    QVERIFY(!observer.session->sendCommand(kNode, {}, Metric::named(u"temp"_s, DataType::Float, 1.0f)));
}

void TestHostSession::malformed_isCountedAndReported()
{
    Host host;
    host.transport.bring({u"spBv1.0/site/NDATA/plc"_s, "\xff", 0, false});
    host.transport.bring({u"spBv1.0/site/NOPE/plc"_s, {}, 0, false});
    QCOMPARE(host.session->counters().malformed, quint64(2));
    QCOMPARE(host.troubles.size(), 2);
}

void TestHostSession::observer_learnsRecordedBirths()
{
    Host host;
    host.birth();
    host.deviceBirth(1);
    const QList<RecordedBirth> births = host.session->births();

    Host console(HostConfig::Role::Observer);
    QVERIFY(!console.transport.packets[0].will);
    QVERIFY(console.transport.published.isEmpty());
    console.data(17, {Host::alias(1, quint64(1))});
    QCOMPARE(console.events, QStringList{u"missing plc"_s});
    for (const RecordedBirth &birth : births)
        console.session->learnBirth(birth);
    for (const RecordedBirth &birth : births)
        console.session->learnBirth(birth); // known already
    QCOMPARE(console.events.mid(1), QStringList({u"born plc"_s, u"born ahu"_s}));
    console.data(18, {Host::alias(1, quint64(5))});
    console.data(19, {Host::alias(2, 22.0f)}, u"ahu"_s);
    QCOMPARE(console.values(), QList({5.0, 22.0}));
    QVERIFY(console.transport.published.isEmpty());
    console.session->learnBirth({u"lintel/v1/x"_s, {}});
    QCOMPARE(console.troubles.size(), 1);
}

QTEST_GUILESS_MAIN(TestHostSession)
#include "tst_host_session.moc"

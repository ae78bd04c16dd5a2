#include "fakes/edge_under_test.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace lintel::sparkplug;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestEdgeNodeSession : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void connect_registersItsDeathAndCountsConnections();
    void connect_subscribesBeforeTheBirth();
    void birth_carriesEverythingThatFollows();
    void birth_waitsForThePrimaryHost();
    void hostOffline_endsTheSessionAndWaits();
    void hostOffline_ofAnOlderConnectionIsIgnored();
    void hostOnline_ofAnOlderTimeIsIgnoredAndSaidOnce();
    void data_goesByAliasInOrderOfSeq();
    void data_goesByNameWithoutAliases();
    void rebirth_sendsBirthsBeforeAnyData();
    void rebirth_countsSeveralRequestsAsOne();
    void device_isBornAndDies();
    void device_offlineIsBornOnlyForItsStoredReadings();
    void device_unknownDoesNotBlock();
    void point_unknownJoinsTheBirth();
    void points_mayChangeWhileABatchIsOnItsWay();
    void command_reachesTheOwner();
    void command_malformedIsReported();
    void stop_publishesTheDeath();
    void reconnect_publishesTheDeathAndIsBornAgain();
};

void TestEdgeNodeSession::connect_registersItsDeathAndCountsConnections()
{
    Edge edge;
    QCOMPARE(edge.session->status().phase, Phase::Stopped);
    edge.connect();
    for (int i = 0; i < 260; ++i) {
        const MqttConnect packet = edge.transport.packets.last();
        QVERIFY(packet.cleanStart);
        QCOMPARE(packet.sessionExpiry.count(), 0);
        QVERIFY(packet.will);
        QCOMPARE(packet.will->topic, u"spBv1.0/site/NDEATH/hvac"_s);
        QCOMPARE(packet.will->qos, 1);
        QVERIFY(!packet.will->retain);
        const auto death = decode(packet.will->payload);
        QVERIFY(death);
        QCOMPARE(death->metrics.size(), 1);
        QVERIFY(!death->seq);
        QCOMPARE(death->metrics[0].type, DataType::UInt64);
        QCOMPARE(unsignedValue(death->find(names::kBdSeq)), quint64(i % 256));
        QCOMPARE(unsignedValue(edge.payload(0).find(names::kBdSeq)), quint64(i % 256));
        edge.transport.drop();
        edge.transport.published.clear();
        if (i == 100) {
            edge.session.reset(); // the counter survives a restart
            edge.make();
            edge.session->start();
        }
        edge.transport.accept();
    }
}

void TestEdgeNodeSession::connect_subscribesBeforeTheBirth()
{
    Edge edge;
    edge.connect();
    QCOMPARE(edge.transport.log,
             QStringList({u"SUBSCRIBE spBv1.0/site/NCMD/hvac"_s, u"SUBSCRIBE spBv1.0/site/DCMD/hvac/+"_s,
                          u"PUBLISH spBv1.0/site/NBIRTH/hvac"_s}));
    QCOMPARE(edge.transport.subscriptions[0].second, 1);
    QCOMPARE(edge.session->status().phase, Phase::Born);
}

void TestEdgeNodeSession::birth_carriesEverythingThatFollows()
{
    Edge edge;
    Point point = numberPoint(u"t"_s);
    point.name = u"Supply air"_s;
    point.unit = Unit::Celsius;
    point.tags = {u"air"_s, u"temp"_s};
    edge.session->setNodePoints({point});
    edge.connect();
    const MqttMessage message = edge.transport.published[0];
    QCOMPARE(message.qos, 0);
    QVERIFY(!message.retain);
    const Payload birth = edge.payload(0);
    QCOMPARE(*birth.seq, quint64(0));
    QCOMPARE(*birth.timestamp, edge.clock.now());
    QSet<quint64> aliases;
    for (const Metric &metric : birth.metrics) {
        QVERIFY(metric.name && metric.timestamp);
        QVERIFY(metric.type != DataType::Unknown);
        const bool control = *metric.name == names::kBdSeq || *metric.name == names::kRebirth;
        QCOMPARE(metric.alias.has_value(), !control);
        if (metric.alias) {
            QVERIFY(!aliases.contains(*metric.alias));
            aliases.insert(*metric.alias);
        }
    }
    const Metric *rebirth = birth.find(names::kRebirth);
    QVERIFY(rebirth && rebirth->type == DataType::Boolean && rebirth->value == Scalar(false));
    const Metric *air = birth.find(u"t");
    QVERIFY(air && air->isNull && air->properties);
    QCOMPARE(std::get<QString>(air->properties->find(u"engUnit")->scalar), u"°C"_s);
    for (const QStringView name : {sf::kVersionName, sf::kStream, sf::kHead, sf::kTail, sf::kDropped, sf::kAck,
                                   sf::kAckStream, sf::kMsn, sf::kLoss})
        QVERIFY2(birth.find(name), qPrintable(name.toString()));

    // The next birth carries the current value, at its own time, and stays in order of time.
    edge.append(21.5);
    edge.clock.advance(10s);
    edge.rebirth();
    const Payload second = edge.payload(edge.transport.published.size() - 2);
    QCOMPARE(second.find(u"t")->value, Scalar(21.5));
    QCOMPARE(*second.find(u"t")->timestamp, edge.clock.now() - 10s);
    for (qsizetype i = 1; i < second.metrics.size(); ++i)
        QVERIFY(*second.metrics[i - 1].timestamp <= *second.metrics[i].timestamp);
}

void TestEdgeNodeSession::birth_waitsForThePrimaryHost()
{
    Edge edge(u"cloud"_s);
    edge.append(1);
    edge.connect();
    QCOMPARE(edge.session->status().phase, Phase::WaitingForHost);
    QVERIFY(edge.transport.subscriptions.contains(std::pair(u"spBv1.0/STATE/cloud"_s, 1)));
    edge.hostState(false, edge.clock.now());
    edge.pass(10s);
    QVERIFY(edge.transport.published.isEmpty());
    QVERIFY(edge.transport.goodbyes.isEmpty());
    edge.transport.bring({u"spBv1.0/STATE/cloud"_s, "ONLINE", 1, true});
    QCOMPARE(edge.troubles.size(), 1);
    edge.hostState(true, edge.clock.now());
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"NDATA"_s}));
}

void TestEdgeNodeSession::hostOffline_endsTheSessionAndWaits()
{
    Edge edge(u"cloud"_s);
    edge.connect();
    edge.hostState(true, edge.clock.now());
    (void)edge.transport.take();
    edge.hostState(false, edge.clock.now()); // the will carries the time of the birth
    QCOMPARE(edge.verbs(), QStringList{u"NDEATH"_s});
    QCOMPARE(edge.transport.goodbyes.size(), 1);
    QCOMPARE(edge.session->status().phase, Phase::Offline);
    (void)edge.transport.take();
    QCoreApplication::processEvents();
    edge.transport.accept();
    edge.hostState(false, edge.clock.now());
    QCOMPARE(edge.session->status().phase, Phase::WaitingForHost);
    QVERIFY(edge.transport.published.isEmpty());
    QCOMPARE(edge.transport.goodbyes.size(), 1); // no circle of reconnections
    edge.hostState(true, edge.clock.now() + 1s);
    QCOMPARE(edge.verbs(), QStringList{u"NBIRTH"_s});
}

void TestEdgeNodeSession::hostOffline_ofAnOlderConnectionIsIgnored()
{
    Edge edge(u"cloud"_s);
    edge.connect();
    edge.hostState(true, edge.clock.now());
    edge.hostState(false, edge.clock.now() - 1ms);
    QVERIFY(edge.transport.goodbyes.isEmpty());
    QCOMPARE(edge.session->status().phase, Phase::Born);
}

void TestEdgeNodeSession::hostOnline_ofAnOlderTimeIsIgnoredAndSaidOnce()
{
    Edge edge(u"cloud"_s);
    edge.connect();
    const Timestamp seen = edge.clock.now();
    edge.hostState(false, seen);
    for (int i = 0; i < 3; ++i)
        edge.hostState(true, seen - 4min);
    QCOMPARE(edge.session->status().phase, Phase::WaitingForHost);
    QCOMPARE(edge.troubles.size(), 1);
    QVERIFY2(edge.troubles[0].contains(u"\"cloud\""_s) && edge.troubles[0].contains(toIso8601(seen - 4min))
                 && edge.troubles[0].contains(u"set the clock"_s),
             qPrintable(edge.troubles[0]));
    edge.hostState(true, seen - 3min);
    QCOMPARE(edge.troubles.size(), 2);
    edge.hostState(true, seen + 1ms);
    QCOMPARE(edge.session->status().phase, Phase::Born);
    edge.hostState(true, seen - 3min); // late, and nothing is withheld
    QCOMPARE(edge.troubles.size(), 2);
}

void TestEdgeNodeSession::data_goesByAliasInOrderOfSeq()
{
    Edge edge;
    edge.config.window = 1'000;
    edge.make();
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.connect();
    const quint64 alias = *edge.payload(0).find(u"t")->alias;
    for (int i = 1; i <= 300; ++i) {
        edge.append(i);
        const Payload data = edge.payload(i);
        QCOMPARE(*data.seq, quint64(i % 256));
        QCOMPARE(data.metrics.size(), 2);
        for (const Metric &metric : data.metrics)
            QVERIFY(metric.alias && !metric.name && metric.timestamp);
        QCOMPARE(unsignedValue(&data.metrics[0]), quint64(i));
        QCOMPARE(*data.metrics[1].alias, alias);
        QCOMPARE(data.metrics[1].value, Scalar(double(i)));
        QVERIFY(!data.metrics[1].isHistorical);
        QCOMPARE(edge.transport.published[i].qos, 0);
    }
}

void TestEdgeNodeSession::data_goesByNameWithoutAliases()
{
    Edge edge;
    edge.config.useAliases = false;
    edge.make();
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.connect();
    edge.append(1);
    for (const Metric &metric : edge.payload(0).metrics + edge.payload(1).metrics)
        QVERIFY(metric.name && !metric.alias && metric.type != DataType::Unknown);
}

void TestEdgeNodeSession::rebirth_sendsBirthsBeforeAnyData()
{
    Edge edge;
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.session->setDevice({u"d1"_s, {numberPoint(u"x"_s)}, true});
    edge.connect();
    edge.append(1);
    (void)edge.transport.take();
    edge.rebirth();
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"DBIRTH d1"_s, u"NDATA"_s}));
    QCOMPARE(unsignedValue(edge.payload(0).find(names::kBdSeq)), quint64(0));
    QVERIFY(edge.payload(2).metrics[1].isHistorical);
    QCOMPARE(edge.session->status().resentBatches, quint64(1));
}

void TestEdgeNodeSession::rebirth_countsSeveralRequestsAsOne()
{
    Edge edge;
    edge.connect();
    for (int i = 0; i < 5; ++i) {
        edge.rebirth();
        edge.clock.advance(100ms);
    }
    QCOMPARE(edge.verbs().count(u"NBIRTH"_s), 2);
    edge.clock.advance(1s);
    edge.rebirth();
    QCOMPARE(edge.verbs().count(u"NBIRTH"_s), 3);
}

void TestEdgeNodeSession::device_isBornAndDies()
{
    Edge edge;
    edge.session->setDevice({u"d1"_s, {numberPoint(u"x"_s)}, true});
    edge.connect();
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"DBIRTH d1"_s}));
    const Payload birth = edge.payload(1);
    QVERIFY(birth.find(sf::kMsn) && birth.find(u"x"));
    edge.append(1, u"d1"_s, u"x"_s);
    edge.session->setDevice({u"d1"_s, {numberPoint(u"x"_s)}, false});
    edge.session->setDevice({u"d1"_s, {numberPoint(u"x"_s)}, true});
    edge.session->setDevice({u"d1"_s, {numberPoint(u"x"_s), numberPoint(u"y"_s)}, true});
    QCOMPARE(edge.verbs().mid(2), QStringList({u"DDATA d1"_s, u"DDEATH d1"_s, u"DBIRTH d1"_s, u"DBIRTH d1"_s}));
    for (int i = 0; i < 6; ++i)
        QCOMPARE(*edge.payload(i).seq, quint64(i));
    QCOMPARE(*edge.payload(2).metrics[0].alias, *birth.find(sf::kMsn)->alias);
    edge.session->setDevice({u"a/b"_s, {}, true});
    QCOMPARE(edge.troubles.size(), 1);
}

void TestEdgeNodeSession::device_offlineIsBornOnlyForItsStoredReadings()
{
    Edge edge;
    edge.session->setDevice({u"d1"_s, {numberPoint(u"x"_s)}, false});
    edge.session->setDevice({u"d2"_s, {numberPoint(u"x"_s)}, false});
    edge.append(1, u"d1"_s, u"x"_s);
    edge.append(2, u"d1"_s, u"x"_s);
    edge.connect();
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"DBIRTH d1"_s, u"DDATA d1"_s, u"DDATA d1"_s}));
    QVERIFY(edge.payload(2).metrics[1].isHistorical);
    edge.ack(2);
    QCOMPARE(edge.verbs().last(), u"DDEATH d1"_s);
}

void TestEdgeNodeSession::device_unknownDoesNotBlock()
{
    Edge edge;
    edge.append(1, u"new"_s, u"x"_s);
    edge.connect();
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"DBIRTH new"_s, u"DDATA new"_s}));
    QVERIFY(edge.payload(1).find(u"x"));
    edge.append(2, u"a/b"_s, u"y"_s); // no legal device: its readings become the node's
    QCOMPARE(edge.verbs().last(), u"NDATA"_s);
}

void TestEdgeNodeSession::point_unknownJoinsTheBirth()
{
    Edge edge;
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.session->setDevice({u"d1"_s, {numberPoint(u"x"_s)}, true});
    edge.connect();
    (void)edge.transport.take();
    edge.append(1, u"hvac"_s, u"new"_s);
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"DBIRTH d1"_s, u"NDATA"_s}));
    QVERIFY(edge.payload(0).find(u"new"));
    edge.append(1, u"d1"_s, u"new"_s);
    QCOMPARE(edge.verbs().mid(3), QStringList({u"DBIRTH d1"_s, u"DDATA d1"_s}));
}

void TestEdgeNodeSession::points_mayChangeWhileABatchIsOnItsWay()
{
    Edge edge;
    edge.append(1, u"hvac"_s, u"t"_s);
    bool changed = false;
    QObject::connect(edge.session.get(), &EdgeNodeSession::phaseChanged, edge.session.get(), [&](Phase phase) {
        if (phase != Phase::Born || changed)
            return;
        changed = true;
        edge.session->setNodePoints({numberPoint(u"other"_s)}); // between the birth and its first batch
    });
    edge.connect();
    edge.pass(200ms);
    QVERIFY(changed);
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"NBIRTH"_s, u"NDATA"_s}));
    const Payload birth = edge.payload(1);
    QVERIFY(birth.find(u"t") && birth.find(u"other"));
    QCOMPARE(edge.payload(2).metrics.size(), 2);
    QCOMPARE(edge.payload(2).metrics[1].alias, birth.find(u"t")->alias);
}

void TestEdgeNodeSession::command_reachesTheOwner()
{
    Edge edge;
    edge.session->setNodePoints({numberPoint(u"setpoint"_s)});
    edge.session->setDevice({u"d1"_s, {numberPoint(u"x"_s)}, true});
    edge.connect();
    QSignalSpy commands(edge.session.get(), &EdgeNodeSession::commandReceived);
    Metric byAlias;
    byAlias.alias = edge.payload(0).find(u"setpoint")->alias;
    byAlias.value = 22.0;
    edge.command({byAlias});
    edge.command({Metric::named(u"x"_s, DataType::Double, 1.0)}, u"d1"_s);
    QCOMPARE(commands.size(), 2);
    QCOMPARE(*commands[0][1].value<Metric>().name, u"setpoint"_s);
    QCOMPARE(commands[1][0].toString(), u"d1"_s);
}

void TestEdgeNodeSession::command_malformedIsReported()
{
    Edge edge;
    edge.connect();
    edge.transport.bring({u"spBv1.0/site/NCMD/hvac"_s, "\xff\xff", 0, false});
    edge.transport.bring({u"spBv1.0/site/DCMD/hvac/none"_s, {}, 0, false});
    edge.command({Metric{}});
    QCOMPARE(edge.troubles.size(), 3);
    QCOMPARE(edge.verbs(), QStringList{u"NBIRTH"_s});
}

void TestEdgeNodeSession::stop_publishesTheDeath()
{
    Edge edge;
    edge.connect();
    (void)edge.transport.take();
    QSignalSpy stopped(edge.session.get(), &EdgeNodeSession::stopped);
    edge.session->stop();
    QCOMPARE(edge.verbs(), QStringList{u"NDEATH"_s});
    QCOMPARE(edge.transport.published[0].qos, 1);
    QCOMPARE(edge.transport.goodbyes, QList{MqttTransport::Goodbye::Graceful});
    QTRY_COMPARE(stopped.size(), 1);
    QCOMPARE(edge.session->status().phase, Phase::Stopped);
    edge.session->start();
    edge.transport.accept();
    QCOMPARE(edge.session->status().phase, Phase::Born);
}

void TestEdgeNodeSession::reconnect_publishesTheDeathAndIsBornAgain()
{
    Edge edge;
    edge.connect();
    edge.session->reconnect();
    QCoreApplication::processEvents();
    edge.transport.accept();
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"NDEATH"_s, u"NBIRTH"_s}));
    QCOMPARE(unsignedValue(edge.payload(1).find(names::kBdSeq)), quint64(0));
    QCOMPARE(unsignedValue(edge.payload(2).find(names::kBdSeq)), quint64(1));
}

QTEST_GUILESS_MAIN(TestEdgeNodeSession)
#include "tst_edge_node_session.moc"

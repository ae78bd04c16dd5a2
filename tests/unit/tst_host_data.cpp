#include "fakes/host_under_test.h"

#include <QTest>

#include <limits>

using namespace lintel;
using namespace lintel::test;
using namespace lintel::sparkplug;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestHostData : public QObject
{
    Q_OBJECT

private Q_SLOTS:
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
    void acknowledge_namesStreamAndNumber();
    void command_goesByTheRightVerb();
    void malformed_isCountedAndReported();
};

void TestHostData::birth_makesPointsOfForeignMetrics()
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

void TestHostData::birth_carriesTheSpoolsOffer()
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

void TestHostData::data_isReadWithTheBirthsTypes()
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

void TestHostData::data_byNameWithoutSeqIsUnderstood()
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

void TestHostData::data_withoutBirthAsksForOne()
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

void TestHostData::data_halfUnderstoodIsNotReceipted()
{
    Host host;
    host.birth(0, true);
    const qsizetype before = host.batches.size();
    host.data(1, {Host::alias(50, quint64(9)), Host::alias(1, quint64(5)), Host::alias(99, quint64(5))});
    QCOMPARE(host.batches.size(), before);
    QCOMPARE(host.rebirthRequests(), 1);
}

void TestHostData::data_nullIsBadQuality()
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

void TestHostData::data_tellsTheTailAndLosses()
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

void TestHostData::data_ofAnImpossibleNumberIsRefused()
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

void TestHostData::birth_ofAnImpossibleSpoolOffersNone()
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

void TestHostData::data_writesDownWhatItCannotRead()
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

void TestHostData::acknowledge_namesStreamAndNumber()
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

void TestHostData::command_goesByTheRightVerb()
{
    Host host;
    QVERIFY(host.session->sendCommand(kNode, u"ahu"_s, Metric::named(u"temp"_s, DataType::Float, 1.0f)));
    QCOMPARE(host.transport.published.last().topic, u"spBv1.0/site/DCMD/plc/ahu"_s);
    host.transport.drop();
    QVERIFY(!host.session->sendCommand(kNode, {}, Metric::named(u"temp"_s, DataType::Float, 1.0f)));
    Host observer(HostConfig::Role::Observer);
    QVERIFY(!observer.session->sendCommand(kNode, {}, Metric::named(u"temp"_s, DataType::Float, 1.0f)));
}

void TestHostData::malformed_isCountedAndReported()
{
    Host host;
    host.transport.bring({u"spBv1.0/site/NDATA/plc"_s, "\xff", 0, false});
    host.transport.bring({u"spBv1.0/site/NOPE/plc"_s, {}, 0, false});
    QCOMPARE(host.session->counters().malformed, quint64(2));
    QCOMPARE(host.troubles.size(), 2);
}

QTEST_GUILESS_MAIN(TestHostData)
#include "tst_host_data.moc"

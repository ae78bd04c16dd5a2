#include "fakes/edge_under_test.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace lintel::sparkplug;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestEdgeCustody : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void data_isHistoricalWhenStoredBeforeTheBirth();
    void data_waitsWhenTheQueueIsFull();
    void ack_movesCustodyAndOpensTheWindow();
    void ack_ofAnotherStreamIsIgnored();
    void ack_beyondTheSpoolKeepsEverything();
    void ack_beyondTheSpoolIsRememberedAcrossRestarts();
    void silence_sendsAgainFromTheLastAck();
    void bestEffort_givesUpWhatIsOldEnough();
    void tail_travelsInDataAfterAnEviction();
    void loss_travelsAsDataSet();
};

void TestEdgeCustody::data_isHistoricalWhenStoredBeforeTheBirth()
{
    Edge edge;
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.append(1);
    edge.connect();
    edge.append(2);
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"NDATA"_s, u"NDATA"_s}));
    QVERIFY(edge.payload(1).metrics[1].isHistorical);
    QVERIFY(!edge.payload(2).metrics[1].isHistorical);
}

void TestEdgeCustody::data_waitsWhenTheQueueIsFull()
{
    Edge edge;
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.session->setDevice({u"d1"_s, {numberPoint(u"x"_s)}, true});
    edge.session->start();
    edge.transport.room = 1;
    edge.transport.accept();
    edge.append(1);
    QCOMPARE(edge.verbs(), QStringList{u"NBIRTH"_s});
    edge.transport.room = 1;
    edge.pass(100ms);
    edge.transport.room = -1;
    edge.pass(100ms);
    QCOMPARE(edge.verbs(), QStringList({u"NBIRTH"_s, u"DBIRTH d1"_s, u"NDATA"_s}));
    for (int i = 0; i < 3; ++i)
        QCOMPARE(*edge.payload(i).seq, quint64(i)); // a refused message uses up no number
}

void TestEdgeCustody::ack_movesCustodyAndOpensTheWindow()
{
    Edge edge;
    edge.config.window = 3;
    edge.make();
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.connect();
    QSignalSpy custody(edge.session.get(), &EdgeNodeSession::acknowledged);
    for (int i = 1; i <= 5; ++i)
        edge.append(i);
    QCOMPARE(edge.session->status().sent, Msn(3));
    edge.ack(2);
    QCOMPARE(custody.size(), 1);
    QCOMPARE(edge.session->status().phase, Phase::Custody);
    QCOMPARE(edge.spool.status().acknowledged, Msn(2));
    QCOMPARE(edge.session->status().sent, Msn(5));
    edge.ack(1); // late
    QCOMPARE(edge.session->status().acknowledged, Msn(2));
    edge.ack(5);
    QCOMPARE(edge.spool.status().pendingBatches, quint64(0));
    QVERIFY(edge.session->status().lastAck);
}

void TestEdgeCustody::ack_ofAnotherStreamIsIgnored()
{
    Edge edge;
    edge.connect();
    edge.append(1);
    edge.ack(1, QUuid::createUuid());
    edge.command({Metric::named(sf::kAck.toString(), DataType::UInt64, quint64(1))});
    QCOMPARE(edge.spool.status().acknowledged, Msn(0));
    QCOMPARE(edge.session->status().phase, Phase::Born);
}

/// An older copy of the spool was put back: the host would drop new readings as known.
void TestEdgeCustody::ack_beyondTheSpoolKeepsEverything()
{
    Edge edge;
    edge.connect();
    edge.append(1);
    edge.ack(7);
    edge.ack(7);
    QCOMPARE(edge.spool.status().pendingBatches, quint64(1));
    QCOMPARE(edge.troubles.size(), 1);
    QVERIFY(edge.troubles[0].contains(u"set the spool's file aside"_s));

    // Not sent under numbers that the host gave to others, and never given up for want of an answer.
    (void)edge.transport.take();
    for (int i = 2; i <= 9; ++i)
        edge.append(i);
    edge.pass(200s);
    QVERIFY(!edge.verbs().contains(u"NDATA"_s));
    QVERIFY(edge.session->status().phase != Phase::BestEffort);
    QCOMPARE(edge.spool.status().pendingBatches, quint64(9));
    edge.ack(7); // no longer beyond the head, and still not about these readings
    QCOMPARE(edge.spool.status().pendingBatches, quint64(9));
    QCOMPARE(edge.troubles.size(), 1);

    edge.transport.drop();
    edge.transport.accept();
    QCOMPARE(edge.troubles.size(), 2); // once a connection
    QVERIFY(edge.verbs().contains(u"NBIRTH"_s));
    QVERIFY(!edge.verbs().contains(u"NDATA"_s));
}

void TestEdgeCustody::ack_beyondTheSpoolIsRememberedAcrossRestarts()
{
    Edge edge;
    edge.connect();
    edge.append(1);
    edge.ack(7);
    edge.session.reset();
    edge.transport.drop();
    (void)edge.transport.take();
    edge.make();
    for (int i = 2; i <= 9; ++i)
        edge.append(i);
    edge.connect();
    QCOMPARE(edge.troubles.size(), 2);
    edge.ack(7);
    QCOMPARE(edge.spool.status().pendingBatches, quint64(9));
    QVERIFY(!edge.verbs().contains(u"NDATA"_s));

    // A new spool has a new stream, and nothing stands in its way.
    MemorySpool fresh;
    EdgeNodeSession session(edge.config, edge.clock, edge.transport, fresh, edge.state);
    edge.session.reset();
    edge.transport.drop();
    (void)edge.transport.take();
    session.start();
    edge.transport.accept();
    const IncomingBatch incoming{{u"hvac"_s, {}, {}}, std::nullopt};
    QVERIFY(fresh.append({&incoming, 1}));
    session.pump();
    QVERIFY(edge.verbs().contains(u"NDATA"_s));
}

void TestEdgeCustody::silence_sendsAgainFromTheLastAck()
{
    Edge edge;
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.connect();
    for (int i = 1; i <= 3; ++i)
        edge.append(i);
    edge.ack(1);
    (void)edge.transport.take();
    edge.pass(4900ms);
    QVERIFY(edge.transport.published.isEmpty());
    edge.pass(200ms);
    QCOMPARE(edge.verbs(), QStringList({u"NDATA"_s, u"NDATA"_s}));
    QCOMPARE(unsignedValue(&edge.payload(0).metrics[0]), quint64(2));
    QCOMPARE(*edge.payload(0).seq, quint64(4)); // the old number, a fresh seq
    QVERIFY(edge.payload(0).metrics[1].isHistorical);
    edge.pass(100s); // patience doubles, up to a minute
    QVERIFY(edge.session->status().resentBatches < 16);
    QCOMPARE(edge.session->status().phase, Phase::Custody);
}

void TestEdgeCustody::bestEffort_givesUpWhatIsOldEnough()
{
    Edge edge;
    edge.config.window = 2;
    edge.make();
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.connect();
    for (int i = 1; i <= 10; ++i)
        edge.append(i);
    edge.pass(60'100ms);
    QCOMPARE(edge.session->status().phase, Phase::BestEffort);
    QCOMPARE(edge.session->status().sent, Msn(10)); // no window without acknowledgements
    QVERIFY(edge.spool.status().pendingBatches >= 8);
    edge.pass(60'100ms);
    QCOMPARE(edge.spool.status().pendingBatches, quint64(0));
    edge.append(11);
    edge.transport.drop();
    QCOMPARE(edge.spool.status().pendingBatches, quint64(1)); // sent again on the next connection
    edge.transport.accept();
    edge.ack(11);
    QCOMPARE(edge.session->status().phase, Phase::Custody);
}

void TestEdgeCustody::tail_travelsInDataAfterAnEviction()
{
    SpoolLimits limits;
    limits.maxBatches = 5;
    Edge edge({}, limits);
    edge.session->setNodePoints({numberPoint(u"t"_s)});
    edge.connect();
    const quint64 alias = *edge.payload(0).find(sf::kTail)->alias;
    for (int i = 1; i <= 5; ++i)
        edge.append(i);
    (void)edge.transport.take();
    edge.append(6);
    QCOMPARE(edge.verbs(), QStringList({u"NDATA"_s, u"NDATA"_s}));
    QCOMPARE(*edge.payload(0).metrics[0].alias, alias);
    QCOMPARE(unsignedValue(&edge.payload(0).metrics[0]), quint64(2));
}

void TestEdgeCustody::loss_travelsAsDataSet()
{
    Edge edge;
    edge.connect();
    const quint64 alias = *edge.payload(0).find(sf::kLoss)->alias;
    Loss loss;
    loss.device = u"hvac"_s;
    loss.stream = edge.spool.status().stream;
    loss.first = 3;
    loss.last = 9;
    const IncomingBatch incoming{{u"hvac"_s, {}, {loss}}, std::nullopt};
    QVERIFY(edge.spool.append({&incoming, 1}));
    edge.session->pump();
    const Payload data = edge.payload(1);
    QCOMPARE(*data.metrics[1].alias, alias);
    QVERIFY(data.metrics[1].dataSet);
    QCOMPARE(data.metrics[1].dataSet->rows.size(), 1);
}

QTEST_GUILESS_MAIN(TestEdgeCustody)
#include "tst_edge_custody.moc"

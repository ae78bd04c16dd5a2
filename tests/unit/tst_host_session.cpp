#include "fakes/host_under_test.h"

#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace lintel::sparkplug;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestHostSession : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void connect_subscribesThenPublishesStateOfTheWill();
    void state_isPublishedAgainWhenSomebodySaysOffline();
    void state_keptFromTheFutureCausesOneMoreConnection();
    void state_beyondBeliefIsSaidAndIgnored();
    void state_ofAnotherHostWithOurNameIsNotOutbid();
    void stop_publishesTheDeath();
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

void TestHostSession::state_keptFromTheFutureCausesOneMoreConnection()
{
    Host host;
    const QString topic = u"spBv1.0/STATE/cloud"_s;
    const Timestamp seen = host.clock.now() + 4min;
    (void)host.transport.take();
    host.transport.bring({topic, encodeState({false, seen}), 1, true});
    QCOMPARE(host.transport.goodbyes.size(), 1);
    QCOMPARE(host.troubles.size(), 1);
    QVERIFY2(host.troubles[0].contains(u"timedatectl"_s), qPrintable(host.troubles[0]));
    // Should it end now, the next one still finds what it has to pass.
    QCOMPARE(*decodeState(host.transport.published.last().payload), (HostState{false, seen}));
    QCoreApplication::processEvents();
    host.transport.accept();
    QCOMPARE(*decodeState(host.transport.packets.last().will->payload), (HostState{false, seen + 1ms}));
    QCOMPARE(*decodeState(host.transport.published.last().payload), (HostState{true, seen + 1ms}));

    // Whoever goes on is not followed.
    host.transport.bring({topic, encodeState({true, seen + 1h}), 1, true});
    QCOMPARE(host.transport.goodbyes.size(), 1);
    QCOMPARE(host.troubles.size(), 2);
    QVERIFY2(host.troubles[1].contains(u"host id"_s), qPrintable(host.troubles[1]));

    // Its death is not before its birth.
    host.session->stop();
    QCOMPARE(*decodeState(host.transport.published.last().payload), (HostState{false, seen + 1ms}));
}

void TestHostSession::state_beyondBeliefIsSaidAndIgnored()
{
    Host host;
    const auto first = host.transport.published[0];
    for (const Timestamp absurd : {fromEpochMillis(4'102'444'800'000), fromEpochMillis(9'007'199'254'740'991)}) {
        host.troubles.clear();
        host.transport.bring({first.topic, encodeState({true, absurd}), 1, true});
        QVERIFY(host.transport.goodbyes.isEmpty());
        QCOMPARE(host.troubles.size(), 1);
        QVERIFY2(host.troubles[0].contains(u"cannot be right"_s), qPrintable(host.troubles[0]));
    }
    QCOMPARE(host.transport.published.size(), 1);
    host.transport.bring({first.topic, encodeState({false, fromEpochMillis(4'102'444'800'000)}), 1, true});
    QCOMPARE(host.transport.published.size(), 2);
    QCOMPARE(host.transport.published[1].payload, first.payload);
}

/// Two of one name would drive each other into the future.
void TestHostSession::state_ofAnotherHostWithOurNameIsNotOutbid()
{
    Host host;
    host.transport.bring({u"spBv1.0/STATE/cloud"_s, encodeState({true, host.clock.now() + 1h}), 1, false});
    QVERIFY(host.transport.goodbyes.isEmpty());
    QCOMPARE(host.transport.published.size(), 1);
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

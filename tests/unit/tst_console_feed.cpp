// SPDX-License-Identifier: GPL-3.0-only
#include "fakes/fake_clock.h"

#include "connection/connection_model.h"
#include "custody/answers.h"
#include "feed/building_feed.h"
#include "fixtures/example_building.h"
#include "shell/page_state.h"
#include "trust/trust_page_model.h"

#include <QCborArray>
#include <QTest>

using namespace lintel;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestConsoleFeed : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void observer_learnsWhatItMissedAndFollowsWhatComes()
    {
        FakeClock clock;
        LoopbackBroker broker(clock);
        ExampleBuilding building(broker, clock);
        building.start(); // births are gone before the console is there
        LoopbackTransport transport(broker);
        BuildingStore store(clock);
        BuildingFeed feed({ExampleBuilding::console(), ExampleBuilding::host(), {}, u"example"_s, false, 30s}, clock,
                          transport, nullptr, store);
        feed.start();
        QTRY_COMPARE_WITH_TIMEOUT(store.deviceCount(), 9, 10'000);
        QCOMPARE(store.link().phase, LinkState::Phase::Connected);
        const auto offline = [&] {
            int count = 0;
            for (int i = 0; i < store.deviceCount(); ++i)
                count += store.device(i).online ? 0 : 1;
            return count;
        };
        QTRY_COMPARE_WITH_TIMEOUT(offline(), 1, 10'000);
        QVERIFY(store.pointCount() > 30);
        QCOMPARE(store.readingCount(), quint64(0));
        clock.advance(ExampleBuilding::kPeriod);
        building.tick();
        QTRY_VERIFY_WITH_TIMEOUT(store.readingCount() > 30, 10'000);

        feed.fetchHistory(0, clock.now() - 10min, clock.now());
        QTRY_VERIFY_WITH_TIMEOUT(store.point(0).samples.all().size() > 100, 10'000);

        broker.setReachable(false);
        QTRY_COMPARE_WITH_TIMEOUT(store.link().phase, LinkState::Phase::Lost, 10'000);
        QVERIFY(!store.link().sentence.isEmpty());
        broker.setReachable(true);
        QTRY_COMPARE_WITH_TIMEOUT(store.link().phase, LinkState::Phase::Connected, 10'000);
        feed.stop();
    }

    void neverConnected_isFailedWithAReason()
    {
        FakeClock clock;
        LoopbackBroker broker(clock);
        broker.setReachable(false);
        LoopbackTransport transport(broker);
        BuildingStore store(clock);
        BuildingFeed feed({ExampleBuilding::console(), ExampleBuilding::host(), {}, u"example"_s, false, 30s}, clock,
                          transport, nullptr, store);
        feed.start();
        QTRY_COMPARE_WITH_TIMEOUT(store.link().phase, LinkState::Phase::Failed, 10'000);
        QVERIFY(!store.link().sentence.isEmpty());
        feed.stop();
    }

    void refusedSubscription_isSaidWhileConnected_data()
    {
        QTest::addColumn<QString>("filter");
        QTest::newRow("values") << filter::everything();
        QTest::newRow("answers") << filter::responsesTo(ExampleBuilding::console());
    }
    void refusedSubscription_isSaidWhileConnected()
    {
        QFETCH(QString, filter);
        FakeClock clock;
        LoopbackBroker broker(clock);
        LoopbackTransport transport(broker);
        BuildingStore store(clock);
        BuildingFeed feed({ExampleBuilding::console(), ExampleBuilding::host(), {}, u"gateway"_s, false, 30s}, clock,
                          transport, nullptr, store);
        const ConnectionModel connection(store, {});
        broker.refuse(filter);
        feed.start();
        QTRY_VERIFY_WITH_TIMEOUT(!store.link().sentence.isEmpty(), 10'000);
        QCOMPARE(store.link().phase, LinkState::Phase::Connected);
        QVERIFY2(store.link().sentence.contains(filter), qPrintable(store.link().sentence));
        QCOMPARE(connection.sentence(), store.link().sentence);
        QVERIFY(connection.isPartial() && !connection.isCut());
        QCOMPARE(connection.priority(), 2);
        clock.advance(6s);
        QCOMPARE(pageSentence(store, pageState(store, false)), store.link().sentence);

        broker.allow(filter);
        transport.reconnect();
        QTRY_VERIFY_WITH_TIMEOUT(broker.subscriptions(ExampleBuilding::console().toString()).contains(filter), 10'000);
        QTRY_VERIFY_WITH_TIMEOUT(store.link().sentence.isEmpty(), 10'000);
        QVERIFY(!connection.isPartial());
        QCOMPARE(connection.priority(), 0);
        feed.stop();
    }

    void answers_leaveOutWhatDoesNotFit()
    {
        const QCborMap answer{
            {"readings"_L1,
             QCborArray{
                 QCborMap{{"time"_L1, u"2026-01-15T00:00:00.000Z"_s}, {"value"_L1, 21.5}, {"historical"_L1, true}},
                 QCborMap{{"time"_L1, u"yesterday"_s}, {"value"_L1, 1.0}},
                 QCborMap{{"time"_L1, u"2026-01-15T00:00:01.000Z"_s}, {"value"_L1, u"text"_s}},
                 QCborMap{{"time"_L1, u"2026-01-15T00:00:02.000Z"_s}, {"value"_L1, 3.0}, {"quality"_L1, u"bad"_s}},
                 QCborValue(7),
             }}};
        const HistoryQuestion question{u"g"_s, u"d"_s, u"p"_s, {}, Timestamp{} + 15min};
        const auto samples = samplesFrom(answer, question);
        QCOMPARE(samples.size(), std::size_t(1));
        QVERIFY(samples[0].late);
        QVERIFY(devicesFrom(QCborMap{{"devices"_L1, QCborArray{QCborValue(1), QCborMap{}}}}, {}).isEmpty());
        QVERIFY(birthsFrom(QCborMap{{"births"_L1, 4}}).isEmpty());
    }

    /// A host that knows a device which died before the console came: its births hold the living only.
    void deviceOfflineAtTheStart_hasPointsValuesAndHistory()
    {
        FakeClock clock;
        LoopbackBroker broker(clock);
        LoopbackTransport hostTransport(broker);
        CallServer host(ExampleBuilding::host(), clock, hostTransport);
        Point point;
        point.id = u"air_temp"_s;
        point.name = u"Supply air"_s;
        point.kind = Kind::Number;
        point.unit = Unit::Celsius;
        point.tags = {u"air"_s, u"temp"_s};
        point.brickClass = u"Supply_Air_Temperature_Sensor"_s;
        point.siteRef = u"b1"_s;
        point.spaceRef = u"floor-1"_s;
        point.equipRef = u"ahu-1"_s;
        point.staleAfter = Millis{90'000};
        const Timestamp died = clock.now() - 3h;
        const QCborMap dead{{"device"_L1, u"hvac-009"_s},  {"group"_L1, u"b1"_s},
                            {"node"_L1, u"hvac-009"_s},    {"online"_L1, false},
                            {"since"_L1, toIso8601(died)}, {"points"_L1, answers::points({point, point})}};
        QCborMap last = answers::reading({point.id, 19.5, Unit::Celsius, died - 10s, Quality::Good, false});
        last.insert("group"_L1, u"b1"_s);
        last.insert("device"_L1, u"hvac-009"_s);
        last.insert("point"_L1, point.id);
        using Call = CallServer::Call;
        using Reply = CallServer::Reply;
        host.provide(u"read_births"_s, [](const Call &, const Reply &reply) { reply(answers::births({})); });
        host.provide(u"list_devices"_s, [dead](const Call &, const Reply &reply) {
            reply(QCborMap{{"devices"_L1, QCborArray{dead}}});
        });
        host.provide(u"last_values"_s, [last](const Call &, const Reply &reply) {
            reply(QCborMap{{"values"_L1, QCborArray{last, QCborMap{}, QCborValue(3)}}});
        });
        host.provide(u"query_history"_s, [died](const Call &call, const Reply &reply) {
            QCborMap reading{{"time"_L1, toIso8601(died - 1h)}, {"value"_L1, 18.0}, {"quality"_L1, u"good"_s}};
            const bool asked = call.args.value("device"_L1) == u"hvac-009"_s;
            reply(QCborMap{{"readings"_L1, asked ? QCborArray{reading} : QCborArray{}}});
        });
        hostTransport.start([] {
            MqttConnect packet;
            packet.clientId = ExampleBuilding::host().toString();
            return packet;
        });
        LoopbackTransport transport(broker);
        BuildingStore store(clock);
        BuildingFeed feed({ExampleBuilding::console(), ExampleBuilding::host(), {}, u"gateway"_s, false, 30s}, clock,
                          transport, nullptr, store);
        feed.start();
        QTRY_COMPARE_WITH_TIMEOUT(store.pointCount(), 1, 10'000);
        QCOMPARE(store.deviceCount(), 1);
        QVERIFY(!store.device(0).online);
        QCOMPARE(store.device(0).since, died);
        QCOMPARE(store.device(0).points, QList<int>{0});
        QCOMPARE(store.point(0).point, point);
        QTRY_VERIFY_WITH_TIMEOUT(store.point(0).last.has_value(), 10'000);
        QCOMPARE(toDouble(store.point(0).last->value), 19.5);
        QCOMPARE(store.point(0).last->unit, Unit::Celsius);
        QCOMPARE(store.freshness(store.point(0), clock.now()), Freshness::Silent);
        QCOMPARE(store.readingCount(), quint64(0)); // what is stored was not heard now
        feed.fetchHistory(0, died - 2h, died);
        QTRY_COMPARE_WITH_TIMEOUT(store.point(0).samples.all().size(), std::size_t(1), 10'000);
        feed.stop();
    }

    void list_endsADeviceThatLeftWithoutAWord()
    {
        FakeClock clock;
        BuildingStore store(clock);
        sparkplug::Participant who;
        who.node = {u"b1"_s, u"press-7"_s};
        who.online = true;
        store.applyBirth(who);
        store.applyBatch({who.node, {}, {}, std::nullopt, false});
        store.applyListed(who.node, {}, false, clock.now() - 1h); // a list made before it spoke
        QVERIFY(store.device(0).online);
        clock.advance(4min);
        store.applyListed(who.node, {}, false, clock.now());
        QVERIFY(!store.device(0).online);
        store.applyListed(who.node, {}, true, clock.now());
        QVERIFY(!store.device(0).online); // its birth will say so
    }

    /// What a gateway tells of whom it refuses and of itself, in the call that the console makes anyway.
    void status_tellsOfIdentitiesAndTakesItBack()
    {
        FakeClock clock;
        LoopbackBroker broker(clock);
        LoopbackTransport gatewayTransport(broker);
        CallServer gateway(ExampleBuilding::host(), clock, gatewayTransport);
        const QString since = toIso8601(clock.now() - 1h);
        QCborArray refused{
            QCborMap{{"group"_L1, u"b1"_s},
                     {"device"_L1, u"hvac-001"_s},
                     {"state"_L1, u"expired"_s},
                     {"sentence"_L1, u"identity expired, buffering: the authority does not answer"_s},
                     {"since"_L1, since}},
            QCborMap{{"group"_L1, u"b1"_s},
                     {"device"_L1, u"hvac-009"_s},
                     {"state"_L1, u"not_admitted"_s},
                     {"sentence"_L1, u"Nobody has approved it."_s}},
            QCborMap{{"group"_L1, u"b1"_s}, {"device"_L1, u"hvac-010"_s}, {"state"_L1, u"puzzled"_s}},
            QCborMap{{"state"_L1, u"revoked"_s}},
            QCborValue(4),
        };
        using Call = CallServer::Call;
        using Reply = CallServer::Reply;
        gateway.provide(u"status"_s, [&refused](const Call &, const Reply &reply) {
            reply(QCborMap{{"refused"_L1, refused},
                           {"identity"_L1, QCborMap{{"state"_L1, u"valid"_s},
                                                    {"runway_ms"_L1, 3'720'000},
                                                    {"runway_limited_by"_L1, u"issuer of b1"_s}}}});
        });
        gatewayTransport.start([] {
            MqttConnect packet;
            packet.clientId = ExampleBuilding::host().toString();
            return packet;
        });
        LoopbackTransport transport(broker);
        BuildingStore store(clock);
        sparkplug::Participant who;
        who.node = {u"b1"_s, u"hvac-001"_s};
        who.online = true;
        store.applyBirth(who);
        BuildingFeed feed({ExampleBuilding::console(), ExampleBuilding::host(), {}, u"gateway"_s, false, 30s}, clock,
                          transport, nullptr, store);
        feed.start();
        QTRY_COMPARE_WITH_TIMEOUT(store.deviceCount(), 2, 10'000);
        QCOMPARE(store.device(0).identity.state, DeviceIdentity::State::Expired);
        QCOMPARE(store.device(0).identity.since, clock.now() - 1h);
        QCOMPARE(store.device(1).name, u"hvac-009"_s);
        QCOMPARE(store.device(1).identity.state, DeviceIdentity::State::NotAdmitted);
        QVERIFY(store.trust());
        QCOMPARE(store.trust()->left(clock.now()).value_or(Millis{}), Millis(62min));
        QCOMPARE(store.trust()->credential, u"issuer of b1"_s);
        QCOMPARE(store.trust()->gateway, u"gateway"_s);

        refused = {};
        QTRY_COMPARE_WITH_TIMEOUT(store.device(0).identity.state, DeviceIdentity::State::Unknown, 15'000);
        QCOMPARE(store.device(1).identity.state, DeviceIdentity::State::Unknown);
        feed.stop();
    }

    void status_whoIsGoneWithAnEndedCertificateWaitsForANewOne()
    {
        const FakeClock clock;
        const auto seen = [&clock](bool connected, Millis left) {
            return QCborMap{{"connected"_L1, connected}, {"expires"_L1, toIso8601(clock.now() + left)}};
        };
        const QCborMap status{{"agent_identities"_L1, QCborMap{{u"a-gone"_s, seen(false, -10min)},
                                                               {u"b-gone-a-moment-ago"_s, seen(false, 10min)},
                                                               {u"c-here"_s, seen(true, 10min)},
                                                               {u"d-revoked"_s, seen(false, -10min)},
                                                               {u"e-nothing"_s, QCborMap{}}}},
                              {"refused"_L1, QCborArray{QCborMap{{"device"_L1, u"d-revoked"_s},
                                                                 {"state"_L1, u"revoked"_s},
                                                                 {"sentence"_L1, u"stolen"_s}}}}};
        QMap<QString, DeviceIdentity> told;
        for (const ToldIdentity &one : identitiesFrom(status, clock.now())) {
            QVERIFY(!told.contains(one.device));
            told.insert(one.device, one.identity);
        }
        QCOMPARE(told.keys(), (QStringList{u"a-gone"_s, u"c-here"_s, u"d-revoked"_s}));
        QCOMPARE(told.value(u"a-gone"_s).state, DeviceIdentity::State::Expired);
        QCOMPARE(told.value(u"a-gone"_s).since, clock.now() - 10min);
        QCOMPARE(told.value(u"c-here"_s).state, DeviceIdentity::State::Valid);
        QCOMPARE(told.value(u"d-revoked"_s).state, DeviceIdentity::State::Revoked);
        QVERIFY(identitiesFrom(QCborMap{{"agent_identities"_L1, 4}, {"refused"_L1, u"x"_s}}, clock.now()).isEmpty());
    }

    void status_tellsWhoWaitsAndWhoIsRefused()
    {
        const QString hash(64, u'b');
        QCborArray many;
        for (int i = 0; i < 3 * kMostListed; ++i)
            many.append(QCborMap{{"ek_hash"_L1, QString::number(i).rightJustified(64, u'0')}});
        const QCborMap waiting{
            {"as_of"_L1, u"2026-11-21T12:00:00.000Z"_s},
            {"total"_L1, 7},
            {"devices"_L1, QCborArray{QCborMap{{"ek_hash"_L1, hash},
                                               {"maker"_L1, u" IFX\n"_s},
                                               {"first_seen"_L1, u"2026-11-21T11:00:00.000Z"_s},
                                               {"attempts"_L1, -3}},
                                      // What would stand in a command that somebody copies must be a hash.
                                      QCborMap{{"ek_hash"_L1, u"x; rm -rf /"_s}}, QCborMap{}, QCborValue(4)}}};
        const QCborArray refused{QCborMap{{"who"_L1, u"spiffe://b/agent/x"_s},
                                          {"proved"_L1, true},
                                          {"from"_L1, u"192.0.2.1"_s},
                                          {"sentence"_L1, QString(5'000, u'y')},
                                          {"last"_L1, u"yesterday"_s},
                                          {"count"_L1, 3}},
                                 QCborMap{{"sentence"_L1, u"nobody"_s}}, QCborValue(4)};
        const auto told =
            admissionFrom(QCborMap{{"waiting"_L1, waiting}, {"refused_certificates"_L1, refused}}, u"gateway"_s);
        QVERIFY(told);
        QVERIFY(told->tellsOfWaiting && told->tellsOfRefused && told->waitingAsOf);
        QCOMPARE(told->waitingTotal, 7u);
        QCOMPARE(told->waiting.size(), 1);
        QCOMPARE(told->waiting.first().maker, u"IFX"_s);
        QCOMPARE(told->waiting.first().attempts, 0u);
        QVERIFY(told->waiting.first().firstSeen && !told->waiting.first().lastSeen);
        QCOMPARE(told->refused.size(), 1);
        QVERIFY(told->refused.first().isProved && !told->refused.first().last);
        QVERIFY(told->refused.first().reason.size() < 1'000);

        // A host that tells neither tells nothing: that is not the same as "nobody".
        QVERIFY(!admissionFrom(QCborMap{{"refused"_L1, QCborArray{}}}, u"gateway"_s));
        QVERIFY(!admissionFrom(QCborMap{{"waiting"_L1, 4}, {"refused_certificates"_L1, u"x"_s}}, u"gateway"_s));
        const auto flood = admissionFrom(QCborMap{{"waiting"_L1, QCborMap{{"devices"_L1, many}}}}, u"gateway"_s);
        QVERIFY(flood && !flood->waitingAsOf && !flood->tellsOfRefused);
        QCOMPARE(flood->waiting.size(), kMostListed);
    }

    void trustPage_saysWhatIsNotKnown()
    {
        FakeClock clock;
        BuildingStore store(clock);
        store.setLink({LinkState::Phase::Connected, u"gateway"_s, {}, clock.now(), {}});
        TrustPageModel page(store);
        page.refresh();
        QCOMPARE(page.waitingNote(), u"Not known: no gateway tells."_s);
        QCOMPARE(page.refusedNote(), u"Not known: no gateway tells."_s);
        QCOMPARE(page.gatewaysNote(), u"Not known: no gateway tells."_s);
        Admission admission;
        admission.gateway = u"gateway"_s;
        store.setAdmission(admission);
        QCOMPARE(page.waitingNote(), u"Not known: gateway does not take its identity from an authority."_s);
        QCOMPARE(page.refusedNote(), u"Not known: the broker of gateway does not tell."_s);
        admission.tellsOfWaiting = admission.tellsOfRefused = true;
        admission.waitingProblem = u"The authority does not answer."_s;
        store.setAdmission(admission);
        QCOMPARE(page.waitingNote(), u"Not known: The authority does not answer."_s);
        QCOMPARE(page.refusedNote(), u"Nobody was refused since the broker started."_s);
        // The authority was there once: what it said then is told with its time.
        admission.waitingAsOf = clock.now();
        store.setAdmission(admission);
        QCOMPARE(page.waitingNote(), u"Nobody waits."_s);
        clock.advance(2min);
        page.refresh();
        QVERIFY2(page.waitingNote().startsWith(u"As of "_s)
                     && page.waitingNote().contains(u"The authority does not answer."_s),
                 qPrintable(page.waitingNote()));
        QCOMPARE(page.attention(), 0);

        // A moment ago is an alarm, ten minutes later it is history.
        RefusedCertificate refused;
        refused.who = u"spiffe://b/agent/x"_s;
        refused.last = clock.now();
        refused.count = 1;
        admission.refused = {refused};
        store.setAdmission(admission);
        QCOMPARE(page.attention(), 1);
        QCOMPARE(page.attentionPriority(), 3);
        clock.advance(11min);
        page.refresh();
        QCOMPARE(page.attention(), 0);
        QCOMPARE(page.attentionPriority(), 0);
        QCOMPARE(page.refused().size(), 1);
    }

    /// Three gateways: one with a queue and refusals, one with a queue, one that has stopped answering.
    void trustPage_ofSeveralSitesTellsWhose()
    {
        FakeClock clock;
        BuildingStore store(clock);
        store.setLink({LinkState::Phase::Connected, u"cloud"_s, {}, clock.now(), {}});
        const TrustPageModel page(store);
        const auto admissionOf = [&clock](const QString &site, QChar digit) {
            Admission admission;
            admission.source = u"spiffe://%1.smart.local/agent/gateway"_s.arg(site);
            admission.gateway = u"gateway"_s;
            admission.site = site;
            admission.answeredAt = clock.now();
            admission.tellsOfWaiting = admission.tellsOfRefused = true;
            admission.waitingAsOf = clock.now();
            admission.waiting = {{QString(64, digit), u"IFX"_s, clock.now(), clock.now(), u"192.0.2.1"_s, 1}};
            admission.waitingTotal = 1;
            return admission;
        };
        Admission third = admissionOf(u"building-10"_s, u'c');
        store.setAdmission(third);
        store.setAdmission(admissionOf(u"building-2"_s, u'b'));
        Admission first = admissionOf(u"building-1"_s, u'a');
        RefusedCertificate refused;
        refused.who = u"spiffe://b/agent/x"_s;
        refused.last = clock.now();
        first.refused = {refused};
        store.setAdmission(first);
        const auto owners = [](const QVariantList &rows) {
            QStringList all;
            for (const QVariant &row : rows)
                all.append(row.toMap().value(u"owner"_s).toString());
            return all;
        };
        QCOMPARE(owners(page.waiting()), (QStringList{u"building-1"_s, u"building-2"_s, u"building-10"_s}));
        QCOMPARE(owners(page.refused()), QStringList{u"building-1"_s});
        QCOMPARE(page.waitingTotal(), 3);
        QVERIFY(page.waiting().at(1).toMap().value(u"command"_s).toString().endsWith(u" --site building-2"_s));
        QVERIFY(page.waiting().at(1).toMap().value(u"accessibleText"_s).toString().startsWith(u"building-2, "_s));
        QCOMPARE(page.waitingNote(), u"Compare the hash with the device's label before you let it in."_s);
        QCOMPARE(page.refusedNote(), u"building-2: nobody was refused since the broker started.\n"
                                     "building-10: nobody was refused since the broker started."_s);
        QCOMPARE(page.attention(), 1);

        // What it said before is not what is.
        Admission silent;
        silent.source = third.source;
        silent.gateway = third.gateway;
        silent.site = third.site;
        silent.answers = false;
        silent.answeredAt = third.answeredAt;
        store.setAdmission(silent);
        QCOMPARE(owners(page.waiting()), (QStringList{u"building-1"_s, u"building-2"_s}));
        const QString since = u"building-10: no answer since "_s;
        QVERIFY2(page.waitingNote().startsWith(since), qPrintable(page.waitingNote()));
        QVERIFY2(page.refusedNote().contains(since), qPrintable(page.refusedNote()));
        QVERIFY2(page.summary().endsWith(u", 1 gateway does not answer"_s), qPrintable(page.summary()));
        store.setAdmission(third);
        QCOMPARE(page.waiting().size(), 3);

        // Two of one site have their names, too; a site that is no word for a command stays out of it.
        Admission twin = first;
        twin.source = u"other"_s;
        twin.gateway = u"gateway-b"_s;
        store.setAdmission(twin);
        QCOMPARE(owners(page.waiting()).first(2), (QStringList{u"building-1/gateway"_s, u"building-1/gateway-b"_s}));
        twin.site = u"b; rm -rf /"_s;
        store.setAdmission(twin);
        for (const QVariant &row : page.waiting())
            QVERIFY(!row.toMap().value(u"command"_s).toString().contains(u';'));
    }

    /// Two hosts behind one broker: each is asked, and what one does not answer is not taken from the other.
    void gateways_ofSeveralSitesAreAllAsked()
    {
        FakeClock clock;
        LoopbackBroker broker(clock);
        const auto idOf = [](int site) {
            return Principal(*SpiffeId::parse(u"spiffe://building-%1.smart.local/agent/gateway"_s.arg(site)));
        };
        LoopbackTransport firstTransport(broker);
        LoopbackTransport secondTransport(broker);
        CallServer first(idOf(1), clock, firstTransport);
        CallServer second(idOf(2), clock, secondTransport);
        bool isSilent = false;
        const auto provide = [](CallServer &server, const QString &site, QChar digit, const bool &silent) {
            server.provide(u"status"_s, [=, &silent](const CallServer::Call &, const CallServer::Reply &reply) {
                if (silent)
                    return reply(Error{Errc::Unavailable, u"busy"_s});
                const QCborMap device{{"ek_hash"_L1, QString(64, digit)}};
                reply(QCborMap{
                    {"site"_L1, site},
                    {"identity"_L1, QCborMap{{"state"_L1, u"valid"_s}, {"runway_ms"_L1, 60'000}}},
                    {"waiting"_L1, QCborMap{{"total"_L1, 1}, {"devices"_L1, QCborArray{device}}}},
                    {"refused"_L1, QCborArray{QCborMap{{"device"_L1, u"hvac-001"_s}, {"state"_L1, u"revoked"_s}}}}});
            });
        };
        const bool never = false;
        provide(first, u"building-1"_s, u'a', never);
        provide(second, u"building-2"_s, u'b', isSilent);
        const auto connectAs = [](LoopbackTransport &transport, const Principal &id) {
            transport.start([id] {
                MqttConnect packet;
                packet.clientId = id.toString();
                return packet;
            });
        };
        connectAs(firstTransport, idOf(1));
        connectAs(secondTransport, idOf(2));
        LoopbackTransport transport(broker);
        BuildingStore store(clock);
        BuildingFeed feed({ExampleBuilding::console(), idOf(1), {}, u"cloud"_s, false, 30s, {}, {idOf(1), idOf(2)}},
                          clock, transport, nullptr, store);
        feed.start();
        QTRY_COMPARE_WITH_TIMEOUT(store.admissions().size(), 2, 10'000);
        QCOMPARE(store.admissions().at(0).site, u"building-1"_s);
        QCOMPARE(store.admissions().at(1).waiting.first().ekHash, QString(64, u'b'));
        QTRY_COMPARE_WITH_TIMEOUT(store.trusts().size(), std::size_t(2), 10'000);
        // The same name at two sites is two devices.
        QTRY_COMPARE_WITH_TIMEOUT(store.deviceCount(), 2, 10'000);
        isSilent = true;
        QTRY_VERIFY_WITH_TIMEOUT(!store.admissions().at(1).answers, 20'000);
        QCOMPARE(store.admissions().at(1).site, u"building-2"_s);
        QVERIFY(store.admissions().at(1).answeredAt && store.admissions().at(1).waiting.isEmpty());
        QVERIFY(store.admissions().at(0).answers && !store.admissions().at(0).waiting.isEmpty());
        isSilent = false;
        QTRY_VERIFY_WITH_TIMEOUT(store.admissions().at(1).answers, 20'000);
        feed.stop();
    }

    void list_tellsOfIdentities()
    {
        const QCborMap answer{
            {"devices"_L1,
             QCborArray{QCborMap{{"device"_L1, u"hvac-001"_s},
                                 {"group"_L1, u"b1"_s},
                                 {"node"_L1, u"hvac-001"_s},
                                 {"identity"_L1, QCborMap{{"state"_L1, u"revoked"_s}, {"sentence"_L1, u"lost"_s}}}},
                        QCborMap{{"device"_L1, u"hvac-002"_s},
                                 {"group"_L1, u"b1"_s},
                                 {"node"_L1, u"hvac-002"_s},
                                 {"identity"_L1, u"valid"_s}}}}};
        const auto devices = devicesFrom(answer, {});
        QCOMPARE(devices.size(), 2);
        QVERIFY(devices[0].identity.has_value());
        QCOMPARE(devices[0].identity->state, DeviceIdentity::State::Revoked);
        QCOMPARE(devices[0].identity->reason, u"lost"_s);
        QVERIFY(!devices[1].identity.has_value());
    }

    void longWindows_askForBuckets()
    {
        const HistoryQuestion day{u"g"_s, u"d"_s, u"p"_s, Timestamp{}, Timestamp{} + 24h};
        QCOMPARE(day.bucketSeconds(), 180);
        QCOMPARE(day.arguments().value("bucket"_L1).toInteger(), 180);
        const QCborMap answer{{"buckets"_L1, QCborArray{QCborMap{{"start"_L1, u"2026-01-15T00:00:00.000Z"_s},
                                                                 {"count"_L1, 9},
                                                                 {"min"_L1, 1.0},
                                                                 {"max"_L1, 2.0}},
                                                        QCborMap{{"start"_L1, u"2026-01-15T00:03:00.000Z"_s},
                                                                 {"count"_L1, 9},
                                                                 {"min"_L1, 1.0},
                                                                 {"max"_L1, 2.0},
                                                                 {"historical"_L1, 1}}}}};
        const auto samples = samplesFrom(answer, day);
        QCOMPARE(samples.size(), std::size_t(4));
        QCOMPARE(samples[0].span, quint32(180'000));
        QVERIFY(!samples[0].late && !samples[1].late);
        QVERIFY(samples[2].late && samples[3].late);
    }

    void bufferRunway_isKnownWithAnEmptyBuffer()
    {
        BufferEstimate estimate;
        SpoolStatus spool; // everything is acknowledged whenever somebody looks
        spool.maxBytes = 1'000'000;
        const Timestamp start = Timestamp{} + 500'000h;
        const auto ask = [&](Millis after) {
            return estimate.update(QCborMap{{"spool"_L1, answers::spool(spool)}}, start + after);
        };
        spool.writtenBytes = 70'000;
        const auto first = ask(0s);
        QCOMPARE(*first.pendingReadings, quint64(0));
        QVERIFY(!first.bufferRunway);
        QVERIFY(!ask(5s).bufferRunway); // nothing measured yet
        spool.writtenBytes += 1'000;    // 100 bytes a second
        const auto second = ask(10s);
        QVERIFY(second.bufferRunway.has_value());
        QCOMPARE(std::chrono::duration_cast<std::chrono::seconds>(*second.bufferRunway), 10'000s);
        QVERIFY(!estimate.update(QCborMap{}, start + 11s).asOf);
    }

    void bufferRunway_isZeroWhenTheBufferIsFull()
    {
        const Timestamp start = Timestamp{} + 500'000h;
        SpoolStatus spool;
        spool.maxBytes = 1'000'000;
        const auto ask = [&spool](BufferEstimate &estimate, Timestamp at) {
            return estimate.update(QCborMap{{"spool"_L1, answers::spool(spool)}}, at).bufferRunway;
        };
        for (const qint64 used : {spool.maxBytes, spool.maxBytes + 4'096}) {
            spool.usedBytes = used;
            spool.writtenBytes = 70'000;
            BufferEstimate estimate;
            QCOMPARE(ask(estimate, start).value_or(Millis{-1}), Millis{0}); // no rate is needed for that
            spool.writtenBytes += 1'000;
            QCOMPARE(ask(estimate, start + 10s).value_or(Millis{-1}), Millis{0});
        }
        // One that does not say how large it may grow may as well have room.
        spool.maxBytes = 0;
        BufferEstimate estimate;
        QVERIFY(!ask(estimate, start));
    }

    void bufferRunway_goesByTheLastMinutes()
    {
        BufferEstimate estimate;
        SpoolStatus spool;
        spool.maxBytes = 1'010'000;
        spool.usedBytes = 10'000;
        spool.pendingReadings = 100;
        const Timestamp start = Timestamp{} + 500'000h;
        std::optional<Millis> runway;
        for (int minute = 0; minute < 20; ++minute) {
            spool.writtenBytes += minute < 10 ? 60'000 : 6'000; // a busy time, then a quiet one
            runway = estimate.update(QCborMap{{"spool"_L1, answers::spool(spool)}}, start + minute * 1min).bufferRunway;
            QCOMPARE(runway.has_value(), minute > 0);
        }
        QCOMPARE(std::chrono::duration_cast<std::chrono::seconds>(*runway), 10'000s);
        spool.writtenBytes = 10; // the host was started again
        QVERIFY(!estimate.update(QCborMap{{"spool"_L1, answers::spool(spool)}}, start + 20min).bufferRunway);
        spool.writtenBytes += 60'000;
        runway = estimate.update(QCborMap{{"spool"_L1, answers::spool(spool)}}, start + 21min).bufferRunway;
        QCOMPARE(std::chrono::duration_cast<std::chrono::seconds>(*runway), 1'000s);
    }
};

QTEST_GUILESS_MAIN(TestConsoleFeed)
#include "tst_console_feed.moc"

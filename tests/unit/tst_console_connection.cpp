// SPDX-License-Identifier: GPL-3.0-only
// The strip on every page: connection, buffer, trust.
#include "fakes/console_building.h"

#include "connection/connection_model.h"
#include "devices/device_detail_model.h"

#include <QTest>

using namespace lintel;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestConsoleConnection : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void trustRunway_isThatOfTheGateway_data()
    {
        QTest::addColumn<int>("seconds"); // −1: nothing ends
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("sentence");
        QTest::addColumn<int>("priority");
        QTest::newRow("hours") << 6 * 3'600 + 12 * 60 << u"6 h 12 min"_s
                               << u"Trust holds for 6 h 12 min without the uplink"_s << 0;
        QTest::newRow("at the threshold") << 900 << u"15 min"_s << u"Trust holds for 15 min without the uplink"_s << 0;
        QTest::newRow("short") << 899 << u"14 min"_s << u"Trust holds for 14 min without the uplink"_s << 2;
        QTest::newRow("over") << 0 << u"none"_s << u"Trust has ended: SVID of the gateway"_s << 1;
        QTest::newRow("no end") << -1 << u"no end"_s << u"Trust does not end without the uplink"_s << 0;
    }
    void trustRunway_isThatOfTheGateway()
    {
        QFETCH(int, seconds);
        QFETCH(QString, text);
        QFETCH(QString, sentence);
        QFETCH(int, priority);
        Building b;
        ConnectionModel model(b.store, {});
        b.store.setIdentityExpiry(b.clock.now() + 5min); // the console's own says nothing of the building
        auto who = participant(u"gateway"_s, {}, b.clock.now());
        who.trust = sparkplug::TrustState{};
        if (seconds >= 0)
            who.trust->runway = std::chrono::seconds(seconds);
        who.trust->credential = u"SVID of the gateway"_s;
        who.trust->clock = u"trusted"_s;
        b.store.applyBirth(who);
        QCOMPARE(model.trustRunwayText(), text);
        QCOMPARE(model.trustSentence(), sentence);
        QCOMPARE(model.trustPriority(), priority);

        DeviceDetailModel detail(b.store, b.units);
        detail.setDevice(0);
        const QVariantList facts = detail.facts();
        const auto told = [&facts](const QString &label) {
            const auto fact = std::ranges::find_if(
                facts, [&label](const QVariant &one) { return one.toMap().value(u"label"_s) == label; });
            return fact == facts.end() ? QString() : fact->toMap().value(u"text"_s).toString();
        };
        QCOMPARE(told(u"Clock"_s), u"trusted"_s);
        QCOMPARE(told(u"Ends first"_s), seconds < 0 ? QString() : u"SVID of the gateway"_s);

        // An uplink that is cut now: what was told counts down, and who is cut himself knows nothing.
        b.store.applyDeath(who);
        b.clock.advance(1min);
        if (seconds > 3'600)
            QCOMPARE(model.trustRunwayText(), u"6 h 11 min"_s);
        b.store.setLink({LinkState::Phase::Lost, u"gateway:8883"_s, {}, b.clock.now(), {}});
        QVERIFY(model.trustRunwayText().isEmpty());
        QVERIFY(model.trustSentence().isEmpty());
        QCOMPARE(model.trustPriority(), 0);
    }

    void trustRunway_anOldBirthSaysLessThanWhatWasSaidSince()
    {
        Building b;
        auto who = participant(u"gateway"_s, {}, b.clock.now());
        who.trust = sparkplug::TrustState{3h, {}, {}};
        b.store.applyTrust(who);
        who.since = b.clock.now() - 5h;
        who.trust->runway = 1h;
        b.store.applyBirth(who);
        QCOMPARE(b.store.trust()->left(b.clock.now()).value_or(Millis{}), Millis(3h));
    }

    /// Two sites on the cloud's broker, whose gateways even have the same name.
    void trustRunway_ofSeveralGatewaysIsTheWorstAndSaysWhose()
    {
        Building b;
        const ConnectionModel model(b.store, {});
        const auto tells = [&b](const QString &group, const QString &node, std::optional<std::chrono::seconds> runway) {
            auto who = participant(node, {}, b.clock.now());
            who.node.group = group;
            who.trust = sparkplug::TrustState{runway, u"issuer of "_s + group, u"trusted"_s};
            b.store.applyBirth(who);
        };
        tells(u"building-1"_s, u"gateway"_s, 6h);
        QCOMPARE(model.trustRunwayText(), u"6 h"_s);
        QVERIFY(model.trustOwner().isEmpty()); // there is only one
        QCOMPARE(model.trustSentence(), u"Trust holds for 6 h without the uplink"_s);

        tells(u"building-2"_s, u"gateway"_s, 9min);
        QCOMPARE(model.trustRunwayText(), u"9 min"_s);
        QCOMPARE(model.trustOwner(), u"building-2"_s);
        QCOMPARE(model.trustSentence(), u"Trust holds for 9 min without the uplink in building-2"_s);
        QCOMPARE(model.trustPriority(), 2);
        // Who speaks last is not the worst, and endless trust is the best.
        b.clock.advance(1s);
        tells(u"building-1"_s, u"gateway"_s, 6h);
        tells(u"building-3"_s, u"gateway"_s, std::nullopt);
        QCOMPARE(model.trustOwner(), u"building-2"_s);
        QCOMPARE(b.store.trusts().size(), std::size_t(3));
        QCOMPARE(b.store.trusts().back().group, u"building-3"_s);

        // What a gateway answers names no site: of three of that name it is nobody's.
        b.store.setTrust({u"gateway"_s, b.clock.now(), 1s, u"somebody's"_s, {}});
        QCOMPARE(b.store.trusts().size(), std::size_t(3));
        QCOMPARE(model.trustOwner(), u"building-2"_s);

        // It has renewed: the next one is the worst.
        b.clock.advance(1s);
        tells(u"building-2"_s, u"gateway"_s, 71h);
        QCOMPARE(model.trustOwner(), u"building-1"_s);
        QCOMPARE(model.trustPriority(), 0);
        // Two of one site are told apart by their names.
        tells(u"building-1"_s, u"gateway-north"_s, 0s);
        QCOMPARE(model.trustOwner(), u"building-1/gateway-north"_s);
        QCOMPARE(model.trustSentence(), u"Trust has ended in building-1/gateway-north: issuer of building-1"_s);
        QCOMPARE(model.trustPriority(), 1);

        // Each gateway's own figures stand where it is shown.
        DeviceDetailModel detail(b.store, b.units);
        for (int i = 0; i < b.store.deviceCount(); ++i) {
            detail.setDevice(i);
            const auto *trust = b.store.trustOf(b.store.device(i));
            QVERIFY(trust);
            QCOMPARE(trust->group, b.store.device(i).node.group);
            const QVariantList facts = detail.facts();
            QVERIFY(std::ranges::any_of(facts, [](const QVariant &fact) {
                return fact.toMap().value(u"label"_s) == u"Trust without the uplink"_s;
            }));
        }
    }

    void trustRunway_toldWithoutASiteIsThatOfTheOneGatewayOfThatName()
    {
        Building b;
        const ConnectionModel model(b.store, {});
        b.store.setTrust({u"gateway"_s, b.clock.now(), 2h, u"issuer"_s, {}}); // the answer comes before any birth
        QCOMPARE(model.trustRunwayText(), u"2 h"_s);
        auto who = participant(u"gateway"_s, {}, b.clock.now() - 1min);
        who.trust = sparkplug::TrustState{3h, u"issuer"_s, u"floor"_s};
        b.store.applyBirth(who);
        QCOMPARE(b.store.trusts().size(), std::size_t(1));
        b.clock.advance(5s);
        b.store.setTrust({u"gateway"_s, b.clock.now(), 2h, u"issuer"_s, {}});
        QCOMPARE(b.store.trusts().size(), std::size_t(1));
        QCOMPARE(b.store.trust()->group, u"building-1"_s);
        QCOMPARE(b.store.trust()->clock, u"floor"_s); // what it has not said again
        QCOMPARE(model.trustRunwayText(), u"2 h"_s);
    }

    void trustRunway_thatIsMadeUpOverflowsNothing()
    {
        Building b;
        const ConnectionModel model(b.store, {});
        auto who = participant(u"gateway"_s, {}, b.clock.now());
        who.trust = sparkplug::TrustState{std::chrono::seconds::max(), {}, {}};
        b.store.applyBirth(who);
        QVERIFY(!model.trustRunwayText().isEmpty());
        QCOMPARE(model.trustPriority(), 0);
    }

    void connection_saysWhatIsKnownAndNothingElse()
    {
        Building b;
        ConnectionModel model(b.store, u"building-1"_s);
        QVERIFY(model.stateText().startsWith(u"connected since"_s));
        QVERIFY(model.oldestUnsentText().isEmpty());
        QVERIFY(model.bufferRunwayText().isEmpty());
        QVERIFY(model.trustRunwayText().isEmpty());
        b.store.setIdentityExpiry(b.clock.now() + 5min);
        QCOMPARE(model.trustRunwayText(), u"5 min"_s);
        QCOMPARE(model.trustPriority(), 2);
        b.store.setCustody({b.clock.now(), 3, b.clock.now() - 4s, 90h});
        QCOMPARE(model.oldestUnsentText(), u"0:04"_s);
        b.store.setCustody({b.clock.now(), 3, b.clock.now() - 50h, 90h});
        QCOMPARE(model.oldestUnsentText().isEmpty(), false); // a long outage
        b.store.applyBirth(participant(u"replay-1"_s, {recorded(u"t"_s)}, b.clock.now()));
        QVERIFY(model.oldestUnsentText().isEmpty()); // or the recording's own time
        b.store.setCustody({b.clock.now(), 3, b.clock.now() - 4s, 90h});
        QCOMPARE(model.oldestUnsentText(), u"0:04"_s);
        b.clock.advance(2min); // what the host said is old now
        QVERIFY(model.oldestUnsentText().isEmpty());
        b.store.setLink({LinkState::Phase::Lost, u"gateway:8883"_s, u"The broker closed the connection."_s,
                         b.clock.now(), b.clock.now() + 4s});
        QVERIFY(model.stateText().startsWith(u"not connected since"_s));
        QCOMPARE(model.priority(), 2);
        QVERIFY(model.sentence().contains(u"Next attempt in 4 s"_s));
    }
};

QTEST_GUILESS_MAIN(TestConsoleConnection)
#include "tst_console_connection.moc"

// SPDX-License-Identifier: GPL-3.0-only
// What the console keeps of a building: its recent past, how far each value can be trusted, who is there.
#include "fakes/console_building.h"

#include "shell/page_state.h"

#include <QTest>

using namespace lintel;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestConsoleStore : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void ring_putsLateSamplesWhereTheyBelongAndStaysBounded()
    {
        SampleRing ring(100);
        ring.insert({1'000, 1});
        ring.insert({3'000, 3});
        ring.insert({2'000, 2, 0, true});
        QCOMPARE(ring.all().size(), std::size_t(3));
        QCOMPARE(ring.all()[1].value, 2.0);
        QVERIFY(ring.all()[1].late);
        ring.insert({2'000, 99});
        QCOMPARE(ring.all()[1].value, 2.0);
        for (int i = 0; i < 10'000; ++i)
            ring.insert({10'000 + i, 0});
        QVERIFY(ring.all().size() <= 125);
        QCOMPARE(ring.all().back().at, 19'999);
    }

    void ring_aReadingTakesThePlaceOfABucket()
    {
        SampleRing ring;
        ring.insert({1'000, 1, 60'000, false});
        ring.insert({1'000, 2, 0, true});
        QCOMPARE(ring.all()[0].value, 2.0);
    }

    void freshness_followsTimeConnectionAndDeath()
    {
        Building b;
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        const auto freshness = [&] { return b.store.freshness(b.store.point(0), b.clock.now()); };
        QCOMPARE(freshness(), Freshness::Never);
        b.send(u"hvac-1"_s, u"t"_s, 21);
        QCOMPARE(freshness(), Freshness::Fresh);
        b.clock.advance(16s);
        QCOMPARE(freshness(), Freshness::Stale);
        b.send(u"hvac-1"_s, u"t"_s, 22);
        b.store.setLink({LinkState::Phase::Lost, u"gateway:8883"_s, u"gone"_s, b.clock.now(), {}});
        QCOMPARE(freshness(), Freshness::Silent);
        b.store.setLink({LinkState::Phase::Connected, u"gateway:8883"_s, {}, b.clock.now(), {}});
        b.store.applyDeath(participant(u"hvac-1"_s, {}, b.clock.now()));
        QCOMPARE(freshness(), Freshness::Silent);
    }

    void lateReading_fillsThePastAndIsMarkedAndLeavesThePresentAlone()
    {
        Building b;
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        b.send(u"hvac-1"_s, u"t"_s, 21);
        b.send(u"hvac-1"_s, u"t"_s, 5, 60s, true);
        const PointState &state = b.store.point(0);
        QCOMPARE(std::get<double>(state.last->value), 21.0);
        QCOMPARE(state.samples.all().size(), std::size_t(2));
        QVERIFY(state.samples.all()[0].late);
        QVERIFY(!state.samples.all()[1].late);
    }

    void clockOf1970_isReplacedByTheTimeOfArrival()
    {
        Building b;
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        Reading reading{u"t"_s, 20.0, Unit::Celsius, fromEpochMillis(5'000), Quality::Good, false};
        b.store.applyBatch({{u"building-1"_s, u"hvac-1"_s}, {}, {u"hvac-1"_s, {reading}, {}}, {}, false});
        QCOMPARE(b.store.point(0).lastAt, b.clock.now());
    }

    void listedOffline_overrulesARecordedBirthButNotADeviceThatSpoke()
    {
        Building b;
        b.store.applyBirth(participant(u"silent"_s, {point(u"t"_s)}, b.clock.now()));
        b.store.applyBirth(participant(u"speaks"_s, {point(u"t"_s)}, b.clock.now()));
        b.send(u"speaks"_s, u"t"_s, 20);
        b.store.applyListed({u"building-1"_s, u"silent"_s}, {}, false, b.clock.now() - 1h);
        b.store.applyListed({u"building-1"_s, u"speaks"_s}, {}, false, b.clock.now() - 1h);
        QVERIFY(!b.store.device(0).online);
        QVERIFY(b.store.device(1).online);
    }

    void nodeDeath_takesItsDevicesAlong()
    {
        Building b;
        b.store.applyBirth(participant(u"gateway"_s, {}, b.clock.now()));
        b.store.applyBirth(participant(u"gateway"_s, {point(u"t"_s)}, b.clock.now(), u"hvac-1"_s));
        b.store.applyDeath(participant(u"gateway"_s, {}, b.clock.now()));
        QVERIFY(!b.store.device(1).online);
    }

    void pageState_coversLoadingEmptyOfflineAndFailed()
    {
        FakeClock clock;
        BuildingStore store(clock);
        using enum PageState::State;
        store.setLink({LinkState::Phase::Connecting, u"b"_s, {}, clock.now(), {}});
        QCOMPARE(pageState(store, false), Loading);
        store.setLink({LinkState::Phase::Connected, u"b"_s, {}, clock.now(), {}});
        QCOMPARE(pageState(store, false), Loading);
        clock.advance(6s);
        QCOMPARE(pageState(store, false), Empty);
        QCOMPARE(pageState(store, true), Ready);
        store.setLink({LinkState::Phase::Lost, u"b"_s, {}, clock.now(), {}});
        QCOMPARE(pageState(store, true), Offline);
        store.setLink({LinkState::Phase::Failed, u"b"_s, u"why"_s, clock.now(), {}});
        QCOMPARE(pageState(store, false), Failed);
    }
};

QTEST_GUILESS_MAIN(TestConsoleStore)
#include "tst_console_store.moc"

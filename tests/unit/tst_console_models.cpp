// SPDX-License-Identifier: GPL-3.0-only
#include "fakes/fake_clock.h"

#include "connection/connection_model.h"
#include "devices/device_detail_model.h"
#include "devices/device_list_model.h"
#include "live/decimation.h"
#include "live/live_page_model.h"
#include "text/format.h"

#include <QSignalSpy>
#include <QTest>

#include <cmath>

using namespace lintel;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

namespace {

Point point(const QString &id, Unit unit = Unit::Celsius, Kind kind = Kind::Number)
{
    Point made;
    made.id = id;
    made.name = id;
    made.unit = unit;
    made.kind = kind;
    made.staleAfter = 15s;
    return made;
}

sparkplug::Participant participant(const QString &node, const QList<Point> &points, Timestamp since,
                                   const QString &device = {})
{
    return {{u"building-1"_s, node}, device, true, since, points, {}};
}

struct Building {
    FakeClock clock;
    BuildingStore store{clock};

    Building() { store.setLink({LinkState::Phase::Connected, u"gateway:8883"_s, {}, clock.now(), {}}); }

    void send(const QString &node, const QString &id, double value, Millis age = 0ms, bool historical = false)
    {
        Reading reading{id, value, Unit::Celsius, clock.now() - age, Quality::Good, historical};
        store.applyBatch({{u"building-1"_s, node}, {}, {node, {reading}, {}}, {}, false});
    }
};

std::vector<Sample> wave(int count, qint64 step)
{
    std::vector<Sample> samples;
    for (int i = 0; i < count; ++i)
        samples.push_back({1'000'000 + i * step, std::sin(i * 0.05), 0, false});
    return samples;
}

} // namespace

class TestConsoleModels : public QObject
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

    void decimate_keepsExtremesAndEnds()
    {
        auto samples = wave(20'000, 1'000);
        samples[7'777].value = 40;
        samples[12'345].value = -40;
        const auto pieces = decimate(samples, 5'000);
        QCOMPARE(pieces.size(), 1);
        QVERIFY2(pieces[0].size() <= 300, qPrintable(QString::number(pieces[0].size())));
        QCOMPARE(pieces[0].first(), samples.front());
        QCOMPARE(pieces[0].last(), samples.back());
        const auto [low, high] = std::ranges::minmax_element(pieces[0], {}, &Sample::value);
        QCOMPARE(low->value, -40.0);
        QCOMPARE(high->value, 40.0);
        QVERIFY(std::ranges::is_sorted(pieces[0], {}, &Sample::at));
    }

    void decimate_neverJoinsAcrossAHole()
    {
        auto samples = wave(5'000, 1'000);
        samples.erase(samples.begin() + 2'000, samples.begin() + 2'030);
        samples.erase(samples.begin() + 4'000, samples.begin() + 4'020);
        const auto pieces = decimate(samples, 15'000);
        QCOMPARE(pieces.size(), 3);
        for (qsizetype i = 1; i < pieces.size(); ++i)
            QVERIFY(pieces[i].first().at - pieces[i - 1].last().at > 15'000);
        QCOMPARE(pieces[0].last(), samples[1'999]);
        QCOMPARE(pieces[1].first(), samples[2'000]);
    }

    void decimate_holdsItsLimitWithManyHoles()
    {
        std::vector<Sample> samples;
        for (int i = 0; i < 9'000; ++i)
            samples.push_back({qint64(i) * 1'000 + (i / 100) * 60'000, double(i % 7), 0, false});
        const auto pieces = decimate(samples, 10'000);
        qsizetype total = 0;
        for (const LinePiece &piece : pieces)
            total += piece.size();
        QCOMPARE(pieces.size(), 90);
        QVERIFY2(total <= 360, qPrintable(QString::number(total)));
    }

    void decimate_bucketsOfHistoryJoinTheirNeighbours()
    {
        std::vector<Sample> samples;
        for (int i = 0; i < 20; ++i)
            samples.push_back({i * 180'000, 1.0, 180'000, false});
        QCOMPARE(decimate(samples, 15'000).size(), 1);
        samples.erase(samples.begin() + 8, samples.begin() + 12);
        QCOMPARE(decimate(samples, 15'000).size(), 2);
    }

    void niceScale_usesRoundNumbers()
    {
        const Scale scale = niceScale(18.31, 19.87, 1, false);
        QVERIFY(scale.min <= 18.31 && scale.max >= 19.87);
        QVERIFY(std::abs(std::remainder(scale.min, scale.step)) < 1e-9);
        // A flat line is not blown up to a mountain range.
        const Scale flat = niceScale(20, 20.01, 1, false);
        QVERIFY(flat.max - flat.min >= 1);
        QVERIFY(niceScale(0, 1, 4, true).min >= 0);
    }

    void format_speaksLikeAPerson()
    {
        QCOMPARE(format::age(400ms), u"now"_s);
        QCOMPARE(format::age(12s), u"12 s"_s);
        QCOMPARE(format::age(3min + 20s), u"3 min"_s);
        QCOMPARE(format::age(50h), u"2 d"_s);
        QCOMPARE(format::runway(71h + 10min), u"71 h"_s);
        QCOMPARE(format::runway(Millis{93h} + 36min), u"3.9 d"_s);
        QCOMPARE(format::stopwatch(4s), u"0:04"_s);
        QCOMPARE(format::value(21.44, Unit::Celsius), u"21.4"_s);
        QCOMPARE(format::value(-0.02, Unit::Celsius), u"0.0"_s);
        QCOMPARE(format::value(-3.0, Unit::Celsius), u"−3.0"_s);
        QCOMPARE(format::value(true, Unit::None), u"on"_s);
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

    void deviceList_coalescesTenThousandRows()
    {
        Building b;
        DeviceListModel model(b.store);
        for (int i = 0; i < 10'000; ++i)
            b.store.applyBirth(participant(u"node-%1"_s.arg(i), {point(u"t"_s)}, b.clock.now()));
        model.flush();
        QCOMPARE(model.rowCount(), 10'000);
        QCOMPARE(model.data(model.index(2), DeviceListModel::NameRole).toString(), u"node-2"_s); // numbers as numbers
        QSignalSpy changes(&model, &DeviceListModel::dataChanged);
        for (int round = 0; round < 5; ++round) {
            for (int i = 100; i < 10'000; i += 7) {
                b.clock.advance(1ms);
                b.send(u"node-%1"_s.arg(i), u"t"_s, i);
            }
        }
        QCOMPARE(changes.count(), 0);
        model.flush();
        QCOMPARE(changes.count(), 1);
        QCOMPARE(changes[0][0].toModelIndex().row(), 100);
        model.flush();
        QCOMPARE(changes.count(), 1);
    }

    void deviceList_saysWhatIsWrongInWords()
    {
        Building b;
        DeviceListModel model(b.store);
        b.store.applyBirth(participant(u"a"_s, {point(u"t"_s)}, b.clock.now()));
        b.store.applyBirth(participant(u"b"_s, {point(u"t"_s)}, b.clock.now()));
        b.send(u"a"_s, u"t"_s, 20);
        b.send(u"b"_s, u"t"_s, 20);
        model.refresh();
        QCOMPARE(model.attention(), 0);
        QCOMPARE(model.summary(), u"2 devices, all reporting"_s);
        b.clock.advance(20s);
        b.send(u"a"_s, u"t"_s, 20);
        model.refresh();
        QCOMPARE(model.attention(), 1);
        QVERIFY(model.data(model.index(1), DeviceListModel::StateTextRole).toString().startsWith(u"silent since"_s));
        QCOMPARE(model.data(model.index(1), DeviceListModel::PriorityRole).toInt(), 3);
        model.setAttentionOnly(true);
        QCOMPARE(model.rowCount(), 1);
        model.setAttentionOnly(false);
        model.setSearch(u"a"_s);
        QVERIFY(model.rowCount() >= 1);
        model.setSearch(u"nothing like this"_s);
        QCOMPARE(model.rowCount(), 0);
    }

    void live_suggestsUntilSomebodyChoosesAndSplitsByUnit()
    {
        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(
            participant(u"hvac-1"_s, {point(u"t"_s), point(u"rh"_s, Unit::RelativeHumidity)}, b.clock.now()));
        b.store.applyBirth(participant(u"hvac-2"_s, {point(u"t"_s)}, b.clock.now()));
        live.refresh();
        QCOMPARE(live.panelCount(), 2);
        QCOMPARE(live.panels()[0]->unit(), Unit::Celsius);
        QCOMPARE(live.panels()[0]->rowCount(), 2);
        live.clear();
        QCOMPARE(live.panelCount(), 0);
        live.refresh();
        QCOMPARE(live.panelCount(), 0); // the choice stands
        QSignalSpy history(&live, &LivePageModel::historyWanted);
        live.toggle(1);
        QCOMPARE(live.panelCount(), 1);
        QCOMPARE(history.count(), 1);
        live.setWindowMinutes(60);
        QCOMPARE(history.count(), 2);
    }

    void live_suggestsWhatIsMeasuredBeforeWhatIsMadeUp()
    {
        Building b;
        LivePageModel live(b.store);
        Point madeUp = point(u"t"_s);
        madeUp.tags = {u"simulated"_s};
        b.store.applyBirth(participant(u"hvac-1"_s, {madeUp}, b.clock.now()));
        live.refresh();
        QCOMPARE(live.panelCount(), 1);
        Point setpoint = point(u"sp"_s, Unit::Fahrenheit);
        setpoint.tags = {u"sp"_s};
        b.store.applyBirth(participant(u"replay-1"_s, {setpoint, point(u"f"_s, Unit::Fahrenheit)}, b.clock.now()));
        live.refresh();
        QCOMPARE(live.panelCount(), 2);
        QCOMPARE(live.panels()[0]->unit(), Unit::Fahrenheit);
        QCOMPARE(live.panels()[0]->rowCount(), 2);
        QCOMPARE(b.store.point(live.panels()[0]->series()[0].point).point.id, u"f"_s);
        QCOMPARE(live.panels()[1]->unit(), Unit::Celsius);
    }

    void live_tellsNoStoryOfAFirstReadingBeforeTheConnection()
    {
        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        for (int s = 300; s >= 0; s -= 5)
            b.send(u"hvac-1"_s, u"t"_s, 20, std::chrono::seconds(s), s == 300 || (s > 100 && s < 150));
        live.refresh();
        QCOMPARE(live.panels()[0]->lateBands().size(), 1);
    }

    void live_drawsAHoleAsAHoleAndMarksWhatCameLate()
    {
        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        for (int s = 600; s >= 0; s -= 5) {
            if (s > 200 && s < 260)
                continue;
            b.send(u"hvac-1"_s, u"t"_s, 20 + s * 0.001, std::chrono::seconds(s), s > 400 && s < 450);
        }
        live.refresh();
        const LivePanel *panel = live.panels().value(0);
        QVERIFY(panel);
        QCOMPARE(panel->series()[0].pieces.size(), 2);
        QCOMPARE(panel->gapBands().size(), 1);
        QCOMPARE(panel->lateBands().size(), 1);
        QVERIFY(panel->story().contains(u"arrived late"_s));
        QVERIFY(panel->story().contains(u"no readings"_s));
        const QPointF end = panel->series()[0].pieces[0].last();
        const QPointF next = panel->series()[0].pieces[1].first();
        QVERIFY(next.x() - end.x() > 0.05);
    }

    void live_pausedStandsStillAndCounts()
    {
        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        b.send(u"hvac-1"_s, u"t"_s, 20, 5s);
        live.refresh();
        live.setPaused(true);
        const auto before = live.panels()[0]->series()[0].pieces;
        b.clock.advance(10s);
        b.send(u"hvac-1"_s, u"t"_s, 30);
        live.refresh();
        QCOMPARE(live.panels()[0]->series()[0].pieces, before);
        QVERIFY(live.pausedText().endsWith(u"1 readings since"_s) || live.pausedText().contains(u"1 reading"_s));
        live.setPaused(false);
        QVERIFY(live.panels()[0]->series()[0].pieces != before);
    }

    void live_drawsNothingWhileHidden()
    {
        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        b.send(u"hvac-1"_s, u"t"_s, 20);
        live.refresh();
        QSignalSpy drawn(live.panels()[0], &LivePanel::drawn);
        live.setVisible(false);
        live.refresh();
        QCOMPARE(drawn.count(), 0);
        live.setVisible(true);
        QCOMPARE(drawn.count(), 1);
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
        b.clock.advance(2min); // what the host said is old now
        QVERIFY(model.oldestUnsentText().isEmpty());
        b.store.setLink({LinkState::Phase::Lost, u"gateway:8883"_s, u"The broker closed the connection."_s,
                         b.clock.now(), b.clock.now() + 4s});
        QVERIFY(model.stateText().startsWith(u"not connected since"_s));
        QCOMPARE(model.priority(), 2);
        QVERIFY(model.sentence().contains(u"Next attempt in 4 s"_s));
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

QTEST_GUILESS_MAIN(TestConsoleModels)
#include "tst_console_models.moc"

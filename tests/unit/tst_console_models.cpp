// SPDX-License-Identifier: GPL-3.0-only
#include "fakes/fake_clock.h"

#include "connection/connection_model.h"
#include "devices/device_detail_model.h"
#include "devices/device_list_model.h"
#include "live/decimation.h"
#include "live/live_page_model.h"
#include "text/format.h"

#include <QLocale>
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
    sparkplug::Participant who;
    who.node = {u"building-1"_s, node};
    who.device = device;
    who.online = true;
    who.since = since;
    who.points = points;
    return who;
}

struct Building {
    FakeClock clock;
    BuildingStore store{clock};

    Building() { store.setLink({LinkState::Phase::Connected, u"gateway:8883"_s, {}, clock.now(), {}}); }

    void play(const QString &node, const QString &id, double value, Timestamp recordedAt)
    {
        const Reading reading{id, value, Unit::Celsius, recordedAt, Quality::Good, false};
        store.applyBatch({{u"building-1"_s, node}, {}, {node, {reading}, {}}, {}, false});
    }

    void send(const QString &node, const QString &id, double value, Millis age = 0ms, bool historical = false)
    {
        Reading reading{id, value, Unit::Celsius, clock.now() - age, Quality::Good, historical};
        store.applyBatch({{u"building-1"_s, node}, {}, {node, {reading}, {}}, {}, false});
    }
};

Point recorded(const QString &id, Unit unit = Unit::Celsius)
{
    Point made = point(id, unit);
    made.tags = {u"recorded"_s};
    return made;
}

/// Years before Lintel, a row a minute.
constexpr Timestamp kRecordedAt = std::chrono::sys_days{std::chrono::year{2015} / 2 / 2} + 14h;

QStringList namesIn(const QAbstractItemModel &model, int role)
{
    QStringList names;
    for (int row = 0; row < model.rowCount(); ++row)
        names.append(model.data(model.index(row, 0), role).toString());
    return names;
}

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
        QCOMPARE(format::span(45s), u"45 s"_s);
        QCOMPARE(format::span(6h + 12min), u"6 h 12 min"_s);
        QCOMPARE(format::span(6h), u"6 h"_s);
        QCOMPARE(format::span(71h), u"71 h"_s);
        QCOMPARE(format::runway(14 * 24h), u"14 d"_s);
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

    void recording_isNoneOfTheFirstPointsWhereThereIsAnythingOfNow()
    {
        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(participant(u"replay-1"_s, {recorded(u"t"_s)}, b.clock.now()));
        Point madeUp = point(u"t"_s);
        madeUp.tags = {u"simulated"_s};
        b.store.applyBirth(participant(u"hvac-1"_s, {madeUp}, b.clock.now()));
        b.play(u"replay-1"_s, u"t"_s, 21, kRecordedAt);
        b.send(u"hvac-1"_s, u"t"_s, 20);
        live.refresh();
        QCOMPARE(live.panelCount(), 1);
        QCOMPARE(live.panels()[0]->rowCount(), 1);
        QCOMPARE(b.store.device(b.store.point(live.panels()[0]->series()[0].point).device).name, u"hvac-1"_s);
        QVERIFY(!live.isAtRecording());
    }

    void recording_hatchesNothingAndSaysItsTime()
    {
        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        b.store.applyBirth(participant(u"replay-1"_s, {recorded(u"t"_s)}, b.clock.now()));
        for (int row = 0; row < 30; ++row) {
            b.clock.advance(1s);
            b.play(u"replay-1"_s, u"t"_s, 21, kRecordedAt + row * 1min);
            b.send(u"hvac-1"_s, u"t"_s, 20);
        }
        QCOMPARE(b.store.freshness(b.store.point(1), b.clock.now()), Freshness::Recorded);
        QCOMPARE(b.store.point(1).lastAt, kRecordedAt + 29min);
        live.refresh();
        live.toggle(1);
        live.goToNow(); // beside points of now, with a window at now
        const LivePanel *panel = live.panels()[0];
        QCOMPARE(panel->rowCount(), 2);
        const_cast<LivePanel *>(panel)->focus(1);
        live.refresh();
        QVERIFY(panel->gapBands().isEmpty());
        QVERIFY(panel->lateBands().isEmpty());
        QVERIFY(panel->story().isEmpty());
        const int row = panel->series()[0].point == 1 ? 0 : 1;
        QVERIFY2(panel->series()[row].noteText.startsWith(u"of 2015-02-02"_s),
                 qPrintable(panel->series()[row].noteText));
        QVERIFY(panel->series()[1 - row].noteText.isEmpty());
        QVERIFY(panel->emptyText().startsWith(u"Recorded 2015-02-02"_s));

        DeviceListModel devices(b.store);
        devices.refresh();
        QCOMPARE(devices.attention(), 0);
        QCOMPARE(devices.data(devices.index(1), DeviceListModel::StateTextRole).toString(), u"playing a recording"_s);
        QVERIFY(devices.data(devices.index(1), DeviceListModel::AgeRole).toString().startsWith(u"2015-02-02"_s));
        b.clock.advance(1h); // the last row was played
        b.send(u"hvac-1"_s, u"t"_s, 20);
        devices.refresh();
        QCOMPARE(devices.attention(), 0);
        QCOMPARE(devices.data(devices.index(1), DeviceListModel::StateTextRole).toString(), u"recording at rest"_s);
    }

    void recording_drawsTheWindowToItsTimeWhenPicked()
    {
        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        b.store.applyBirth(participant(u"replay-1"_s, {recorded(u"kw"_s, Unit::Kilowatt)}, b.clock.now()));
        for (int row = 0; row < 30; ++row)
            b.play(u"replay-1"_s, u"kw"_s, row, kRecordedAt + row * 1min);
        b.send(u"hvac-1"_s, u"t"_s, 20);
        live.setWindowMinutes(1);
        live.refresh();
        QSignalSpy history(&live, &LivePageModel::historyWanted);
        live.toggle(1);
        QVERIFY(live.isAtRecording());
        QCOMPARE(live.windowMinutes(), 60); // so that it holds some of its rows
        QVERIFY2(live.recordedText().startsWith(u"recorded 2015-02-02"_s), qPrintable(live.recordedText()));
        QCOMPARE(history.last()[2].value<Timestamp>(), kRecordedAt + 29min);
        const LivePanel *panel = live.panels()[1];
        QVERIFY(panel->hasSamples());
        QCOMPARE(panel->series()[0].pieces.size(), 1); // a row a minute is no gap, though it may be stale in seconds
        QVERIFY(panel->gapBands().isEmpty());
        QVERIFY(panel->series()[0].noteText.isEmpty()); // the page says the time of the window
        QVERIFY(!live.panels()[0]->hasSamples());
        QVERIFY(live.panels()[0]->valueTicks().isEmpty());
        QVERIFY(live.panels()[0]->gapBands().isEmpty()); // a point of now had nothing to report then
        b.play(u"replay-1"_s, u"kw"_s, 5, kRecordedAt + 45min);
        live.refresh();
        QCOMPARE(panel->gapBands().size(), 1); // rows that the recording itself lacks

        live.goToNow();
        QVERIFY(!live.isAtRecording());
        QCOMPARE(live.windowMinutes(), 1);
        QVERIFY(live.recordedText().isEmpty());
        QVERIFY(live.panels()[0]->hasSamples());
        live.focus(1);
        QVERIFY(live.isAtRecording());
        live.toggle(1);
        QVERIFY(!live.isAtRecording());
    }

    void recording_aloneIsShownAtItsTime()
    {
        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(participant(u"replay-1"_s, {recorded(u"t"_s)}, b.clock.now()));
        b.store.applyBirth(participant(u"replay-2"_s, {recorded(u"t"_s)}, b.clock.now()));
        b.play(u"replay-1"_s, u"t"_s, 21, kRecordedAt);
        b.play(u"replay-2"_s, u"t"_s, 22, kRecordedAt + 48h);
        live.refresh();
        QVERIFY(live.isAtRecording());
        QCOMPARE(live.panelCount(), 1);
        QCOMPARE(live.panels()[0]->rowCount(), 1); // of one day
        QVERIFY(live.panels()[0]->hasSamples());
    }

    void order_isThatOfNamesWhoeverReportsFirst()
    {
        const QStringList nodes{u"hvac-10"_s, u"hvac-2"_s, u"Hvac-1"_s};
        const QList<Point> points{point(u"b"_s), point(u"a10"_s), point(u"a9"_s)};
        QStringList first;
        for (const bool reversed : {false, true}) {
            Building b;
            LivePageModel live(b.store);
            DeviceListModel devices(b.store);
            for (int i = 0; i < nodes.size(); ++i) {
                const QString node = nodes[reversed ? nodes.size() - 1 - i : i];
                QList<Point> born = points;
                if (reversed)
                    std::ranges::reverse(born);
                b.store.applyBirth(participant(node, born, b.clock.now()));
                live.refresh(); // people look on while the building comes up
            }
            devices.refresh();
            QCOMPARE(namesIn(devices, DeviceListModel::NameRole),
                     (QStringList{u"Hvac-1"_s, u"hvac-2"_s, u"hvac-10"_s}));
            QCOMPARE(namesIn(*live.picker(), PointPickerModel::NameRole).first(3),
                     (QStringList{u"a9"_s, u"a10"_s, u"b"_s}));
            QCOMPARE(namesIn(*live.panels()[0], LivePanel::DeviceRole),
                     (QStringList{u"Hvac-1"_s, u"hvac-2"_s, u"hvac-10"_s}));
            QVERIFY(live.panels()[0]->series()[0].focused);
            DeviceDetailModel detail(b.store);
            detail.setDevice(devices.deviceAt(0));
            QCOMPARE(namesIn(detail, DeviceDetailModel::NameRole), (QStringList{u"a9"_s, u"a10"_s, u"b"_s}));
        }
    }

    void order_goesBySiteFirst()
    {
        Building b;
        PointPickerModel picker(b.store);
        for (const QString &site : {u"b"_s, u"a"_s}) {
            auto who = participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now());
            who.node.group = site;
            b.store.applyBirth(who);
        }
        picker.refresh();
        QCOMPARE(namesIn(picker, PointPickerModel::DeviceRole), (QStringList{u"a · hvac-1"_s, u"b · hvac-1"_s}));
    }

    void largeNumbers_areReadable()
    {
        const auto shown = [](const Value &value, Unit unit) {
            const auto quantity = format::quantity(value, unit);
            return u"%1 %2"_s.arg(quantity.number, quantity.unit);
        };
        const QLocale english(QLocale::English, QLocale::UnitedStates);
        QLocale::setDefault(english);
        QCOMPARE(shown(412.25, Unit::KilowattHour), u"412.3 kWh"_s);
        QCOMPARE(shown(49'867.0, Unit::KilowattHour), u"49,867.0 kWh"_s);
        QCOMPARE(shown(49'867'204.6, Unit::KilowattHour), u"49,867.2 MWh"_s);
        QCOMPARE(shown(129'192'204.6, Unit::KilowattHour), u"129.2 GWh"_s);
        QCOMPARE(shown(52'300.0, Unit::Watt), u"52.3 kW"_s);
        QCOMPARE(shown(21.44, Unit::Celsius), u"21.4 °C"_s);

        Building b;
        LivePageModel live(b.store);
        b.store.applyBirth(participant(u"energy-1"_s, {point(u"total"_s, Unit::KilowattHour)}, b.clock.now()));
        for (int s = 60; s >= 0; s -= 5)
            b.send(u"energy-1"_s, u"total"_s, 49'867'204.6 - s * 0.02, std::chrono::seconds(s));
        live.refresh();
        const LivePanel *panel = live.panels()[0];
        // What it changes by stands at the axis, what it comes from beside the unit.
        QVERIFY2(panel->unitText().startsWith(u"kWh above 49,867,2"_s), qPrintable(panel->unitText()));
        QCOMPARE(panel->valueTicks().first().toMap().value(u"label"_s).toString(), u"0"_s);
        for (const QVariant &tick : panel->valueTicks())
            QVERIFY(tick.toMap().value(u"label"_s).toString().size() <= 8);
        QCOMPARE(panel->series()[0].valueText + u' ' + panel->series()[0].unitText, u"49,867.2 MWh"_s);

        Building far;
        LivePageModel two(far.store);
        for (const auto &[node, total] : {std::pair{u"energy-1"_s, 12'400'000.0}, {u"energy-2"_s, 49'867'204.6}}) {
            far.store.applyBirth(participant(node, {point(u"total"_s, Unit::KilowattHour)}, far.clock.now()));
            far.send(node, u"total"_s, total);
        }
        two.refresh();
        QCOMPARE(two.panels()[0]->unitText(), u"MWh"_s);
        QLocale::setDefault(QLocale::c());
    }

    void refusedDevice_saysItsStateWhyAndSinceWhen_data()
    {
        using State = DeviceIdentity::State;
        QTest::addColumn<DeviceIdentity::State>("state");
        QTest::addColumn<QString>("sentence");
        QTest::addColumn<int>("priority");
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("reason");
        QTest::newRow("revoked") << State::Revoked << u"lost in the field"_s << 2 << u"revoked since "_s
                                 << u"lost in the field"_s;
        QTest::newRow("expired") << State::Expired << u"identity expired, buffering: the authority does not answer"_s
                                 << 2 << u"identity expired, buffering since "_s << u"the authority does not answer"_s;
        QTest::newRow("never admitted") << State::NotAdmitted << u"nobody has approved it"_s << 2
                                        << u"not admitted since "_s << u"nobody has approved it"_s;
        QTest::newRow("refused") << State::Refused << u"its certificate is of another trust domain"_s << 2
                                 << u"refused by the broker since "_s
                                 << u"its certificate is of another trust domain"_s;
        QTest::newRow("overdue") << State::Overdue << QString() << 3 << u"identity not renewed since "_s << QString();
        QTest::newRow("valid") << State::Valid << u"fine"_s << 0 << u"reporting"_s << QString();
    }
    void refusedDevice_saysItsStateWhyAndSinceWhen()
    {
        QFETCH(DeviceIdentity::State, state);
        QFETCH(QString, sentence);
        QFETCH(int, priority);
        QFETCH(QString, text);
        QFETCH(QString, reason);
        Building b;
        DeviceListModel model(b.store);
        DeviceDetailModel detail(b.store);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        b.send(u"hvac-1"_s, u"t"_s, 20);
        b.store.applyIdentity(u"building-1"_s, u"hvac-1"_s, {state, sentence, b.clock.now() - 1h});
        model.refresh();
        detail.setDevice(0);
        const auto role = [&model](int which) { return model.data(model.index(0), which).toString(); };
        QVERIFY2(role(DeviceListModel::StateTextRole).startsWith(text),
                 qPrintable(role(DeviceListModel::StateTextRole)));
        QCOMPARE(role(DeviceListModel::ReasonRole), reason);
        QCOMPARE(detail.reason(), reason);
        QCOMPARE(detail.stateText(), role(DeviceListModel::StateTextRole));
        QCOMPARE(model.attention(), priority > 0 ? 1 : 0);
        QCOMPARE(model.attentionPriority(), priority);
        // The other way round nothing is known of it here.
        b.store.setLink({LinkState::Phase::Lost, u"gateway:8883"_s, {}, b.clock.now(), {}});
        QCOMPARE(role(DeviceListModel::StateTextRole), u"last known"_s);
    }

    void deviceThatWasNeverAdmitted_isOneRowAndStaysOne()
    {
        Building b;
        DeviceListModel model(b.store);
        ConnectionModel connection(b.store, {});
        b.store.applyIdentity(u"building-1"_s, u"hvac-9"_s, {DeviceIdentity::State::Valid, {}, {}});
        QCOMPARE(b.store.deviceCount(), 0); // nothing is wrong with it, and nobody has heard it
        b.store.applyIdentity(u"building-1"_s, u"hvac-9"_s,
                              {DeviceIdentity::State::NotAdmitted, u"Nobody has approved it."_s, b.clock.now()});
        model.refresh();
        QCOMPARE(model.rowCount(), 1);
        QVERIFY(connection.reportingText().isEmpty());
        b.store.applyIdentity(u"building-1"_s, u"hvac-9"_s, {});
        model.refresh();
        QCOMPARE(model.attention(), 0);
        b.store.applyBirth(participant(u"gateway"_s, {point(u"t"_s)}, b.clock.now(), u"hvac-9"_s));
        b.send(u"gateway"_s, u"t"_s, 20);
        QCOMPARE(b.store.device(0).device, u"hvac-9"_s);
        QVERIFY(b.store.device(0).online);
        QCOMPARE(b.store.device(0).points.size(), 1);
    }

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

        DeviceDetailModel detail(b.store);
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

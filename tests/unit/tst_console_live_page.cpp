// SPDX-License-Identifier: GPL-3.0-only
// The Live page: what is drawn, over which time.
#include "fakes/console_building.h"

#include "devices/device_list_model.h"
#include "live/live_page_model.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

class TestConsoleLivePage : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void live_suggestsUntilSomebodyChoosesAndSplitsByUnit()
    {
        Building b;
        LivePageModel live(b.store, b.units);
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
        LivePageModel live(b.store, b.units);
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
        LivePageModel live(b.store, b.units);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        for (int s = 300; s >= 0; s -= 5)
            b.send(u"hvac-1"_s, u"t"_s, 20, std::chrono::seconds(s), s == 300 || (s > 100 && s < 150));
        live.refresh();
        QCOMPARE(live.panels()[0]->lateBands().size(), 1);
    }

    void live_drawsAHoleAsAHoleAndMarksWhatCameLate()
    {
        Building b;
        LivePageModel live(b.store, b.units);
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

    void recording_goesBeforeWhatIsMadeUp()
    {
        Building b;
        LivePageModel live(b.store, b.units);
        Point madeUp = point(u"t"_s);
        madeUp.tags = {u"simulated"_s};
        b.store.applyBirth(participant(u"hvac-1"_s, {madeUp}, b.clock.now()));
        b.send(u"hvac-1"_s, u"t"_s, 20);
        live.refresh();
        QCOMPARE(live.panelCount(), 1);
        QVERIFY(!live.isAtRecording());
        b.store.applyBirth(participant(u"replay-1"_s, {recorded(u"t"_s)}, b.clock.now()));
        b.play(u"replay-1"_s, u"t"_s, 21, kRecordedAt);
        live.refresh();
        QCOMPARE(live.panelCount(), 1);
        QCOMPARE(live.panels()[0]->rowCount(), 1);
        QCOMPARE(b.store.device(b.store.point(live.panels()[0]->series()[0].point).device).name, u"replay-1"_s);
        QVERIFY(live.isAtRecording());
    }

    void recording_isNoneOfTheFirstPointsWhereSomethingIsMeasuredNow()
    {
        Building b;
        LivePageModel live(b.store, b.units);
        b.store.applyBirth(participant(u"replay-1"_s, {recorded(u"t"_s)}, b.clock.now()));
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
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
        LivePageModel live(b.store, b.units);
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

        DeviceListModel devices(b.store, b.units);
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
        LivePageModel live(b.store, b.units);
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
        LivePageModel live(b.store, b.units);
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

    void live_pausedStandsStillAndCounts()
    {
        Building b;
        LivePageModel live(b.store, b.units);
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
        LivePageModel live(b.store, b.units);
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
};

QTEST_GUILESS_MAIN(TestConsoleLivePage)
#include "tst_console_live_page.moc"

// SPDX-License-Identifier: GPL-3.0-only
// From samples to lines, scales and words.
#include "fakes/console_building.h"

#include "live/decimation.h"
#include "live/live_page_model.h"
#include "text/format.h"

#include <QLocale>
#include <QTest>

#include <cmath>

using namespace lintel;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

namespace {

std::vector<Sample> wave(int count, qint64 step)
{
    std::vector<Sample> samples;
    for (int i = 0; i < count; ++i)
        samples.push_back({1'000'000 + i * step, std::sin(i * 0.05), 0, false});
    return samples;
}

} // namespace

class TestConsoleCharts : public QObject
{
    Q_OBJECT
private Q_SLOTS:
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
        LivePageModel live(b.store, b.units);
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
        LivePageModel two(far.store, far.units);
        for (const auto &[node, total] : {std::pair{u"energy-1"_s, 12'400'000.0}, {u"energy-2"_s, 49'867'204.6}}) {
            far.store.applyBirth(participant(node, {point(u"total"_s, Unit::KilowattHour)}, far.clock.now()));
            far.send(node, u"total"_s, total);
        }
        two.refresh();
        QCOMPARE(two.panels()[0]->unitText(), u"MWh"_s);
        QLocale::setDefault(QLocale::c());
    }
};

QTEST_GUILESS_MAIN(TestConsoleCharts)
#include "tst_console_charts.moc"

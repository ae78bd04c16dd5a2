// SPDX-License-Identifier: GPL-3.0-only
// In which units values are shown: the same everywhere, never in what is stored, and kept.
#include "fakes/console_building.h"

#include "devices/device_detail_model.h"
#include "devices/device_list_model.h"
#include "live/live_page_model.h"
#include "shell/kept_choices.h"

#include <QFile>
#include <QLocale>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

namespace {

QString textOf(const format::Quantity &quantity)
{
    return quantity.number + u' ' + quantity.unit;
}

/// The labels of a panel's axis as numbers.
QList<double> axisOf(const LivePanel &panel)
{
    QList<double> axis;
    for (const QVariant &tick : panel.valueTicks())
        axis.append(QLocale().toDouble(tick.toMap().value(u"label"_s).toString()));
    return axis;
}

LivePanel *panelIn(const LivePageModel &live, Unit unit)
{
    for (LivePanel *panel : live.panels()) {
        if (panel->unit() == unit)
            return panel;
    }
    return nullptr;
}

} // namespace

class TestConsoleUnits : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void quantity_isShownInTheChosenUnits_data()
    {
        QTest::addColumn<Value>("value");
        QTest::addColumn<Unit>("reported");
        QTest::addColumn<QString>("asReported");
        QTest::addColumn<QString>("metric");
        QTest::addColumn<QString>("us");
        const auto row = [](const char *what, const Value &value, Unit reported, const QString &asReported,
                            const QString &metric, const QString &us) {
            QTest::newRow(what) << value << reported << asReported << metric << us;
        };
        row("celsius", 22.0, Unit::Celsius, u"22.0 °C"_s, u"22.0 °C"_s, u"71.6 °F"_s);
        row("fahrenheit", 71.6, Unit::Fahrenheit, u"71.6 °F"_s, u"22.0 °C"_s, u"71.6 °F"_s);
        row("kelvin", 295.16, Unit::Kelvin, u"295.2 K"_s, u"22.0 °C"_s, u"71.6 °F"_s);
        row("no third digit", 21.777778, Unit::Celsius, u"21.8 °C"_s, u"21.8 °C"_s, u"71.2 °F"_s);
        row("around nothing", -17.78, Unit::Celsius, u"−17.8 °C"_s, u"−17.8 °C"_s, u"0.0 °F"_s);
        // Two degrees more are 3.6 more, not 35.6.
        row("difference", 2.0, Unit::DeltaCelsius, u"2.0 Δ°C"_s, u"2.0 Δ°C"_s, u"3.6 Δ°F"_s);
        row("difference in fahrenheit", -9.0, Unit::DeltaFahrenheit, u"−9.0 Δ°F"_s, u"−5.0 Δ°C"_s, u"−9.0 Δ°F"_s);
        // Who measures whole degrees has not measured tenths.
        row("whole celsius", qint64{21}, Unit::Celsius, u"21 °C"_s, u"21 °C"_s, u"70 °F"_s);
        row("whole fahrenheit", qint64{71}, Unit::Fahrenheit, u"71 °F"_s, u"21.7 °C"_s, u"71 °F"_s);
        row("power has one way", 35.04, Unit::Kilowatt, u"35.0 kW"_s, u"35.0 kW"_s, u"35.0 kW"_s);
        row("flow, too", 120.0, Unit::LitrePerSecond, u"120 L/s"_s, u"120 L/s"_s, u"120 L/s"_s);
        row("multiples stay", 52'300.0, Unit::Watt, u"52.3 kW"_s, u"52.3 kW"_s, u"52.3 kW"_s);
        row("a word is none", u"frost"_s, Unit::Celsius, u"frost °C"_s, u"frost °C"_s, u"frost °F"_s);
    }
    void quantity_isShownInTheChosenUnits()
    {
        QFETCH(Value, value);
        QFETCH(Unit, reported);
        DisplayUnits units;
        QTEST(textOf(units.quantity(value, reported)), "asReported");
        units.setChoice(u"metric"_s);
        QTEST(textOf(units.quantity(value, reported)), "metric");
        units.setChoice(u"us"_s);
        QTEST(textOf(units.quantity(value, reported)), "us");
    }

    void shownUnit_canAlwaysBeReached()
    {
        for (const UnitSystem system : {UnitSystem::AsReported, UnitSystem::Metric, UnitSystem::Us}) {
            for (const UnitInfo &info : allUnits())
                QVERIFY2(convert(1, info.unit, unitIn(system, info.unit)), info.code.data());
            QCOMPARE(*unitSystemFromCode(codeOf(system)), system);
        }
    }

    void choice_refusesWhatDoesNotExist()
    {
        DisplayUnits units;
        QSignalSpy changed(&units, &DisplayUnits::changed);
        units.setChoice(u"imperial"_s);
        units.setChoice(u"as-reported"_s);
        QCOMPARE(changed.count(), 0);
        const auto refused = unitSystemFromCode(u"Imperial"_s);
        QVERIFY(!refused);
        QCOMPARE(refused.error().message,
                 u"The units \"Imperial\" do not exist; expected as-reported, metric or us."_s);
    }

    void devices_followTheChoiceAndStoreNothingOfIt()
    {
        Building b;
        DeviceListModel list(b.store, b.units);
        DeviceDetailModel detail(b.store, b.units);
        PointPickerModel picker(b.store, b.units);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s), point(u"u"_s)}, b.clock.now()));
        b.send(u"hvac-1"_s, u"t"_s, 22);
        list.refresh();
        detail.setDevice(0);
        picker.refresh();
        const auto first = [&](const QString &key) {
            const auto values = list.data(list.index(0), DeviceListModel::ValuesRole).toList();
            return values.value(0).toMap().value(key).toString();
        };
        QCOMPARE(first(u"value"_s) + first(u"unit"_s), u"22.0°C"_s);
        QSignalSpy rows(&list, &DeviceListModel::dataChanged);
        QSignalSpy points(&detail, &DeviceDetailModel::dataChanged);
        QSignalSpy picks(&picker, &PointPickerModel::dataChanged);
        b.units.setSystem(UnitSystem::Us);
        QCOMPARE(rows.count(), 1);
        QCOMPARE(points.count(), 1);
        QCOMPARE(picks.count(), 1);
        QCOMPARE(first(u"value"_s) + first(u"unit"_s), u"71.6°F"_s);
        QCOMPARE(detail.data(detail.index(0), DeviceDetailModel::ValueRole).toString(), u"71.6"_s);
        QCOMPARE(namesIn(detail, DeviceDetailModel::UnitRole), (QStringList{u"°F"_s, u"°F"_s})); // without a value, too
        QCOMPARE(namesIn(picker, PointPickerModel::UnitRole), (QStringList{u"°F"_s, u"°F"_s}));
        picker.setSearch(u"°F"_s);
        QCOMPARE(picker.count(), 2); // found by what stands there
        QCOMPARE(std::get<double>(b.store.point(0).last->value), 22.0);
        QCOMPARE(b.store.point(0).last->unit, Unit::Celsius);
        QCOMPARE(b.store.point(0).samples.all()[0].value, 22.0);
    }

    void chart_isDrawnAndReadInTheChosenUnits()
    {
        Building b;
        LivePageModel live(b.store, b.units);
        b.store.applyBirth(
            participant(u"hvac-1"_s, {point(u"t"_s), point(u"spread"_s, Unit::DeltaCelsius)}, b.clock.now()));
        for (int s = 600; s >= 0; s -= 5) {
            b.send(u"hvac-1"_s, u"t"_s, 20 + s * 0.01, std::chrono::seconds(s));
            b.send(u"hvac-1"_s, u"spread"_s, 2 + s * 0.01, std::chrono::seconds(s));
        }
        live.clear();
        live.toggle(0);
        live.toggle(1);
        const auto metricLine = panelIn(live, Unit::Celsius)->series()[0].pieces;
        QSignalSpy resets(&live, &LivePageModel::modelReset);
        b.units.setSystem(UnitSystem::Us);
        QCOMPARE(resets.count(), 1);
        QCOMPARE(live.panelCount(), 2);
        const LivePanel *panel = panelIn(live, Unit::Fahrenheit);
        QVERIFY(panel);
        QCOMPARE(panel->unitText(), u"°F"_s);
        const QList<double> axis = axisOf(*panel);
        QVERIFY(axis.size() >= 3);
        QVERIFY2(axis.first() <= 68 && axis.first() >= 60, qPrintable(QString::number(axis.first())));
        QVERIFY2(axis.last() >= 78.8 && axis.last() <= 85, qPrintable(QString::number(axis.last())));
        // 20 °C, the last one, stands where 68 °F does.
        const double y = panel->series()[0].pieces[0].last().y();
        QVERIFY(std::abs(axis.first() + y * (axis.last() - axis.first()) - 68) < 1e-6);
        QCOMPARE(panel->series()[0].pieces[0].size(), metricLine[0].size());
        QCOMPARE(panel->series()[0].valueText + panel->series()[0].unitText, u"68.0°F"_s);
        live.setHover(1.0 - 300.0 / 900.0); // five minutes ago
        QCOMPARE(panel->series()[0].valueText, u"73.4"_s);
        live.setHover(-1);

        const LivePanel *spread = panelIn(live, Unit::DeltaFahrenheit);
        QVERIFY(spread);
        QCOMPARE(spread->series()[0].valueText + spread->series()[0].unitText, u"3.6Δ°F"_s);
        QVERIFY(axisOf(*spread).last() < 20); // no offset

        b.units.setSystem(UnitSystem::AsReported);
        QCOMPARE(panelIn(live, Unit::Celsius)->series()[0].pieces, metricLine);
    }

    void panels_joinWhatIsShownInOneUnitAndPartAgain()
    {
        Building b;
        LivePageModel live(b.store, b.units);
        b.store.applyBirth(participant(u"hvac-1"_s,
                                       {point(u"a"_s), point(u"b"_s, Unit::Fahrenheit), point(u"c"_s, Unit::Kilowatt)},
                                       b.clock.now()));
        b.sendReading(u"hvac-1"_s, {u"a"_s, 20.0, Unit::Celsius, b.clock.now(), Quality::Good, false});
        b.sendReading(u"hvac-1"_s, {u"b"_s, 68.0, Unit::Fahrenheit, b.clock.now(), Quality::Good, false});
        live.clear();
        for (const int picked : {0, 1, 2})
            live.toggle(picked);
        QCOMPARE(live.panelCount(), 3);
        QSignalSpy history(&live, &LivePageModel::historyWanted);
        b.units.setSystem(UnitSystem::Metric);
        QCOMPARE(live.panelCount(), 2);
        const LivePanel *joined = panelIn(live, Unit::Celsius);
        QCOMPARE(joined->rowCount(), 2);
        QVERIFY(joined->series()[0].focused);
        QCOMPARE(joined->series()[0].valueText, u"20.0"_s);
        QCOMPARE(joined->series()[1].valueText, u"20.0"_s);
        QCOMPARE(joined->series()[0].pieces[0].last().y(), joined->series()[1].pieces[0].last().y());
        b.units.setSystem(UnitSystem::AsReported);
        QCOMPARE(live.panelCount(), 3);
        QCOMPARE(history.count(), 0); // nothing is asked for again
        QCOMPARE(live.picker()->pickedCount(), 3);
    }

    void suggestion_fillsOnePanelWithWhatIsShownInOneUnit()
    {
        Building b;
        LivePageModel live(b.store, b.units);
        b.store.applyBirth(participant(u"hvac-1"_s, {point(u"t"_s)}, b.clock.now()));
        b.store.applyBirth(participant(u"hvac-2"_s, {point(u"t"_s, Unit::Fahrenheit)}, b.clock.now()));
        live.refresh();
        QCOMPARE(live.panelCount(), 2);
        b.units.setSystem(UnitSystem::Us);
        QCOMPARE(live.panelCount(), 1);
        QCOMPARE(live.panels()[0]->rowCount(), 2);
        b.units.setSystem(UnitSystem::AsReported);
        QCOMPARE(live.panelCount(), 2);
    }

    void kept_isFoundAgain()
    {
        const QTemporaryDir folder;
        const QString file = folder.filePath(u"lintel/console.ini"_s);
        const KeptChoices first(file);
        QVERIFY(!first.units());
        QVERIFY(!QFile::exists(file)); // to look makes no file
        QVERIFY(first.setUnits(UnitSystem::Us));
        QCOMPARE(KeptChoices(file).units(), std::optional(UnitSystem::Us));
        QVERIFY(first.setUnits(UnitSystem::AsReported));
        QCOMPARE(KeptChoices(file).units(), std::optional(UnitSystem::AsReported));
    }

    void kept_brokenIsNoChoice()
    {
        const QTemporaryDir folder;
        QFile file(folder.filePath(u"console.ini"_s));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write("[appearance]\nunits=furlongs\n");
        file.close();
        QVERIFY(!KeptChoices(file.fileName()).units());
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(QByteArray(4'096, '\xff'));
        file.close();
        QVERIFY(!KeptChoices(file.fileName()).units());
    }

    void kept_saysWhereItCannotBeWritten()
    {
        const QTemporaryDir folder;
        QFile inTheWay(folder.filePath(u"lintel"_s));
        QVERIFY(inTheWay.open(QIODevice::WriteOnly));
        const QString file = folder.filePath(u"lintel/console.ini"_s);
        const auto kept = KeptChoices(file).setUnits(UnitSystem::Metric);
        QVERIFY(!kept);
        QCOMPARE(kept.error().code, Errc::Io);
        QVERIFY(kept.error().message.contains(file));
    }
};

QTEST_GUILESS_MAIN(TestConsoleUnits)
#include "tst_console_units.moc"

#include "domain/unit.h"

#include <QSet>
#include <QtTest>

using namespace lintel;

class TestUnit : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void table_namesEveryUnitOnce();
    void names_followTheVocabularies_data();
    void names_followTheVocabularies();
    void fromCode_tellsWhichCodesExist();
    void convert_knowsEachQuantity_data();
    void convert_knowsEachQuantity();
    void convert_refusesDifferentQuantities_data();
    void convert_refusesDifferentQuantities();
    void convert_comesBack();
    void multiples_growAndAgreeWithTheUnitsThatDevicesReport();
};

void TestUnit::table_namesEveryUnitOnce()
{
    QSet<QString> codes;
    int index = 0;
    for (const UnitInfo &info : allUnits()) {
        QCOMPARE(int(info.unit), index++);
        QVERIFY(!info.code.isEmpty());
        QVERIFY2(!codes.contains(info.code), info.code.data());
        codes.insert(info.code);
        QVERIFY(!info.ucum.isEmpty());
        QVERIFY(!info.qudt.isEmpty());
        QCOMPARE(&unitInfo(info.unit), &info);
        const auto back = unitFromCode(QString(info.code));
        QVERIFY(back);
        QCOMPARE(*back, info.unit);
    }
    QCOMPARE(index, int(Unit::People) + 1);
    QCOMPARE(unitInfo(static_cast<Unit>(200)).unit, Unit::None);
}

void TestUnit::names_followTheVocabularies_data()
{
    QTest::addColumn<int>("unit");
    QTest::addColumn<QString>("symbol");
    QTest::addColumn<QString>("haystack");
    QTest::addColumn<QString>("ucum");
    QTest::addColumn<QString>("qudt");
    QTest::newRow("celsius") << int(Unit::Celsius) << "°C"
                             << "celsius"
                             << "Cel"
                             << "DEG_C";
    QTest::newRow("fahrenheit") << int(Unit::Fahrenheit) << "°F"
                                << "fahrenheit"
                                << "[degF]"
                                << "DEG_F";
    QTest::newRow("difference in celsius") << int(Unit::DeltaCelsius) << "Δ°C"
                                           << "celsius_degrees"
                                           << "K"
                                           << "K";
    QTest::newRow("difference in fahrenheit") << int(Unit::DeltaFahrenheit) << "Δ°F"
                                              << "fahrenheit_degrees"
                                              << "[degR]"
                                              << "DEG_R";
    QTest::newRow("relative humidity") << int(Unit::RelativeHumidity) << "%RH"
                                       << "percent_relative_humidity"
                                       << "%{RH}"
                                       << "PERCENT_RH";
    QTest::newRow("carbon dioxide") << int(Unit::PartsPerMillion) << "ppm"
                                    << "parts_per_million"
                                    << "[ppm]"
                                    << "PPM";
    QTest::newRow("energy") << int(Unit::KilowattHour) << "kWh"
                            << "kilowatt_hour"
                            << "kW.h"
                            << "KiloW-HR";
    QTest::newRow("flow") << int(Unit::LitrePerSecond) << "L/s"
                          << "liters_per_second"
                          << "L/s"
                          << "L-PER-SEC";
}

void TestUnit::names_followTheVocabularies()
{
    QFETCH(int, unit);
    const UnitInfo &info = unitInfo(static_cast<Unit>(unit));
    QTEST(info.symbol.toString(), "symbol");
    QTEST(QString(info.haystack), "haystack");
    QTEST(QString(info.ucum), "ucum");
    QTEST(QString(info.qudt), "qudt");
}

void TestUnit::fromCode_tellsWhichCodesExist()
{
    for (const QString &code :
         {QString(), QStringLiteral("Celsius"), QStringLiteral("°C"), QStringLiteral("celsius ")}) {
        const auto unit = unitFromCode(code);
        QVERIFY(!unit);
        QCOMPARE(unit.error().code, Errc::NotFound);
        QVERIFY(unit.error().message.contains(QStringLiteral("delta_celsius")));
    }
}

void TestUnit::convert_knowsEachQuantity_data()
{
    QTest::addColumn<double>("value");
    QTest::addColumn<int>("from");
    QTest::addColumn<int>("to");
    QTest::addColumn<double>("expected");
    QTest::newRow("1 °C is 33.8 °F") << 1.0 << int(Unit::Celsius) << int(Unit::Fahrenheit) << 33.8;
    QTest::newRow("1 Δ°C is 1.8 Δ°F") << 1.0 << int(Unit::DeltaCelsius) << int(Unit::DeltaFahrenheit) << 1.8;
    QTest::newRow("9 Δ°F is 5 Δ°C") << 9.0 << int(Unit::DeltaFahrenheit) << int(Unit::DeltaCelsius) << 5.0;
    QTest::newRow("the scales meet") << -40.0 << int(Unit::Fahrenheit) << int(Unit::Celsius) << -40.0;
    QTest::newRow("water boils") << 100.0 << int(Unit::Celsius) << int(Unit::Kelvin) << 373.15;
    QTest::newRow("absolute zero") << 0.0 << int(Unit::Kelvin) << int(Unit::Fahrenheit) << -459.67;
    QTest::newRow("kilowatts") << 21.4 << int(Unit::Kilowatt) << int(Unit::Watt) << 21400.0;
    QTest::newRow("watts") << 5.0 << int(Unit::Watt) << int(Unit::Kilowatt) << 0.005;
    QTest::newRow("the same unit") << 17.25 << int(Unit::Lux) << int(Unit::Lux) << 17.25;
}

void TestUnit::convert_knowsEachQuantity()
{
    QFETCH(double, value);
    QFETCH(int, from);
    QFETCH(int, to);
    QFETCH(double, expected);
    const auto converted = convert(value, static_cast<Unit>(from), static_cast<Unit>(to));
    QVERIFY(converted);
    QVERIFY2(qAbs(*converted - expected) < 1e-9, qPrintable(QString::number(*converted, 'g', 17)));
}

void TestUnit::convert_refusesDifferentQuantities_data()
{
    QTest::addColumn<int>("from");
    QTest::addColumn<int>("to");
    QTest::newRow("temperature and difference") << int(Unit::Celsius) << int(Unit::DeltaCelsius);
    QTest::newRow("difference and temperature") << int(Unit::DeltaFahrenheit) << int(Unit::Fahrenheit);
    QTest::newRow("power and energy") << int(Unit::Kilowatt) << int(Unit::KilowattHour);
    QTest::newRow("percent and relative humidity") << int(Unit::Percent) << int(Unit::RelativeHumidity);
    QTest::newRow("nothing and people") << int(Unit::None) << int(Unit::People);
}

void TestUnit::convert_refusesDifferentQuantities()
{
    QFETCH(int, from);
    QFETCH(int, to);
    const auto converted = convert(1, static_cast<Unit>(from), static_cast<Unit>(to));
    QVERIFY(!converted);
    QCOMPARE(converted.error().code, Errc::OutOfRange);
}

void TestUnit::convert_comesBack()
{
    for (const UnitInfo &from : allUnits()) {
        for (const UnitInfo &to : allUnits()) {
            const auto there = convert(21.4, from.unit, to.unit);
            const auto alsoBack = convert(21.4, to.unit, from.unit);
            QCOMPARE(bool(there), bool(alsoBack));
            if (!there)
                continue;
            const auto back = convert(*there, to.unit, from.unit);
            QVERIFY(back && qAbs(*back - 21.4) < 1e-9);
        }
    }
}

void TestUnit::multiples_growAndAgreeWithTheUnitsThatDevicesReport()
{
    for (const UnitInfo &info : allUnits()) {
        double before = 1;
        for (const Multiple &multiple : multiplesOf(info.unit)) {
            QVERIFY(multiple.factor > before);
            before = multiple.factor;
            for (const UnitInfo &reported : allUnits()) {
                if (reported.symbol != multiple.symbol)
                    continue;
                const auto converted = convert(multiple.factor, info.unit, reported.unit);
                QVERIFY(converted && qAbs(*converted - 1) < 1e-12);
            }
        }
    }
    QCOMPARE(multiplesOf(Unit::KilowattHour).back().symbol, QStringView(u"GWh"));
    QVERIFY(multiplesOf(Unit::Celsius).empty());
}

QTEST_GUILESS_MAIN(TestUnit)
#include "tst_unit.moc"

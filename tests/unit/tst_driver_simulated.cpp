#include "drivers/simulated/simulated_driver.h"
#include "fakes/fake_clock.h"

#include <QSignalSpy>
#include <QTest>

#include <cmath>

using namespace lintel;
using namespace lintel::simulated;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

const Timestamp monday{std::chrono::sys_days{std::chrono::year{2026} / 1 / 12}};

} // namespace

class TestDriverSimulated : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void model_isWarmByDayAndSavesAtNight();
    void model_countsPeopleOnWorkdays();
    void model_metersWhatItUses();
    void model_meterNeverRunsBackwards();
    void model_sameSeedSameValues();
    void read_givesEveryPointAndSaysItIsSimulated_data();
    void read_givesEveryPointAndSaysItIsSimulated();
};

void TestDriverSimulated::model_isWarmByDayAndSavesAtNight()
{
    BuildingModel model({});
    double dayTemp = 0;
    for (int hour = 0; hour < 24; ++hour) {
        const ZoneState &zone = model.advanceTo(monday + std::chrono::hours{hour});
        QVERIFY2(zone.zoneTemp > 12 && zone.zoneTemp < 30, qPrintable(QString::number(zone.zoneTemp)));
        QVERIFY(zone.relativeHumidity() > 5 && zone.relativeHumidity() <= 100);
        QVERIFY(zone.co2 >= 400 && zone.co2 < 2500);
        if (hour == 14)
            dayTemp = zone.zoneTemp;
    }
    QVERIFY2(dayTemp > 20 && dayTemp < 26, qPrintable(QString::number(dayTemp)));
}

void TestDriverSimulated::model_countsPeopleOnWorkdays()
{
    BuildingModel model({});
    QCOMPARE(model.advanceTo(monday + 3h).people, 0);
    const double nightCo2 = model.advanceTo(monday + 5h).co2;
    const ZoneState noon = model.advanceTo(monday + 11h);
    QVERIFY(noon.people > 4 && noon.people <= ZoneParameters{}.capacity);
    QVERIFY(noon.co2 > nightCo2 + 50);
    BuildingModel weekend({});
    QVERIFY(weekend.advanceTo(monday - 24h + 11h).people <= 3);
}

void TestDriverSimulated::model_metersWhatItUses()
{
    BuildingModel model({});
    const double before = model.advanceTo(monday).energy;
    double sum = 0;
    for (int minute = 1; minute <= 24 * 60; ++minute)
        sum += model.advanceTo(monday + std::chrono::minutes{minute}).power / 60.0;
    const double used = model.advanceTo(monday + 24h).energy - before;
    QVERIFY2(used > 20 && used < 600, qPrintable(QString::number(used)));
    QVERIFY2(std::abs(used - sum) < 0.05 * used, qPrintable(u"%1 %2"_s.arg(used).arg(sum)));
}

void TestDriverSimulated::model_meterNeverRunsBackwards()
{
    double last = 0;
    BuildingModel running({});
    for (int day = 0; day < 20; ++day) {
        const Timestamp moment = monday + std::chrono::hours{day * 24 + 7};
        const double continued = running.advanceTo(moment).energy;
        QVERIFY(continued >= last);
        last = continued;
        BuildingModel restarted({});
        const double anew = restarted.advanceTo(moment + 1h).energy;
        QVERIFY(anew >= continued);
    }
}

void TestDriverSimulated::model_sameSeedSameValues()
{
    BuildingModel a({});
    BuildingModel b({});
    ZoneParameters parameters;
    parameters.seed = 2;
    BuildingModel other(parameters);
    QCOMPARE(a.advanceTo(monday + 9h).zoneTemp, b.advanceTo(monday + 9h).zoneTemp);
    QVERIFY(other.advanceTo(monday + 9h).zoneTemp != a.advanceTo(monday + 9h).zoneTemp);
}

void TestDriverSimulated::read_givesEveryPointAndSaysItIsSimulated_data()
{
    QTest::addColumn<int>("kind");
    QTest::newRow("hvac") << int(SimulatedConfig::Kind::Hvac);
    QTest::newRow("occupancy") << int(SimulatedConfig::Kind::Occupancy);
    QTest::newRow("energy") << int(SimulatedConfig::Kind::Energy);
}

void TestDriverSimulated::read_givesEveryPointAndSaysItIsSimulated()
{
    QFETCH(int, kind);
    FakeClock clock;
    SimulatedConfig config;
    config.kind = SimulatedConfig::Kind(kind);
    SimulatedDriver driver(config, {u"building-1"_s, u"floor-2"_s, u"ahu-2"_s}, clock);
    QVERIFY(driver.open());
    QSignalSpy finished(&driver, &SensorDriver::readFinished);
    driver.read();
    QCOMPARE(finished.count(), 0); // never from inside the call
    QVERIFY(finished.wait());
    const auto readings = finished[0][0].value<QList<Reading>>();
    const QList<Point> points = driver.points();
    QCOMPARE(readings.size(), points.size());
    for (qsizetype i = 0; i < points.size(); ++i) {
        QVERIFY(validate(points[i]));
        QCOMPARE(readings[i].point, points[i].id);
        QCOMPARE(kindOf(readings[i].value), points[i].kind);
        QVERIFY(points[i].tags.contains(u"simulated"_s));
    }
    QVERIFY(driver.info().isSimulated);
}

QTEST_GUILESS_MAIN(TestDriverSimulated)
#include "tst_driver_simulated.moc"

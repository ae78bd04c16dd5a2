#include "sparkplug/point_metrics.h"

#include <QTest>

#include <cmath>
#include <limits>

using namespace lintel;
using namespace lintel::sparkplug;
using namespace Qt::StringLiterals;

namespace {

constexpr Timestamp kNow = fromEpochMillis(1'763'719'260'000);

Point fullPoint(Kind kind, Unit unit)
{
    Point point;
    point.id = u"supply_air-temp.1"_s;
    point.name = u"Supply air temperature"_s;
    point.kind = kind;
    point.unit = unit;
    point.tags = {u"discharge"_s, u"air"_s, u"temp"_s};
    point.brickClass = u"Supply_Air_Temperature_Sensor"_s;
    point.siteRef = u"building-1"_s;
    point.spaceRef = u"floor-2/zone-a"_s;
    point.equipRef = u"ahu-2"_s;
    point.staleAfter = Millis(90'000);
    return point;
}

/// As over the wire.
Metric carried(const Metric &metric)
{
    Payload payload;
    payload.metrics.append(metric);
    return decode(encode(payload))->metrics[0];
}

Reading readingWith(Value value, const Point &point)
{
    Reading reading;
    reading.point = point.id;
    reading.value = std::move(value);
    reading.unit = point.unit;
    reading.deviceTime = kNow;
    return reading;
}

} // namespace

class TestPointMetrics : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void point_survivesItsBirth();
    void birth_carriesTheCurrentValue();
    void birth_isNullWithoutAValueOfItsKind();
    void reading_survivesDataByAlias();
    void reading_keepsAnotherUnitKindAndQuality();
    void foreignName_becomesALegalId();
    void foreignMetric_givesUnitAndKind();
    void controlMetrics_areNoPoints();
    void quality_understandsForeignCodes();
    void hugeUnsigned_becomesANumber();
    void losses_surviveTheTable();
    void losses_refuseAnotherTable();
};

void TestPointMetrics::point_survivesItsBirth()
{
    for (const UnitInfo &unit : allUnits()) {
        for (const Kind kind : {Kind::Number, Kind::Integer, Kind::Bool, Kind::Text}) {
            const Point point = fullPoint(kind, unit.unit);
            const auto read = pointOf(carried(birthMetric(point, 7, nullptr, kNow)), {});
            QVERIFY(read);
            QCOMPARE(*read, point);
        }
    }
    Point bare;
    bare.id = u"x"_s;
    QCOMPARE(*pointOf(carried(birthMetric(bare, 1, nullptr, kNow)), {}), bare);
}

void TestPointMetrics::birth_carriesTheCurrentValue()
{
    const Point point = fullPoint(Kind::Number, Unit::Celsius);
    Reading reading = readingWith(21.5, point);
    reading.quality = Quality::Stale;
    const Metric metric = carried(birthMetric(point, 7, &reading, kNow + Millis(5)));
    QCOMPARE(*metric.timestamp, kNow);
    QCOMPARE(*metric.alias, quint64(7));
    const auto read = readingOf(metric, point, metric.type, kNow);
    QVERIFY(read);
    QCOMPARE(*read, reading);
}

void TestPointMetrics::birth_isNullWithoutAValueOfItsKind()
{
    const Point point = fullPoint(Kind::Number, Unit::Celsius);
    const Reading text = readingWith(u"broken"_s, point);
    for (const Reading *current : {static_cast<const Reading *>(nullptr), &text}) {
        const Metric metric = carried(birthMetric(point, 7, current, kNow));
        QVERIFY(metric.isNull);
        QCOMPARE(metric.type, DataType::Double);
        QCOMPARE(*metric.timestamp, kNow);
    }
}

void TestPointMetrics::reading_survivesDataByAlias()
{
    const QList<std::pair<Kind, QList<Value>>> values{
        {Kind::Number, {0.0, -1e300, 21.4, std::numeric_limits<double>::infinity()}},
        {Kind::Integer,
         {qint64(0), qint64(-1), std::numeric_limits<qint64>::min(), std::numeric_limits<qint64>::max()}},
        {Kind::Bool, {true, false}},
        {Kind::Text, {u""_s, u"ü \"quoted\""_s}}};
    for (const auto &[kind, list] : values) {
        const Point point = fullPoint(kind, Unit::None);
        for (const Value &value : list) {
            Reading reading = readingWith(value, point);
            Metric metric = carried(dataMetric(point, 3, reading, false));
            QVERIFY(!metric.name && !metric.properties);
            QCOMPARE(*readingOf(metric, point, dataTypeOf(kind), kNow), reading);
            metric.type = DataType::Unknown; // as other edge nodes send it
            QCOMPARE(*readingOf(metric, point, dataTypeOf(kind), kNow), reading);
            reading.isHistorical = true;
            QCOMPARE(*readingOf(carried(dataMetric(point, 3, readingWith(value, point), true)), point, dataTypeOf(kind),
                                kNow),
                     reading);
        }
    }
}

void TestPointMetrics::reading_keepsAnotherUnitKindAndQuality()
{
    const Point point = fullPoint(Kind::Number, Unit::Celsius);
    Reading reading = readingWith(qint64(70), point);
    reading.unit = Unit::Fahrenheit;
    reading.quality = Quality::Bad;
    QCOMPARE(*readingOf(carried(dataMetric(point, 3, reading, false)), point, DataType::Double, kNow), reading);
    reading.unit = Unit::None;
    QCOMPARE(*readingOf(carried(dataMetric(point, std::nullopt, reading, false)), point, DataType::Double, kNow),
             reading);
}

void TestPointMetrics::foreignName_becomesALegalId()
{
    QSet<QString> taken;
    const auto idOf = [&taken](const QString &name) {
        const auto point = pointOf(Metric::named(name, DataType::Float, 1.0f), taken);
        taken.insert(point->id);
        return point->id;
    };
    QCOMPARE(idOf(u"HVAC/Supply Air"_s), u"HVAC.Supply_Air"_s);
    QCOMPARE(idOf(u"HVAC.Supply Air"_s), u"HVAC.Supply_Air_2"_s);
    QCOMPARE(idOf(u"Größe"_s), u"Gr__e"_s);
    for (const QString &id : std::as_const(taken)) {
        Point point;
        point.id = id;
        QVERIFY(validate(point));
    }
}

void TestPointMetrics::foreignMetric_givesUnitAndKind()
{
    Metric metric = Metric::named(u"power"_s, DataType::UInt16, quint64(1));
    metric.properties.emplace();
    metric.properties->set(u"engUnit"_s, DataType::String, u"kW"_s);
    const auto point = pointOf(metric, {});
    QVERIFY(point);
    QCOMPARE(point->unit, Unit::Kilowatt);
    QCOMPARE(point->kind, Kind::Integer);
    QCOMPARE(point->name, u"power"_s);
    Metric typeless = Metric::named(u"on"_s, DataType::Unknown, true);
    QCOMPARE(pointOf(typeless, {})->kind, Kind::Bool);
}

void TestPointMetrics::controlMetrics_areNoPoints()
{
    for (const QString &name :
         {u"bdSeq"_s, u"Node Control/Rebirth"_s, u"Device Control/Reboot"_s, u"Lintel/Msn"_s, QString()})
        QVERIFY(!pointOf(Metric::named(name, DataType::UInt64, quint64(1)), {}));
    QVERIFY(!pointOf(Metric::named(u"file"_s, DataType::File, QByteArray("x")), {}));
    QVERIFY(!pointOf(Metric::named(u"array"_s, DataType::DoubleArray, QByteArray("x")), {}));
}

void TestPointMetrics::quality_understandsForeignCodes()
{
    const Point point = fullPoint(Kind::Number, Unit::None);
    const auto quality = [&point](Scalar code, DataType type) {
        Metric metric = Metric::named(point.id, DataType::Double, 1.0);
        metric.properties.emplace();
        metric.properties->set(u"Quality"_s, type, std::move(code));
        return readingOf(metric, point, DataType::Double, kNow)->quality;
    };
    QCOMPARE(quality(qint64(192), DataType::Int32), Quality::Good);
    QCOMPARE(quality(qint64(0), DataType::Int32), Quality::Bad);
    QCOMPARE(quality(quint64(500), DataType::UInt32), Quality::Stale);
    QCOMPARE(quality(qint64(64), DataType::Int32), Quality::Bad);
    QCOMPARE(quality(u"good"_s, DataType::String), Quality::Good);
}

void TestPointMetrics::hugeUnsigned_becomesANumber()
{
    const Point point = fullPoint(Kind::Integer, Unit::None);
    const Metric metric = Metric::named(point.id, DataType::UInt64, std::numeric_limits<quint64>::max());
    QCOMPARE(readingOf(metric, point, DataType::UInt64, kNow)->value, Value(18446744073709551615.0));
}

void TestPointMetrics::losses_surviveTheTable()
{
    const StreamId stream = QUuid::createUuid();
    const QList<Loss> losses{{u"hvac-001"_s, stream, 3, 9, 70, kNow, kNow + Millis(5), LossReason::SpoolFull},
                             {{}, {}, 0, 0, 1, {}, {}, LossReason::StorageFailed},
                             {u"x"_s, stream, 10, 10, 0, {}, {}, LossReason::NeverSent}};
    Metric metric;
    metric.name = u"Lintel/SF/Loss"_s;
    metric.type = DataType::DataSet;
    metric.dataSet = toDataSet(losses);
    const auto read = lossesOf(*carried(metric).dataSet);
    QVERIFY(read);
    QCOMPARE(*read, losses);
    metric.dataSet = toDataSet({});
    QVERIFY(lossesOf(*carried(metric).dataSet)->isEmpty());
}

void TestPointMetrics::losses_refuseAnotherTable()
{
    DataSet set = toDataSet({Loss{}});
    set.columns[2] = u"until"_s;
    QVERIFY(!lossesOf(set));
    set = toDataSet({Loss{}});
    set.rows[0].removeLast();
    QVERIFY(!lossesOf(set));
    set = toDataSet({Loss{}});
    set.rows[0][6] = qint64(99);
    QCOMPARE(lossesOf(set)->first().reason, LossReason::NeverSent);
}

QTEST_GUILESS_MAIN(TestPointMetrics)
#include "tst_point_metrics.moc"

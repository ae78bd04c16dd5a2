#include "domain/point.h"
#include "unit/random_values.h"

#include <QtTest>

using namespace lintel;

namespace {

Point supplyAir()
{
    return {QStringLiteral("air_temp"),
            QStringLiteral("Supply air temperature"),
            Kind::Number,
            Unit::Celsius,
            {QStringLiteral("discharge"), QStringLiteral("air"), QStringLiteral("temp"), QStringLiteral("sensor"),
             QStringLiteral("point")},
            QStringLiteral("Supply_Air_Temperature_Sensor"),
            QStringLiteral("building-1"),
            QStringLiteral("floor-2/zone-a"),
            QStringLiteral("ahu-2"),
            Millis{180'000}};
}

} // namespace

class TestPoint : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void validate_takesAGoodPoint();
    void validate_saysWhichFieldIsWrong_data();
    void validate_saysWhichFieldIsWrong();
    void stored_hasTheDocumentedBytes();
    void stored_holdsForArbitraryPoints();
    void stored_refusesEveryTruncation();
    void stored_refusesWhatIsNotCanonical_data();
    void stored_refusesWhatIsNotCanonical();
};

void TestPoint::validate_takesAGoodPoint()
{
    QVERIFY(validate(supplyAir()));
    Point bare;
    bare.id = QStringLiteral("CO2.a-1_b");
    QVERIFY(validate(bare));
}

void TestPoint::validate_saysWhichFieldIsWrong_data()
{
    QTest::addColumn<QString>("field");
    QTest::addColumn<QString>("value");
    QTest::newRow("no id") << "id"
                           << "";
    QTest::newRow("id with a slash") << "id"
                                     << "air/temp";
    QTest::newRow("id with a space") << "id"
                                     << "air temp";
    QTest::newRow("id with a letter of another alphabet") << "id"
                                                          << "lufttempé";
    QTest::newRow("id with a wildcard") << "id"
                                        << "#";
    QTest::newRow("id too long") << "id" << QString(129, u'a');
    QTest::newRow("name with a line break") << "name"
                                            << "a\nb";
    QTest::newRow("empty tag") << "tags"
                               << "";
    QTest::newRow("tag with a space") << "tags"
                                      << "zone air";
    QTest::newRow("two Brick classes") << "brickClass"
                                       << "A,B";
    QTest::newRow("Brick class with a namespace") << "brickClass"
                                                  << "brick:Sensor";
    QTest::newRow("reference with a NUL") << "siteRef" << QString(QChar(0));
}

void TestPoint::validate_saysWhichFieldIsWrong()
{
    QFETCH(QString, field);
    QFETCH(QString, value);
    Point point = supplyAir();
    if (field == u"id")
        point.id = value;
    else if (field == u"name")
        point.name = value;
    else if (field == u"tags")
        point.tags.append(value);
    else if (field == u"brickClass")
        point.brickClass = value;
    else
        point.siteRef = value;
    const auto valid = validate(point);
    QVERIFY(!valid);
    QCOMPARE(valid.error().code, Errc::Malformed);
    QVERIFY2(valid.error().message.contains(field), qPrintable(valid.error().message));

    Point neverFresh = supplyAir();
    neverFresh.staleAfter = Millis{0};
    QCOMPARE(validate(neverFresh).error().code, Errc::OutOfRange);
}

/// The stored form is for ever; whoever changes it must write a new version.
void TestPoint::stored_hasTheDocumentedBytes()
{
    Point point;
    point.id = QStringLiteral("a");
    point.kind = Kind::Bool;
    point.unit = Unit::Lux;
    point.tags = {QStringLiteral("t")};
    point.staleAfter = Millis{1};
    QCOMPARE(encodePoints({point}).toHex(), QByteArray("a200010181a500616102020363"
                                                       "6c7578"
                                                       "048161740901"));
    QCOMPARE(encodePoints({}).toHex(), QByteArray("a200010180"));
    QCOMPARE(*decodePoints(encodePoints({supplyAir(), point})), (QList<Point>{supplyAir(), point}));
}

void TestPoint::stored_holdsForArbitraryPoints()
{
    QRandomGenerator random(4);
    for (int i = 0; i < 2'000; ++i) {
        QList<Point> points;
        for (int n = random.bounded(5); n > 0; --n)
            points.append(random_values::point(random));
        const auto decoded = decodePoints(encodePoints(points));
        QVERIFY(decoded);
        QCOMPARE(*decoded, points);
    }
}

void TestPoint::stored_refusesEveryTruncation()
{
    const QByteArray bytes = encodePoints({supplyAir(), supplyAir()});
    for (qsizetype length = 0; length < bytes.size(); ++length) {
        const auto decoded = decodePoints(QByteArrayView(bytes).first(length));
        QVERIFY(!decoded);
        QCOMPARE(decoded.error().code, Errc::Malformed);
    }
    QVERIFY(!decodePoints(bytes + '\0'));
}

void TestPoint::stored_refusesWhatIsNotCanonical_data()
{
    QTest::addColumn<QByteArray>("bytes");
    const auto bad = [](const char *name, const char *hex) { QTest::newRow(name) << QByteArray::fromHex(hex); };
    bad("nothing", "");
    bad("no points", "a10001");
    bad("no version", "a10180");
    bad("version 2", "a200020180");
    bad("unknown key", "a3000101800200");
    bad("unknown key of a point", "a200010181a10a01");
    bad("kind 4", "a200010181a10204");
    bad("kind 0", "a200010181a10200");
    bad("empty tags", "a200010181a10480");
    bad("empty id", "a200010181a10060");
    bad("array larger than the input", "a20001019a7fffffff");
}

void TestPoint::stored_refusesWhatIsNotCanonical()
{
    QFETCH(QByteArray, bytes);
    QVERIFY(!decodePoints(bytes));
}

QTEST_GUILESS_MAIN(TestPoint)
#include "tst_point.moc"

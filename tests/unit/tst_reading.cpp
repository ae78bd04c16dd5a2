#include "domain/reading.h"
#include "unit/random_values.h"

#include <QtTest>

#include <bit>
#include <cmath>

using namespace lintel;

class TestReading : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void toDouble_makesNumbersOfValues();
    void toText_isForPeople_data();
    void toText_isForPeople();
    void encode_hasTheDocumentedBytes();
    void encode_keepsEveryField();
    void encode_keepsTheBitsOfSpecialNumbers();
    void encode_isCompact();
    void roundTrip_holdsForArbitraryBatches();
    void decode_refusesEveryTruncation();
    void decode_refusesOrReproducesEveryBitFlip();
    void decode_refusesWhatIsNotCanonical_data();
    void decode_refusesWhatIsNotCanonical();
    void decode_namesANewerVersion();
};

void TestReading::toDouble_makesNumbersOfValues()
{
    QCOMPARE(toDouble(Value(21.5)), 21.5);
    QCOMPARE(toDouble(Value(qint64(-3))), -3.0);
    QCOMPARE(toDouble(Value(true)), 1.0);
    QCOMPARE(toDouble(Value(false)), 0.0);
    QVERIFY(std::isnan(toDouble(Value(QStringLiteral("21.5")))));
}

void TestReading::toText_isForPeople_data()
{
    QTest::addColumn<QString>("shown");
    QTest::addColumn<QString>("expected");
    const auto row = [](const char *name, const Value &value, const char *expected) {
        QTest::newRow(name) << toText(value) << QString::fromUtf8(expected);
    };
    row("number", 21.4, "21.4");
    row("shortest", 0.1 + 0.2, "0.30000000000000004");
    row("whole", 21.0, "21");
    row("minus zero", -0.0, "0");
    row("large", 1234567890.0, "1234567890");
    row("very large", 1e300, "1e+300");
    row("small", 0.00012, "0.00012");
    row("very small", 1e-9, "1e-09");
    row("not a number", std::numeric_limits<double>::quiet_NaN(), "nan");
    row("infinite", -std::numeric_limits<double>::infinity(), "-inf");
    row("integer", std::numeric_limits<qint64>::min(), "-9223372036854775808");
    row("on", true, "on");
    row("off", false, "off");
    row("text", QStringLiteral("Anwesend ✓"), "Anwesend ✓");
}

void TestReading::toText_isForPeople()
{
    QFETCH(QString, shown);
    QTEST(shown, "expected");
}

/// The stored form is for ever; whoever changes it must write a new version.
void TestReading::encode_hasTheDocumentedBytes()
{
    const Timestamp t = fromEpochMillis(1700000000000);
    const ReadingBatch batch{QStringLiteral("dev"),
                             {Reading{QStringLiteral("air"), 21.4, Unit::Celsius, t, Quality::Good, true},
                              Reading{QStringLiteral("x"), true, Unit::None, t + Millis{1}, Quality::Stale, false}},
                             {Loss{QStringLiteral("d"), QUuid(QStringLiteral("0bbec001-1dca-4f68-afed-054e7c1788cf")),
                                   1, 3, 4, fromEpochMillis(3), fromEpochMillis(4), LossReason::NeverSent}}};
    const QByteArray expected =
        QByteArray::fromHex("a5 0001 0163646576 021b0000018bcfe56800"
                            "0382 a400636169720 1fb403566666666666602676365 6c73697573 05f5"
                            "     a400617801f5030104 18f4"
                            "0481 a80061640150 0bbec0011dca4f68afed054e7c1788cf 0201 0303 0404 0503 0604 0704");
    QCOMPARE(encodeBatch(batch).toHex(), expected.toHex());
    const auto decoded = decodeBatch(expected);
    QVERIFY(decoded);
    QCOMPARE(*decoded, batch);
    QCOMPARE(encodeBatch({}).toHex(), QByteArray("a10001"));
}

void TestReading::encode_keepsEveryField()
{
    const ReadingBatch batch{
        QStringLiteral("hvac-001"),
        {Reading{QStringLiteral("p"), qint64(0), Unit::People, fromEpochMillis(-5), Quality::Bad, true}},
        {}};
    const auto decoded = decodeBatch(encodeBatch(batch));
    QVERIFY(decoded);
    const Reading &reading = decoded->readings.first();
    QCOMPARE(kindOf(reading.value), Kind::Integer);
    QCOMPARE(reading.quality, Quality::Bad);
    QVERIFY(reading.isHistorical);
    QCOMPARE(*decoded, batch);
}

void TestReading::encode_keepsTheBitsOfSpecialNumbers()
{
    for (const quint64 bits : {0x7ff8000000000001ULL, 0x7ff4000000000002ULL, 0xfff8000000000000ULL,
                               0x7ff0000000000000ULL, 0x8000000000000000ULL, 1ULL}) {
        const ReadingBatch batch{
            {}, {Reading{{}, std::bit_cast<double>(bits), Unit::None, {}, Quality::Bad, false}}, {}};
        const auto decoded = decodeBatch(encodeBatch(batch));
        QVERIFY(decoded);
        QCOMPARE(std::bit_cast<quint64>(std::get<double>(decoded->readings.first().value)), bits);
    }
}

void TestReading::encode_isCompact()
{
    ReadingBatch batch{QStringLiteral("hvac-001"), {}, {}};
    for (int i = 0; i < 10; ++i)
        batch.readings.append(Reading{QStringLiteral("air_temp_%1").arg(i), 21.4 + i, Unit::Celsius,
                                      fromEpochMillis(1700000000000), Quality::Good, false});
    QVERIFY(encodeBatch(batch).size() < 10 * 36 + 32);
}

void TestReading::roundTrip_holdsForArbitraryBatches()
{
    QRandomGenerator random(1);
    for (int i = 0; i < 5'000; ++i) {
        const ReadingBatch batch = random_values::batch(random);
        const QByteArray bytes = encodeBatch(batch);
        const auto decoded = decodeBatch(bytes);
        QVERIFY2(decoded, bytes.toHex().constData());
        QCOMPARE(*decoded, batch);
        QCOMPARE(encodeBatch(*decoded), bytes);
    }
}

void TestReading::decode_refusesEveryTruncation()
{
    QRandomGenerator random(2);
    for (int i = 0; i < 50; ++i) {
        const QByteArray bytes = encodeBatch(random_values::batch(random));
        for (qsizetype length = 0; length < bytes.size(); ++length) {
            const auto decoded = decodeBatch(QByteArrayView(bytes).first(length));
            QVERIFY(!decoded);
            QCOMPARE(decoded.error().code, Errc::Malformed);
        }
        QVERIFY(!decodeBatch(bytes + '\0'));
    }
}

void TestReading::decode_refusesOrReproducesEveryBitFlip()
{
    QRandomGenerator random(3);
    for (int i = 0; i < 20; ++i) {
        const QByteArray bytes = encodeBatch(random_values::batch(random));
        for (qsizetype bit = 0; bit < bytes.size() * 8; ++bit) {
            QByteArray flipped = bytes;
            flipped[bit / 8] = char(flipped[bit / 8] ^ (1 << (bit % 8)));
            if (const auto decoded = decodeBatch(flipped))
                QCOMPARE(encodeBatch(*decoded), flipped);
        }
    }
}

void TestReading::decode_refusesWhatIsNotCanonical_data()
{
    QTest::addColumn<QByteArray>("bytes");
    const auto bad = [](const char *name, const char *hex) { QTest::newRow(name) << QByteArray::fromHex(hex); };
    bad("nothing", "");
    bad("not a map", "80");
    bad("no version", "a0");
    bad("text as version", "a1006131");
    bad("version 0", "a10000");
    bad("unknown key", "a200010701");
    bad("text key", "a20001617801");
    bad("key twice", "a300010161610161"
                     "62");
    bad("keys out of order", "a2016161"
                             "0001");
    bad("long form of a small number", "a1001801");
    bad("long form of a map head", "b8010001");
    bad("indefinite map", "bf0001ff");
    bad("indefinite text", "a20001017f6161ff");
    bad("tag", "c1a10001");
    bad("reserved head", "a1001c");
    bad("empty device", "a200010160");
    bad("text that is not UTF-8", "a2000101"
                                  "62c328");
    bad("encoded surrogate", "a2000101"
                             "63eda080");
    bad("text longer than the input", "a2000101"
                                      "7b7fffffffffffffff61");
    bad("array larger than the input", "a2000103"
                                       "9bffffffffffffffff");
    bad("array of a billion", "a2000103"
                              "9a3b9aca00");
    bad("empty readings", "a200010380");
    bad("empty losses", "a200010480");
    bad("base time without readings", "a200010201");
    bad("reading without value", "a2000103"
                                 "81a1006161");
    bad("reading with null", "a2000103"
                             "81a101f6");
    bad("reading with undefined", "a2000103"
                                  "81a101f7");
    bad("half precision", "a2000103"
                          "81a101f93c00");
    bad("single precision", "a2000103"
                            "81a101fa3f800000");
    bad("cut double", "a2000103"
                      "81a101fb3ff0");
    bad("number beyond 63 bits", "a2000103"
                                 "81a1011b8000000000000000");
    bad("number below 63 bits", "a2000103"
                                "81a1013b8000000000000000");
    bad("unknown unit", "a2000103"
                        "81a201f5026178");
    bad("unit none", "a2000103"
                     "81a201f502646e6f6e65");
    bad("unit as number", "a2000103"
                          "81a201f50201");
    bad("quality good", "a2000103"
                        "81a201f50418c0");
    bad("quality 1", "a2000103"
                     "81a201f50401");
    bad("historical false", "a2000103"
                            "81a201f505f4");
    bad("first reading with an offset", "a2000103"
                                        "81a201f50301");
    bad("offset zero", "a3000102010382"
                       "a101f5"
                       "a201f50300");
    bad("loss without reason", "a200010481a0");
    bad("loss with reason 0", "a200010481a10700");
    bad("loss with reason 6", "a200010481a10706");
    bad("loss with a short stream", "a200010481a2014100"
                                    "0701");
    bad("loss with a null stream", "a200010481a20150000000000000000000000000000000000701");
    bad("loss with first 0", "a200010481a202000701");
}

void TestReading::decode_refusesWhatIsNotCanonical()
{
    QFETCH(QByteArray, bytes);
    const auto decoded = decodeBatch(bytes);
    QVERIFY(!decoded);
    QCOMPARE(decoded.error().code, Errc::Malformed);
    QVERIFY(!decoded.error().message.isEmpty());
}

void TestReading::decode_namesANewerVersion()
{
    const auto decoded = decodeBatch(QByteArray::fromHex("a10002"));
    QVERIFY(!decoded);
    QVERIFY(decoded.error().message.contains(QStringLiteral("version 2")));
}

QTEST_GUILESS_MAIN(TestReading)
#include "tst_reading.moc"

#include "fakes/random_payload.h"
#include "sparkplug/payload.h"

#include <QTest>

#include <cmath>
#include <limits>

using namespace lintel;
using namespace lintel::sparkplug;

namespace {

Payload nested(int depth)
{
    Metric metric = Metric::named(QStringLiteral("leaf"), DataType::Boolean, true);
    for (int i = 0; i < depth; ++i) {
        Metric outer;
        outer.name = QStringLiteral("t");
        outer.type = DataType::Template;
        outer.templateValue = std::make_shared<Template>();
        outer.templateValue->metrics.append(metric);
        metric = outer;
    }
    Payload payload;
    payload.metrics.append(metric);
    return payload;
}

} // namespace

class TestPayload : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void encode_matchesTheBytesOfTheSpecificationsFields();
    void decode_returnsWhatWasEncoded();
    void decode_refusesEveryTruncation();
    void decode_refusesTooDeepTemplates();
    void decode_refusesDataSetsThatAreNoTable();
    void decode_refusesPropertiesWithoutValues();
    void decode_survivesRandomDamage();
    void decode_leavesTypelessIntegersAsOnTheWire();
    void retype_extendsTheSign_data();
    void retype_extendsTheSign();
    void retype_refusesWhatDoesNotFit();
};

void TestPayload::encode_matchesTheBytesOfTheSpecificationsFields()
{
    Payload payload;
    payload.timestamp = fromEpochMillis(1);
    payload.seq = 7;
    Metric metric = Metric::named(QStringLiteral("a"), DataType::Int8, qint64(-1));
    metric.alias = 2;
    payload.metrics.append(metric);
    // timestamp=1 | metrics{ name="a" alias=2 datatype=1 int_value=0xFFFFFFFF } | seq=7
    QCOMPARE(encode(payload).toHex(), QByteArray("0801"
                                                 "120d"
                                                 "0a0161"
                                                 "1002"
                                                 "2001"
                                                 "50ffffffff0f"
                                                 "1807"));
}

void TestPayload::decode_returnsWhatWasEncoded()
{
    RandomPayload random(20260115);
    for (int i = 0; i < 2'000; ++i) {
        const Payload payload = random.next();
        const auto decoded = decode(encode(payload));
        QVERIFY(decoded);
        QVERIFY2(*decoded == payload, qPrintable(QStringLiteral("payload %1").arg(i)));
    }
}

void TestPayload::decode_refusesEveryTruncation()
{
    Payload payload;
    payload.metrics.append(Metric::named(QStringLiteral("temperature"), DataType::Double, 21.5));
    const QByteArray bytes = encode(payload);
    for (qsizetype size = 1; size < bytes.size(); ++size) {
        const auto decoded = decode(QByteArrayView(bytes).first(size));
        QVERIFY(!decoded);
        QCOMPARE(decoded.error().code, Errc::Malformed);
    }
    QVERIFY(decode(QByteArray()));
}

void TestPayload::decode_refusesTooDeepTemplates()
{
    QVERIFY(decode(encode(nested(16))));
    QVERIFY(!decode(encode(nested(17))));
    QVERIFY(!decode(encode(nested(500))));
}

void TestPayload::decode_refusesDataSetsThatAreNoTable()
{
    Metric metric;
    metric.name = QStringLiteral("d");
    metric.type = DataType::DataSet;
    metric.dataSet =
        DataSet{{QStringLiteral("x"), QStringLiteral("y")}, {DataType::Int32, DataType::Int32}, {{Scalar(qint64(1))}}};
    Payload payload;
    payload.metrics.append(metric);
    QVERIFY(!decode(encode(payload)));
    payload.metrics[0].dataSet->rows = {{Scalar(qint64(1)), Scalar(qint64(2))}};
    QVERIFY(decode(encode(payload)));
    payload.metrics[0].dataSet->types.removeLast();
    QVERIFY(!decode(encode(payload)));
}

void TestPayload::decode_refusesPropertiesWithoutValues()
{
    // metrics{ properties{ keys="k" } }
    const auto decoded = decode(QByteArray::fromHex("12054a030a016b"));
    QVERIFY(!decoded);
    QCOMPARE(decoded.error().code, Errc::Malformed);
}

void TestPayload::decode_survivesRandomDamage()
{
    RandomPayload random(7);
    std::mt19937 dice(7);
    for (int i = 0; i < 3'000; ++i) {
        QByteArray bytes = encode(random.next());
        for (int hit = 0; hit < 3; ++hit)
            bytes[qsizetype(dice() % quint32(bytes.size()))] = char(dice());
        if (const auto decoded = decode(bytes))
            QVERIFY(decode(encode(*decoded)));
    }
}

void TestPayload::decode_leavesTypelessIntegersAsOnTheWire()
{
    Payload payload;
    Metric metric;
    metric.alias = 3;
    metric.value = qint64(-5);
    payload.metrics.append(metric);
    const auto decoded = decode(encode(payload));
    QVERIFY(decoded);
    const Scalar raw = decoded->metrics[0].value;
    QVERIFY(std::holds_alternative<quint64>(raw));
    const auto typed = retype(raw, DataType::Int64);
    QVERIFY(typed);
    QCOMPARE(std::get<qint64>(*typed), qint64(-5));
}

void TestPayload::retype_extendsTheSign_data()
{
    QTest::addColumn<quint64>("wire");
    QTest::addColumn<int>("type");
    QTest::addColumn<qint64>("value");
    QTest::newRow("int8, sign-extended") << quint64(0xFFFFFFFFu) << int(DataType::Int8) << qint64(-1);
    QTest::newRow("int8, cut") << quint64(0xFEu) << int(DataType::Int8) << qint64(-2);
    QTest::newRow("int8, positive") << quint64(127) << int(DataType::Int8) << qint64(127);
    QTest::newRow("int16") << quint64(0xFFFF8000u) << int(DataType::Int16) << qint64(-32768);
    QTest::newRow("int32") << quint64(0x80000000u) << int(DataType::Int32)
                           << qint64(std::numeric_limits<qint32>::min());
    QTest::newRow("int32 in 64 bits") << quint64(-7) << int(DataType::Int32) << qint64(-7);
    QTest::newRow("int64") << ~quint64(0) << int(DataType::Int64) << qint64(-1);
}

void TestPayload::retype_extendsTheSign()
{
    QFETCH(quint64, wire);
    QFETCH(int, type);
    QFETCH(qint64, value);
    const auto typed = retype(Scalar(wire), DataType(type));
    QVERIFY(typed);
    QCOMPARE(std::get<qint64>(*typed), value);
}

void TestPayload::retype_refusesWhatDoesNotFit()
{
    QVERIFY(!retype(Scalar(quint64(256)), DataType::UInt8));
    QVERIFY(!retype(Scalar(quint64(300)), DataType::Int8));
    QVERIFY(!retype(Scalar(qint64(-1)), DataType::UInt64));
    QVERIFY(!retype(Scalar(1e300), DataType::Float));
    QVERIFY(!retype(Scalar(quint64(2)), DataType::Boolean));
    QVERIFY(!retype(Scalar(QStringLiteral("x")), DataType::Double));
    QVERIFY(!retype(Scalar(true), DataType::String));
    QVERIFY(retype(Scalar(std::numeric_limits<double>::infinity()), DataType::Float));
}

QTEST_GUILESS_MAIN(TestPayload)
#include "tst_payload.moc"

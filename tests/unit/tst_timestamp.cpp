#include "domain/timestamp.h"

#include <QRandomGenerator>
#include <QtTest>

using namespace lintel;

class TestTimestamp : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void parse_readsRfc3339_data();
    void parse_readsRfc3339();
    void parse_refusesWhatIsNotATime_data();
    void parse_refusesWhatIsNotATime();
    void print_staysHonestOutsideOfFourDigitYears();
    void print_readsBackToTheSameMillisecond();
    void plausible_refusesAClockThatWasNeverSet();
};

void TestTimestamp::parse_readsRfc3339_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<qint64>("ms");
    QTest::newRow("epoch") << "1970-01-01T00:00:00Z" << qint64(0);
    QTest::newRow("milliseconds") << "1970-01-01T00:00:00.001Z" << qint64(1);
    QTest::newRow("before 1970") << "1969-12-31T23:59:59.999Z" << qint64(-1);
    QTest::newRow("one digit of fraction") << "1970-01-01T00:00:00.5Z" << qint64(500);
    QTest::newRow("more digits are cut") << "1970-01-01T00:00:00.123999999Z" << qint64(123);
    QTest::newRow("east") << "2026-11-21T10:41:00+01:00" << qint64(1795254060000);
    QTest::newRow("west, half hour") << "2026-11-21T06:11:00-03:30" << qint64(1795254060000);
    QTest::newRow("minus zero") << "2026-11-21T09:41:00-00:00" << qint64(1795254060000);
    QTest::newRow("lower case") << "2026-11-21t09:41:00z" << qint64(1795254060000);
    QTest::newRow("space") << "2026-11-21 09:41:00Z" << qint64(1795254060000);
    QTest::newRow("leap day") << "2024-02-29T00:00:00Z" << qint64(1709164800000);
    QTest::newRow("leap second") << "2016-12-31T23:59:60Z" << qint64(1483228800000);
    QTest::newRow("leap second elsewhere") << "2017-01-01T00:59:60.5+01:00" << qint64(1483228800500);
    QTest::newRow("first year") << "0000-01-01T00:00:00Z" << qint64(-62167219200000);
    QTest::newRow("last year") << "9999-12-31T23:59:59.999Z" << qint64(253402300799999);
}

void TestTimestamp::parse_readsRfc3339()
{
    QFETCH(QString, text);
    QFETCH(qint64, ms);
    const auto parsed = timestampFromIso8601(text);
    QVERIFY2(parsed, qPrintable(text));
    QCOMPARE(toEpochMillis(*parsed), ms);
}

void TestTimestamp::parse_refusesWhatIsNotATime_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<int>("code");
    const auto bad = [](const char *text, Errc code) { QTest::newRow(text) << QString::fromUtf8(text) << int(code); };
    bad("", Errc::Malformed);
    bad("now", Errc::Malformed);
    bad("2026-11-21", Errc::Malformed);
    bad("2026-11-21T09:41:00", Errc::Malformed);
    bad("2026-11-21T09:41:00 ", Errc::Malformed);
    bad("2026-11-21T09:41Z", Errc::Malformed);
    bad("2026-11-21T09:41:00.Z", Errc::Malformed);
    bad("2026-11-21T09:41:00,5Z", Errc::Malformed);
    bad("2026-11-21T09:41:00+01", Errc::Malformed);
    bad("2026-11-21T09:41:00+0100", Errc::Malformed);
    bad("2026-11-21T09:41:00ZZ", Errc::Malformed);
    bad("20261121T094100Z", Errc::Malformed);
    bad("+2026-11-21T09:41:00Z", Errc::Malformed);
    bad("12026-11-21T09:41:00Z", Errc::Malformed);
    bad("٢٠٢٦-11-21T09:41:00Z", Errc::Malformed);
    bad("2026-13-21T09:41:00Z", Errc::OutOfRange);
    bad("2026-00-21T09:41:00Z", Errc::OutOfRange);
    bad("2026-02-29T09:41:00Z", Errc::OutOfRange);
    bad("2026-11-21T24:00:00Z", Errc::OutOfRange);
    bad("2026-11-21T09:60:00Z", Errc::OutOfRange);
    bad("2026-11-21T09:41:60Z", Errc::OutOfRange);
    bad("2026-11-21T09:41:61Z", Errc::OutOfRange);
    bad("9999-12-31T23:59:60Z", Errc::OutOfRange);
    bad("9999-12-31T23:59:59-00:01", Errc::OutOfRange);
    bad("0000-01-01T00:00:00+00:01", Errc::OutOfRange);
    bad("2026-11-21T09:41:00+24:00", Errc::OutOfRange);
    bad("2026-11-21T09:41:00+01:60", Errc::OutOfRange);
}

void TestTimestamp::parse_refusesWhatIsNotATime()
{
    QFETCH(QString, text);
    QFETCH(int, code);
    const auto parsed = timestampFromIso8601(text);
    QVERIFY(!parsed);
    QCOMPARE(int(parsed.error().code), code);
    QVERIFY(!parsed.error().message.isEmpty());
}

void TestTimestamp::print_staysHonestOutsideOfFourDigitYears()
{
    QCOMPARE(toIso8601(fromEpochMillis(1795254060000)), QStringLiteral("2026-11-21T09:41:00.000Z"));
    for (const qint64 ms :
         {std::numeric_limits<qint64>::max(), std::numeric_limits<qint64>::min(), qint64(253402300800000)})
        QVERIFY(toIso8601(fromEpochMillis(ms)).contains(QString::number(ms)));
}

void TestTimestamp::print_readsBackToTheSameMillisecond()
{
    QRandomGenerator random(20261121);
    for (int i = 0; i < 5'000; ++i) {
        const qint64 ms = -62167219200000 + qint64(random.generate64() % quint64(253402300800000 + 62167219200000));
        const auto back = timestampFromIso8601(toIso8601(fromEpochMillis(ms)));
        QVERIFY2(back, qPrintable(toIso8601(fromEpochMillis(ms))));
        QCOMPARE(toEpochMillis(*back), ms);
    }
}

void TestTimestamp::plausible_refusesAClockThatWasNeverSet()
{
    QVERIFY(!isPlausible(fromEpochMillis(0)));
    QVERIFY(!isPlausible(*timestampFromIso8601(QStringLiteral("2019-12-31T23:59:59.999Z"))));
    QVERIFY(isPlausible(*timestampFromIso8601(QStringLiteral("2020-01-01T00:00:00Z"))));
}

QTEST_GUILESS_MAIN(TestTimestamp)
#include "tst_timestamp.moc"

#include "drivers/replay/csv_reader.h"
#include "drivers/replay/time_format.h"

#include <QBuffer>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

struct Outcome {
    QList<QStringList> records;
    QStringList problems;
};

Outcome readAll(const QByteArray &csv, char separator = ',')
{
    QBuffer buffer;
    buffer.setData(csv);
    buffer.open(QIODevice::ReadOnly);
    CsvReader reader(buffer, separator);
    Outcome outcome;
    while (!reader.atEnd()) {
        if (const auto record = reader.next())
            outcome.records.append(record->fields);
        else
            outcome.problems.append(u"%1: %2"_s.arg(reader.line()).arg(record.error().message));
    }
    return outcome;
}

} // namespace

class TestCsv : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void next_readsQuotesBreaksAndEmptyFields();
    void next_skipsByteOrderMarkAndEmptyLines();
    void next_goesOnAfterABrokenRecord();
    void next_goesOnAfterAnOpenQuote();
    void next_refusesWhatIsTooLong();
    void seek_continuesBehindARecord();
    void time_parses_data();
    void time_parses();
};

void TestCsv::next_readsQuotesBreaksAndEmptyFields()
{
    const Outcome outcome = readAll("a,\"b,\"\"x\"\"\",\r\n\"two\r\nlines\",,end\n,");
    QCOMPARE(outcome.problems, QStringList());
    QCOMPARE(outcome.records,
             (QList<QStringList>{{u"a"_s, u"b,\"x\""_s, u""_s}, {u"two\r\nlines"_s, u""_s, u"end"_s}, {u""_s, u""_s}}));
}

void TestCsv::next_skipsByteOrderMarkAndEmptyLines()
{
    const Outcome outcome = readAll("\xEF\xBB\xBF\r\na;b\n\n\nc;d\n", ';');
    QCOMPARE(outcome.records, (QList<QStringList>{{u"a"_s, u"b"_s}, {u"c"_s, u"d"_s}}));
}

void TestCsv::next_goesOnAfterABrokenRecord()
{
    const Outcome outcome = readAll("a,b\n\"x\"y,z\nc,d\n");
    QCOMPARE(outcome.records.size(), 2);
    QCOMPARE(outcome.problems, QStringList{u"2: text follows a closing quote in field 1"_s});
}

void TestCsv::next_goesOnAfterAnOpenQuote()
{
    const Outcome outcome = readAll("a,b\n\"x,y\nc,d\ne,f\n");
    QCOMPARE(outcome.problems, QStringList{u"2: a quote is opened and never closed"_s});
    QCOMPARE(outcome.records, (QList<QStringList>{{u"a"_s, u"b"_s}, {u"c"_s, u"d"_s}, {u"e"_s, u"f"_s}}));
}

void TestCsv::next_refusesWhatIsTooLong()
{
    const Outcome outcome = readAll("a,b\n" + QByteArray(200'000, 'x') + "\n" + QByteArray(2'000, ',') + "\nc,d\n");
    QCOMPARE(outcome.records.size(), 2);
    QCOMPARE(outcome.problems.size(), 2);
}

void TestCsv::seek_continuesBehindARecord()
{
    QBuffer buffer;
    buffer.setData("a,b\n1,2\n3,4\n");
    buffer.open(QIODevice::ReadOnly);
    CsvReader reader(buffer);
    QVERIFY(reader.next());
    QVERIFY(reader.next());
    const qint64 offset = reader.offset();
    const qint64 lines = reader.linesBefore();
    QVERIFY(reader.next());
    QVERIFY(reader.atEnd());
    QVERIFY(reader.seek(offset, lines));
    const auto again = reader.next();
    QVERIFY(again);
    QCOMPARE(again->fields, (QStringList{u"3"_s, u"4"_s}));
    QCOMPARE(again->line, 3);
}

void TestCsv::time_parses_data()
{
    QTest::addColumn<QString>("format");
    QTest::addColumn<QString>("zone");
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("expected"); // empty = refused
    QTest::newRow("utc") << u"yyyy-MM-dd HH:mm:ss"_s << u"UTC"_s << u"2015-02-02 14:19:59"_s
                         << u"2015-02-02T14:19:59.000Z"_s;
    QTest::newRow("offset") << u"yyyy-MM-dd HH:mm:ss"_s << u"+01:00"_s << u"2015-02-02 14:19:59"_s
                            << u"2015-02-02T13:19:59.000Z"_s;
    QTest::newRow("zone in summer") << u"yyyy-MM-dd HH:mm"_s << u"Europe/Brussels"_s << u"2015-07-02 14:19"_s
                                    << u"2015-07-02T12:19:00.000Z"_s;
    QTest::newRow("short numbers") << u"M/d/yyyy H:mm"_s << u"America/Los_Angeles"_s << u"3/11/2017 0:01"_s
                                   << u"2017-03-11T08:01:00.000Z"_s;
    QTest::newRow("epoch") << u"epoch_s"_s << u"UTC"_s << u"1422886799"_s << u"2015-02-02T14:19:59.000Z"_s;
    QTest::newRow("milliseconds") << u"yyyy-MM-ddTHH:mm:ss.zzzZ"_s << u"UTC"_s << u"2015-02-02T14:19:59.250Z"_s
                                  << u"2015-02-02T14:19:59.250Z"_s;
    QTest::newRow("no such day") << u"yyyy-MM-dd"_s << u"UTC"_s << u"2015-02-30"_s << QString();
    QTest::newRow("left out by daylight saving")
        << u"yyyy-MM-dd HH:mm"_s << u"Europe/Brussels"_s << u"2015-03-29 02:30"_s << QString();
    QTest::newRow("more behind it") << u"yyyy-MM-dd"_s << u"UTC"_s << u"2015-02-03x"_s << QString();
    QTest::newRow("words") << u"yyyy-MM-dd"_s << u"UTC"_s << u"yesterday"_s << QString();
}

void TestCsv::time_parses()
{
    QFETCH(QString, format);
    QFETCH(QString, zone);
    QFETCH(QString, text);
    QFETCH(QString, expected);
    const auto made = TimeFormat::make(format, zone);
    QVERIFY2(made, made ? "" : qPrintable(made.error().message));
    const auto time = made->parse(text);
    QCOMPARE(time ? toIso8601(*time) : QString(), expected);
}

QTEST_GUILESS_MAIN(TestCsv)
#include "tst_csv.moc"

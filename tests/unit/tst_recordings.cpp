#include "demo/csv_sample.h"
#include "demo/demo_plan.h"
#include "demo/recordings.h"

#include <QBuffer>
#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

class TestRecordings : public QObject
{
    Q_OBJECT

    QTemporaryDir m_dir;

    QString write(const QString &name, const QByteArray &text)
    {
        QFile file(m_dir.filePath(name));
        if (!file.open(QIODevice::WriteOnly) || file.write(text) != text.size())
            qFatal("the test cannot write");
        return file.fileName();
    }

private Q_SLOTS:
    void init()
    {
        m_dir.remove();
        m_dir = QTemporaryDir();
    }

    void known_takesItsShippedMap()
    {
        const auto recording = demo::recordingOf(write(
            u"a.txt"_s,
            "\"date\",\"Temperature\",\"Humidity\",\"Light\",\"CO2\",\"HumidityRatio\",\"Occupancy\"\n\"1\",\"x\"\n"));
        QVERIFY(recording);
        QCOMPARE(recording->columnMap, u"replay-uci"_s);
        QVERIFY(recording->mapText.isEmpty());
    }

    void genome_takesEveryBuildingInKilowattHours()
    {
        const auto recording = demo::recordingOf(write(u"b.csv"_s, "timestamp,Fox_office_Israel,Rat_office_Jill\n"
                                                                   "2016-01-01 00:00:00,111.08,NaN\n"
                                                                   "2016-01-01 01:00:00,111.15,NaN\n"
                                                                   "2016-01-01 02:00:00,111.3,335.69\n"));
        QVERIFY2(recording, recording ? "" : qPrintable(recording.error().message));
        QCOMPARE(recording->points, 2);
        QVERIFY(recording->rowInterval == 1h);
        QVERIFY(recording->mapText.contains(
            u"column: \"Rat_office_Jill\", id: rat_office_jill, name: \"Rat office Jill\", unit: kilowatt_hour"_s));
    }

    void shape_findsTimes_data()
    {
        QTest::addColumn<QByteArray>("text");
        QTest::addColumn<QString>("format");
        QTest::addColumn<int>("seconds");
        QTest::addRow("ISO") << "t,v\n2020-01-01T00:00:00,1\n2020-01-01T00:00:10,2\n"_ba << u"yyyy-MM-ddTHH:mm:ss"_s
                             << 10;
        QTest::addRow("ISO, UTC") << "t,v\n2020-01-01T00:00:00Z,1\n2020-01-01T00:00:10Z,2\n"_ba
                                  << u"yyyy-MM-ddTHH:mm:ssZ"_s << 10;
        QTest::addRow("day first, where months end")
            << "v;t\n1;13/12/2020 0:00\n2;13/12/2020 0:15\n"_ba << u"d/M/yyyy H:mm"_s << 900;
        QTest::addRow("month first, where nothing decides")
            << "t\tv\n1/2/2020 0:00\t1\n1/2/2020 0:15\t2\n"_ba << u"M/d/yyyy H:mm"_s << 900;
        QTest::addRow("dots") << "t;v\n13.2.2020 0:00;1\n13.2.2020 0:15;2\n"_ba << u"d.M.yyyy H:mm"_s << 900;
        QTest::addRow("seconds") << "time,v\n1600000000,1\n1600000060,2\n"_ba << u"epoch_s"_s << 60;
        QTest::addRow("milliseconds") << "timestamp,v\n1600000000000,1\n1600000060000,2\n"_ba << u"epoch_ms"_s << 60;
        QTest::addRow("an id without a header")
            << "t,v\n1,2020-01-01 00:00,5\n2,2020-01-01 01:00,6\n"_ba << u"yyyy-MM-dd HH:mm"_s << 3'600;
    }
    void shape_findsTimes()
    {
        QFETCH(QByteArray, text);
        QFETCH(QString, format);
        QFETCH(int, seconds);
        QBuffer buffer(&text);
        QVERIFY(buffer.open(QIODevice::ReadOnly));
        const auto shape = demo::shapeOf(buffer);
        QVERIFY2(shape, shape ? "" : qPrintable(shape.error().message));
        QCOMPARE(shape->timeFormat, format);
        QCOMPARE(shape->rowInterval.count(), seconds * 1'000);
        QCOMPARE(shape->numberColumns.size(), 1);
        QCOMPARE(shape->header.value(shape->numberColumns.first()), u"v"_s);
    }

    void map_namesUnitsAndKeepsIdsApart()
    {
        const auto recording = demo::recordingOf(write(u"c.csv"_s, "when,Power (kW),Power [kW],\"a,\"\"b\",note\n"
                                                                   "2020-01-01 00:00:00,1,2,3,fine\n"));
        QVERIFY2(recording, recording ? "" : qPrintable(recording.error().message));
        QCOMPARE(recording->points, 3);
        QVERIFY(recording->mapText.contains(u"id: power, name: \"Power\", unit: kilowatt,"_s));
        QVERIFY(recording->mapText.contains(u"id: power_2, name: \"Power\", unit: kilowatt,"_s));
        QVERIFY(recording->mapText.contains(u"column: \"a,\\\"b\", id: a_b"_s));
    }

    void file_saysWhyItCannotBePlayed_data()
    {
        QTest::addColumn<QByteArray>("text");
        QTest::addColumn<QString>("why");
        QTest::addRow("empty") << ""_ba << u"header"_s;
        QTest::addRow("no rows") << "t,v\n"_ba << u"row"_s;
        QTest::addRow("no times") << "a,b\nx,1\n"_ba << u"time"_s;
        QTest::addRow("times with holes") << "t,v\n2020-01-01 00:00,1\n,2\n"_ba << u"time"_s;
        QTest::addRow("a time twice in turn") << "t,v\n2020-01-01 00:00,1\n2020-01-01 00:01,2\n2020-01-01 00:01,3\n"_ba
                                              << u"its times repeat (row 3: \"2020-01-01 00:01\" again)"_s;
        QTest::addRow("a time again later")
            << "id,t,v\n1,2020-01-01 00:00,1\n2,2020-01-01 00:01,2\n3,2020-01-01 00:00,3\n"_ba
            << u"its times repeat (row 3: \"2020-01-01 00:00\" again)"_s;
        QTest::addRow("no numbers") << "t,v\n2020-01-01 00:00,x\n"_ba << u"numbers"_s;
        QTest::addRow("no text at all") << QByteArray(5'000, '\0') << u"row"_s;
    }
    void file_saysWhyItCannotBePlayed()
    {
        QFETCH(QByteArray, text);
        QFETCH(QString, why);
        const auto recording = demo::recordingOf(write(u"d.csv"_s, text));
        QVERIFY(!recording);
        QVERIFY2(recording.error().message.contains(why), qPrintable(recording.error().message));
    }

    void plan_saysWhatIsNotPlayedAndWhy()
    {
        for (const QString &name : {u"1.csv"_s, u"2.csv"_s, u"3.csv"_s})
            write(name, "t,v\n2020-01-01 00:00,1\n2020-01-01 00:01,1\n");
        write(u"about.txt"_s, "What this is.\nA text.\n");
        demo::DemoOptions options;
        options.sensors = 2;
        options.replayDir = m_dir.path();
        const auto plan = demo::makePlan(options, u"/nowhere"_s);
        QVERIFY2(plan, plan ? "" : qPrintable(plan.error().message));
        QCOMPARE(plan->sensors.size(), 2);
        QCOMPARE(plan->sensors.last().name, u"replay-002"_s);
        QVERIFY(!plan->sensors.last().mapText.isEmpty());
        QCOMPARE(plan->notes.size(), 2);
        QVERIFY(plan->notes.first().contains(u"1.csv (numbers in 1 of its columns"_s));
        QVERIFY(plan->notes.last().contains(u"3.csv, because"_s));
        QVERIFY(plan->notes.last().contains(u"--sensors 3"_s));
        QVERIFY(plan->notes.last().contains(u"about.txt, because it has no column"_s));

        options.sensors = 3;
        QVERIFY(!demo::makePlan(options, u"/nowhere"_s)->notes.last().contains(u"--sensors"_s));
    }

    void plan_refusesAFolderWithoutRecordings()
    {
        write(u"about.txt"_s, "What this is.\nA text.\n");
        demo::DemoOptions options;
        options.replayDir = m_dir.path();
        const auto plan = demo::makePlan(options, u"/nowhere"_s);
        QVERIFY(!plan);
        QVERIFY(plan.error().message.contains(u"about.txt"_s));
    }
};

QTEST_GUILESS_MAIN(TestRecordings)
#include "tst_recordings.moc"

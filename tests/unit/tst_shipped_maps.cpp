// The column maps that ship, on rows as their recordings write them: leading zeros or none, and the hour
// that summer time leaves out. Where the recordings themselves are at hand, every row of theirs is played.
#include "adapters/yaml/config_reader.h"
#include "drivers/replay/replay_driver.h"
#include "fakes/fake_clock.h"
#include "fakes/memory_state_store.h"

#include <QDir>
#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

/// One row of the recording; the cells of its points hold `1`.
QByteArray recordingOf(const ColumnMap &map, const QString &time)
{
    QStringList header{map.timeColumn};
    QStringList row{time};
    if (map.hasUnnamedRowId)
        row.prepend(u"7"_s);
    for (const ColumnMap::Column &column : map.columns) {
        header << column.header;
        row << u"1"_s;
    }
    return (header.join(QLatin1Char(map.separator)) + u'\n' + row.join(QLatin1Char(map.separator)) + u'\n').toUtf8();
}

} // namespace

class TestShippedMaps : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    FakeClock m_clock;
    QString m_trouble;

    static ReplayConfig configOf(const QString &map)
    {
        ReplayConfig config;
        config.pace = ReplayConfig::Pace::AsAcknowledged;
        const auto document =
            config::readConfigFile(QStringLiteral(LINTEL_SOURCE_DIR "/resources/config/") + map + u".yaml"_s);
        if (!document)
            return config;
        config::Problems problems;
        config::Section root(*document, problems);
        config.map = readColumnMap(root, {u"site"_s, {}, {}});
        return config;
    }

    /// The times of all rows; what was left out says why in m_trouble.
    QList<Timestamp> play(const ReplayConfig &config)
    {
        m_trouble.clear();
        MemoryStateStore state;
        ReplayDriver driver(config, m_clock, state);
        connect(&driver, &SensorDriver::trouble, this, [this](const Error &what) { m_trouble = what.message; });
        QList<Timestamp> times;
        const auto opened = driver.open();
        const auto ready = opened ? driver.resume(QUuid::createUuid(), 0) : opened;
        if (!ready) {
            m_trouble = ready.error().message;
            return times;
        }
        while (driver.untilNext()) {
            const auto rows = driver.take(1'000);
            if (!rows) {
                m_trouble = rows.error().message;
                break;
            }
            for (const RecordedRow &row : *rows)
                times.append(row.first().deviceTime);
        }
        return times;
    }

private Q_SLOTS:
    void map_playsEveryFormOfItsTimes_data()
    {
        QTest::addColumn<QString>("map");
        QTest::addColumn<QString>("time");
        QTest::addColumn<QString>("expected");
        const auto row = [](const char *what, const QString &map, const QString &time, const QString &expected) {
            QTest::addRow("%s: %s", qPrintable(map), what) << map << time << expected;
        };
        const QString nrel = u"replay-nrel-rsf"_s;
        row("padded", nrel, u"01/02/2011 01:00"_s, u"2011-01-02T08:00:00.000Z"_s);
        row("unpadded", nrel, u"3/4/2011 0:00"_s, u"2011-03-04T07:00:00.000Z"_s);
        row("summer time begins", nrel, u"3/13/2011 2:00"_s, u"2011-03-13T09:00:00.000Z"_s);
        row("summer", nrel, u"07/01/2011 14:00"_s, u"2011-07-01T21:00:00.000Z"_s);
        const QString lbnl = u"replay-lbnl-szcav"_s;
        row("padded", lbnl, u"03/11/2017 00:01"_s, u"2017-03-11T08:01:00.000Z"_s);
        row("unpadded", lbnl, u"3/11/2017 0:01"_s, u"2017-03-11T08:01:00.000Z"_s);
        row("summer time begins", lbnl, u"3/12/2017 2:30"_s, u"2017-03-12T10:30:00.000Z"_s);
        row("summer", lbnl, u"3/25/2017 12:00"_s, u"2017-03-25T20:00:00.000Z"_s);
        const QString bdg2 = u"replay-bdg2"_s;
        row("padded", bdg2, u"2016-01-02 01:00:00"_s, u"2016-01-02T08:00:00.000Z"_s);
        row("summer time begins", bdg2, u"2016-03-13 02:00:00"_s, u"2016-03-13T09:00:00.000Z"_s);
        row("summer", bdg2, u"2017-07-01 14:00:00"_s, u"2017-07-01T21:00:00.000Z"_s);
        // Two weeks of February: summer time never begins.
        row("padded", u"replay-uci"_s, u"2015-02-04 09:43:00"_s, u"2015-02-04T08:43:00.000Z"_s);
    }
    void map_playsEveryFormOfItsTimes()
    {
        QFETCH(QString, map);
        QFETCH(QString, time);
        QFETCH(QString, expected);
        ReplayConfig config = configOf(map);
        QVERIFY(!config.map.columns.isEmpty());
        config.file = m_folder.filePath(u"recording.csv"_s);
        QFile file(config.file);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(recordingOf(config.map, time));
        file.close();
        const QList<Timestamp> times = play(config);
        QVERIFY2(times.size() == 1, qPrintable(m_trouble));
        QCOMPARE(toIso8601(times.first()), expected);
    }

    void maps_areAllTested()
    {
        const QDir folder(QStringLiteral(LINTEL_SOURCE_DIR "/resources/config"));
        QCOMPARE(folder.entryList({u"replay-*.yaml"_s}, QDir::Files, QDir::Name),
                 (QStringList{u"replay-bdg2.yaml"_s, u"replay-lbnl-szcav.yaml"_s, u"replay-nrel-rsf.yaml"_s,
                              u"replay-uci.yaml"_s}));
    }

    void map_playsEveryRowOfItsRecording_data()
    {
        QTest::addColumn<QString>("map");
        QTest::addColumn<QString>("recording");
        QTest::addColumn<int>("rows");
        QTest::newRow("NREL") << u"replay-nrel-rsf"_s << u"nrel-rsf-2011/rsfmeasureddata2011.csv"_s << 8'759;
        QTest::newRow("LBNL") << u"replay-lbnl-szcav"_s << u"lbnl-ahu-fdd/SZCAV.csv"_s << 21'600;
        QTest::newRow("UCI") << u"replay-uci"_s << u"uci-occupancy/datatraining.txt"_s << 8'143;
        // One row of 17,544 has no value of this building.
        QTest::newRow("BDG2") << u"replay-bdg2"_s << u"bdg2-sample/bgd_Office_100001_200000.csv"_s << 17'543;
    }
    void map_playsEveryRowOfItsRecording()
    {
        QFETCH(QString, map);
        QFETCH(QString, recording);
        QFETCH(int, rows);
        QString data = qEnvironmentVariable("LINTEL_SHARED_DATA");
        if (data.isEmpty())
            data = QStringLiteral(LINTEL_SOURCE_DIR "/../shared/data");
        ReplayConfig config = configOf(map);
        config.file = data + u'/' + recording;
        if (!QFile::exists(config.file))
            QSKIP("The recording is not here; name the folder of recordings in LINTEL_SHARED_DATA.");
        const QList<Timestamp> times = play(config);
        QVERIFY2(m_trouble.isEmpty(), qPrintable(m_trouble));
        QCOMPARE(times.size(), rows);
        for (qsizetype i = 1; i < times.size(); ++i)
            QVERIFY2(times[i - 1] < times[i], qPrintable(toIso8601(times[i])));
    }
};

QTEST_GUILESS_MAIN(TestShippedMaps)
#include "tst_shipped_maps.moc"

#include "adapters/sqlite/sqlite_spool.h"
#include "drivers/replay/replay_driver.h"
#include "fakes/fake_clock.h"
#include "fakes/memory_spool.h"
#include "fakes/memory_state_store.h"
#include "sensor/playback.h"

#include <QRandomGenerator>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

ColumnMap uciMap()
{
    ColumnMap map;
    map.hasUnnamedRowId = true;
    map.timeColumn = u"date"_s;
    map.timeZone = u"Europe/Brussels"_s;
    map.missing = {u"NaN"_s};
    Point temp;
    temp.id = u"temp"_s;
    temp.unit = Unit::Celsius;
    Point occupied;
    occupied.id = u"occupied"_s;
    occupied.kind = Kind::Bool;
    map.columns = {{u"Temperature"_s, temp, 1, 0}, {u"Occupancy"_s, occupied, 1, 0}};
    return map;
}

QByteArray rowText(int number, const QByteArray &temp = "20.5")
{
    const QByteArray minute = QByteArray::number(number % 60).rightJustified(2, '0');
    const QByteArray hour = QByteArray::number(number / 60 % 24).rightJustified(2, '0');
    return "\"" + QByteArray::number(number) + "\",\"2015-02-02 " + hour + ':' + minute + ":00\"," + temp + ",1\n";
}

} // namespace

class TestDriverReplay : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init();
    void open_refusesAMissingColumn();
    void take_readsRowsWithTheirRecordedTime();
    void take_skipsBrokenRowsAndSaysWhere();
    void take_skipsWhatTheScaleMakesInfinite();
    void take_refusesBrokenRowsWhenAsked();
    void take_leavesMissingValuesOut();
    void pace_waitsBetweenRows_data();
    void pace_waitsBetweenRows();
    void pace_asAcknowledgedKeepsTheWindow();
    void position_survivesAKillAnywhere();
    void position_isNotMovedByNoticesOfLoss();
    void playback_takesNothingWhileTheSpoolRefuses();

private:
    void write(const QByteArray &text);
    [[nodiscard]] ReplayConfig config(ReplayConfig::Pace pace = ReplayConfig::Pace::AsAcknowledged) const;

    std::unique_ptr<QTemporaryDir> m_folder;
    FakeClock m_clock;
    const QByteArray m_header = "\"date\",\"Temperature\",\"Occupancy\"\n";
};

void TestDriverReplay::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
}

void TestDriverReplay::write(const QByteArray &text)
{
    QFile file(m_folder->filePath(u"data.csv"_s));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(text);
}

ReplayConfig TestDriverReplay::config(ReplayConfig::Pace pace) const
{
    ReplayConfig config;
    config.file = m_folder->filePath(u"data.csv"_s);
    config.map = uciMap();
    config.pace = pace;
    return config;
}

void TestDriverReplay::open_refusesAMissingColumn()
{
    write("\"date\",\"Temperature\"\n");
    MemoryStateStore state;
    ReplayDriver driver(config(), m_clock, state);
    const auto opened = driver.open();
    QVERIFY(!opened);
    QVERIFY(opened.error().message.contains(u"no column \"Occupancy\""_s));
}

void TestDriverReplay::take_readsRowsWithTheirRecordedTime()
{
    write(m_header + rowText(0) + rowText(1, "21"));
    MemoryStateStore state;
    ReplayDriver driver(config(), m_clock, state);
    QVERIFY(driver.open());
    QVERIFY(driver.resume(QUuid::createUuid(), 0));
    const auto rows = driver.take(10);
    QVERIFY(rows);
    QCOMPARE(rows->size(), 2);
    QCOMPARE(toIso8601(rows->at(0).at(0).deviceTime), u"2015-02-01T23:00:00.000Z"_s);
    QCOMPARE(rows->at(1).at(0).value, Value{21.0});
    QCOMPARE(rows->at(1).at(1).value, Value{true});
    QVERIFY(!driver.untilNext());
}

void TestDriverReplay::take_skipsBrokenRowsAndSaysWhere()
{
    write(m_header + rowText(0) + rowText(1, "warm") + "only,two\n" + rowText(2) + "\"4\",\"yesterday\",1,1\n"
          + rowText(3));
    MemoryStateStore state;
    ReplayDriver driver(config(), m_clock, state);
    QSignalSpy trouble(&driver, &SensorDriver::trouble);
    QVERIFY(driver.open());
    QVERIFY(driver.resume(QUuid::createUuid(), 0));
    const auto rows = driver.take(10);
    QVERIFY(rows);
    QCOMPARE(rows->size(), 3);
    QCOMPARE(trouble.count(), 3);
    QVERIFY(trouble[0][0].value<Error>().message.contains(
        u"data.csv:3: column \"Temperature\": \"warm\" is not a number"_s));
    QVERIFY(trouble[1][0].value<Error>().message.contains(u"data.csv:4: expected 4 fields, found 2"_s));
    QVERIFY(trouble[2][0].value<Error>().message.contains(u"data.csv:6:"_s));
    QCOMPARE(driver.brokenRows(), 3u);
}

void TestDriverReplay::take_skipsWhatTheScaleMakesInfinite()
{
    write(m_header + rowText(0, "1e308") + rowText(1));
    ReplayConfig scaled = config();
    scaled.map.columns.first().scale = 2;
    MemoryStateStore state;
    ReplayDriver driver(scaled, m_clock, state);
    QVERIFY(driver.open());
    QVERIFY(driver.resume(QUuid::createUuid(), 0));
    QCOMPARE(driver.take(10)->size(), 1);
    QCOMPARE(driver.brokenRows(), 1u);
}

void TestDriverReplay::take_refusesBrokenRowsWhenAsked()
{
    write(m_header + rowText(0) + rowText(1, "warm") + rowText(2));
    ReplayConfig strict = config();
    strict.brokenRow = ReplayConfig::BrokenRow::Refuse;
    MemoryStateStore state;
    ReplayDriver driver(strict, m_clock, state);
    QVERIFY(driver.open());
    QVERIFY(driver.resume(QUuid::createUuid(), 0));
    const auto rows = driver.take(10);
    QVERIFY(rows);
    QCOMPARE(rows->size(), 1);
    const auto refused = driver.take(10);
    QVERIFY(!refused);
    QVERIFY(refused.error().message.contains(u"the replay ends here"_s));
}

void TestDriverReplay::take_leavesMissingValuesOut()
{
    write(m_header + rowText(0, "NaN") + rowText(1, ""));
    MemoryStateStore state;
    ReplayDriver driver(config(), m_clock, state);
    QVERIFY(driver.open());
    QVERIFY(driver.resume(QUuid::createUuid(), 0));
    const auto rows = driver.take(10);
    QVERIFY(rows);
    QCOMPARE(rows->size(), 2);
    QCOMPARE(rows->at(0).size(), 1);
    QCOMPARE(rows->at(0).at(0).point, u"occupied"_s);
}

void TestDriverReplay::pace_waitsBetweenRows_data()
{
    QTest::addColumn<ReplayConfig::Pace>("pace");
    QTest::addColumn<std::chrono::seconds>("apart"); // rows recorded a minute apart
    QTest::newRow("real time") << ReplayConfig::Pace::RealTime << 60s;
    QTest::newRow("twice as fast") << ReplayConfig::Pace::Accelerated << 30s;
}

void TestDriverReplay::pace_waitsBetweenRows()
{
    QFETCH(ReplayConfig::Pace, pace);
    QFETCH(std::chrono::seconds, apart);
    write(m_header + rowText(0) + rowText(1) + rowText(2));
    MemoryStateStore state;
    ReplayConfig paced = config(pace);
    paced.speed = 2; // of Accelerated alone
    ReplayDriver driver(paced, m_clock, state);
    QVERIFY(driver.open());
    QVERIFY(driver.resume(QUuid::createUuid(), 0));
    for (int row = 0; row < 2; ++row) {
        QCOMPARE(driver.take(10)->size(), 1);
        QCOMPARE(*driver.untilNext(), Millis{apart});
        m_clock.advance(apart - 1s);
        QCOMPARE(driver.take(10)->size(), 0);
        m_clock.advance(1s);
    }
    QCOMPARE(driver.take(10)->size(), 1);
    QVERIFY(!driver.untilNext());
}

void TestDriverReplay::pace_asAcknowledgedKeepsTheWindow()
{
    QByteArray text = m_header;
    for (int i = 0; i < 1000; ++i)
        text += rowText(i);
    write(text);
    ReplayConfig narrow = config();
    narrow.window = 100;
    MemoryStateStore state;
    ReplayDriver driver(narrow, m_clock, state);
    QVERIFY(driver.open());
    MemorySpool spool;
    SpoolWriter writer(u"s1"_s, 600, m_clock, spool);
    Playback playback(driver, m_clock, spool, writer);
    QSignalSpy finished(&playback, &Playback::finished);
    QVERIFY(playback.start());
    playback.tick();
    QCOMPARE(spool.status().pendingBatches, 100u);
    while (finished.isEmpty()) {
        QVERIFY(spool.acknowledge(spool.status().head));
        playback.tick();
        QVERIFY(spool.status().pendingBatches <= 100);
    }
    QCOMPARE(spool.status().head, 1000u);
    QCOMPARE(playback.state(), Playback::State::Finished);
}

/// A spool that cannot read a batch back, or hears that it lost some, numbers a notice of its own.
void TestDriverReplay::position_isNotMovedByNoticesOfLoss()
{
    QByteArray text = m_header;
    for (int i = 0; i < 20; ++i)
        text += i % 3 == 1 ? rowText(i, "NaN") : rowText(i, QByteArray::number(i)); // one or two readings
    write(text);
    QTemporaryDir folder;
    const auto opened = SqliteSpool::open({folder.filePath(u"spool.db"_s), u"s1"_s, {}, {}}, m_clock);
    QVERIFY(opened);
    ReadingSpool &spool = **opened;
    MemoryStateStore state;
    QList<Timestamp> seen;
    for (int life = 0; life < 20; ++life) {
        ReplayDriver driver(config(), m_clock, state);
        QVERIFY(driver.open());
        QVERIFY(driver.resume(spool.status().stream, spool.status().totalReadings));
        const auto rows = driver.take(1);
        QVERIFY(rows);
        QCOMPARE(rows->size(), 1);
        seen.append(rows->first().first().deviceTime);
        const IncomingBatch row{{u"s1"_s, rows->first(), {}}, std::nullopt};
        QVERIFY(spool.append({&row, 1}));
        const Loss lost{u"s1"_s, spool.status().stream, 1, 1, 0, {}, {}, LossReason::Unreadable};
        const IncomingBatch notice{{u"s1"_s, {}, {lost}}, std::nullopt};
        QVERIFY(spool.append({&notice, 1}));
        // Killed: the position was last saved at the very start.
    }
    for (qsizetype i = 1; i < seen.size(); ++i)
        QCOMPARE(seen[i] - seen[i - 1], Millis{1min});
}

/// The process is killed at random moments: after rows were taken, after they were stored, after
/// the position was saved. Every row must be in the spool once.
void TestDriverReplay::position_survivesAKillAnywhere()
{
    constexpr int rowCount = 3000;
    QByteArray text = m_header;
    for (int i = 0; i < rowCount; ++i)
        text += i % 97 == 13 ? rowText(i, "broken") : rowText(i, QByteArray::number(i));
    write(text);
    MemoryStateStore state;
    MemorySpool spool({1LL << 30, 1'000'000});
    QRandomGenerator random(7);
    QList<double> seen;
    bool isOver = false;
    for (int life = 0; life < 200 && !isOver; ++life) {
        ReplayDriver driver(config(), m_clock, state);
        QVERIFY(driver.open());
        QVERIFY(driver.resume(spool.status().stream, spool.status().totalReadings));
        for (int groups = int(random.bounded(40)); groups >= 0 && !isOver; --groups) {
            const auto rows = driver.take(1 + int(random.bounded(64)));
            QVERIFY(rows);
            if (random.bounded(10) == 0)
                break; // killed between reading and storing
            std::vector<IncomingBatch> group;
            for (const RecordedRow &row : *rows)
                group.push_back({{u"s1"_s, row, {}}, std::nullopt});
            QVERIFY(spool.append(group));
            for (const RecordedRow &row : *rows)
                seen.append(std::get<double>(row.front().value));
            if (random.bounded(10) == 0)
                break; // killed between storing and saving the position
            QVERIFY(driver.accepted(spool.status().totalReadings));
            isOver = !driver.untilNext().has_value();
        }
    }
    QVERIFY(isOver);
    QList<double> expected;
    for (int i = 0; i < rowCount; ++i) {
        if (i % 97 != 13)
            expected.append(i);
    }
    QCOMPARE(seen, expected);
}

void TestDriverReplay::playback_takesNothingWhileTheSpoolRefuses()
{
    write(m_header + rowText(0) + rowText(1) + rowText(2));
    MemoryStateStore state;
    ReplayDriver driver(config(), m_clock, state);
    QVERIFY(driver.open());
    MemorySpool spool;
    SpoolWriter writer(u"s1"_s, 600, m_clock, spool);
    Playback playback(driver, m_clock, spool, writer);
    QVERIFY(playback.start());
    spool.failWith(Error{Errc::Full, u"full"_s});
    for (int i = 0; i < 100; ++i) {
        playback.tick();
        m_clock.advance(1s);
    }
    QCOMPARE(spool.status().head, 0u);
    QCOMPARE(writer.counts().lost, 0u);
    spool.failWith({});
    playback.tick();
    QCOMPARE(spool.status().head, 3u);
    QCOMPARE(playback.state(), Playback::State::Finished);
}

QTEST_GUILESS_MAIN(TestDriverReplay)
#include "tst_driver_replay.moc"

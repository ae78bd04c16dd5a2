#include "fakes/fake_clock.h"
#include "historian/historian.h"

#include <QElapsedTimer>
#include <QFileInfo>
#include <QSqlDatabase>
#include <QSqlQuery>
#include <QTemporaryDir>
#include <QTest>

#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

using namespace lintel;
using namespace lintel::historian;
using namespace std::chrono_literals;
using sparkplug::HostBatch;
using sparkplug::NodeId;
using sparkplug::Participant;

namespace {

const NodeId kGateway{QStringLiteral("building-1"), QStringLiteral("gateway")};
const QString kHvac = QStringLiteral("hvac-001");
const QString kAir = QStringLiteral("air_temp");
const DeviceKey kHvacKey{QStringLiteral("building-1"), QStringLiteral("hvac-001")};
const Timestamp kStart = fromEpochMillis(1'760'000'040'000); // a whole minute

Reading reading(const QString &point, Value value, Timestamp at)
{
    return {point, std::move(value), Unit::Celsius, at, Quality::Good, false};
}

HostBatch batch(const StreamId &stream, Msn msn, QList<Reading> readings, QList<Loss> losses = {})
{
    return {kGateway, kHvac, ReadingBatch{kHvac, std::move(readings), std::move(losses)}, Receipt{stream, msn}, false};
}

HostBatch numbered(const StreamId &stream, Msn msn)
{
    return batch(stream, msn, {reading(kAir, double(msn), kStart + 1s * int(msn))});
}

} // namespace

class tst_Historian : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    FakeClock m_clock;
    QString m_path;
    std::unique_ptr<Historian> m_historian;
    int m_made = 0;

    void reopen()
    {
        m_historian.reset();
        auto opened = Historian::open({m_path}, m_clock);
        QVERIFY2(opened, opened ? "" : qPrintable(opened.error().message));
        m_historian = *std::move(opened);
    }
    Ingested ingest(const std::vector<HostBatch> &batches)
    {
        const auto done = m_historian->ingest(batches);
        if (!done)
            qFatal("%s", qPrintable(done.error().message));
        return *done;
    }
    QList<HistoryRow> all(const QString &point = kAir)
    {
        const auto rows = m_historian->history(kHvacKey, point, {}, kStart + 24h * 365, 1'000'000);
        return rows ? *rows : QList<HistoryRow>{};
    }

private Q_SLOTS:
    void init()
    {
        m_clock.setNow(kStart + 1h);
        m_path = m_folder.filePath(QStringLiteral("historian-%1.db").arg(++m_made));
        reopen();
    }
    void cleanup() { m_historian.reset(); }

    void ingest_storesEachBatchOnce()
    {
        const StreamId stream = QUuid::createUuid();
        Ingested done = ingest({numbered(stream, 1), numbered(stream, 2), numbered(stream, 2)});
        QCOMPARE(done.batches, quint64(2));
        QCOMPARE(done.rows, quint64(2));
        QCOMPARE(done.duplicates, quint64(1));
        QCOMPARE(done.watermarks.size(), 1);
        QCOMPARE(done.watermarks[0].contiguous, Msn(2));
        QCOMPARE(done.watermarks[0].node, kGateway);
        done = ingest({numbered(stream, 1), numbered(stream, 2)});
        QCOMPARE(done.rows, quint64(0));
        QCOMPARE(done.duplicates, quint64(2));
        QCOMPARE(done.watermarks[0].contiguous, Msn(2)); // said again, because the ack may have been lost
        QCOMPARE(all().size(), 2);
        QCOMPARE(m_historian->counters()->duplicatesRefused, quint64(3));
        QCOMPARE(m_historian->countExactly()->duplicateRows, std::optional(quint64(0)));
    }

    void ingest_remembersAcrossARestart()
    {
        const StreamId stream = QUuid::createUuid();
        (void)ingest({numbered(stream, 1), numbered(stream, 3)});
        reopen();
        QCOMPARE(m_historian->contiguousReceipt(stream), Msn(1));
        const Ingested done = ingest({numbered(stream, 1), numbered(stream, 2), numbered(stream, 3)});
        QCOMPARE(done.duplicates, quint64(2));
        QCOMPARE(done.watermarks[0].contiguous, Msn(3));
        QCOMPARE(all().size(), 3);
    }

    void ingest_ledgerHasAUniqueKey()
    {
        const StreamId stream = QUuid::createUuid();
        (void)ingest({numbered(stream, 1)});
        // The table knows of a batch that the historian's memory does not.
        {
            auto database = QSqlDatabase::addDatabase(QStringLiteral("QSQLITE"), QStringLiteral("beside"));
            database.setDatabaseName(m_path);
            QVERIFY(database.open());
            QSqlQuery query(database);
            QVERIFY(query.prepare(QStringLiteral("INSERT INTO ledger (stream, msn) VALUES (?, 2)")));
            query.addBindValue(stream.toString(QUuid::WithoutBraces));
            QVERIFY(query.exec());
        }
        QSqlDatabase::removeDatabase(QStringLiteral("beside"));
        const Ingested done = ingest({numbered(stream, 2)});
        QCOMPARE(done.rows, quint64(0));
        QCOMPARE(done.duplicates, quint64(1));
        QCOMPARE(all().size(), 1);
    }

    void open_isForOneAtATime()
    {
        const QString link = m_folder.filePath(QStringLiteral("link-%1.db").arg(m_made));
        QVERIFY(QFile::link(m_path, link));
        for (const QString &path : {m_path, link}) {
            const auto second = Historian::open({path}, m_clock);
            QVERIFY(!second);
            QCOMPARE(second.error().code, Errc::Conflict);
            QCOMPARE(
                second.error().message,
                QStringLiteral("%1 is in use by another historian; stop that one or name another database.").arg(path));
        }
        reopen();
    }

    void ingest_isAllOrNothing()
    {
        const StreamId stream = QUuid::createUuid();
        const std::vector group{numbered(stream, 1), numbered(stream, 0)};
        const auto refused = m_historian->ingest(group);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::OutOfRange);
        QCOMPARE(m_historian->contiguousReceipt(stream), Msn(0));
        QCOMPARE(m_historian->counters()->rows, quint64(0));
        QCOMPARE(ingest({numbered(stream, 1)}).rows, quint64(1));
    }

    void ingest_storesPlainSparkplug()
    {
        HostBatch plain = numbered({}, 1);
        plain.receipt.reset();
        const Ingested done = ingest({plain});
        QCOMPARE(done.rows, quint64(1));
        QVERIFY(done.watermarks.isEmpty());
        // Values of a birth: once, and only where no spool will send them again.
        HostBatch birth = plain;
        birth.fromBirth = true;
        QCOMPARE(ingest({birth}).rows, quint64(0));
        birth.batch.readings[0].deviceTime += 5s;
        QCOMPARE(ingest({birth}).rows, quint64(1));
        (void)ingest({numbered(QUuid::createUuid(), 9)});
        birth.batch.readings[0].deviceTime += 5s;
        QCOMPARE(ingest({birth}).rows, quint64(0));
    }

    void values_comeBackAsTheyWere()
    {
        const StreamId stream = QUuid::createUuid();
        const qint64 big = (qint64(1) << 62) + 1;
        QList<Reading> readings{
            reading(QStringLiteral("number"), -0.1, kStart), reading(QStringLiteral("nan"), std::nan(""), kStart),
            reading(QStringLiteral("integer"), big, kStart), reading(QStringLiteral("switch"), true, kStart),
            reading(QStringLiteral("text"), QStringLiteral("auto; 'x' \u00e9"), kStart)};
        readings[0].quality = Quality::Stale;
        readings[0].isHistorical = true;
        readings[2].unit = Unit::DeltaCelsius;
        (void)ingest({batch(stream, 1, readings)});
        for (const Reading &stored : std::as_const(readings)) {
            const auto rows = all(stored.point);
            QCOMPARE(rows.size(), 1);
            QCOMPARE(rows[0].receivedAt, m_clock.now());
            if (stored.point == QLatin1StringView("nan"))
                QVERIFY(std::isnan(std::get<double>(rows[0].reading.value)));
            else
                QVERIFY(rows[0].reading == stored);
        }
    }

    void history_isInDeviceTimeOrderWithinItsLimits()
    {
        const StreamId stream = QUuid::createUuid();
        (void)ingest({numbered(stream, 3), numbered(stream, 1)});
        (void)ingest({numbered(stream, 2), numbered(stream, 4)});
        const auto rows = m_historian->history(kHvacKey, kAir, kStart + 1s, kStart + 4s, 10);
        QVERIFY(rows);
        QCOMPARE(rows->size(), 3);
        for (int i = 0; i < 3; ++i)
            QCOMPARE((*rows)[i].reading.deviceTime, kStart + 1s * (i + 1));
        QCOMPARE(m_historian->history(kHvacKey, kAir, {}, kStart + 1h, 2)->size(), 2);
        QCOMPARE(m_historian->history({{}, kHvac}, kAir, {}, kStart + 1h, 9)->size(), 4);
        QCOMPARE(m_historian->history(kHvacKey, QStringLiteral("nothing"), {}, kStart, 9).error().code, Errc::NotFound);
        QCOMPARE(m_historian->history({{}, QStringLiteral("nobody")}, kAir, {}, kStart, 9).error().code,
                 Errc::NotFound);
    }

    void history_asksWhichSiteIsMeant()
    {
        HostBatch other = numbered(QUuid::createUuid(), 1);
        other.node.group = QStringLiteral("building-2");
        (void)ingest({numbered(QUuid::createUuid(), 1), other});
        QCOMPARE(m_historian->history({{}, kHvac}, kAir, {}, kStart + 1h, 9).error().code, Errc::Conflict);
        QCOMPARE(m_historian->history({QStringLiteral("building-2"), kHvac}, kAir, {}, kStart + 1h, 9)->size(), 1);
    }

    void buckets_leaveGapsOpen()
    {
        const StreamId stream = QUuid::createUuid();
        QList<Reading> readings;
        for (const int second : {0, 10, 50, 130, 131}) // nothing in the second minute
            readings.append(reading(kAir, double(second), kStart + 1s * second));
        readings.append(reading(kAir, 1e9, kStart + 20s));
        readings.last().quality = Quality::Bad;
        readings[0].isHistorical = readings[2].isHistorical = readings[5].isHistorical = true;
        (void)ingest({batch(stream, 1, readings)});
        const auto buckets = m_historian->buckets(kHvacKey, kAir, kStart, kStart + 5min, 60s);
        QVERIFY(buckets);
        QCOMPARE(buckets->size(), 2);
        const HistoryBucket &first = buckets->first();
        QCOMPARE(first.start, kStart);
        QCOMPARE(first.count, quint64(3));
        QCOMPARE(first.min, 0.0);
        QCOMPARE(first.max, 50.0);
        QCOMPARE(first.average, 20.0);
        QCOMPARE(first.historical, quint64(2)); // the bad one does not count
        QCOMPARE(buckets->last().historical, quint64(0));
        QCOMPARE(buckets->last().start, kStart + 2min);
        QCOMPARE(buckets->last().count, quint64(2));
        QCOMPARE(m_historian->buckets(kHvacKey, kAir, kStart, kStart + 1h, 0s).error().code, Errc::OutOfRange);
        for (const qint64 length : {std::numeric_limits<qint64>::min(), std::numeric_limits<qint64>::max(),
                                    qint64(kLongestBucket.count()) + 1}) {
            const auto refused =
                m_historian->buckets(kHvacKey, kAir, kStart, kStart + 1h, std::chrono::seconds{length});
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, Errc::OutOfRange);
        }
    }

    void lastValues_areTheLatestByDeviceTime()
    {
        const StreamId stream = QUuid::createUuid();
        (void)ingest({numbered(stream, 5), numbered(stream, 2)}); // late data comes last
        HostBatch other = numbered(QUuid::createUuid(), 7);
        other.node.group = QStringLiteral("building-2");
        (void)ingest({other});
        QCOMPARE(m_historian->lastValues()->size(), 2);
        const auto values = m_historian->lastValues(QStringLiteral("building-1"));
        QVERIFY(values);
        QCOMPARE(values->size(), 1);
        QCOMPARE(values->first().device, kHvacKey);
        QVERIFY(values->first().reading.value == Value(5.0));
    }

    void losses_becomeGapsAndFreeTheWatermark()
    {
        const StreamId stream = QUuid::createUuid();
        (void)ingest({numbered(stream, 1)});
        // The sender could not read 2 and 3 any more and says so in 5.
        const Loss loss{kHvac, stream, 2, 3, 4, kStart + 2s, kStart + 3s, LossReason::Unreadable};
        (void)ingest({numbered(stream, 4), batch(stream, 5, {}, {loss})});
        QCOMPARE(m_historian->contiguousReceipt(stream), Msn(5));
        const auto gaps = m_historian->gaps(kStart, kStart + 1h);
        QVERIFY(gaps);
        QCOMPARE(gaps->size(), 1);
        QVERIFY(gaps->first().loss == loss);
        QVERIFY(m_historian->gaps(kStart + 10s, kStart + 1h)->isEmpty());
        QCOMPARE(m_historian->counters()->lostReadings, quint64(4));
    }

    void loss_cannotDeclareNumbersThatAreStillToCome()
    {
        const StreamId stream = QUuid::createUuid();
        const Loss loss{kHvac, stream, 1, 100, 0, {}, {}, LossReason::SpoolFull};
        (void)ingest({batch(stream, 3, {}, {loss})});
        QCOMPARE(m_historian->contiguousReceipt(stream), Msn(3));
        QCOMPARE(ingest({numbered(stream, 4)}).rows, quint64(1));
    }

    void tailMoved_makesGapsOfWhatNeverCame()
    {
        const StreamId stream = QUuid::createUuid();
        (void)ingest({numbered(stream, 1), numbered(stream, 4)});
        const sparkplug::SpoolOffer offer{1, stream, 20, 7, 0};
        const auto lost = m_historian->noteSpoolOffer(kGateway, offer);
        QVERIFY(lost);
        QCOMPARE(lost->size(), 2);
        QCOMPARE(m_historian->contiguousReceipt(stream), Msn(6));
        QVERIFY(m_historian->noteSpoolOffer(kGateway, offer)->isEmpty());
        reopen();
        QCOMPARE(m_historian->contiguousReceipt(stream), Msn(6));
        QCOMPARE(m_historian->gaps(kStart, kStart + 1h)->size(), 2);
        // A notice that knows more about some of them takes their place; no number stands in two gaps.
        const Loss known{kHvac, stream, 2, 2, 5, kStart, kStart + 1s, LossReason::SpoolFull};
        (void)ingest({batch(stream, 7, {}, {known})});
        (void)ingest({batch(stream, 8, {}, {known})});
        QMap<Msn, Msn> ranges;
        const auto gaps = m_historian->gaps({}, kStart + 1h);
        for (const Gap &gap : *gaps)
            ranges.insert(gap.loss.first, gap.loss.last);
        QCOMPARE(ranges, (QMap<Msn, Msn>{{2, 2}, {3, 3}, {5, 6}}));
    }

    void tailMoved_losesNothingOfAStreamNeverHeardOf()
    {
        const StreamId stream = QUuid::createUuid();
        QVERIFY(m_historian->noteSpoolOffer(kGateway, {1, stream, 120, 101, 0})->isEmpty());
        QCOMPARE(m_historian->contiguousReceipt(stream), Msn(100));
        reopen();
        QCOMPARE(m_historian->contiguousReceipt(stream), Msn(100));
        QVERIFY(m_historian->gaps({}, kStart + 1h)->isEmpty());
        QCOMPARE(ingest({numbered(stream, 101)}).rows, quint64(1));
        QCOMPARE(m_historian->contiguousReceipt(stream), Msn(101));
    }

    void devices_followBirthsAndDeaths()
    {
        Point point;
        point.id = kAir;
        point.name = QStringLiteral("Supply air");
        point.unit = Unit::Celsius;
        point.tags = {QStringLiteral("air"), QStringLiteral("temp")};
        point.brickClass = QStringLiteral("Supply_Air_Temperature_Sensor");
        point.siteRef = QStringLiteral("building-1");
        point.spaceRef = QStringLiteral("floor-2");
        point.equipRef = QStringLiteral("ahu-2");
        point.staleAfter = 90s;
        Participant who{kGateway, kHvac, true, kStart, {point}, std::nullopt};
        (void)ingest({numbered(QUuid::createUuid(), 1)}); // data before the birth
        QVERIFY(m_historian->noteBorn(who));
        QVERIFY(m_historian->noteBorn(who));
        auto devices = m_historian->devices();
        QVERIFY(devices);
        QCOMPARE(devices->size(), 1);
        QCOMPARE(devices->first().key, kHvacKey);
        QCOMPARE(devices->first().node, kGateway.node);
        QVERIFY(devices->first().online);
        QCOMPARE(devices->first().since, std::optional(kStart));
        QCOMPARE(devices->first().lastReceived, std::optional(m_clock.now()));
        QVERIFY(devices->first().points == QList{point});
        who.since = kStart + 5min;
        QVERIFY(m_historian->noteDied(who));
        devices = m_historian->devices();
        QVERIFY(!devices->first().online);
        QCOMPARE(devices->first().since, std::optional(kStart + 5min));
        QCOMPARE(all().size(), 1);
        QVERIFY(m_historian->noteBorn(who));
        QVERIFY(m_historian->markAllOffline());
        QVERIFY(!m_historian->devices()->first().online);
    }

    void name_staysWithTheNodeThatHadItFirst()
    {
        const NodeId other{kGateway.group, QStringLiteral("evil")};
        QVERIFY(m_historian->mayUse(other, kHvac)); // nobody's yet
        Participant who{kGateway, kHvac, true, kStart, {}, std::nullopt};
        QVERIFY(m_historian->noteBorn(who));
        Participant forged = who;
        forged.node = other;
        const auto refused = m_historian->noteBorn(forged);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Denied);
        QVERIFY(refused.error().message.contains(QLatin1StringView("evil")));
        QVERIFY(!m_historian->noteDied(forged));
        QVERIFY(m_historian->devices()->first().online);
        QCOMPARE(m_historian->devices()->first().node, kGateway.node);
        reopen();
        QVERIFY(!m_historian->mayUse(other, kHvac));
        QVERIFY(m_historian->mayUse(kGateway, kHvac));
        QVERIFY(m_historian->mayUse({QStringLiteral("building-2"), other.node}, kHvac));
    }

    void name_goesToTheNewGatewayADayAfterTheOldOneDied()
    {
        Participant who{kGateway, kHvac, true, m_clock.now(), {}, std::nullopt};
        QVERIFY(m_historian->noteBorn(who));
        Participant heir = who;
        heir.node.node = QStringLiteral("gateway-b");
        m_clock.advance(48h);
        QVERIFY(!m_historian->noteBorn(heir));
        who.since = m_clock.now();
        QVERIFY(m_historian->noteDied(who));
        m_clock.advance(Historian::kNameIsFreeAfter - 1ms);
        QVERIFY(!m_historian->noteBorn(heir));
        m_clock.advance(1ms);
        QVERIFY(m_historian->noteBorn(heir));
        QCOMPARE(m_historian->devices()->first().node, heir.node.node);
        QVERIFY(!m_historian->mayUse(kGateway, kHvac));
    }

    void open_letsNobodyElseRead()
    {
        (void)ingest({numbered(QUuid::createUuid(), 1)});
        for (const char *suffix : {"", "-wal", "-shm"}) {
            const QFileInfo file(m_path + QLatin1StringView(suffix));
            QVERIFY2(file.exists(), suffix);
            QVERIFY2(!(file.permissions() & QFileDevice::Permissions(0x77)), suffix);
        }
    }

    void counters_areKeptWithoutLookingAtRows()
    {
        const StreamId stream = QUuid::createUuid();
        QList<Reading> readings;
        for (int i = 1; i <= 100; ++i)
            readings.append(reading(kAir, 1.0, m_clock.now() - Millis(i)));
        readings.append(readings.constFirst()); // the same instant twice
        readings.append(reading(kAir, 1.0, m_clock.now() - 10h));
        readings.last().isHistorical = true;
        (void)ingest({batch(stream, 1, readings)});
        (void)ingest({batch(stream, 1, readings), numbered(stream, 2)});
        reopen(); // they stand in the database
        const auto kept = m_historian->counters();
        QVERIFY(kept);
        QCOMPARE(kept->rows, quint64(103));
        QCOMPARE(kept->historicalRows, quint64(1));
        QCOMPARE(kept->batches, quint64(2));
        QCOMPARE(kept->duplicatesRefused, quint64(1));
        QCOMPARE(kept->devices, quint64(1));
        QVERIFY(!kept->duplicateRows); // only a search among all rows can tell
        // Rows that somebody else took away: the counts do not look, the exact ones do.
        {
            QSqlDatabase other = QSqlDatabase::addDatabase(QStringLiteral("QSQLITE"), QStringLiteral("other"));
            other.setDatabaseName(m_path);
            QVERIFY(other.open());
            QVERIFY(QSqlQuery(other).exec(QStringLiteral("DELETE FROM readings WHERE historical <> 0")));
        }
        QSqlDatabase::removeDatabase(QStringLiteral("other"));
        QCOMPARE(m_historian->counters()->rows, quint64(103));
        const auto exact = m_historian->countExactly();
        QVERIFY(exact);
        QCOMPARE(exact->rows, quint64(102));
        QCOMPARE(exact->historicalRows, quint64(0));
        QCOMPARE(exact->duplicateRows, std::optional(quint64(1)));
    }

    void retention_removesInBatchesAndKeepsTheLatest()
    {
        const StreamId stream = QUuid::createUuid();
        QList<Reading> readings;
        for (int i = 0; i < 25; ++i) {
            readings.append(reading(kAir, double(i), kStart + 1s * i));
            readings.last().isHistorical = i < 3;
        }
        for (int i = 0; i < 5; ++i)
            readings.append(reading(QStringLiteral("silent"), double(i), kStart + 1s * i));
        (void)ingest({batch(stream, 1, readings)});
        const Timestamp cutoff = kStart + 20s;
        QList<quint64> steps;
        for (;;) {
            const auto gone = m_historian->removeOlder(cutoff, 10);
            QVERIFY2(gone, gone ? "" : qPrintable(gone.error().message));
            if (*gone == 0)
                break;
            steps.append(*gone);
            QVERIFY(*gone <= 10);
        }
        QVERIFY(steps.size() >= 3);
        QCOMPARE(std::accumulate(steps.begin(), steps.end(), quint64(0)), quint64(20 + 4));
        QCOMPARE(all().size(), 5);
        QCOMPARE(all().first().reading.deviceTime, cutoff);
        const auto silent = all(QStringLiteral("silent"));
        QCOMPARE(silent.size(), 1); // what is known of a point that has fallen silent
        QCOMPARE(toDouble(silent.first().reading.value), 4.0);
        reopen();
        const auto kept = m_historian->counters();
        QCOMPARE(kept->rows, quint64(6));
        QCOMPARE(kept->historicalRows, quint64(0));
        QCOMPARE(kept->removedRows, quint64(24));
        QCOMPARE(m_historian->countExactly()->rows, quint64(6));
        // What was taken stays taken: the ledger knows the batch without its rows.
        QCOMPARE(ingest({batch(stream, 1, readings)}).duplicates, quint64(1));
        (void)ingest({batch(stream, 2, {reading(kAir, 1.0, kStart)})}); // late, and too old: the next round
        QCOMPARE(*m_historian->removeOlder(cutoff, 10), quint64(1));
    }

    void reader_seesWholeGroupsWhileWeWrite()
    {
        const StreamId stream = QUuid::createUuid();
        (void)ingest({numbered(stream, 1)});
        constexpr int kGroup = 50;
        std::atomic<bool> stop{false};
        std::atomic<int> reads{0};
        std::atomic<int> torn{0};
        std::thread reader([&] {
            {
                QSqlDatabase database = QSqlDatabase::addDatabase(QStringLiteral("QSQLITE"), QStringLiteral("reader"));
                database.setDatabaseName(m_path);
                database.setConnectOptions(QStringLiteral("QSQLITE_OPEN_READONLY;QSQLITE_BUSY_TIMEOUT=5000"));
                if (!database.open())
                    ++torn;
                while (!stop) {
                    QSqlQuery query(database);
                    if (!query.exec(QStringLiteral("SELECT COUNT(*) FROM readings")) || !query.next()
                        || query.value(0).toInt() % kGroup != 1)
                        ++torn;
                    ++reads;
                }
            }
            QSqlDatabase::removeDatabase(QStringLiteral("reader"));
        });
        Msn next = 2;
        QElapsedTimer timer;
        timer.start();
        while ((reads < 20 || next < 1'000) && timer.elapsed() < 30'000) {
            std::vector<HostBatch> group;
            for (int i = 0; i < kGroup; ++i)
                group.push_back(numbered(stream, next++));
            (void)ingest(group);
        }
        stop = true;
        reader.join();
        QCOMPARE(torn.load(), 0);
        QVERIFY(reads >= 20);
    }

    void ingest_takesTwentyThousandRowsASecond()
    {
        const StreamId stream = QUuid::createUuid();
        constexpr int kRows = 60'000;
        std::vector<std::vector<HostBatch>> groups;
        Msn msn = 0;
        for (int done = 0; done < kRows;) {
            auto &group = groups.emplace_back();
            for (int i = 0; i < 256 && done < kRows; ++i, done += 5) {
                QList<Reading> readings;
                ++msn;
                for (int p = 0; p < 5; ++p)
                    readings.append(reading(QStringLiteral("point-%1").arg(p), double(done), kStart + 1s * int(msn)));
                group.push_back(batch(stream, msn, readings));
            }
        }
        QElapsedTimer timer;
        timer.start();
        for (const auto &group : groups)
            (void)ingest(group);
        const double rate = kRows * 1000.0 / double(std::max<qint64>(1, timer.elapsed()));
        qInfo("%.0f rows/s", rate);
        QCOMPARE(m_historian->counters()->rows, quint64(kRows));
        // A goal for an idle machine; a busy one that instruments the code gets a wide margin.
        QVERIFY(rate > 2'000);
    }
};

QTEST_GUILESS_MAIN(tst_Historian)
#include "tst_historian.moc"

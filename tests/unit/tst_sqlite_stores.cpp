#include "adapters/sqlite/sqlite_history.h"
#include "adapters/sqlite/sqlite_spool.h"
#include "adapters/sqlite/sqlite_state_store.h"
#include "domain/received_numbers.h"
#include "fakes/fake_clock.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>

using namespace lintel;
using namespace std::chrono_literals;

// The state store, the gateway's history, and the arithmetic of received numbers.
class tst_SqliteStores : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    FakeClock m_clock;
    int m_made = 0;

    QString freshPath() { return m_folder.filePath(QStringLiteral("%1.db").arg(++m_made)); }
    std::unique_ptr<SqliteSpool> openSpool(const QString &path, SqliteHistory &history)
    {
        auto spool = SqliteSpool::open({path, QStringLiteral("gateway"), {}, {}}, m_clock, &history);
        if (!spool)
            qFatal("%s", qPrintable(spool.error().message));
        return *std::move(spool);
    }
    static IncomingBatch incoming(const QString &device, QList<Reading> readings,
                                  std::optional<Receipt> receipt = std::nullopt)
    {
        return {ReadingBatch{device, std::move(readings), {}}, receipt};
    }
    Reading at(int second, Value value = 1.0, const QString &point = QStringLiteral("p")) const
    {
        return {point, std::move(value), Unit::Watt, m_clock.now() + 1s * second, Quality::Good, false};
    }

private Q_SLOTS:
    void state_survivesARestart()
    {
        const QString path = freshPath();
        {
            const auto store = SqliteStateStore::open(path, m_clock);
            QVERIFY(store);
            QVERIFY((*store)->save(QStringLiteral("bdseq"), QByteArray("\x00\x07", 2)));
            QVERIFY((*store)->save(QStringLiteral("bdseq"), "8"));
            QVERIFY((*store)->save(QStringLiteral("empty"), {}));
            QVERIFY((*store)->save(QStringLiteral("device/b"), "2"));
            QVERIFY((*store)->save(QStringLiteral("device/a"), "1"));
            QVERIFY((*store)->save(QStringLiteral("gone"), "x"));
            QVERIFY((*store)->remove(QStringLiteral("gone")));
            QVERIFY((*store)->remove(QStringLiteral("never there")));
        }
        const auto store = SqliteStateStore::open(path, m_clock);
        QVERIFY(store);
        QCOMPARE(*(*store)->load(QStringLiteral("bdseq")), std::optional<QByteArray>("8"));
        QCOMPARE(*(*store)->load(QStringLiteral("empty")), std::optional<QByteArray>(QByteArray()));
        QVERIFY(!*(*store)->load(QStringLiteral("gone")));
        QCOMPARE(*(*store)->keys(QStringLiteral("device/")),
                 (QStringList{QStringLiteral("device/a"), QStringLiteral("device/b")}));
        QCOMPARE((*store)->keys({})->size(), 4);
    }

    void state_damagedFileIsSetAside()
    {
        const QString path = freshPath();
        QVERIFY((*SqliteStateStore::open(path, m_clock))->save(QStringLiteral("k"), "v"));
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadWrite));
        file.write(QByteArray(4096, '#'));
        file.close();
        QTest::ignoreMessage(QtWarningMsg, QRegularExpression(QStringLiteral("the state begins anew")));
        const auto store = SqliteStateStore::open(path, m_clock);
        QVERIFY(store);
        QVERIFY(!*(*store)->load(QStringLiteral("k")));
    }

    void history_keepsWhatTheSpoolTookOnce()
    {
        const QString path = freshPath();
        SqliteHistory history({}, m_clock);
        QVERIFY(!history.lastValues());
        const StreamId stream = QUuid::createUuid();
        const QString hvac = QStringLiteral("hvac-001");
        {
            const auto spool = openSpool(path, history);
            const std::vector batches{
                incoming(hvac, {at(2), at(1), at(1, true, QStringLiteral("fan"))}, Receipt{stream, 1}),
                incoming(hvac, {at(3, 3.5)}, Receipt{stream, 2})};
            QVERIFY(spool->append(batches));
            QCOMPARE(spool->append(batches)->duplicates, quint32(2));
            QCOMPARE(history.status().rows, quint64(4));
            QVERIFY(spool->acknowledge(2)); // the spool lets go, the history keeps
        }
        QVERIFY(!history.query(hvac, QStringLiteral("p"), {}, m_clock.now() + 1h, 10));
        const auto spool = openSpool(path, history);
        const auto rows = history.query(hvac, QStringLiteral("p"), {}, m_clock.now() + 1h, 10);
        QVERIFY(rows);
        QVERIFY(*rows == (QList<Reading>{at(1), at(2), at(3, 3.5)}));
        QCOMPARE(history.query(hvac, QStringLiteral("p"), m_clock.now() + 2s, m_clock.now() + 3s, 10)->size(), 1);
        QCOMPARE(history.query(hvac, QStringLiteral("p"), {}, m_clock.now() + 1h, 2)->size(), 2);
        QVERIFY(history.query(hvac, QStringLiteral("unknown"), {}, m_clock.now() + 1h, 2)->isEmpty());
        const auto last = history.lastValues();
        QVERIFY(last);
        QCOMPARE(last->size(), 2);
        QVERIFY((*last)[0].reading == at(1, true, QStringLiteral("fan")));
        QVERIFY((*last)[1].reading == at(3, 3.5));
        QVERIFY(history.lastValues(QStringLiteral("nobody"))->isEmpty());
    }

    void history_valuesComeBackAsTheyWere()
    {
        SqliteHistory history({}, m_clock);
        const auto spool = openSpool(freshPath(), history);
        const QString device = QStringLiteral("d");
        QList<Reading> readings{
            at(0, -0.1, QStringLiteral("number")), at(0, (qint64(1) << 62) + 1, QStringLiteral("integer")),
            at(0, false, QStringLiteral("switch")), at(0, QStringLiteral("\u00fc 'x'"), QStringLiteral("text")),
            at(0, std::nan(""), QStringLiteral("nan"))};
        readings[1].quality = Quality::Stale;
        readings[1].isHistorical = true;
        QVERIFY(spool->append(std::vector{incoming(device, readings)}));
        for (const Reading &reading : std::as_const(readings)) {
            const auto rows = history.query(device, reading.point, {}, m_clock.now() + 1h, 10);
            QCOMPARE(rows->size(), 1);
            if (reading.point == QLatin1StringView("nan"))
                QVERIFY(std::isnan(std::get<double>(rows->first().value)));
            else
                QVERIFY(rows->first() == reading);
        }
    }

    /// The same figures as the cloud's historian gives: tst_historian, buckets_leaveGapsOpen.
    void history_bucketsLeaveGapsOpen()
    {
        SqliteHistory history({}, m_clock);
        const auto spool = openSpool(freshPath(), history);
        const QString device = QStringLiteral("d");
        const QString point = QStringLiteral("p");
        const Timestamp start = fromEpochMillis(toEpochMillis(m_clock.now()) / 60'000 * 60'000);
        QList<Reading> readings;
        for (const int second : {0, 10, 50, 130, 131}) // nothing in the second minute
            readings.append({point, double(second), Unit::Watt, start + 1s * second, Quality::Good, second < 20});
        readings.append({point, 1e9, Unit::Watt, start + 20s, Quality::Bad, true});
        readings.append({point, std::nan(""), Unit::Watt, start + 21s, Quality::Good, false});
        readings.append({point, QStringLiteral("9"), Unit::None, start + 22s, Quality::Good, false});
        readings.append({point, true, Unit::None, start - 3 * 60s, Quality::Good, false});
        QVERIFY(spool->append(std::vector{incoming(device, readings)}));
        const auto buckets = history.buckets(device, point, start, start + 5min, 60s);
        QVERIFY(buckets);
        QCOMPARE(buckets->size(), 2);
        const HistoryBucket &first = buckets->first();
        QCOMPARE(first.start, start);
        QCOMPARE(first.count, quint64(3));
        QCOMPARE(first.min, 0.0);
        QCOMPARE(first.max, 50.0);
        QCOMPARE(first.average, 20.0);
        QCOMPARE(first.historical, quint64(2));
        QCOMPARE(buckets->last().historical, quint64(0));
        QCOMPARE(buckets->last().start, start + 2min);
        QCOMPARE(buckets->last().count, quint64(2));
        QCOMPARE(history.buckets(device, point, {}, start, 60s)->first().max, 1.0); // a switch counts as 0 or 1
        QVERIFY(history.buckets(device, QStringLiteral("unknown"), {}, start, 60s)->isEmpty());
        QCOMPARE(history.buckets(device, point, {}, start, 0s).error().code, Errc::OutOfRange);
    }

    void history_isBoundedByRowsAndAge()
    {
        SqliteHistory history({1h, 100}, m_clock);
        const auto spool = openSpool(freshPath(), history);
        const QString device = QStringLiteral("d");
        for (int i = 0; i < 250; ++i)
            QVERIFY(spool->append(std::vector{incoming(device, {at(i)})}));
        QCOMPARE(history.status().rows, quint64(100));
        auto rows = history.query(device, QStringLiteral("p"), {}, m_clock.now() + 1h, 1'000);
        QCOMPARE(rows->size(), 100);
        QVERIFY(rows->first() == at(150));

        const Reading latest = at(249);
        m_clock.advance(1h + 200s); // 150 … 199 are older than an hour now
        QCOMPARE(*history.prune(), quint64(50));
        m_clock.advance(10h);
        QCOMPARE(*history.prune(), quint64(49)); // the latest reading stays
        rows = history.query(device, QStringLiteral("p"), {}, m_clock.now(), 1'000);
        QCOMPARE(rows->size(), 1);
        QVERIFY(rows->first() == latest);
        QCOMPARE(history.status().rows, quint64(1));
    }

    void receivedNumbers_closeTheirHoles()
    {
        ReceivedNumbers numbers;
        for (const Msn n : {5, 3, 9, 4})
            numbers.take(n);
        QCOMPARE(numbers.contiguous(), Msn(0));
        QCOMPARE(numbers.beyond(), (std::map<Msn, Msn>{{3, 5}, {9, 9}}));
        QVERIFY(numbers.contains(4) && !numbers.contains(6) && !numbers.contains(1));
        QCOMPARE(numbers.missingBelow(11), (QList<MsnRange>{{1, 2}, {6, 8}, {10, 10}}));
        QCOMPARE(numbers.missingBelow(4), (QList<MsnRange>{{1, 2}}));
        QVERIFY(numbers.missingBelow(0).isEmpty());
        numbers.take(MsnRange{1, 2});
        QCOMPARE(numbers.contiguous(), Msn(5));
        numbers.take(MsnRange{4, 20});
        QCOMPARE(numbers.contiguous(), Msn(20));
        QVERIFY(numbers.beyond().empty());
        numbers.take(MsnRange{0, 50});
        numbers.take(MsnRange{30, 29});
        QCOMPARE(numbers, ReceivedNumbers(20));
    }

    void receivedNumbers_agreeWithASet_data()
    {
        QTest::addColumn<uint>("seed");
        for (uint seed = 1; seed <= 50; ++seed)
            QTest::addRow("%u", seed) << seed;
    }
    void receivedNumbers_agreeWithASet()
    {
        QFETCH(uint, seed);
        std::srand(seed);
        ReceivedNumbers numbers;
        QSet<Msn> truth;
        for (int i = 0; i < 100; ++i) {
            const Msn first = Msn(std::rand() % 60 + 1);
            const Msn last = first + Msn(std::rand() % 4);
            numbers.take({first, last});
            for (Msn n = first; n <= last; ++n)
                truth.insert(n);
            Msn contiguous = 0;
            while (truth.contains(contiguous + 1))
                ++contiguous;
            QCOMPARE(numbers.contiguous(), contiguous);
            for (Msn n = 1; n < 70; ++n)
                QCOMPARE(numbers.contains(n), truth.contains(n));
        }
    }
};

QTEST_GUILESS_MAIN(tst_SqliteStores)
#include "tst_sqlite_stores.moc"

#include "fakes/fake_clock.h"
#include "ingestion/exact_count.h"
#include "ingestion/retention.h"

#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include <limits>

using namespace lintel;
using namespace std::chrono_literals;

class TestRetention : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    FakeClock m_clock;
    std::unique_ptr<historian::Historian> m_historian;
    int m_made = 0;

    quint64 rows() const { return m_historian->counters()->rows; }

private Q_SLOTS:
    void init()
    {
        auto opened =
            historian::Historian::open({m_folder.filePath(QStringLiteral("historian-%1.db").arg(++m_made))}, m_clock);
        QVERIFY2(opened, opened ? "" : qPrintable(opened.error().message));
        m_historian = *std::move(opened);
        // Three batches' worth that is old, and one reading of an hour ago.
        sparkplug::HostBatch batch{
            {QStringLiteral("b1"), QStringLiteral("gateway")}, QStringLiteral("d"), {}, {}, false};
        batch.batch.device = QStringLiteral("d");
        const Timestamp old = m_clock.now() - 40 * 24h;
        for (int i = 0; i < 3 * Retention::kBatch; ++i)
            batch.batch.readings.append(
                {QStringLiteral("p"), double(i), Unit::Watt, old + 1s * i, Quality::Good, false});
        batch.batch.readings.append({QStringLiteral("p"), 1.0, Unit::Watt, m_clock.now() - 1h, Quality::Good, false});
        QVERIFY(m_historian->ingest(std::vector{batch}));
    }

    void start_removesWhatIsTooOldAndSaysSo()
    {
        Retention retention(*m_historian, m_clock, {30 * 24h}, [] { return true; });
        QSignalSpy removed(&retention, &Retention::removed);
        retention.start();
        QTRY_COMPARE_WITH_TIMEOUT(removed.count(), 1, 30'000);
        QCOMPARE(removed.first().first().toULongLong(), quint64(3 * Retention::kBatch));
        QCOMPARE(rows(), quint64(1));
    }

    void start_withoutAnAgeKeepsEverything()
    {
        Retention retention(*m_historian, m_clock, {}, [] { return true; });
        retention.start();
        QTest::qWait(200);
        QCOMPARE(rows(), quint64(3 * Retention::kBatch + 1));
    }

    void start_withAClockThatNobodyCheckedRemovesNothingYet()
    {
        m_clock.setNow(m_clock.now() + 365 * 24h); // it jumped: even the reading of an hour ago looks old
        bool connected = false;
        int asked = 0;
        Retention retention(*m_historian, m_clock, {30 * 24h}, [&] {
            ++asked;
            return connected;
        });
        QSignalSpy removed(&retention, &Retention::removed);
        retention.start();
        QTRY_VERIFY_WITH_TIMEOUT(asked > 1, 30'000);
        QCOMPARE(rows(), quint64(3 * Retention::kBatch + 1));
        m_clock.setNow(m_clock.now() - 365 * 24h); // put right, or the handshake would have failed
        connected = true;
        QTRY_COMPARE_WITH_TIMEOUT(removed.count(), 1, 30'000);
        QCOMPARE(rows(), quint64(1));
    }

    void step_withAClockThatJumpsWhileConnectedRemovesNothingMoreAndSaysSoOnce()
    {
        std::optional<Timestamp> signedAt;
        Retention retention(
            *m_historian, m_clock, {30 * 24h}, [] { return true; }, [&] { return signedAt; });
        QSignalSpy removed(&retention, &Retention::removed);
        QSignalSpy notice(&retention, &Retention::notice);
        retention.start();
        QTRY_COMPARE_WITH_TIMEOUT(removed.count(), 1, 30'000);
        QCOMPARE(rows(), quint64(1));
        sparkplug::HostBatch batch{
            {QStringLiteral("b1"), QStringLiteral("gateway")}, QStringLiteral("d"), {}, {}, false};
        batch.batch.device = QStringLiteral("d");
        for (int i = 0; i < 10; ++i)
            batch.batch.readings.append(
                {QStringLiteral("p"), double(i), Unit::Watt, m_clock.now() + 1s * i, Quality::Good, false});
        QVERIFY(m_historian->ingest(std::vector{batch}));
        m_clock.advance(2h);
        m_clock.setNow(m_clock.now() + 365 * 24h);
        retention.start();
        QTRY_COMPARE_WITH_TIMEOUT(notice.count(), 1, 30'000);
        QTest::qWait(200);
        QCOMPARE(rows(), quint64(11));
        QVERIFY(retention.report().value(QStringLiteral("clock_jumped")).toBool());
        m_clock.advance(2h);
        retention.start();
        QTest::qWait(200);
        QCOMPARE(notice.count(), 1);
        QCOMPARE(rows(), quint64(11));

        // So does a restart, however late the clock says that it is …
        Retention next(
            *m_historian, m_clock, {30 * 24h}, [] { return true; }, [&] { return signedAt; });
        QSignalSpy saidAgain(&next, &Retention::notice);
        next.start();
        QTRY_COMPARE_WITH_TIMEOUT(saidAgain.count(), 1, 30'000);
        QCOMPARE(rows(), quint64(11));
        // … until somebody signs it.
        signedAt = m_clock.now() - 1min;
        QSignalSpy removedThen(&next, &Retention::removed);
        m_clock.advance(2h);
        next.start();
        QTRY_COMPARE_WITH_TIMEOUT(removedThen.count(), 1, 30'000);
        QCOMPARE(rows(), quint64(1)); // the latest
        QCOMPARE(saidAgain.count(), 2);
    }

    void step_withALimitOfSizeRemovesTheOldestAndLeavesAGap()
    {
        const qint64 before = *m_historian->usedBytes();
        const quint64 rowsBefore = rows();
        Retention retention(*m_historian, m_clock, {Millis{0}, before * 2 / 3}, [] { return false; });
        QSignalSpy removed(&retention, &Retention::removedForSize);
        retention.start();
        QTRY_COMPARE_WITH_TIMEOUT(removed.count(), 1, 30'000);
        QVERIFY(*m_historian->usedBytes() <= before * 2 / 3);
        const quint64 gone = removed.first().first().toULongLong();
        QVERIFY(gone >= quint64(Retention::kBatch));
        QCOMPARE(rows() + gone, rowsBefore);
        const auto gaps = m_historian->gaps(Timestamp{}, m_clock.now());
        QVERIFY(gaps);
        QCOMPARE(gaps->size(), 1);
        const Loss loss = gaps->first().loss;
        QCOMPARE(toText(loss.reason), QStringLiteral("removed by size limit"));
        QCOMPARE(loss.device, QStringLiteral("d"));
        QCOMPARE(loss.readings, gone);
        QCOMPARE(loss.from, m_clock.now() - 40 * 24h);
        QCOMPARE(loss.to, loss.from + 1s * (qint64(gone) - 1)); // the oldest, without a hole
        QCOMPARE(m_historian->counters()->removedForSizeRows, gone);
        QCOMPARE(m_historian->counters()->lostReadings, 0u);
        QCOMPARE(m_historian->countExactly()->rows, rows());
    }

    void step_withALimitThatCannotBeHeldKeepsTheLatest()
    {
        Retention retention(*m_historian, m_clock, {Millis{0}, 1}, [] { return false; });
        QSignalSpy removed(&retention, &Retention::removedForSize);
        retention.start();
        QTRY_COMPARE_WITH_TIMEOUT(removed.count(), 1, 30'000);
        QCOMPARE(rows(), quint64(1));
    }

    void ingest_withoutRoomToKeepFreeRefusesBeforeTheDiskDoes()
    {
        const auto tight = historian::Historian::open(
            {m_folder.filePath(QStringLiteral("tight.db")), 1 << 20, std::numeric_limits<qint64>::max()}, m_clock);
        QVERIFY(tight);
        sparkplug::HostBatch batch{
            {QStringLiteral("b1"), QStringLiteral("gateway")}, QStringLiteral("d"), {}, {}, false};
        const StreamId stream = QUuid::createUuid();
        batch.receipt = Receipt{stream, 1};
        const auto refused = (*tight)->ingest(std::vector{batch});
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Full);
        QVERIFY2(refused.error().message.startsWith(QStringLiteral("disk full: ")),
                 qPrintable(refused.error().message));
        QCOMPARE((*tight)->contiguousReceipt(stream), Msn(0)); // so nothing is acknowledged
    }

    void exactCount_goesOnBesideEverythingElse()
    {
        ExactCount count(m_historian->database());
        std::optional<historian::Counters> first;
        std::optional<historian::Counters> second;
        count.ask([&](const Result<historian::Counters> &counted) { first = *counted; });
        QVERIFY(!first); // nobody waited
        sparkplug::HostBatch batch{
            {QStringLiteral("b1"), QStringLiteral("gateway")}, QStringLiteral("d"), {}, {}, false};
        batch.batch.device = QStringLiteral("d");
        batch.batch.readings.append({QStringLiteral("p"), 2.0, Unit::Watt, m_clock.now() - 1h, Quality::Good, false});
        QVERIFY(m_historian->ingest(std::vector{batch})); // while it counts
        count.ask([&](const Result<historian::Counters> &counted) { second = *counted; });
        QTRY_VERIFY_WITH_TIMEOUT(second, 30'000);
        QVERIFY(first->rows == rows() || first->rows == rows() - 1);
        QCOMPARE(second->rows, rows());
        QCOMPARE(second->duplicateRows, std::optional(quint64(1))); // a twin of an hour ago
    }

    void exactCount_thatIsNotWantedAnyMoreEnds()
    {
        bool isAnswered = false;
        {
            ExactCount count(m_historian->database());
            count.ask([&](const Result<historian::Counters> &) { isAnswered = true; });
        }
        QCoreApplication::processEvents();
        QVERIFY(!isAnswered);
    }

    void start_withAClockThatWasNeverSetRemovesNothing()
    {
        m_clock.setNow(Timestamp{} + 24h);
        Retention retention(*m_historian, m_clock, {1h}, [] { return true; });
        QSignalSpy removed(&retention, &Retention::removed);
        retention.start();
        QTest::qWait(200);
        QCOMPARE(removed.count(), 0);
        QCOMPARE(rows(), quint64(3 * Retention::kBatch + 1));
    }
};

QTEST_GUILESS_MAIN(TestRetention)
#include "tst_retention.moc"

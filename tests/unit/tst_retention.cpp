#include "fakes/fake_clock.h"
#include "ingestion/retention.h"

#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

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
        Retention retention(*m_historian, m_clock, 30 * 24h, [] { return true; });
        QSignalSpy removed(&retention, &Retention::removed);
        retention.start();
        QTRY_COMPARE_WITH_TIMEOUT(removed.count(), 1, 30'000);
        QCOMPARE(removed.first().first().toULongLong(), quint64(3 * Retention::kBatch));
        QCOMPARE(rows(), quint64(1));
    }

    void start_withoutAnAgeKeepsEverything()
    {
        Retention retention(*m_historian, m_clock, Millis{0}, [] { return true; });
        retention.start();
        QTest::qWait(200);
        QCOMPARE(rows(), quint64(3 * Retention::kBatch + 1));
    }

    void start_withAClockThatNobodyCheckedRemovesNothingYet()
    {
        m_clock.setNow(m_clock.now() + 365 * 24h); // it jumped: even the reading of an hour ago looks old
        bool connected = false;
        int asked = 0;
        Retention retention(*m_historian, m_clock, 30 * 24h, [&] {
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

    void start_withAClockThatWasNeverSetRemovesNothing()
    {
        m_clock.setNow(Timestamp{} + 24h);
        Retention retention(*m_historian, m_clock, 1h, [] { return true; });
        QSignalSpy removed(&retention, &Retention::removed);
        retention.start();
        QTest::qWait(200);
        QCOMPARE(removed.count(), 0);
        QCOMPARE(rows(), quint64(3 * Retention::kBatch + 1));
    }
};

QTEST_GUILESS_MAIN(TestRetention)
#include "tst_retention.moc"

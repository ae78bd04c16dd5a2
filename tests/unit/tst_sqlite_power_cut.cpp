#include "adapters/sqlite/sqlite_history.h"
#include "adapters/sqlite/sqlite_spool.h"
#include "contract/reading_spool_contract.h"
#include "fakes/fake_clock.h"
#include "fakes/faulty_vfs.h"

#include <QTemporaryDir>

using namespace lintel;
using namespace std::chrono_literals;

// The disk loses what was not synced, at every moment that matters; what append() accepted is there
// afterwards, whole and once.
class tst_SqlitePowerCut : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    FakeClock m_clock;
    int m_made = 0;

    static constexpr int kGroup = 3;
    const StreamId m_sender = QUuid::createUuid();

    SqliteSpoolOptions options(const FaultyVfs &disk, const QString &path) const
    {
        SqliteSpoolOptions options{path, QStringLiteral("gateway"), {}, {}};
        options.database.vfs = disk.name();
        options.database.walBytes = 32 * 1024; // many checkpoints
        return options;
    }

    /// Appends and acknowledges until the power goes; the batches that were accepted.
    static Msn work(SqliteSpool &spool, const StreamId &sender, Msn already, int most)
    {
        Msn accepted = already;
        for (int i = 0; i < most; ++i) {
            std::vector<IncomingBatch> group;
            for (Msn msn = accepted + 1; msn <= accepted + kGroup; ++msn)
                group.push_back(ReadingSpoolContract::received(sender, msn));
            if (!spool.append(group))
                return accepted;
            accepted += kGroup;
            if (i % 5 == 4 && !spool.acknowledge(accepted - 6))
                return accepted;
        }
        return accepted;
    }

private Q_SLOTS:
    void acceptedBatches_surviveEveryMoment()
    {
        std::mt19937 random(20261121);
        int cuts = 0;
        for (int moment = 1; moment < 700; moment += 3, ++cuts) {
            FaultyVfs disk;
            const QString path = m_folder.filePath(QStringLiteral("cut-%1.db").arg(++m_made));
            SqliteHistory history({}, m_clock);
            StreamId stream;
            {
                auto made = SqliteSpool::open(options(disk, path), m_clock, &history);
                QVERIFY(made);
                stream = (*made)->status().stream;
            }
            Msn accepted = 0;
            {
                auto spool = SqliteSpool::open(options(disk, path), m_clock, &history);
                QVERIFY(spool);
                disk.cutPowerAfter(moment);
                accepted = work(**spool, m_sender, 0, 60);
            }
            disk.restart(random);

            auto spool = SqliteSpool::open(options(disk, path), m_clock, &history);
            QVERIFY2(spool, spool ? "" : qPrintable(spool.error().message));
            const SpoolStatus status = (*spool)->status();
            QCOMPARE(status.stream, stream);
            // The group that was under way is there as a whole or not at all.
            QVERIFY(status.head == accepted || status.head == accepted + kGroup);
            QCOMPARE((*spool)->contiguousReceipt(m_sender), status.head);
            QCOMPARE(status.totalReadings, quint64(status.head * 2));
            QCOMPARE(history.status().rows, quint64(status.head * 2));
            QVERIFY((*spool)->losses(10)->isEmpty());
            const auto kept = (*spool)->read(0, 10'000);
            QVERIFY(kept);
            Msn next = status.acknowledged + 1;
            for (const StoredBatch &batch : *kept) {
                QCOMPARE(batch.msn, next++);
                QVERIFY(batch.batch == ReadingSpoolContract::batchOf(int(batch.msn)));
            }
            QCOMPARE(next, status.head + 1);
            // And life goes on.
            QCOMPARE(work(**spool, m_sender, status.head, 3), status.head + 3 * kGroup);
        }
        QVERIFY(cuts > 200);
    }

    void cutDuringTheFirstStart_leavesAUsablePath()
    {
        std::mt19937 random(7);
        for (int moment = 0; moment < 40; ++moment) {
            FaultyVfs disk;
            const QString path = m_folder.filePath(QStringLiteral("first-%1.db").arg(++m_made));
            disk.cutPowerAfter(moment);
            (void)SqliteSpool::open(options(disk, path), m_clock);
            disk.restart(random);
            auto spool = SqliteSpool::open(options(disk, path), m_clock);
            QVERIFY2(spool, spool ? "" : qPrintable(spool.error().message));
            QVERIFY((*spool)->append(ReadingSpoolContract::group(0, 1)));
        }
    }

    void fullDisk_refusesAndTakesNothing()
    {
        FaultyVfs disk;
        const QString path = m_folder.filePath(QStringLiteral("full.db"));
        SqliteHistory history({}, m_clock);
        auto spool = SqliteSpool::open(options(disk, path), m_clock, &history);
        QVERIFY(spool);
        disk.setRoom(200 * 1024);
        Msn accepted = 0;
        std::optional<Error> refusal;
        while (!refusal) {
            const std::vector one{ReadingSpoolContract::received(m_sender, accepted + 1)};
            if (const auto appended = (*spool)->append(one); appended)
                ++accepted;
            else
                refusal = appended.error();
            QVERIFY(accepted < 100'000);
        }
        QCOMPARE(refusal->code, Errc::Full);
        QVERIFY2(refusal->message.startsWith(QLatin1StringView("disk full: ")), qPrintable(refusal->message));
        QVERIFY(accepted > 10);
        QCOMPARE((*spool)->status().head, accepted);
        QCOMPARE((*spool)->contiguousReceipt(m_sender), accepted);
        QCOMPARE(history.status().rows, quint64(accepted * 2));
        QCOMPARE((*spool)->read(0, 100'000)->size(), qsizetype(accepted));

        // It comes back by itself once there is room, with no hole in the numbers.
        disk.setRoom(std::nullopt);
        const std::vector one{ReadingSpoolContract::received(m_sender, accepted + 1)};
        const auto appended = (*spool)->append(one);
        QVERIFY(appended);
        QCOMPARE(appended->first, accepted + 1);
    }

    void fullDisk_letsGoOfWhatIsAcknowledged()
    {
        FaultyVfs disk;
        const QString path = m_folder.filePath(QStringLiteral("full-ack.db"));
        auto spool = SqliteSpool::open(options(disk, path), m_clock);
        QVERIFY(spool);
        QVERIFY((*spool)->append(ReadingSpoolContract::group(0, 500)));
        disk.setRoom(64 * 1024);
        int more = 0;
        while ((*spool)->append(ReadingSpoolContract::group(500 + more, 1)))
            ++more;
        // The log has room to note the acknowledgement, and the pages that it frees are used again.
        disk.setRoom(64 * 1024);
        const auto acknowledged = (*spool)->acknowledge((*spool)->status().head);
        QVERIFY2(acknowledged, acknowledged ? "" : qPrintable(acknowledged.error().message));
        for (int i = 0; i < 200; ++i)
            QVERIFY((*spool)->append(ReadingSpoolContract::group(i, 1)));
    }
};

QTEST_GUILESS_MAIN(tst_SqlitePowerCut)
#include "tst_sqlite_power_cut.moc"

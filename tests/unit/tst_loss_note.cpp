// What a spool remembers of readings that never came into it: over a crash, and on a disk without room.
#include "adapters/sqlite/sqlite_spool.h"
#include "contract/reading_spool_contract.h"
#include "fakes/fake_clock.h"
#include "fakes/small_disk.h"
#include "fakes/spoilt_pages.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QTemporaryDir>

#include <sys/wait.h>
#include <unistd.h>

using namespace lintel;
using namespace Qt::StringLiterals;
using sqlite::LossNote;
using test::SmallDisk;

namespace {

const QString kDevice = u"hvac-001"_s;

Unstored heldOf(quint64 readings)
{
    return {readings, fromEpochMillis(1'700'000'000'000), fromEpochMillis(1'700'000'060'000)};
}

} // namespace

class TestLossNote : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    FakeClock m_clock;
    QString m_path;
    int m_made = 0;

    std::unique_ptr<SqliteSpool> open() { return openAt(m_path); }
    std::unique_ptr<SqliteSpool> openAt(const QString &path)
    {
        auto spool = SqliteSpool::open({path, kDevice, {}, {}}, m_clock);
        if (!spool)
            qFatal("%s", qPrintable(spool.error().message));
        return *std::move(spool);
    }
    static IncomingBatch settling(int number, quint64 settles)
    {
        return {ReadingSpoolContract::batchOf(number), std::nullopt, settles};
    }
    static void expectWarning() { QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"held in memory when"_s)); }

private Q_SLOTS:
    void init() { m_path = m_folder.filePath(u"spool-%1.db"_s.arg(++m_made)); }

    void note_comesBackAndTheNewestCounts()
    {
        const QString path = m_path + u".note"_s;
        const LossNote::Content first{1, 5, fromEpochMillis(10), fromEpochMillis(20)};
        const LossNote::Content second{1, 7, fromEpochMillis(10), fromEpochMillis(30)};
        {
            auto note = LossNote::open(path);
            QVERIFY(note);
            QVERIFY(!note->content());
            QVERIFY(note->write(first));
            QVERIFY(note->write(second));
        }
        QCOMPARE(QFileInfo(path).size(), 2 * LossNote::kSlotBytes);
        QCOMPARE(QFileInfo(path).permissions() & (QFile::ReadGroup | QFile::ReadOther), QFile::Permissions());
        QCOMPARE(LossNote::open(path)->content(), std::optional(second));
    }

    void note_thatWasTornFallsBackToTheOneBefore_data()
    {
        QTest::addColumn<int>("at");
        QTest::newRow("mark") << 0;
        QTest::newRow("generation") << 16;
        QTest::newRow("readings before") << 24;
        QTest::newRow("readings") << 32;
        QTest::newRow("last time") << 48;
        QTest::newRow("hash") << 80;
    }
    void note_thatWasTornFallsBackToTheOneBefore()
    {
        const QString path = m_path + u".note"_s;
        const LossNote::Content first{0, 5, {}, {}};
        {
            auto note = LossNote::open(path);
            QVERIFY(note->write(first)); // generation 1, in the second slot
            QVERIFY(note->write({0, 6, {}, {}}));
        }
        QFETCH(int, at);
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadWrite));
        char byte = 0;
        QVERIFY(file.seek(at) && file.getChar(&byte));
        QVERIFY(file.seek(at) && file.putChar(char(byte ^ 1)));
        file.close();
        QCOMPARE(LossNote::open(path)->content(), std::optional(first));
    }

    void unsettled_becomesALossThatTravels()
    {
        {
            const auto spool = open();
            QVERIFY(spool->append(ReadingSpoolContract::group(0, 1)));
            QVERIFY(spool->noteUnstored(heldOf(3)));
            QVERIFY(spool->noteUnstored(heldOf(8)));
            QCOMPARE(spool->status().notedReadings, 8u);
        }
        expectWarning();
        auto spool = open();
        const auto batches = spool->read(1, 10);
        QCOMPARE(batches->size(), 1);
        QCOMPARE(batches->first().batch.device, kDevice);
        QCOMPARE(batches->first().batch.losses.size(), 1);
        const Loss loss = batches->first().batch.losses.first();
        QCOMPARE(loss.readings, 8u);
        QCOMPARE(loss.device, kDevice);
        QCOMPARE(loss.reason, LossReason::StorageFailed);
        QCOMPARE(loss.from, heldOf(8).from);
        QCOMPARE(loss.to, heldOf(8).to);
        QCOMPARE(*spool->losses(10), QList<Loss>{loss});
        QCOMPARE(spool->status().droppedReadings, 8u);
        QCOMPARE(spool->status().notedReadings, 0u);
        spool.reset();
        QCOMPARE(open()->losses(10)->size(), 1); // once
    }

    void settled_isNoLoss()
    {
        {
            const auto spool = open();
            QVERIFY(spool->noteUnstored(heldOf(4)));
            QVERIFY(spool->append(std::vector{settling(0, 2), settling(1, 2)}));
            QCOMPARE(spool->status().notedReadings, 0u);
        }
        QVERIFY(open()->losses(10)->isEmpty());
    }

    void settledInPart_isALossOfTheRest()
    {
        {
            const auto spool = open();
            QVERIFY(spool->noteUnstored(heldOf(10)));
            QVERIFY(spool->append(std::vector{settling(0, 2)}));
            IncomingBatch withLoss = settling(1, 5); // two readings, and three that went before
            withLoss.batch.losses.append({kDevice, {}, 0, 0, 3, {}, {}, LossReason::StorageFailed});
            QVERIFY(spool->append(std::vector{withLoss}));
            QCOMPARE(spool->status().droppedReadings, 3u);
        }
        expectWarning();
        const auto losses = open()->losses(10);
        QCOMPARE(losses->size(), 2);
        QCOMPARE(losses->at(0).readings, 3u);
        QCOMPARE(losses->at(1).readings, 3u);
    }

    void laterNote_doesNotRepeatWhatAnEarlierOneLost()
    {
        for (const quint64 lost : {quint64(5), quint64(2)}) {
            {
                const auto spool = open();
                QVERIFY(spool->noteUnstored(heldOf(lost)));
            }
            expectWarning();
            QCOMPARE(open()->losses(10)->last().readings, lost);
        }
    }

    void spoolThatBeginsAnew_stillKnowsTheNoteAndNoMore()
    {
        {
            const auto spool = open();
            QVERIFY(spool->noteUnstored(heldOf(4)));
            QVERIFY(spool->append(std::vector{settling(0, 4)}));
            QVERIFY(spool->noteUnstored(heldOf(3)));
        }
        QVERIFY(QFile::remove(m_path));
        (void)QFile::remove(m_path + u"-wal"_s);
        expectWarning();
        QCOMPARE(open()->losses(10)->first().readings, 3u);
    }

    void spoolThatWasDamaged_stillKnowsWhatOfTheNoteIsSettled()
    {
        {
            const auto spool = open();
            QVERIFY(spool->noteUnstored(heldOf(4)));
            QVERIFY(spool->append(std::vector{settling(0, 4)}));
            for (int batch = 0; batch < 400; ++batch)
                QVERIFY(spool->append(ReadingSpoolContract::group(batch, 1)));
        }
        QVERIFY(test::spoilBatchPages(m_path) > 0);
        QTest::ignoreMessage(QtWarningMsg, QRegularExpression(u"is damaged"_s));
        const auto losses = open()->losses(10);
        QCOMPARE(losses->size(), 1);
        QCOMPARE(losses->first().reason, LossReason::Unreadable);
    }

    void spoolWithoutItsNote_losesNothingElse()
    {
        {
            const auto spool = open();
            QVERIFY(spool->noteUnstored(heldOf(4)));
            QVERIFY(spool->append(std::vector{settling(0, 4)}));
        }
        QVERIFY(QFile::remove(m_path + u".note"_s));
        {
            const auto spool = open();
            QVERIFY(spool->losses(10)->isEmpty());
            QVERIFY(spool->noteUnstored(heldOf(6)));
        }
        expectWarning();
        QCOMPARE(open()->losses(10)->first().readings, 6u);
    }

    void fullDisk_takesTheNoteAndTheLossComesWithRoom()
    {
        const SmallDisk disk(u"4m"_s);
        if (!disk.isMounted())
            QSKIP("A file system of its own may not be mounted here; run this as root, or allow user namespaces.");
        const QString path = disk.path(u"spool.db"_s);
        int stored = 0;
        quint64 held = 0;
        // A process that is killed, again and again, while there is no room.
        {
            const auto spool = openAt(path);
            QVERIFY(spool->append(ReadingSpoolContract::group(stored++, 1)));
            QVERIFY(disk.fill());
            while (spool->append(ReadingSpoolContract::group(stored, 1)))
                ++stored;
        }
        for (int life = 0; life < 2; ++life) {
            const pid_t child = ::fork();
            if (child == 0) {
                auto spool = SqliteSpool::open({path, kDevice, {}, {}}, m_clock);
                if (!spool)
                    ::_exit(1);
                // The descriptor of an empty log keeps a block that a close would give back.
                const auto appended = (*spool)->append(ReadingSpoolContract::group(stored, 1));
                const bool noted = (*spool)->noteUnstored(heldOf(7)) && (*spool)->noteUnstored(heldOf(9));
                ::_exit(appended ? 2 : noted ? 0 : 3);
            }
            int status = -1;
            QCOMPARE(::waitpid(child, &status, 0), child);
            QVERIFY(WIFEXITED(status));
            QCOMPARE(WEXITSTATUS(status), 0);
            held += 9;
        }
        QVERIFY(disk.free());
        expectWarning();
        const auto spool = openAt(path);
        quint64 lost = 0;
        const auto losses = spool->losses(100);
        QVERIFY(losses);
        for (const Loss &loss : *losses)
            lost += loss.readings;
        QCOMPARE(lost, held);
        QCOMPARE(spool->status().totalReadings, quint64(2 * stored));
    }

    void noteWithoutAPlace_getsItWithALaterAppend()
    {
        const QString note = m_path + u".note"_s;
        QVERIFY(QDir().mkpath(note)); // no place for a file of that name
        QTest::ignoreMessage(
            QtWarningMsg, QRegularExpression(u"Readings that the disk refuses cannot be noted before they are lost"_s));
        {
            const auto spool = open();
            QVERIFY(!spool->noteUnstored(heldOf(3)));
            QVERIFY(spool->append(ReadingSpoolContract::group(0, 1)));
            QVERIFY(QFileInfo(note).isDir());
            QVERIFY(QDir().rmdir(note));
            QVERIFY(spool->append(ReadingSpoolContract::group(1, 1)));
            QCOMPARE(QFileInfo(note).size(), 2 * LossNote::kSlotBytes);
            QVERIFY(spool->noteUnstored(heldOf(4)));
        }
        expectWarning();
        QCOMPARE(open()->losses(10)->first().readings, 4u);
    }

    void firstStartOnAFullDisk_hasASpoolAndItsNoteOnceThereIsRoom()
    {
        const SmallDisk disk(u"4m"_s);
        if (!disk.isMounted())
            QSKIP("A file system of its own may not be mounted here; run this as root, or allow user namespaces.");
        QVERIFY(disk.fill());
        const QString path = disk.path(u"spool.db"_s);
        for (int attempt = 0; attempt < 2; ++attempt) {
            const auto refused = SqliteSpool::open({path, kDevice, {}, {}}, m_clock);
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, Errc::Full);
            QVERIFY2(refused.error().message.contains(u"free some space"), qPrintable(refused.error().message));
        }
        QVERIFY(disk.free());
        const auto spool = openAt(path);
        QCOMPARE(QFileInfo(path + u".note"_s).size(), 2 * LossNote::kSlotBytes);
        QVERIFY(disk.fill()); // full again: now its place is there
        QVERIFY(spool->noteUnstored(heldOf(5)));
        QVERIFY(disk.free());
        // Accepted by nobody before, so nothing is lost of the time before.
        QVERIFY(spool->losses(10)->isEmpty());
        QCOMPARE(spool->status().totalReadings, 0u);
    }

    void fullDiskThatNeverHadANote_isSaid()
    {
        const SmallDisk disk(u"4m"_s);
        if (!disk.isMounted())
            QSKIP("A file system of its own may not be mounted here; run this as root, or allow user namespaces.");
        QVERIFY(disk.fill());
        const auto note = LossNote::open(disk.path(u"spool.db.note"_s));
        QVERIFY(!note);
        QCOMPARE(note.error().code, Errc::Full);
        QVERIFY2(note.error().message.contains(u"No space left on device"), qPrintable(note.error().message));
    }
};

// Its own main: mounts are to end with this process, and to need no root where the system lets them.
int main(int argc, char **argv)
{
    lintel::test::enterOwnMounts();
    QCoreApplication application(argc, argv);
    TestLossNote test;
    return QTest::qExec(&test, argc, argv);
}
#include "tst_loss_note.moc"

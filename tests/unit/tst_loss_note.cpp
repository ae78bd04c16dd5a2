// What a spool remembers of readings that never came into it: over a crash, and on a disk without room.
#include "adapters/sqlite/sqlite_spool.h"
#include "contract/reading_spool_contract.h"
#include "fakes/fake_clock.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QTemporaryDir>

#include <cerrno>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace lintel;
using namespace Qt::StringLiterals;
using sqlite::LossNote;

namespace {

const QString kDevice = u"hvac-001"_s;

Unstored heldOf(quint64 readings)
{
    return {readings, fromEpochMillis(1'700'000'000'000), fromEpochMillis(1'700'000'060'000)};
}

/// A file system of its own that can be full. Needs root.
class TinyDisk
{
public:
    TinyDisk()
        : isMounted(::mount("tmpfs", QFile::encodeName(m_dir.path()).constData(), "tmpfs", 0, "size=4m,mode=700") == 0)
    {}
    ~TinyDisk()
    {
        if (isMounted)
            ::umount2(QFile::encodeName(m_dir.path()).constData(), MNT_DETACH);
    }
    QString path(const QString &name) const { return m_dir.filePath(name); }
    [[nodiscard]] bool fill() const
    {
        const int file = ::open(QFile::encodeName(path(u"filler"_s)).constData(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        const QByteArray block(4096, 'x');
        while (file >= 0 && ::write(file, block.constData(), size_t(block.size())) > 0) {
        }
        const bool isFull = file >= 0 && errno == ENOSPC;
        ::close(file);
        return isFull;
    }
    [[nodiscard]] bool free() const { return QFile::remove(path(u"filler"_s)); }

private:
    QTemporaryDir m_dir;

public:
    const bool isMounted;
};

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

    void note_thatWasTornFallsBackToTheOneBefore()
    {
        const QString path = m_path + u".note"_s;
        const LossNote::Content first{0, 5, {}, {}};
        {
            auto note = LossNote::open(path);
            QVERIFY(note->write(first)); // generation 1, in the second slot
            QVERIFY(note->write({0, 6, {}, {}}));
        }
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadWrite));
        QVERIFY(file.seek(20));
        QVERIFY(file.putChar('#'));
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
        const TinyDisk disk;
        if (!disk.isMounted)
            QSKIP("A file system of its own may not be mounted here; run this as root.");
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

    void fullDiskThatNeverHadANote_isSaid()
    {
        const TinyDisk disk;
        if (!disk.isMounted)
            QSKIP("A file system of its own may not be mounted here; run this as root.");
        QVERIFY(disk.fill());
        const auto note = LossNote::open(disk.path(u"spool.db.note"_s));
        QVERIFY(!note);
        QCOMPARE(note.error().code, Errc::Full);
        QVERIFY2(note.error().message.contains(u"No space left on device"), qPrintable(note.error().message));
    }
};

QTEST_GUILESS_MAIN(TestLossNote)
#include "tst_loss_note.moc"

#include "adapters/sqlite/spool_group.h"
#include "adapters/sqlite/sqlite_history.h"
#include "adapters/sqlite/sqlite_spool.h"
#include "adapters/sqlite/store_schema.h"
#include "contract/reading_spool_contract.h"
#include "fakes/fake_clock.h"
#include "fakes/spoilt_pages.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QTemporaryDir>

#include <algorithm>
#include <csignal>

#include <sys/resource.h>

using namespace lintel;

namespace {

/// Refuses to write along from a certain batch on.
class FailingObserver final : public AppendObserver
{
public:
    Result<void> opened(sqlite::Database &) override { return {}; }
    Result<void> appended(const ReadingBatch &) override
    {
        if (failing)
            return Error{Errc::Io, QStringLiteral("no")};
        return {};
    }
    void finished(bool committed) override { lastCommitted = committed; }
    void closed() override {}

    bool failing = false;
    bool lastCommitted = false;
};

/// A cipher of another kind: what is stored is not what was written.
class MirrorCipher final : public SpoolCipher
{
public:
    Result<QByteArray> seal(const SpoolRecordId &, QByteArrayView plain) const override { return mirrored(plain); }
    Result<QByteArray> open(const SpoolRecordId &, QByteArrayView sealed) const override { return mirrored(sealed); }

private:
    static QByteArray mirrored(QByteArrayView bytes)
    {
        QByteArray turned = bytes.toByteArray();
        std::reverse(turned.begin(), turned.end());
        return turned;
    }
};

} // namespace

// What SqliteSpool promises beyond the contract of every spool.
class tst_SqliteSpool : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    FakeClock m_clock;
    QString m_path;
    int m_made = 0;

    SqliteSpoolOptions options() const { return {m_path, QStringLiteral("hvac-001"), {}, {}}; }
    std::unique_ptr<SqliteSpool> open(AppendObserver *observer = nullptr)
    {
        auto spool = SqliteSpool::open(options(), m_clock, observer);
        if (!spool)
            qFatal("%s", qPrintable(spool.error().message));
        return *std::move(spool);
    }
    void execute(const QByteArray &sql)
    {
        auto database = sqlite::Database::open(m_path);
        QVERIFY(database);
        QVERIFY((*database)->execute(sql.constData()));
    }
    QStringList setAside() const
    {
        const QFileInfo file(m_path);
        return QDir(file.absolutePath())
            .entryList({file.fileName() + QStringLiteral(".damaged-*")}, QDir::Files, QDir::Name);
    }
    void overwrite(qint64 offset, const QByteArray &bytes)
    {
        QFile file(m_path);
        QVERIFY(file.open(QIODevice::ReadWrite));
        QVERIFY(file.seek(offset));
        QCOMPARE(file.write(bytes), bytes.size());
    }

private Q_SLOTS:
    void init() { m_path = m_folder.filePath(QStringLiteral("spool-%1.db").arg(++m_made)); }

    void open_makesAPrivateFile()
    {
        (void)open();
        QCOMPARE(QFileInfo(m_path).permissions()
                     & (QFile::ReadGroup | QFile::ReadOther | QFile::WriteGroup | QFile::WriteOther),
                 QFile::Permissions());
    }

    void open_refusesASecondOwner()
    {
        const auto first = open();
        SqliteSpoolOptions impatient = options();
        impatient.database.busyTimeout = Millis(50);
        const auto second = SqliteSpool::open(impatient, m_clock);
        QVERIFY(!second);
        QCOMPARE(second.error().code, Errc::Conflict);
        QVERIFY(first->append(ReadingSpoolContract::group(0, 1)));
    }

    void open_refusesANewerVersionAndLeavesItAlone()
    {
        QVERIFY(open()->append(ReadingSpoolContract::group(0, 2)));
        const auto ours = int(sqlite::storeMigrations().size());
        const auto mark = [this](int version) { execute("PRAGMA user_version = " + QByteArray::number(version)); };
        for (const int newer : {ours + 1, 999}) {
            mark(newer);
            const auto refused = SqliteSpool::open(options(), m_clock);
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, Errc::Unsupported);
            QVERIFY(setAside().isEmpty());
        }
        mark(ours);
        QCOMPARE(open()->status().pendingBatches, quint64(2));
    }

    void open_refusesAFileOfAnotherProgram_data()
    {
        QTest::addColumn<QByteArray>("sql");
        QTest::newRow("a table") << QByteArray("CREATE TABLE theirs (a)");
        QTest::newRow("empty, but theirs") << QByteArray("PRAGMA application_id = 7");
    }
    void open_refusesAFileOfAnotherProgram()
    {
        QFETCH(QByteArray, sql);
        execute(sql);
        const auto refused = SqliteSpool::open(options(), m_clock);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Unsupported);
        QVERIFY(setAside().isEmpty());
    }

    void open_saysWhichFolderCannotBeMade()
    {
        SqliteSpoolOptions impossible = options();
        impossible.path = QStringLiteral("/proc/nowhere/spool.db");
        const auto refused = SqliteSpool::open(impossible, m_clock);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Io);
        QVERIFY(refused.error().message.contains(QLatin1StringView("/proc/nowhere")));
    }

    void noDatabaseAtAll_isSetAsideAndANewStreamBegins()
    {
        QVERIFY(open()->append(ReadingSpoolContract::group(0, 20)));
        const StreamId old = open()->status().stream;
        overwrite(0, QByteArray(4096, '#'));
        QTest::ignoreMessage(QtWarningMsg,
                             QRegularExpression(QStringLiteral("is damaged.*kept as.*a new stream begins")));
        const auto spool = open();
        QVERIFY(spool->status().stream != old);
        const QStringList kept = setAside();
        QCOMPARE(kept.size(), 1);
        QVERIFY2(kept.first().contains(QLatin1StringView(".damaged-2026")), qPrintable(kept.first()));
        const auto losses = spool->losses(10);
        QCOMPARE(losses->size(), 1);
        QCOMPARE(losses->first().reason, LossReason::Unreadable);
        QCOMPARE(losses->first().device, QStringLiteral("hvac-001"));
        // The next hop hears of it first of all.
        const auto first = spool->read(0, 10);
        QCOMPARE(first->size(), 1);
        QVERIFY(first->first().batch.losses == *losses);
        QCOMPARE(spool->append(ReadingSpoolContract::group(0, 1))->first, Msn(2));
    }

    void damagedPages_loseWhatIsPendingButNotTheReceipts()
    {
        const StreamId sender = QUuid::createUuid();
        StreamId old;
        {
            const auto spool = open();
            old = spool->status().stream;
            for (Msn msn = 1; msn <= 400; ++msn)
                QVERIFY(spool->append(std::vector{ReadingSpoolContract::received(sender, msn)}));
            QVERIFY(spool->acknowledge(100));
        }
        QVERIFY(test::spoilBatchPages(m_path) > 0);
        QTest::ignoreMessage(QtWarningMsg, QRegularExpression(QStringLiteral("is damaged")));
        const auto spool = open();
        QCOMPARE(setAside().size(), 1);
        QCOMPARE(spool->contiguousReceipt(sender), Msn(400));
        const auto losses = spool->losses(10);
        QCOMPARE(losses->size(), 1);
        const Loss &loss = losses->first();
        QCOMPARE(loss.stream, old);
        QCOMPARE(loss.first, Msn(101));
        QCOMPARE(loss.last, Msn(400));
        QCOMPARE(loss.readings, quint64(600));
        QCOMPARE(spool->status().droppedReadings, quint64(600));
    }

    void setAside_keepsTheNewestTwo()
    {
        for (int i = 0; i < 4; ++i) {
            (void)open();
            overwrite(0, QByteArray(4096, '#'));
            m_clock.advance(std::chrono::hours(1));
            QTest::ignoreMessage(QtWarningMsg, QRegularExpression(QStringLiteral("is damaged")));
            (void)open();
        }
        QCOMPARE(setAside().size(), 2);
    }

    void flippedBit_isNoticed()
    {
        QVERIFY(open()->append(ReadingSpoolContract::group(0, 3)));
        execute("UPDATE batch SET payload = (SELECT payload FROM batch WHERE msn = 3) WHERE msn = 2");
        QTest::ignoreMessage(QtWarningMsg, QRegularExpression(QStringLiteral("cannot be read back")));
        const auto spool = open();
        QCOMPARE(spool->read(0, 10)->size(), 2);
        QCOMPARE(spool->losses(10)->first().first, Msn(2));
        // The receiver is told by a batch of its own, and need not wait for number 2.
        const auto notice = spool->read(3, 10);
        QCOMPARE(notice->size(), 1);
        QVERIFY(notice->first().batch.losses == *spool->losses(10));
    }

    void numberBeyondTheHighest_isRefused()
    {
        const auto spool = open();
        const StreamId sender = QUuid::createUuid();
        const auto refused = spool->append(std::vector{ReadingSpoolContract::received(sender, kHighestMsn + 1)});
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::OutOfRange);
        const auto dropped = spool->senderDropped(sender, QStringLiteral("hvac-001"), kHighestMsn + 1);
        QVERIFY(!dropped);
        QCOMPARE(dropped.error().code, Errc::OutOfRange);
        QCOMPARE(spool->contiguousReceipt(sender), Msn(0));
        QVERIFY(spool->append(std::vector{ReadingSpoolContract::received(sender, kHighestMsn)}));
    }

    void lossOfAnotherStream_freesNothing()
    {
        const auto spool = open();
        const StreamId sender = QUuid::createUuid();
        IncomingBatch notice = ReadingSpoolContract::received(sender, 4);
        notice.batch.losses.append(
            Loss{QStringLiteral("hvac-001"), QUuid::createUuid(), 2, 3, 0, {}, {}, LossReason::Unreadable});
        QVERIFY(spool->append(std::vector{ReadingSpoolContract::received(sender, 1), notice}));
        QCOMPARE(spool->contiguousReceipt(sender), Msn(1));
    }

    void lossOfItsOwnStream_freesTheWatermark()
    {
        const auto spool = open();
        const StreamId sender = QUuid::createUuid();
        IncomingBatch notice = ReadingSpoolContract::received(sender, 4);
        notice.batch.losses.append(Loss{QStringLiteral("hvac-001"), sender, 2, 999, 0, {}, {}, LossReason::Unreadable});
        QVERIFY(spool->append(std::vector{ReadingSpoolContract::received(sender, 1), notice}));
        QCOMPARE(spool->contiguousReceipt(sender), Msn(4)); // and not 999
    }

    void losses_ofNeighboursGrowTogether()
    {
        SqliteSpoolOptions small = options();
        small.limits.maxBatches = 3;
        const auto spool = SqliteSpool::open(small, m_clock);
        QVERIFY(spool);
        for (int i = 0; i < 50; ++i)
            QVERIFY((*spool)->append(ReadingSpoolContract::group(i, 1)));
        const auto losses = (*spool)->losses(100);
        QCOMPARE(losses->size(), 1);
        QCOMPARE(losses->first().first, Msn(1));
        QCOMPARE(losses->first().last, Msn(47));
        QCOMPARE(losses->first().readings, quint64(94));
        QCOMPARE(losses->first().to, ReadingSpoolContract::batchOf(46).readings[0].deviceTime);
    }

    void observer_undoesTheGroupWhenItFails()
    {
        FailingObserver observer;
        const auto spool = open(&observer);
        QVERIFY(spool->append(ReadingSpoolContract::group(0, 2)));
        QVERIFY(observer.lastCommitted);
        observer.failing = true;
        QVERIFY(!spool->append(ReadingSpoolContract::group(2, 2)));
        QVERIFY(!observer.lastCommitted);
        QCOMPARE(spool->status().head, Msn(2));
        observer.failing = false;
        QCOMPARE(spool->append(ReadingSpoolContract::group(2, 1))->first, Msn(3));
    }

    void cipher_seesEveryPayload()
    {
        const MirrorCipher cipher;
        {
            const auto spool = SqliteSpool::open(options(), m_clock, nullptr, &cipher);
            QVERIFY((*spool)->append(ReadingSpoolContract::group(0, 3)));
            QCOMPARE((*spool)->read(0, 10)->size(), 3);
        }
        QTest::ignoreMessage(QtWarningMsg, QRegularExpression(QStringLiteral("cannot be read back")));
        QVERIFY(open()->read(0, 10)->isEmpty()); // not without it
    }

    void fileSizeLimit_isAFullDisk()
    {
        const auto spool = open();
        QVERIFY(spool->append(ReadingSpoolContract::group(0, 10)));
        std::signal(SIGXFSZ, SIG_IGN);
        rlimit before{};
        getrlimit(RLIMIT_FSIZE, &before);
        rlimit tight = before;
        tight.rlim_cur = 256 * 1024;
        QCOMPARE(setrlimit(RLIMIT_FSIZE, &tight), 0);
        std::optional<Error> refusal;
        int accepted = 10;
        while (!refusal && accepted < 100'000) {
            const auto appended = spool->append(ReadingSpoolContract::group(accepted, 1));
            if (appended)
                ++accepted;
            else
                refusal = appended.error();
        }
        setrlimit(RLIMIT_FSIZE, &before);
        QVERIFY(refusal);
        QCOMPARE(refusal->code, Errc::Full);
        QVERIFY2(refusal->message.startsWith(QLatin1StringView("disk full: ")), qPrintable(refusal->message));
        QCOMPARE(spool->status().head, Msn(accepted));
        QCOMPARE(spool->append(ReadingSpoolContract::group(accepted, 1))->first, Msn(accepted + 1));
    }

    void fileLimitOfOurOwn_isAFullDiskToo()
    {
        SqliteSpoolOptions tight = options();
        tight.database.maxFileBytes = 200 * 1024;
        const auto spool = SqliteSpool::open(tight, m_clock);
        QVERIFY(spool);
        int accepted = 0;
        Result<ReadingSpool::Appended> appended = ReadingSpool::Appended{};
        while ((appended = (*spool)->append(ReadingSpoolContract::group(accepted, 1))) && accepted < 100'000)
            ++accepted;
        QVERIFY(!appended);
        QCOMPARE(appended.error().code, Errc::Full);
        QCOMPARE((*spool)->status().head, Msn(accepted));
        QVERIFY((*spool)->acknowledge(Msn(accepted)));
        QVERIFY((*spool)->append(ReadingSpoolContract::group(accepted, 1)));
    }

    void longOutage_isAcknowledgedInSteps()
    {
        const auto spool = open();
        for (int i = 0; i < 10; ++i)
            QVERIFY(spool->append(ReadingSpoolContract::group(i * 1'000, 1'000)));
        QVERIFY(spool->acknowledge(9'999));
        QCOMPARE(spool->status().tail, Msn(10'000));
        QCOMPARE(spool->status().pendingBatches, quint64(1));
        QVERIFY(QFileInfo(m_path + QStringLiteral("-wal")).size() < 4 * 1024 * 1024);
    }
};

QTEST_GUILESS_MAIN(tst_SqliteSpool)
#include "tst_sqlite_spool.moc"

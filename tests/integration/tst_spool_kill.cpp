// A child appends as fast as it can and says which number it reached; the parent kills it with
// SIGKILL at a random moment, over and over on the same file. What was said is there, once, in order.
#include "adapters/sqlite/sqlite_history.h"
#include "adapters/sqlite/sqlite_spool.h"
#include "contract/reading_spool_contract.h"
#include "ports/system_clock.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QProcess>
#include <QTemporaryDir>

#include <csignal>
#include <cstdio>
#include <random>

#include <sys/types.h>

using namespace lintel;

namespace {

const StreamId kSender{u"b3b3c1de-5a0e-4c57-9a52-0d6f1f6f5f01"};
constexpr int kKills = 25;

int runChild(const QString &path)
{
    SystemClock clock;
    SqliteHistory history({}, clock);
    const auto spool = SqliteSpool::open({path, QStringLiteral("gateway"), {}, {}}, clock, &history);
    if (!spool) {
        std::fprintf(stderr, "%s\n", qPrintable(spool.error().message));
        return 1;
    }
    Msn next = (*spool)->status().head + 1;
    for (quint64 turn = 0;; ++turn) {
        std::vector<IncomingBatch> group;
        for (quint64 i = 0; i <= turn % 7; ++i)
            group.push_back(ReadingSpoolContract::received(kSender, next++));
        const auto appended = (*spool)->append(group);
        if (!appended) {
            std::fprintf(stderr, "%s\n", qPrintable(appended.error().message));
            return 1;
        }
        std::printf("%llu\n", static_cast<unsigned long long>(appended->last));
        std::fflush(stdout);
        if (turn % 11 == 10 && !(*spool)->acknowledge(appended->last > 400 ? appended->last - 400 : 0))
            return 1;
    }
}

} // namespace

class tst_SpoolKill : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void acceptedBatches_surviveKill9()
    {
        QTemporaryDir folder;
        const QString path = folder.filePath(QStringLiteral("spool.db"));
        std::mt19937 random(std::random_device{}());
        std::uniform_int_distribution<int> delay(0, 60);
        SystemClock clock;
        StreamId stream;
        Msn before = 0;
        for (int kill = 0; kill < kKills; ++kill) {
            QProcess child;
            child.start(QCoreApplication::applicationFilePath(), {QStringLiteral("--append-forever"), path});
            QVERIFY(child.waitForStarted());
            QVERIFY2(child.waitForReadyRead(60'000), child.readAllStandardError().constData()); // it has appended
            // Random is the moment, not the wait: reading its pipe meanwhile keeps it from blocking.
            QElapsedTimer running;
            running.start();
            const int until = delay(random);
            QByteArray said = child.readAllStandardOutput();
            while (running.elapsed() < until) {
                child.waitForReadyRead(1);
                said += child.readAllStandardOutput();
            }
            ::kill(pid_t(child.processId()), SIGKILL);
            QVERIFY(child.waitForFinished(30'000));
            said += child.readAllStandardOutput();
            QCOMPARE(child.exitStatus(), QProcess::CrashExit);
            // Only a whole line was said.
            const QByteArray lines = said.left(said.lastIndexOf('\n'));
            const Msn accepted = lines.mid(lines.lastIndexOf('\n') + 1).toULongLong();
            QVERIFY(accepted > before);

            SqliteHistory history({}, clock);
            const auto spool = SqliteSpool::open({path, QStringLiteral("gateway"), {}, {}}, clock, &history);
            QVERIFY2(spool, spool ? "" : qPrintable(spool.error().message));
            const SpoolStatus status = (*spool)->status();
            stream = kill == 0 ? status.stream : stream;
            QCOMPARE(status.stream, stream);
            QVERIFY(status.head >= accepted);
            QVERIFY(status.head <= accepted + 7); // at most the group that was under way
            QCOMPARE((*spool)->contiguousReceipt(kSender), status.head);
            QCOMPARE(status.totalReadings, quint64(status.head * 2));
            QCOMPARE(history.status().rows, quint64(status.head * 2));
            QVERIFY((*spool)->losses(1)->isEmpty());
            const auto kept = (*spool)->read(0, 1'000'000);
            QVERIFY(kept);
            Msn next = status.acknowledged + 1;
            for (const StoredBatch &batch : *kept) {
                QCOMPARE(batch.msn, next++);
                QVERIFY(batch.batch == ReadingSpoolContract::batchOf(int(batch.msn)));
            }
            QCOMPARE(next, status.head + 1);
            before = status.head;
        }
        qInfo("%d kills, %llu batches", kKills, static_cast<unsigned long long>(before));
    }
};

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    if (argc == 3 && qstrcmp(argv[1], "--append-forever") == 0)
        return runChild(QFile::decodeName(argv[2]));
    tst_SpoolKill test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_spool_kill.moc"

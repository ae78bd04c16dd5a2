// Who calls the Workload API: what the kernel says, and what nobody can borrow.
#include "grpc/socket.h"
#include "workload-api/caller_attestor.h"
#include "workload-api/process_files.h"

#include <QCryptographicHash>
#include <QDir>
#include <QElapsedTimer>
#include <QFileInfo>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <array>
#include <vector>

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace Qt::StringLiterals;
using namespace lintel;
using namespace lintel::workloads;

namespace {

constexpr int kPatience = 20'000;

grpc::UnixPeer peerOf(qint64 pid)
{
    return {pid, ::geteuid(), ::getegid(), grpc::processStart(pid)};
}

/// A /proc with one process in it.
struct FakeProc {
    QTemporaryDir dir;
    grpc::UnixPeer peer{4242, 1000, 1000, 777};

    FakeProc()
    {
        QDir(dir.path()).mkpath(u"4242"_s);
        write("stat", "4242 (odd ) name (x) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 1");
        write("status", "Name:\tx\nUid:\t0\t1000\t0\t0\nGid:\t0\t1000\t0\t0\nGroups:\t4 27 \n");
        write("cgroup", "0::/system.slice/reports.service\n");
        exe(QCoreApplication::applicationFilePath());
    }
    void write(const char *name, const QByteArray &text) const
    {
        QFile file(dir.filePath(u"4242/"_s + QLatin1StringView(name)));
        QVERIFY(file.open(QIODevice::WriteOnly | QIODevice::Truncate));
        file.write(text);
    }
    void exe(const QString &target) const
    {
        QFile::remove(dir.filePath(u"4242/exe"_s));
        QVERIFY(QFile::link(target, dir.filePath(u"4242/exe"_s)));
    }
    [[nodiscard]] CallerAttestor attestor() const { return CallerAttestor(dir.path()); }
};

/// A /proc with as many processes as are asked about, each with an executable of its own.
struct ManyProcesses {
    QTemporaryDir dir;
    mutable int count = 0;

    std::shared_ptr<const ExecutableHash> ask(ExecutableHashes &hashes, quint32 uid, qint64 bytes) const
    {
        const int pid = ++count;
        const QString folder = dir.filePath(QString::number(pid));
        QDir().mkpath(folder);
        QFile program(folder + u"/exe"_s);
        QFile stat(folder + u"/stat"_s);
        struct stat facts {
        };
        if (!program.open(QIODevice::WriteOnly) || !program.resize(bytes) || !stat.open(QIODevice::WriteOnly)
            || ::fstat(program.handle(), &facts) != 0)
            return nullptr;
        stat.write("1 (x) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 1");
        return hashes.ask({pid, uid, uid, 777}, fingerprintOf(facts));
    }
    /// The process `pid`, counted from 1.
    std::shared_ptr<const ExecutableHash> askAgain(ExecutableHashes &hashes, quint32 uid, int pid) const
    {
        struct stat facts {
        };
        if (::stat(qPrintable(dir.filePath(u"%1/exe"_s.arg(pid))), &facts) != 0)
            return nullptr;
        return hashes.ask({pid, uid, uid, 777}, fingerprintOf(facts));
    }
};

struct Child {
    QProcess process;

    explicit Child(const QString &program, const QStringList &arguments)
    {
        process.start(program, arguments);
        process.waitForStarted();
    }
    ~Child()
    {
        process.kill();
        process.waitForFinished();
    }
};

/// Also when the hash of the executable comes later.
bool has(CallerAttestor &attestor, Caller &caller, const Selectors &wanted)
{
    auto match = CallerAttestor::Match::NotYet;
    (void)QTest::qWaitFor([&] { return (match = attestor.matches(caller, wanted)) != CallerAttestor::Match::NotYet; },
                          kPatience);
    return match == CallerAttestor::Match::Yes;
}

QByteArray hashOf(const QString &path)
{
    QFile file(path);
    QCryptographicHash hash(QCryptographicHash::Sha256);
    return file.open(QIODevice::ReadOnly) && hash.addData(&file) ? hash.result().toHex() : QByteArray();
}

} // namespace

class TestWorkloadCallers : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void ownProcess_isWhatTheSystemSays()
    {
        CallerAttestor attestor;
        auto caller = attestor.attest(peerOf(::getpid()));
        QVERIFY2(caller, caller ? "" : qPrintable(caller.error().message));
        QVERIFY(caller->selectors.contains(u"unix:uid:%1"_s.arg(::geteuid())));
        QVERIFY(caller->selectors.contains(u"unix:gid:%1"_s.arg(::getegid())));
        std::array<gid_t, 256> groups{};
        const int count = ::getgroups(int(groups.size()), groups.data());
        for (int i = 0; i < count; ++i)
            QVERIFY(caller->selectors.contains(u"unix:supplementary_gid:%1"_s.arg(groups[size_t(i)])));
        const QString path = QFileInfo(u"/proc/self/exe"_s).symLinkTarget();
        QVERIFY(caller->selectors.contains(u"unix:path:"_s + path));
        QVERIFY(attestor.isStillThere(*caller));

        const QString hash = u"unix:sha256:"_s + QString::fromLatin1(hashOf(path));
        QVERIFY(has(attestor, *caller, {hash, u"unix:path:"_s + path}));
        QVERIFY(!has(attestor, *caller, {u"unix:sha256:"_s + QString(64, u'0')}));
    }

    void executable_isHashedOnlyWhenNothingElseIsMissing()
    {
        CallerAttestor attestor;
        auto caller = *attestor.attest(peerOf(::getpid()));
        const QString hash = u"unix:sha256:"_s + QString(64, u'0');
        QVERIFY(!has(attestor, caller, {hash, u"unix:uid:4294000000"_s}));
        QVERIFY(!caller.hash);
        QVERIFY(!has(attestor, caller, {hash}));
        QVERIFY(caller.hash);
    }

    /// A large file takes seconds, and this thread has other things to do.
    void executable_isReadByAWorker()
    {
        CallerAttestor attestor;
        auto caller = *attestor.attest(peerOf(::getpid()));
        const Selectors wanted{u"unix:sha256:"_s
                               + QString::fromLatin1(hashOf(QCoreApplication::applicationFilePath()))};
        QCOMPARE(attestor.matches(caller, wanted), CallerAttestor::Match::NotYet);
        QVERIFY(has(attestor, caller, wanted));
        // Another process with the same executable finds it.
        auto second = *attestor.attest(peerOf(::getpid()));
        QCOMPARE(attestor.matches(second, wanted), CallerAttestor::Match::Yes);
        QCOMPARE(attestor.hashes().filesRead(), quint64(1));
    }

    void hashes_oneUsersFilesKeepNobodyWaiting()
    {
        const ManyProcesses many;
        ExecutableHashes hashes(many.dir.path());
        std::vector<std::shared_ptr<const ExecutableHash>> greedy;
        for (int i = 0; i < 8; ++i)
            greedy.push_back(many.ask(hashes, 1000, 8 * 1024 * 1024));
        const auto modest = many.ask(hashes, 1001, 10);
        QTRY_VERIFY_WITH_TIMEOUT(modest->isKnown, kPatience);
        QVERIFY(!modest->hex.isEmpty());
        QVERIFY2(hashes.filesRead() <= 2, qPrintable(QString::number(hashes.filesRead())));
        // Whoever has gone is not read for.
        while (greedy.size() > 2)
            greedy.pop_back();
        QTRY_VERIFY_WITH_TIMEOUT(greedy[0]->isKnown && greedy[1]->isKnown, kPatience);
        QTest::qWait(50);
        QVERIFY(hashes.filesRead() <= 4);
    }

    /// All containers of a host are root's, and each has programs of its own.
    void hashes_ofManyProgramsOfOneUserAreKept()
    {
        const ManyProcesses many;
        ExecutableHashes hashes(many.dir.path());
        constexpr int kPrograms = 40;
        const auto askAll = [&] {
            std::vector<std::shared_ptr<const ExecutableHash>> answers;
            for (int pid = 1; pid <= kPrograms; ++pid)
                answers.push_back(many.askAgain(hashes, 1000, pid));
            return answers;
        };
        for (int i = 0; i < kPrograms; ++i)
            QVERIFY(many.ask(hashes, 1000, 10 + i));
        const auto first = askAll();
        QTRY_VERIFY_WITH_TIMEOUT(std::all_of(first.begin(), first.end(), [](const auto &one) { return one->isKnown; }),
                                 kPatience);
        const quint64 read = hashes.filesRead();
        const auto second = askAll();
        QVERIFY(std::all_of(second.begin(), second.end(), [](const auto &one) { return one->isKnown; }));
        QTest::qWait(50);
        QCOMPARE(hashes.filesRead(), read);
    }

    void hashes_whatWasUsedLongestAgoIsForgottenFirst()
    {
        const ManyProcesses many;
        ExecutableHashes hashes(many.dir.path());
        const auto knows = [&](quint32 uid, int pid) { return many.askAgain(hashes, uid, pid)->isKnown; };
        const auto read = [&](quint32 uid) {
            const auto answer = many.ask(hashes, uid, 10);
            return QTest::qWaitFor([&] { return answer->isKnown; }, kPatience) && !answer->hex.isEmpty();
        };
        for (int i = 0; i < ExecutableHashes::kMaxHashesOfUser; ++i)
            QVERIFY(read(1000));
        QVERIFY(knows(1000, 1)); // a use
        QVERIFY(read(1000));
        QVERIFY(knows(1000, 1));
        QVERIFY(!knows(1000, 2));
        QVERIFY(knows(1000, 3));
    }

    void hashes_ofTheUserWhoAskedLongestAgoAreForgottenFirst()
    {
        const ManyProcesses many;
        ExecutableHashes hashes(many.dir.path());
        const auto read = [&](quint32 uid) {
            const auto answer = many.ask(hashes, uid, 10);
            return QTest::qWaitFor([&] { return answer->isKnown; }, kPatience) && !answer->hex.isEmpty();
        };
        const quint32 users = quint32(ExecutableHashes::kMaxUsers);
        for (quint32 i = 1; i <= users; ++i)
            QVERIFY(read(1000 + i));
        QVERIFY(many.askAgain(hashes, 1001, 1)->isKnown); // a use
        QTest::qWait(100);                                // each has had its pause
        QVERIFY(read(1000 + users + 1));
        QVERIFY(many.askAgain(hashes, 1001, 1)->isKnown);
        QVERIFY(many.askAgain(hashes, 1003, 3)->isKnown);
        QVERIFY(!many.askAgain(hashes, 1002, 2)->isKnown);
    }

    /// Whoever touches his program again and again has it read again and again.
    void hashes_whoWasReadForWaitsLonger()
    {
        const ManyProcesses many;
        ExecutableHashes hashes(many.dir.path());
        QElapsedTimer timer;
        timer.start();
        const auto large = many.ask(hashes, 1000, 64 * 1024 * 1024);
        QTRY_VERIFY_WITH_TIMEOUT(large->isKnown, kPatience);
        const qint64 took = timer.restart();
        const auto small = many.ask(hashes, 1000, 10);
        QTRY_VERIFY_WITH_TIMEOUT(small->isKnown, kPatience);
        QVERIFY2(timer.elapsed() >= took, qPrintable(u"%1 after %2 ms"_s.arg(timer.elapsed()).arg(took)));
    }

    void entryWithoutSelectors_matchesNobody()
    {
        CallerAttestor attestor;
        auto caller = *attestor.attest(peerOf(::getpid()));
        QVERIFY(!has(attestor, caller, {}));
    }

    void entry_needsAllOfItsSelectors()
    {
        const FakeProc proc;
        CallerAttestor attestor = proc.attestor();
        auto caller = attestor.attest(proc.peer);
        QVERIFY2(caller, caller ? "" : qPrintable(caller.error().message));
        QVERIFY(has(attestor, *caller, {u"unix:uid:1000"_s}));
        QVERIFY(has(attestor, *caller,
                    {u"unix:uid:1000"_s, u"unix:supplementary_gid:27"_s, u"systemd:id:reports.service"_s}));
        QVERIFY(!has(attestor, *caller, {u"unix:uid:1000"_s, u"unix:supplementary_gid:28"_s}));
        QVERIFY(!has(attestor, *caller, {u"k8s:ns:default"_s}));
    }

    void processThatEnded_isNobody()
    {
        CallerAttestor attestor;
        Child child(u"/bin/sleep"_s, {u"60"_s});
        const grpc::UnixPeer peer = peerOf(child.process.processId());
        const auto caller = attestor.attest(peer);
        QVERIFY(caller);
        child.process.kill();
        QVERIFY(child.process.waitForFinished(kPatience));
        QVERIFY(!attestor.isStillThere(*caller));
        const auto again = attestor.attest(peer);
        QVERIFY(!again);
        QCOMPARE(again.error().code, Errc::Denied);
    }

    void pidThatWasReused_isNobody()
    {
        // The same pid, but the process began at another time than the one that connected.
        const FakeProc proc;
        grpc::UnixPeer peer = proc.peer;
        const CallerAttestor attestor = proc.attestor();
        const auto caller = attestor.attest(peer);
        QVERIFY(caller);
        proc.write("stat", "4242 (x) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 778 1 1");
        QVERIFY(!attestor.isStillThere(*caller));
        const auto again = attestor.attest(peer);
        QVERIFY(!again);
        QCOMPARE(again.error().code, Errc::Denied);
        peer.startedAt = 0; // it had ended when the connection was accepted
        QVERIFY(!attestor.attest(peer));
    }

    void processThatBecameAnotherUser_isNobody()
    {
        const FakeProc proc;
        proc.write("status", "Uid:\t1000\t0\t0\t0\nGid:\t1000\t1000\t0\t0\nGroups:\t\n");
        QCOMPARE(proc.attestor().attest(proc.peer).error().code, Errc::Denied);
        proc.write("status", "Uid:\t1000\t1000\t0\t0\nGid:\t1000\t0\t0\t0\nGroups:\t\n");
        QCOMPARE(proc.attestor().attest(proc.peer).error().code, Errc::Denied);
    }

    void executableThatMayNotBeRead_isLeftOut()
    {
        const FakeProc proc;
        QFile::remove(proc.dir.filePath(u"4242/exe"_s));
        CallerAttestor attestor = proc.attestor();
        auto caller = attestor.attest(proc.peer);
        QVERIFY(caller);
        QVERIFY(caller->executable.isEmpty());
        for (const QString &selector : std::as_const(caller->selectors))
            QVERIFY(!selector.startsWith("unix:path:"_L1));
        QVERIFY(!has(attestor, *caller, {u"unix:sha256:"_s + QString(64, u'0')}));
    }

    void executableInMountsOfItsOwn_isNotBelieved()
    {
        Child child(u"unshare"_s,
                    {u"--mount"_s, u"sh"_s, u"-c"_s,
                     u"mount --bind \"$(readlink -f /bin/sleep)\" /usr/bin/true && exec /usr/bin/true 60"_s});
        const auto link = u"/proc/%1/exe"_s.arg(child.process.processId());
        const auto runs = [&] { return QFile::symLinkTarget(link) == "/usr/bin/true"_L1; };
        if (!QTest::qWaitFor([&] { return runs() || child.process.state() == QProcess::NotRunning; }, kPatience)
            || !runs())
            QSKIP("Mounting needs root.");
        CallerAttestor attestor;
        auto caller = attestor.attest(peerOf(child.process.processId()));
        QVERIFY(caller);
        QVERIFY(!caller->selectors.contains(u"unix:path:/usr/bin/true"_s));
        // What it really runs can still be told by its hash.
        QVERIFY(has(attestor, *caller, {u"unix:sha256:"_s + QString::fromLatin1(hashOf(u"/bin/sleep"_s))}));
    }

    void connectionOfAProcessThatEndedBeforeItWasAccepted_hasNoProcess()
    {
        QTemporaryDir dir;
        auto listener = grpc::UnixListener::open(dir.filePath(u"s"_s), 0600);
        QVERIFY(listener);
        const auto address = *grpc::unixAddress(dir.filePath(u"s"_s));
        const grpc::Socket borrowed(::socket(AF_UNIX, SOCK_STREAM, 0));
        const pid_t child = ::fork();
        if (child == 0)
            ::_exit(
                ::connect(borrowed.descriptor(), reinterpret_cast<const sockaddr *>(&address.storage), address.length));
        int status = -1;
        QCOMPARE(::waitpid(child, &status, 0), child);
        QCOMPARE(status, 0);
        const auto accepted = grpc::acceptOne(listener->socket(), true);
        QVERIFY(accepted.process);
        QCOMPARE(accepted.process->startedAt, 0U);
        QVERIFY(!CallerAttestor().attest(*accepted.process));
    }

    void systemdUnit_isTheFirstPartThatIsNoSlice_data()
    {
        QTest::addColumn<QByteArray>("text");
        QTest::addColumn<QString>("unit");
        QTest::newRow("service") << QByteArray("0::/system.slice/reports.service\n") << u"reports.service"_s;
        QTest::newRow("below a service") << QByteArray("0::/system.slice/reports.service/x/sshd.service\n")
                                         << u"reports.service"_s;
        QTest::newRow("a user's own manager")
            << QByteArray("0::/user.slice/user-1000.slice/user@1000.service/app.slice/reports.service\n")
            << u"user@1000.service"_s;
        QTest::newRow("session") << QByteArray("0::/user.slice/user-1000.slice/session-3.scope\n")
                                 << u"session-3.scope"_s;
        QTest::newRow("slices in slices")
            << QByteArray("0::/a.slice/a-b.slice/reports.service\n") << u"reports.service"_s;
        QTest::newRow("escaped") << QByteArray("0::/system.slice/_cpu.service\n") << u"cpu.service"_s;
        QTest::newRow("version 1") << QByteArray("4:cpu:/x.service\n1:name=systemd:/system.slice/reports.service\n")
                                   << u"reports.service"_s;
        QTest::newRow("colon in a name") << QByteArray("0::/system.slice/a:b.service\n") << u"a:b.service"_s;
        QTest::newRow("container") << QByteArray("0::/docker/0123abcd\n") << QString();
        QTest::newRow("outside of our tree") << QByteArray("0::/../../system.slice/reports.service\n") << QString();
        QTest::newRow("root") << QByteArray("0::/\n") << QString();
        QTest::newRow("nothing") << QByteArray("") << QString();
        QTest::newRow("not cgroups") << QByteArray("garbage\n:\n::\n") << QString();
    }
    void systemdUnit_isTheFirstPartThatIsNoSlice()
    {
        QFETCH(QByteArray, text);
        QFETCH(QString, unit);
        QCOMPARE(systemdUnitOf(text), unit);
    }
};

QTEST_GUILESS_MAIN(TestWorkloadCallers)
#include "tst_workload_callers.moc"

// Who calls the Workload API: what the kernel says, and what nobody can borrow.
#include "grpc/socket.h"
#include "workload-api/caller_attestor.h"

#include <QCryptographicHash>
#include <QDir>
#include <QFileInfo>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <array>

#include <grp.h>
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
        QVERIFY(attestor.matches(*caller, {hash, u"unix:path:"_s + path}));
        QVERIFY(!attestor.matches(*caller, {u"unix:sha256:"_s + QString(64, u'0')}));
    }

    void executable_isHashedOnlyWhenNothingElseIsMissing()
    {
        CallerAttestor attestor;
        auto caller = *attestor.attest(peerOf(::getpid()));
        const QString hash = u"unix:sha256:"_s + QString(64, u'0');
        QVERIFY(!attestor.matches(caller, {hash, u"unix:uid:4294000000"_s}));
        QVERIFY(!caller.wasHashed);
        QVERIFY(!attestor.matches(caller, {hash}));
        QVERIFY(caller.wasHashed);
    }

    void entryWithoutSelectors_matchesNobody()
    {
        CallerAttestor attestor;
        auto caller = *attestor.attest(peerOf(::getpid()));
        QVERIFY(!attestor.matches(caller, {}));
    }

    void entry_needsAllOfItsSelectors()
    {
        const FakeProc proc;
        CallerAttestor attestor = proc.attestor();
        auto caller = attestor.attest(proc.peer);
        QVERIFY2(caller, caller ? "" : qPrintable(caller.error().message));
        QVERIFY(attestor.matches(*caller, {u"unix:uid:1000"_s}));
        QVERIFY(attestor.matches(
            *caller, {u"unix:uid:1000"_s, u"unix:supplementary_gid:27"_s, u"systemd:id:reports.service"_s}));
        QVERIFY(!attestor.matches(*caller, {u"unix:uid:1000"_s, u"unix:supplementary_gid:28"_s}));
        QVERIFY(!attestor.matches(*caller, {u"k8s:ns:default"_s}));
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
        QVERIFY(!attestor.matches(*caller, {u"unix:sha256:"_s + QString(64, u'0')}));
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
        QVERIFY(attestor.matches(*caller, {u"unix:sha256:"_s + QString::fromLatin1(hashOf(u"/bin/sleep"_s))}));
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

// How the demo ends: after Ctrl-C, SIGTERM and kill -9 nothing that it started runs any more; and how
// it lives on: certificates are renewed while everything runs.
#include "integration/running_building.h"

#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QRegularExpression>
#include <QScopeGuard>
#include <QSslCertificate>
#include <QSslSocket>
#include <QTest>

#include <csignal>
#include <sys/prctl.h>
#include <unistd.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {

/// A process, so that another one that got the same number later is not taken for it.
struct Seen {
    qint64 pid = 0;
    QByteArray startTime;
};

/// Of /proc/<pid>/stat behind the name: state, parent, …; the start time is number 22 of all.
QList<QByteArray> statOf(qint64 pid)
{
    QFile file(u"/proc/%1/stat"_s.arg(pid));
    if (!file.open(QIODevice::ReadOnly))
        return {};
    const QByteArray text = file.readAll();
    return text.mid(text.lastIndexOf(')') + 2).split(' ');
}

QList<Seen> childrenOf(qint64 parent)
{
    QList<Seen> found;
    const QStringList entries = QDir(u"/proc"_s).entryList(QDir::Dirs | QDir::NoDotAndDotDot);
    for (const QString &entry : entries) {
        bool isNumber = false;
        const qint64 pid = entry.toLongLong(&isNumber);
        if (!isNumber)
            continue;
        const QList<QByteArray> stat = statOf(pid);
        if (stat.size() > 19 && stat[1].toLongLong() == parent)
            found.append({pid, stat[19]});
    }
    return found;
}

bool lives(const Seen &process)
{
    const QList<QByteArray> stat = statOf(process.pid);
    return stat.size() > 19 && stat[19] == process.startTime && stat[0] != "Z" && stat[0] != "X";
}

bool anyLives(const QList<Seen> &processes)
{
    return std::any_of(processes.begin(), processes.end(), lives);
}

/// In place of the console, which a build without a GUI does not have: says at the end what the real
/// one would, and takes as long to end.
const char *const kConsole = "#!/bin/sh\n"
                             "while [ $# -gt 0 ]; do\n"
                             "  case $1 in --screenshot) picture=$2 ;; --report) report=$2 ;; esac\n"
                             "  shift\n"
                             "done\n"
                             "finish() {\n"
                             "  echo picture > \"$picture\"\n"
                             "  echo '{\"readings\": 1, \"lines_drawn\": 1, \"connected\": true,'"
                             " '\"devices_online\": 3, \"malformed\": 0}' > \"$report\"\n"
                             "  exit 0\n"
                             "}\n"
                             "trap finish TERM\n"
                             "while :; do sleep 0.1; done\n";

/// lintelctl in a folder of its own, where the console beside it is the one above.
class Demo
{
public:
    Demo() { process.setProcessChannelMode(QProcess::MergedChannels); }
    [[nodiscard]] bool start(const QString &identity, const QStringList &more = {})
    {
        const QString program = m_dir.filePath(u"bin/lintelctl"_s);
        if (!QDir(m_dir.path()).mkpath(u"bin"_s) || !QFile::copy(QStringLiteral(LINTEL_BIN_DIR "/lintelctl"), program))
            return false;
        QFile file(m_dir.filePath(u"bin/lintel-console"_s));
        if (!file.open(QIODevice::WriteOnly) || file.write(console) < 0)
            return false;
        file.close();
        file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);

        auto environment = QProcessEnvironment::systemEnvironment();
        environment.insert(u"PATH"_s, QStringLiteral(LINTEL_BIN_DIR ":") + environment.value(u"PATH"_s));
        environment.insert(u"TMPDIR"_s, m_dir.path());
        // Threads of libraries live until a process ends, and what they hold then is a leak to a sanitizer; here
        // exit codes count.
        environment.insert(u"ASAN_OPTIONS"_s, environment.value(u"ASAN_OPTIONS"_s) + u":detect_leaks=0"_s);
        process.setProcessEnvironment(environment);
        process.setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
        process.start(program, QStringList{u"demo"_s, u"--headless"_s, u"--sensors"_s, u"2"_s, u"--sensor-period"_s,
                                           u"0.2"_s, u"--identity"_s, identity, u"--keep"_s, m_dir.filePath(u"state"_s)}
                                   + more);
        return process.waitForStarted();
    }
    ~Demo()
    {
        process.kill(); // its children end with it: that is what is tested here
        process.waitForFinished();
    }

    [[nodiscard]] bool says(const QString &words, int milliseconds = 90'000)
    {
        return QTest::qWaitFor(
                   [&] {
                       output += QString::fromUtf8(process.readAll());
                       return output.contains(words) || process.state() == QProcess::NotRunning;
                   },
                   milliseconds)
               && output.contains(words);
    }
    [[nodiscard]] bool ends()
    {
        const bool ended = QTest::qWaitFor([this] { return process.state() == QProcess::NotRunning; }, 120'000);
        output += QString::fromUtf8(process.readAll());
        return ended;
    }

    /// The demo's process of that name: an agent of its configuration file.
    [[nodiscard]] qint64 pidOf(const QString &agent) const
    {
        const QByteArray config = m_dir.filePath(u"state/config/%1.yaml"_s.arg(agent)).toUtf8();
        for (const Seen &child : childrenOf(process.processId())) {
            QFile line(u"/proc/%1/cmdline"_s.arg(child.pid));
            if (line.open(QIODevice::ReadOnly) && line.readAll().contains(config))
                return child.pid;
        }
        return 0;
    }

    QProcess process;
    QString output;
    QByteArray console = kConsole;

private:
    QTemporaryDir m_dir;
};

const QString kTpm = u"tpm"_s;
const QString kFiles = u"files"_s;

/// Two brokers, backend, gateway, two sensors, console; with TPMs two authorities and three TPMs more.
int processesWith(const QString &identity)
{
    return identity == kTpm ? 12 : 7;
}

QSslCertificate certificateOf(quint16 port)
{
    QSslSocket socket;
    socket.setPeerVerifyMode(QSslSocket::VerifyNone);
    socket.connectToHostEncrypted(u"127.0.0.1"_s, port);
    return socket.waitForEncrypted(10'000) ? socket.peerCertificate() : QSslCertificate();
}

} // namespace

class TestDemoLife : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void kill9_leavesNothingBehind_data()
    {
        QTest::addColumn<QString>("identity");
        QTest::addRow("tpm") << kTpm;
        QTest::addRow("files") << kFiles;
    }

    void kill9_leavesNothingBehind()
    {
        QFETCH(QString, identity);
        Demo demo;
        QVERIFY(demo.start(identity));
        QVERIFY2(demo.says(u"The building runs."_s), qPrintable(demo.output));
        const QList<Seen> children = childrenOf(demo.process.processId());
        QCOMPARE(children.size(), processesWith(identity));
        QVERIFY(std::all_of(children.begin(), children.end(), lives));
        const auto endSurvivors = qScopeGuard([&children] {
            for (const Seen &child : children) {
                if (lives(child))
                    ::kill(pid_t(child.pid), SIGKILL);
            }
        });
        demo.process.kill();
        QVERIFY(demo.ends());
        QVERIFY2(QTest::qWaitFor([&children] { return !anyLives(children); }, 2'000),
                 "a process of the demo lives two seconds after the demo was killed");
    }

    void signal_endsEverythingWithTheAccount_data()
    {
        QTest::addColumn<int>("signal");
        QTest::addColumn<QString>("identity");
        QTest::addRow("Ctrl-C") << SIGINT << kTpm;
        QTest::addRow("SIGTERM") << SIGTERM << kFiles;
        QTest::addRow("closed terminal") << SIGHUP << kTpm;
    }

    void signal_endsEverythingWithTheAccount()
    {
        QFETCH(int, signal);
        QFETCH(QString, identity);
        Demo demo;
        QVERIFY(demo.start(identity));
        QVERIFY2(demo.says(u"The building runs."_s), qPrintable(demo.output));
        const QList<Seen> children = childrenOf(demo.process.processId());
        QCOMPARE(children.size(), processesWith(identity));
        QCOMPARE(::kill(pid_t(demo.process.processId()), signal), 0);
        QVERIFY2(demo.ends(), qPrintable(demo.output));
        QVERIFY(!anyLives(children)); // it ends last of all
        QCOMPARE(demo.process.exitStatus(), QProcess::NormalExit);
        QVERIFY2(demo.output.contains(u"readings produced"_s), qPrintable(demo.output));
        QVERIFY2(demo.output.contains(u"stored by the cloud"_s), qPrintable(demo.output));
        QVERIFY2(demo.process.exitCode() == 0, qPrintable(demo.output));
    }

    void signal_duringTheStartEndsWithASentence_data()
    {
        QTest::addColumn<QString>("identity");
        QTest::addRow("tpm") << kTpm;
        QTest::addRow("files") << kFiles;
    }

    void signal_duringTheStartEndsWithASentence()
    {
        QFETCH(QString, identity);
        Demo demo;
        QVERIFY(demo.start(identity));
        QList<Seen> children;
        QTRY_VERIFY_WITH_TIMEOUT(!(children = childrenOf(demo.process.processId())).isEmpty(), 60'000);
        QCOMPARE(::kill(pid_t(demo.process.processId()), SIGTERM), 0);
        QVERIFY2(demo.ends(), qPrintable(demo.output));
        QVERIFY(!anyLives(children));
        QCOMPARE(demo.process.exitStatus(), QProcess::NormalExit);
        QCOMPARE(demo.process.exitCode(), 1);
        QCOMPARE(demo.output.count(u"ended before the whole building ran"_s), 1);
        QVERIFY2(!demo.output.contains(u"readings produced"_s), qPrintable(demo.output)); // no account of nothing
    }

    /// As with a display that is not there.
    void consoleThatDoesNotStart_isOneErrorObject()
    {
        Demo demo;
        demo.console = "#!/bin/sh\nexit 1\n";
        demo.process.setProcessChannelMode(QProcess::SeparateChannels);
        QVERIFY(demo.start(kFiles, {u"--json"_s}));
        QVERIFY(demo.ends());
        QCOMPARE(demo.process.exitCode(), 1);
        const QJsonObject object = QJsonDocument::fromJson(demo.output.toUtf8()).object();
        QCOMPARE(object.keys(), (QStringList{u"error"_s, u"ok"_s}));
        QCOMPARE(object.value(u"ok"_s), QJsonValue(false));
        const QJsonObject error = object.value(u"error"_s).toObject();
        QCOMPARE(error.value(u"code"_s).toString(), u"unavailable"_s);
        QVERIFY2(error.value(u"message"_s).toString().contains(u"console"_s), qPrintable(demo.output));
    }

    void secondSignal_endsWithASentenceAndNoAccount()
    {
        Demo demo;
        demo.console = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n"; // it keeps the end waiting
        QVERIFY(demo.start(kFiles));
        QVERIFY2(demo.says(u"The building runs."_s), qPrintable(demo.output));
        const auto pid = pid_t(demo.process.processId());
        QCOMPARE(::kill(pid, SIGINT), 0);
        QVERIFY2(demo.says(u"Ending: "_s), qPrintable(demo.output));
        QCOMPARE(::kill(pid, SIGINT), 0);
        QVERIFY(demo.ends());
        QCOMPARE(demo.process.exitCode(), 1);
        QCOMPARE(demo.output.count(u"told twice to end"_s), 1);
        QVERIFY2(!demo.output.contains(u"readings produced"_s), qPrintable(demo.output));
    }

    void revokedSensor_isOutAndStaysOut()
    {
        Demo demo;
        QVERIFY(demo.start(kTpm, {u"--revoke"_s, u"2"_s, u"--duration"_s, u"10"_s}));
        QVERIFY2(demo.ends(), qPrintable(demo.output));
        QVERIFY2(demo.process.exitCode() == 0, qPrintable(demo.output));
        QVERIFY2(
            demo.output.contains(QRegularExpression(u"revoked +occupancy-001, out after \\d+ ms; accepted later: 0"_s)),
            qPrintable(demo.output));
        QVERIFY2(demo.output.contains(u"revoked: occupancy-001, out after"_s), qPrintable(demo.output)); // the board
    }

    void report_hasTheFiguresOfRevocationAndRenewals()
    {
        Demo demo;
        demo.process.setProcessChannelMode(QProcess::SeparateChannels);
        QVERIFY(
            demo.start(kTpm, {u"--json"_s, u"--revoke"_s, u"2"_s, u"--duration"_s, u"25"_s, u"--svid-ttl"_s, u"30"_s}));
        const bool ended = demo.ends();
        const QString words = demo.output + QString::fromUtf8(demo.process.readAllStandardError());
        QVERIFY2(ended && demo.process.exitCode() == 0, qPrintable(words));
        const QJsonObject report = QJsonDocument::fromJson(demo.output.toUtf8()).object();
        QVERIFY2(report.value(u"ok"_s).toBool(), qPrintable(words));
        QCOMPARE(report.value(u"revoked_device"_s).toString(), u"occupancy-001"_s);
        QCOMPARE(report.value(u"accepted_after_revoke"_s), QJsonValue(0));
        const QJsonObject times = report.value(u"revoke_ms"_s).toObject();
        QCOMPARE(times.keys(), (QStringList{u"max"_s, u"p50"_s, u"p99"_s}));
        for (const QJsonValue &time : times) // two seconds are promised, to a machine that is not busy with tests
            QVERIFY2(time.isDouble() && time.toDouble() >= 0 && time.toDouble() < 10'000, qPrintable(words));
        QVERIFY2(report.value(u"readings_held_by_revoked"_s).toInt(-1) >= 0, qPrintable(words));
        QCOMPARE(report.value(u"attested_devices"_s), QJsonValue(3)); // two sensors and the gateway
        // Half of 30 s was over for everybody: at least a sensor, the gateway and the backend.
        QVERIFY2(report.value(u"svid_rotations"_s).toInt() >= 3, qPrintable(words));
    }

    void kill9OfAnAgent_isMendedAndNothingIsLost_data()
    {
        QTest::addColumn<QString>("agent");
        QTest::addRow("sensor") << u"hvac-001"_s;
        QTest::addRow("gateway") << u"gateway"_s;
    }

    void kill9OfAnAgent_isMendedAndNothingIsLost()
    {
        QFETCH(QString, agent);
        Demo demo;
        QVERIFY(demo.start(kFiles));
        QVERIFY2(demo.says(u"The building runs."_s), qPrintable(demo.output));
        const qint64 pid = demo.pidOf(agent);
        QVERIFY(pid > 0);
        QCOMPARE(::kill(pid_t(pid), SIGKILL), 0);
        QVERIFY2(demo.says(u"Started again: %1."_s.arg(agent)), qPrintable(demo.output));
        QVERIFY(demo.output.contains(u"%1 was ended by signal 9"_s.arg(agent)));
        QVERIFY(!demo.output.contains(u"level=INFO"_s));
        QCOMPARE(::kill(pid_t(demo.process.processId()), SIGINT), 0);
        QVERIFY2(demo.ends(), qPrintable(demo.output));
        QVERIFY2(demo.process.exitCode() == 0, qPrintable(demo.output)); // all that was produced is stored
        QVERIFY2(demo.output.contains(QRegularExpression(u"started again +1 process"_s)), qPrintable(demo.output));
    }

    void agentThatDiesAgainAndAgain_isAFailure()
    {
        Demo demo;
        QVERIFY(demo.start(kFiles));
        QVERIFY2(demo.says(u"The building runs."_s), qPrintable(demo.output));
        qint64 last = 0;
        for (int death = 0; death < demo::Building::kManyDeaths; ++death) {
            qint64 pid = 0;
            QTRY_VERIFY_WITH_TIMEOUT((pid = demo.pidOf(u"hvac-001"_s)) > 0 && pid != last, 20'000);
            QCOMPARE(::kill(pid_t(pid), SIGKILL), 0);
            last = pid;
        }
        QVERIFY2(demo.ends(), qPrintable(demo.output));
        QCOMPARE(demo.process.exitCode(), 1);
        QVERIFY2(demo.output.contains(u"hvac-001 died 3 times within 30 s"_s), qPrintable(demo.output));
    }

    void wrongOption_isOneJsonObject()
    {
        QProcess process;
        process.start(QStringLiteral(LINTEL_BIN_DIR "/lintelctl"), {u"demo"_s, u"--json"_s, u"--bogus"_s});
        QVERIFY(process.waitForFinished());
        QCOMPARE(process.exitCode(), 2);
        const QJsonObject object = QJsonDocument::fromJson(process.readAllStandardOutput()).object();
        QCOMPARE(object.value(u"ok"_s), QJsonValue(false));
        QVERIFY(object.value(u"error"_s).toObject().value(u"message"_s).toString().contains(u"--bogus"_s));
    }

    void certificates_areRenewedWhileEverythingRuns()
    {
        demo::DemoPlan plan;
        demo::SensorPlan sensor;
        sensor.name = u"hvac-001"_s;
        plan.sensors.append(sensor);
        plan.sensorPeriod = std::chrono::milliseconds{200};
        RunningBuilding running(plan);
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 20, 60'000);
        const demo::Ports ports = running.building->plan().ports;
        const auto connections = [&running](const QString &name) {
            return running.log(name).count(QRegularExpression(u"msg=\"?connected|connected to the"_s));
        };
        QMap<QString, qsizetype> before;
        for (const QString &name : {u"hvac-001"_s, u"gateway"_s, u"backend"_s})
            before[name] = connections(name);
        QMap<quint16, QByteArray> serials;
        for (const quint16 port : {ports.gatewayBroker, ports.cloudBroker}) {
            serials[port] = certificateOf(port).serialNumber();
            QVERIFY(!serials[port].isEmpty());
        }

        const auto renewed = running.building->renewIdentities();
        QVERIFY2(renewed, renewed ? "" : qPrintable(renewed.error().message));
        for (const quint16 port : {ports.gatewayBroker, ports.cloudBroker}) {
            QByteArray serial;
            QTRY_VERIFY_WITH_TIMEOUT(
                !(serial = certificateOf(port).serialNumber()).isEmpty() && serial != serials[port], 30'000);
        }
        for (auto it = before.cbegin(); it != before.cend(); ++it)
            QTRY_VERIFY2_WITH_TIMEOUT(connections(it.key()) > it.value(), qPrintable(running.log(it.key())), 60'000);

        const qint64 stored = running.storedInCloud();
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > stored + 20, 60'000);
        const QCborMap status = running.backend(u"status"_s, {{"exact"_L1, true}});
        QCOMPARE(status.value("duplicates"_L1).toInteger(-1), 0);
        QCOMPARE(status.value("gaps"_L1).toInteger(-1), 0);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
    }
};

QTEST_GUILESS_MAIN(TestDemoLife)
#include "tst_demo_life.moc"

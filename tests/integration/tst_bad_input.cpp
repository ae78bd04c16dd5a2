// What a person does wrong: one sentence that says what and what to do, and an exit code.
#include "ports/system_clock.h"
#include "tls/pki.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QScopeGuard>
#include <QTcpServer>
#include <QTemporaryDir>
#include <QTest>

using namespace Qt::StringLiterals;

namespace {

struct Outcome {
    int exitCode = -1;
    QString output;
    QString errors;
};

Outcome run(const QString &program, const QStringList &arguments, const QStringList &environment = {})
{
    QProcess process;
    if (!environment.isEmpty())
        process.setEnvironment(environment);
    process.start(QStringLiteral(LINTEL_BIN_DIR "/") + program, arguments);
    if (!process.waitForFinished(30'000)) {
        process.kill();
        process.waitForFinished();
        return {};
    }
    return {process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1,
            QString::fromUtf8(process.readAllStandardOutput()), QString::fromUtf8(process.readAllStandardError())};
}

/// A configuration that lacks nothing but an identity; what it stores goes below `dir`.
QByteArray configOf(const QString &program, const QString &dir)
{
    const QByteArray folder = dir.toUtf8();
    if (program == u"lintel-gateway")
        return "building: {host_id: gateway-1, groups: [building-1], broker: {host: 127.0.0.1}}\n"
               "cloud: {broker: {host: 127.0.0.1, broker_id: \"spiffe://smart-building.cloud/broker\"}}\n"
               "storage: {directory: \""
               + folder + "\"}\n";
    if (program == u"lintel-backend")
        return "mqtt: {host: 127.0.0.1}\nhistorian: {database: \"" + folder + "/h.db\"}\n";
    return "mqtt: {host: 127.0.0.1}\nsparkplug: {group: building-1, host_id: gateway-1}\n"
           "spool: {path: \""
           + folder + "/spool.db\"}\ndriver: {type: simulated}\n";
}

} // namespace

class TestBadInput : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void service_saysWhatIsWrong_data()
    {
        QTest::addColumn<QString>("program");
        QTest::addColumn<QByteArray>("yaml");
        QTest::addColumn<QString>("sentence");
        const QByteArray agent =
            "agent: {name: gateway, trust_domain: building-1.smart.local}\nidentity: {directory: /nowhere}\n";
        const QByteArray building = "building: {host_id: gateway-1, groups: [building-1], broker: {host: 127.0.0.1}}\n";
        const QByteArray cloud =
            "cloud: {broker: {host: 127.0.0.1, broker_id: \"spiffe://smart-building.cloud/broker\"}}\n";
        const QByteArray storage = "storage: {directory: /tmp/lintel-never-made}\n";
        for (const char *program : {"lintel-gateway", "lintel-backend", "lintel-sensor"}) {
            const QString name = QString::fromLatin1(program);
            QTest::addRow("%s, no YAML", program) << name << QByteArray("agent: [") << u":"_s;
            QTest::addRow("%s, no agent", program)
                << name << QByteArray("identity: {directory: /nowhere}\n") << u"agent"_s;
            QTest::addRow("%s, bad trust domain", program)
                << name << QByteArray("agent: {name: x, trust_domain: \"Not A Domain\"}\n") << u"trust_domain"_s;
            QTest::addRow("%s, unknown key", program) << name << QByteArray(agent + "surprise: 1\n") << u"surprise"_s;
        }
        QTest::addRow("gateway, group with a slash")
            << u"lintel-gateway"_s
            << QByteArray(agent + "building: {host_id: \"a/b\", groups: [building-1], broker: {}}\n" + cloud + storage)
            << u"host_id"_s;
        const QByteArray flying =
            QByteArray(agent).replace("smart.local}", "smart.local, capabilities: [{name: fly}]}");
        for (const auto &[program, offered] : {std::pair("gateway", u"sync_to_cloud"_s), {"backend", u"list_gaps"_s}}) {
            QTest::addRow("%s, capability that it does not offer", program)
                << u"lintel-"_s + QLatin1StringView(program) << flying
                << u"does not offer the capability \"fly\"; it offers"_s;
            QTest::addRow("%s, capability that it does not offer, and what it does", program)
                << u"lintel-"_s + QLatin1StringView(program) << flying << offered;
        }
        QTest::addRow("gateway, wait that is none")
            << u"lintel-gateway"_s
            << QByteArray(
                   agent + building
                   + "cloud: {broker: {broker_id: \"spiffe://smart-building.cloud/broker\", reconnect_max: 0s}}\n"
                   + storage)
            << u"reconnect_max"_s;
        QTest::addRow("gateway, cloud broker without id")
            << u"lintel-gateway"_s << QByteArray(agent + building + "cloud: {broker: {host: 127.0.0.1}}\n" + storage)
            << u"broker_id"_s;
        QTest::addRow("gateway, size that is none")
            << u"lintel-gateway"_s
            << QByteArray(agent + building + cloud + "storage: {directory: /tmp/x, spool_size: lots}\n")
            << u"spool_size"_s;
    }

    void service_saysWhatIsWrong()
    {
        QFETCH(QString, program);
        QFETCH(QByteArray, yaml);
        QFETCH(QString, sentence);
        QTemporaryDir dir;
        QFile file(dir.filePath(u"config.yaml"_s));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(yaml);
        file.close();
        const Outcome outcome = run(program, {u"--config"_s, file.fileName()});
        QCOMPARE(outcome.exitCode, 2);
        QVERIFY2(outcome.errors.contains(sentence), qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.contains(file.fileName()), qPrintable(outcome.errors));
    }

    /// What is shipped as an example is right: each file by the program that it is named after.
    void service_loadsItsShippedExample_data()
    {
        QTest::addColumn<QString>("program");
        QTest::addColumn<QString>("file");
        const QDir folder(QStringLiteral(LINTEL_SOURCE_DIR "/resources/config"));
        for (const QString &name : folder.entryList({u"*.yaml"_s}, QDir::Files)) {
            // Column maps are read by tst_config; the console has a test of its own, since it may not be built.
            if (!name.startsWith(u"replay-"_s) && name != u"console.yaml"_s)
                QTest::addRow("%s", qPrintable(name)) << u"lintel-"_s + name.chopped(5) << folder.filePath(name);
        }
        for (const QString &program : {u"gateway"_s, u"backend"_s, u"sensor"_s})
            QVERIFY2(folder.exists(program + u".yaml"_s), qPrintable(program));
    }

    void service_loadsItsShippedExample()
    {
        QFETCH(QString, program);
        QFETCH(QString, file);
        const Outcome outcome = run(program, {u"--check"_s, u"--config"_s, file});
        QVERIFY2(outcome.exitCode == 0, qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.isEmpty(), qPrintable(outcome.errors));
    }

    /// A file without any of the sections that are our own loads as it is; what it lacks to run is said.
    void sensor_saysWhatAForeignFileLacks()
    {
        const QString file = QStringLiteral(LINTEL_SOURCE_DIR "/tests/fixtures/config/hvac_sensor.yaml");
        const Outcome outcome = run(u"lintel-sensor"_s, {u"--check"_s, u"--config"_s, file});
        QVERIFY2(outcome.exitCode == 0, qPrintable(outcome.errors));
        QCOMPARE(outcome.errors,
                 u"lintel-sensor: The file is right, but not enough to run. The configuration names no driver; add a "
                 "section \"driver\" with type simulated, replay, hwmon or iio.\n"_s);
    }

    void sensor_withoutDriverMakesNothing()
    {
        QTemporaryDir dir;
        QFile file(dir.filePath(u"config.yaml"_s));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write("agent: {name: x1, trust_domain: building-1.smart.local}\nidentity: {directory: /nowhere}\n"
                   "spool: {path: \""
                   + dir.path().toUtf8() + "/state/spool.db\"}\n");
        file.close();
        const Outcome outcome = run(u"lintel-sensor"_s, {u"--config"_s, file.fileName()});
        QVERIFY2(outcome.exitCode == 1, qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.contains(u"names no driver"_s), qPrintable(outcome.errors));
        QVERIFY(!QFileInfo::exists(dir.filePath(u"state"_s)));
    }

    void service_missingFile_data()
    {
        programs();
        QTest::addRow("lintel-authority") << u"lintel-authority"_s;
    }

    void service_missingFile()
    {
        QFETCH(QString, program);
        const Outcome outcome = run(program, {u"--config"_s, u"/nonexistent/file.yaml"_s});
        QCOMPARE(outcome.exitCode, 2);
        QVERIFY2(outcome.errors.contains(u"/nonexistent/file.yaml"_s), qPrintable(outcome.errors));
        QCOMPARE(run(program, {u"--nonsense"_s}).exitCode, 2);
        QCOMPARE(run(program, {}).exitCode, 2);
        QCOMPARE(run(program, {u"--help"_s}).exitCode, 0);
        QCOMPARE(run(program, {u"--version"_s}).exitCode, 0);
    }

    void service_saysWhatItCannotUse_data()
    {
        QTest::addColumn<QString>("program");
        QTest::addColumn<QByteArray>("section");
        QTest::addColumn<QString>("sentence");
        for (const char *program : {"lintel-gateway", "lintel-backend", "lintel-sensor"})
            QTest::addRow("%s, Workload API", program)
                << QString::fromLatin1(program)
                << QByteArray("identity: {provider: spiffe, spiffe_endpoint: \"tcp://127.0.0.1:1\"}\n")
                << u"identity.spiffe_endpoint"_s;
        for (const char *program : {"lintel-gateway", "lintel-backend"})
            QTest::addRow("%s, policy", program)
                << QString::fromLatin1(program)
                << QByteArray("identity: {directory: /nowhere}\n"
                              "authorization: {provider: opa, opa_endpoint: \"http://127.0.0.1:1\"}\n")
                << u"authorization.provider"_s;
    }

    /// Better no service than one that ignores what its configuration asks for.
    void service_saysWhatItCannotUse()
    {
        QFETCH(QString, program);
        QFETCH(QByteArray, section);
        QFETCH(QString, sentence);
        QTemporaryDir dir;
        const QByteArray yaml =
            "agent: {name: x1, trust_domain: building-1.smart.local}\n" + section + configOf(program, dir.path());
        QFile file(dir.filePath(u"config.yaml"_s));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(yaml);
        file.close();
        const Outcome outcome = run(program, {u"--config"_s, file.fileName()});
        QVERIFY2(outcome.exitCode == 1, qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.contains(sentence), qPrintable(outcome.errors));
    }

    void check_saysWhatItCannotUse_data() { service_saysWhatItCannotUse_data(); }

    void check_saysWhatItCannotUse()
    {
        QFETCH(QString, program);
        QFETCH(QByteArray, section);
        QFETCH(QString, sentence);
        QTemporaryDir dir;
        QFile file(dir.filePath(u"config.yaml"_s));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write("agent: {name: x1, trust_domain: building-1.smart.local}\n" + section
                   + configOf(program, dir.path()));
        file.close();
        const Outcome outcome = run(program, {u"--check"_s, u"--config"_s, file.fileName()});
        QVERIFY2(outcome.exitCode == 0, qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.contains(sentence), qPrintable(outcome.errors));
    }

    void service_isItsCertificatesOwner_data() { programs(); }

    void service_isItsCertificatesOwner()
    {
        QFETCH(QString, program);
        QTemporaryDir dir;
        const Outcome outcome = runWithIdentity(program, dir, u"spiffe://building-1.smart.local/agent/other");
        QVERIFY2(outcome.exitCode == 1, qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.contains(u"belongs to spiffe://building-1.smart.local/agent/other, but this agent is "
                                         "spiffe://building-1.smart.local/agent/x1 (agent.spiffe_id)"_s),
                 qPrintable(outcome.errors));
        QVERIFY2(QDir(dir.filePath(u"state"_s)).isEmpty(), "refused before anything is made");
    }

    void service_refusesAKeyThatOthersMayRead_data() { programs(); }

    void service_refusesAKeyThatOthersMayRead()
    {
        QFETCH(QString, program);
        QTemporaryDir dir;
        const QString key = dir.filePath(u"identity/svid.key"_s);
        const Outcome outcome = runWithIdentity(program, dir, u"spiffe://building-1.smart.local/agent/x1",
                                                QFile::ReadOwner | QFile::WriteOwner | QFile::ReadGroup);
        QVERIFY2(outcome.exitCode == 1, qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.contains(u"run: chmod 600 '%1'"_s.arg(key)), qPrintable(outcome.errors));
    }

    void gateway_storageThatCannotBeMade()
    {
        QTemporaryDir dir;
        QFile blocker(dir.filePath(u"file"_s));
        QVERIFY(blocker.open(QIODevice::WriteOnly));
        QFile file(dir.filePath(u"config.yaml"_s));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write("agent: {name: gateway, trust_domain: building-1.smart.local}\nidentity: {directory: /nowhere}\n"
                   "building: {host_id: gateway-1, groups: [building-1], broker: {host: 127.0.0.1}}\n"
                   "cloud: {broker: {host: 127.0.0.1, broker_id: \"spiffe://smart-building.cloud/broker\"}}\n"
                   "storage: {directory: \""
                   + blocker.fileName().toUtf8() + "/below\"}\n");
        file.close();
        const Outcome outcome = run(u"lintel-gateway"_s, {u"--config"_s, file.fileName()});
        QCOMPARE(outcome.exitCode, 1);
        QVERIFY2(outcome.errors.contains(u"storage.directory"_s), qPrintable(outcome.errors));
    }

    /// Two at once would each count what has arrived by itself.
    void service_ofWhichOneRunsOnItsFilesAlready_data() { programs(); }

    void service_ofWhichOneRunsOnItsFilesAlready()
    {
        QFETCH(QString, program);
        QTemporaryDir dir;
        const QString config = configWithIdentity(program, dir, u"spiffe://building-1.smart.local/agent/x1");
        QVERIFY(!config.isEmpty());
        const QStringList arguments{u"--config"_s, config};
        for (const bool isKilled : {true, true, false}) { // what one leaves that is killed stops nobody
            QProcess first;
            QByteArray said;
            first.start(QStringLiteral(LINTEL_BIN_DIR "/") + program, arguments);
            const auto end = qScopeGuard([&first] {
                first.kill();
                first.waitForFinished();
            });
            const auto hasStarted = [&] {
                said += first.readAllStandardError();
                return said.contains(" starts as ") || said.contains("started: ");
            };
            QTRY_VERIFY2_WITH_TIMEOUT(hasStarted() || first.state() == QProcess::NotRunning, said.constData(), 30'000);
            QVERIFY2(first.state() == QProcess::Running, said.constData());

            const Outcome second = run(program, arguments);
            QVERIFY2(second.exitCode == 1, qPrintable(second.errors));
            QVERIFY2(second.errors.contains(dir.filePath(u"state"_s)) && second.errors.contains(u" is in use by "_s),
                     qPrintable(second.errors));
            QVERIFY2(first.state() == QProcess::Running, first.readAllStandardError().constData());
            if (isKilled)
                first.kill();
            else
                first.terminate();
            QVERIFY(first.waitForFinished(30'000));
        }
    }

    void lintelctl_saysWhatIsWrong_data()
    {
        QTest::addColumn<QStringList>("arguments");
        QTest::addColumn<int>("exitCode");
        QTest::addColumn<QString>("sentence");
        QTest::addRow("no command") << QStringList{} << 2 << QString();
        QTest::addRow("unknown command") << QStringList{u"dance"_s} << 2 << u"dance"_s;
        QTest::addRow("call without target") << QStringList{u"call"_s} << 2 << u"--target"_s;
        QTest::addRow("call to no SPIFFE ID")
            << QStringList{u"call"_s, u"--target"_s, u"http://x"_s, u"--capability"_s, u"status"_s} << 2 << u"spiffe"_s;
        QTest::addRow("call with no JSON")
            << QStringList{u"call"_s,   u"--target"_s, u"spiffe://a/b"_s, u"--capability"_s, u"status"_s,
                           u"--data"_s, u"{"_s}
            << 2 << u"JSON"_s;
        QTest::addRow("call without identity") << QStringList{
            u"call"_s,        u"--target"_s,    u"spiffe://a/b"_s, u"--capability"_s,      u"status"_s,
            u"--broker"_s,    u"127.0.0.1:1"_s, u"--broker-id"_s,  u"spiffe://a/broker"_s, u"--identity"_s,
            u"/nonexistent"_s} << 4 << u"/nonexistent"_s;
        QTest::addRow("buffer of nothing")
            << QStringList{u"buffer"_s, u"inspect"_s, u"/nonexistent"_s} << 1 << u"/nonexistent"_s;
        QTest::addRow("buffer of something else")
            << QStringList{u"buffer"_s, u"inspect"_s, QStringLiteral(LINTEL_SOURCE_DIR "/CMakeLists.txt")} << 1
            << u"not a store"_s;
        const QStringList init{u"pki"_s, u"init"_s, u"--dir"_s, u"/nonexistent/pki"_s};
        const QStringList issue{u"pki"_s, u"issue"_s, u"--dir"_s, u"/nonexistent/pki"_s, u"--out"_s, u"/nonexistent"_s};
        const QStringList x{u"--id"_s, u"spiffe://a.local/x"_s};
        QTest::addRow("pki, unknown command")
            << QStringList{u"pki"_s, u"dance"_s} << 2 << u"\"pki dance\" is unknown"_s;
        QTest::addRow("pki, unknown option") << init + QStringList{u"--days"_s, u"3"_s} << 2 << u"no option --days"_s;
        QTest::addRow("pki, stray word") << init + QStringList{u"now"_s} << 2 << u"\"now\" is not an option"_s;
        QTest::addRow("pki init, no folder") << QStringList{u"pki"_s, u"init"_s} << 2 << u"--dir"_s;
        QTest::addRow("pki init, folder twice") << init + init.mid(2) << 2 << u"--dir stands twice"_s;
        QTest::addRow("pki init, folder that cannot be made")
            << QStringList{u"pki"_s, u"init"_s, u"--dir"_s, u"/proc/nonexistent"_s} << 1 << u"/proc/nonexistent"_s;
        QTest::addRow("pki init, life without an ID") << init + QStringList{u"--ttl"_s, u"5h"_s} << 2 << u"--ttl"_s;
        QTest::addRow("pki init, out without an ID") << init + QStringList{u"--out"_s, u"/tmp"_s} << 2 << u"--out"_s;
        QTest::addRow("pki init, ID that is none")
            << init + QStringList{u"--id"_s, u"foo"_s, u"--out"_s, u"/tmp"_s} << 2 << u"foo"_s;
        QTest::addRow("pki issue, no ID") << issue << 2 << u"needs --id and --out"_s;
        QTest::addRow("pki issue, no root") << issue + x << 1 << u"make it with \"lintelctl pki init\""_s;
        QTest::addRow("pki issue, trust domain")
            << issue + x + QStringList{u"--trust-domain"_s, u"nonsense"_s} << 2 << u"has no --trust-domain"_s;
        QTest::addRow("pki issue, two IDs") << issue + x + x << 2 << u"makes one SVID"_s;
        QTest::addRow("pki issue, life that is none")
            << issue + x + QStringList{u"--ttl"_s, u"long"_s} << 2 << u"no lifetime"_s;
        for (const QString &ttl : {u"59m"_s, u"25h"_s})
            QTest::addRow("pki issue, life of %s", qPrintable(ttl))
                << issue + x + QStringList{u"--ttl"_s, ttl} << 2 << u"lives 1 to 24 hours"_s;
        QTest::addRow("demo, bad outage")
            << QStringList{u"demo"_s, u"--wan-outage"_s, u"15"_s} << 2 << u"START,LENGTH"_s;
        QTest::addRow("demo, outage after the end")
            << QStringList{u"demo"_s, u"--duration"_s, u"8"_s, u"--wan-outage"_s, u"15,20"_s} << 2
            << u"--wan-outage 15,20: expected a START before the end, which --duration sets to 8 seconds."_s;
        const QStringList noFile{u"--config"_s, u"/nonexistent/file.yaml"_s};
        QTest::addRow("svid, no configuration") << QStringList{u"svid"_s, u"show"_s} + noFile << 2 << noFile.last();
        QTest::addRow("authority init, no configuration")
            << QStringList{u"authority"_s, u"init"_s} + noFile << 2 << noFile.last();
        QTest::addRow("authority restore, no configuration")
            << QStringList{u"authority"_s, u"restore"_s, u"--from"_s, u"/nonexistent"_s} + noFile << 2 << noFile.last();
        QTest::addRow("call, no configuration")
            << QStringList{u"call"_s, u"--target"_s, u"spiffe://a/b"_s, u"--capability"_s, u"status"_s} + noFile << 2
            << noFile.last();
        QTest::addRow("demo, no sensors") << QStringList{u"demo"_s, u"--sensors"_s, u"0"_s} << 2 << u"--sensors"_s;
        QTest::addRow("demo, no recordings")
            << QStringList{u"demo"_s, u"--replay"_s, u"/nonexistent"_s} << 2 << u"--replay"_s;
    }

    void lintelctl_saysWhatIsWrong()
    {
        QFETCH(QStringList, arguments);
        QFETCH(int, exitCode);
        QFETCH(QString, sentence);
        const Outcome outcome = run(u"lintelctl"_s, arguments);
        QCOMPARE(outcome.exitCode, exitCode);
        if (!arguments.startsWith(u"call"_s)) {
            QVERIFY2(outcome.errors.contains(sentence), qPrintable(outcome.errors));
            return;
        }
        // A call answers in JSON, errors too, unless it is asked for text.
        const QString all = outcome.output + outcome.errors;
        QVERIFY2(errorIn(outcome.output).contains(sentence), qPrintable(all));
        QVERIFY2(outcome.errors.isEmpty(), qPrintable(all));
        const Outcome text = run(u"lintelctl"_s, arguments + QStringList{u"--text"_s});
        QCOMPARE(text.exitCode, exitCode);
        QVERIFY2(text.errors.contains(sentence), qPrintable(text.errors));
        QVERIFY2(text.output.isEmpty(), qPrintable(text.output));
    }

    /// The same code from every program, whatever is wrong with the file.
    void configuration_thatIsNoneIsExitCodeTwo_data()
    {
        QTest::addColumn<QByteArray>("content");
        QTest::addRow("a folder") << QByteArray();
        QTest::addRow("no YAML") << QByteArray("agent: [");
        QTest::addRow("no UTF-8") << QByteArray("agent: {name: \"\xff\xfe\"}\n");
        QTest::addRow("a list") << QByteArray("- agent\n");
        QTest::addRow("more than 1 MiB") << QByteArray(1'100'000, '#');
    }

    void configuration_thatIsNoneIsExitCodeTwo()
    {
        QFETCH(QByteArray, content);
        QTemporaryDir dir;
        QString path = dir.path();
        if (!content.isEmpty()) {
            path = dir.filePath(u"config.yaml"_s);
            QFile file(path);
            QVERIFY(file.open(QIODevice::WriteOnly) && file.write(content) == content.size());
        }
        const QStringList config{u"--config"_s, path};
        const QList<QStringList> commands{
            {u"lintel-sensor"_s},
            {u"lintel-gateway"_s},
            {u"lintel-backend"_s},
            {u"lintel-authority"_s},
            {u"lintelctl"_s, u"authority"_s, u"init"_s},
            {u"lintelctl"_s, u"authority"_s, u"restore"_s, u"--from"_s, dir.path()},
            {u"lintelctl"_s, u"svid"_s, u"show"_s},
            {u"lintelctl"_s, u"call"_s, u"--text"_s, u"--target"_s, u"spiffe://a/b"_s, u"--capability"_s, u"status"_s}};
        for (const QStringList &command : commands) {
            const Outcome outcome = run(command.first(), command.mid(1) + config);
            const QString told = command.join(u' ') + u": "_s + outcome.errors;
            QVERIFY2(outcome.exitCode == 2, qPrintable(told));
            QVERIFY2(outcome.errors.contains(path) && outcome.output.isEmpty(), qPrintable(told));
        }
        const Outcome json = run(u"lintelctl"_s, QStringList{u"svid"_s, u"show"_s, u"--json"_s} + config);
        QCOMPARE(json.exitCode, 2);
        QVERIFY2(errorIn(json.output).contains(path), qPrintable(json.output));
        QVERIFY(json.errors.isEmpty());
    }

    void lintelctl_reportsErrorsAsJson()
    {
        const Outcome outcome = run(u"lintelctl"_s, {u"buffer"_s, u"inspect"_s, u"/nonexistent"_s, u"--json"_s});
        QCOMPARE(outcome.exitCode, 1);
        QVERIFY(outcome.output.contains(u"\"not_found\""_s));
        QVERIFY(outcome.errors.isEmpty());
    }

private:
    static QString errorIn(const QString &json)
    {
        const QJsonObject error = QJsonDocument::fromJson(json.toUtf8()).object().value("error"_L1).toObject();
        return error.value("code"_L1).toString().isEmpty() ? QString() : error.value("message"_L1).toString();
    }

    static void programs()
    {
        QTest::addColumn<QString>("program");
        for (const char *program : {"lintel-gateway", "lintel-backend", "lintel-sensor"})
            QTest::addRow("%s", program) << QString::fromLatin1(program);
    }

    /// Agent x1 of building-1.smart.local, started with the certificate of `id`.
    static Outcome runWithIdentity(const QString &program, const QTemporaryDir &dir, QStringView id,
                                   QFile::Permissions keyMode = QFile::ReadOwner | QFile::WriteOwner)
    {
        const QString config = configWithIdentity(program, dir, id, keyMode);
        return config.isEmpty() ? Outcome{} : run(program, {u"--config"_s, config});
    }

    /// The configuration file of agent x1 with the certificate of `id`; empty when it cannot be made.
    static QString configWithIdentity(const QString &program, const QTemporaryDir &dir, QStringView id,
                                      QFile::Permissions keyMode = QFile::ReadOwner | QFile::WriteOwner)
    {
        using namespace lintel;
        const Timestamp now = SystemClock().now();
        const auto pki = tls::Pki::create(*TrustDomain::parse(u"building-1.smart.local"), now);
        const auto svid = pki->issue(*SpiffeId::parse(id), std::chrono::hours{1}, now);
        const QString identity = dir.filePath(u"identity"_s);
        QFile file(dir.filePath(u"config.yaml"_s));
        if (!svid || !tls::writeIdentity(identity, *svid, {{pki->domain(), {pki->rootDer()}}})
            || !QFile::setPermissions(identity + u"/svid.key"_s, keyMode) || !QDir(dir.path()).mkdir(u"state"_s)
            || !file.open(QIODevice::WriteOnly))
            return {};
        file.write("agent: {name: x1, trust_domain: building-1.smart.local}\nidentity: {directory: \""
                   + identity.toUtf8() + "\"}\n" + configOf(program, dir.filePath(u"state"_s)));
        file.close();
        return file.fileName();
    }
};

QTEST_GUILESS_MAIN(TestBadInput)
#include "tst_bad_input.moc"

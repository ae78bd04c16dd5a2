// SPDX-License-Identifier: GPL-3.0-only
// The console's file has the sections that the other programs' files have, and what is wrong with it is said
// in one sentence.
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

using namespace Qt::StringLiterals;

namespace {

struct Outcome {
    int exitCode = -1;
    QString errors;
};

Outcome runConsole(const QStringList &arguments,
                   const QProcessEnvironment &environment = QProcessEnvironment::systemEnvironment())
{
    QProcess process;
    process.setProcessEnvironment(environment);
    process.start(QStringLiteral(LINTEL_BIN_DIR "/lintel-console"), arguments);
    if (!process.waitForFinished(60'000)) {
        process.kill();
        process.waitForFinished();
        return {};
    }
    return {process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1,
            QString::fromUtf8(process.readAllStandardError())};
}

Outcome runWith(const QByteArray &yaml, const QTemporaryDir &dir, const QStringList &arguments)
{
    QFile file(dir.filePath(u"console.yaml"_s));
    if (!file.open(QIODevice::WriteOnly) || file.write(yaml) != yaml.size())
        return {};
    file.close();
    return runConsole(QStringList{u"--config"_s, file.fileName()} + arguments);
}

} // namespace

class TestConsoleConfig : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void observability_isTheSectionThatEveryProgramHas()
    {
        const QTemporaryDir dir;
        const Outcome outcome =
            runWith("observability: {logging: {level: WARNING, destination: stderr}, metrics: {enabled: false}}\n", dir,
                    {u"--offline"_s, u"--exit-after"_s, u"0"_s});
        QVERIFY2(outcome.exitCode == 0, qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.isEmpty(), qPrintable(outcome.errors));
    }

    void observability_saysWhereLinesGoAndWhichOnes()
    {
        const QTemporaryDir dir;
        const QStringList arguments{u"--offline"_s, u"--exit-after"_s, u"0"_s};
        const Outcome told = runWith("observability: {metrics: {enabled: true}}\n", dir, arguments);
        QVERIFY2(told.exitCode == 0, qPrintable(told.errors));
        QVERIFY2(told.errors.contains(u"level=WARNING"_s) && told.errors.contains(u"serves no metrics"_s),
                 qPrintable(told.errors));
        const Outcome quiet =
            runWith("observability: {metrics: {enabled: true}, logging: {level: ERROR}}\n", dir, arguments);
        QVERIFY2(quiet.exitCode == 0, qPrintable(quiet.errors));
        QVERIFY2(quiet.errors.isEmpty(), qPrintable(quiet.errors));
    }

    void file_saysWhatIsWrong_data()
    {
        QTest::addColumn<QByteArray>("yaml");
        QTest::addColumn<QString>("sentence");
        QTest::addRow("a level that is none")
            << QByteArray("observability: {logging: {level: LOUD}}\n") << u"observability.logging.level"_s;
        QTest::addRow("a key that is none") << QByteArray("observability: {level: INFO}\n") << u"observability.level"_s;
        QTest::addRow("a gateway that is none")
            << QByteArray("console: {more_gateways: [gateway-2]}\n") << u"console.more_gateways"_s;
        QTest::addRow("embedded identity")
            << QByteArray("identity: {provider: embedded, authority: \"localhost:8081\", bootstrap_bundle: /b.pem}\n")
            << u"identity.provider \"embedded\" is not for the console"_s;
        QTest::addRow("embedded identity with nothing else")
            << QByteArray("identity: {provider: embedded}\n")
            << u"set it to \"files\" and name one with identity.directory"_s;
        QTest::addRow("identity of a Workload API")
            << QByteArray("identity: {provider: spiffe}\n") << u"identity.provider \"spiffe\" is not for the console"_s;
    }

    void file_saysWhatIsWrong()
    {
        QFETCH(QByteArray, yaml);
        QFETCH(QString, sentence);
        const QTemporaryDir dir;
        const Outcome outcome = runWith(yaml, dir, {u"--broker-id"_s, u"spiffe://a.local/broker"_s});
        QCOMPARE(outcome.exitCode, 2);
        QVERIFY2(outcome.errors.contains(sentence), qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.contains(dir.filePath(u"console.yaml"_s)), qPrintable(outcome.errors));
        QCOMPARE(outcome.errors.count(u'\n'), 1);
    }

    /// The codes of every program; docs/configuration.md.
    void exitCode_saysWhoseFaultItIs_data()
    {
        QTest::addColumn<QStringList>("arguments");
        QTest::addColumn<int>("exitCode");
        QTest::addColumn<QString>("sentence");
        const QStringList nobody{u"--broker-id"_s, u"spiffe://a.local/broker"_s, u"--identity"_s, u"/nonexistent"_s};
        QTest::addRow("no option") << QStringList{u"--config"_s, u"/dev/null"_s, u"--nonsense"_s} << 2 << u"nonsense"_s;
        QTest::addRow("no file") << QStringList{u"--config"_s, u"/nonexistent/c.yaml"_s} << 2
                                 << u"/nonexistent/c.yaml"_s;
        QTest::addRow("no identity") << nobody + QStringList{u"--headless"_s, u"--report"_s, u"-"_s} << 4
                                     << u"/nonexistent"_s;
        QTest::addRow("no display") << nobody << 4 << u"There is no display"_s;
    }

    void exitCode_saysWhoseFaultItIs()
    {
        QFETCH(QStringList, arguments);
        QFETCH(int, exitCode);
        QFETCH(QString, sentence);
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        for (const QString &name : {u"DISPLAY"_s, u"WAYLAND_DISPLAY"_s, u"QT_QPA_PLATFORM"_s})
            environment.remove(name);
        const Outcome outcome = runConsole(arguments, environment);
        QVERIFY2(outcome.exitCode == exitCode, qPrintable(outcome.errors));
        QVERIFY2(outcome.errors.contains(sentence), qPrintable(outcome.errors));
    }
};

QTEST_GUILESS_MAIN(TestConsoleConfig)
#include "tst_console_config.moc"

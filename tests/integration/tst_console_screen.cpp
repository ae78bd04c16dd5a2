// SPDX-License-Identifier: GPL-3.0-only
// The console on a screen that is smaller than the window it would like: without a window manager nothing
// but the console itself makes it fit.
#include "fakes/needs.h"

#include <QFile>
#include <QImage>
#include <QProcess>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>

#include <csignal>
#include <sys/prctl.h>

using namespace Qt::StringLiterals;

namespace {

constexpr int kPatience = 60'000;
constexpr QSize kScreen{1024, 700};

void endWithTheTest(QProcess &process)
{
    process.setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
}

} // namespace

class TestConsoleScreen : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    QProcess m_server;
    QByteArray m_display;

private Q_SLOTS:
    void initTestCase()
    {
        const QString server = QStandardPaths::findExecutable(u"Xvfb"_s);
        if (server.isEmpty())
            LINTEL_SKIP("Xvfb is not installed (package xvfb); run scripts/bootstrap --test.");
        endWithTheTest(m_server);
        m_server.start(server, {u"-displayfd"_s, u"1"_s, u"-screen"_s, u"0"_s,
                                u"%1x%2x24"_s.arg(kScreen.width()).arg(kScreen.height()), u"-nolisten"_s, u"tcp"_s});
        // It writes its number when it is ready.
        QVERIFY(QTest::qWaitFor([this] { return m_server.canReadLine(); }, kPatience));
        m_display = ':' + m_server.readLine().trimmed();
    }
    void cleanupTestCase()
    {
        m_server.terminate();
        if (!m_server.waitForFinished(10'000))
            m_server.kill();
    }

    void window_isNoLargerThanTheScreen_data()
    {
        QTest::addColumn<QSize>("wanted");
        QTest::newRow("larger") << QSize(1440, 900);
        QTest::newRow("wider") << QSize(1600, 650);
        QTest::newRow("fits") << QSize(960, 640);
    }
    void window_isNoLargerThanTheScreen()
    {
        QFETCH(QSize, wanted);
        const QString file = m_folder.filePath(u"%1.png"_s.arg(QString::fromUtf8(QTest::currentDataTag())));
        QProcess console;
        endWithTheTest(console);
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        environment.insert(u"DISPLAY"_s, QString::fromUtf8(m_display));
        environment.insert(u"QT_QPA_PLATFORM"_s, u"xcb"_s);
        environment.insert(u"QT_QUICK_BACKEND"_s, u"software"_s);
        console.setProcessEnvironment(environment);
        console.start(QStringLiteral(LINTEL_BIN_DIR "/lintel-console"),
                      {u"--offline"_s, u"--size"_s, u"%1x%2"_s.arg(wanted.width()).arg(wanted.height()), u"--after"_s,
                       u"2"_s, u"--screenshot"_s, file});
        const bool ended = QTest::qWaitFor([&console] { return console.state() == QProcess::NotRunning; }, kPatience);
        const QByteArray errors = console.readAllStandardError();
        QVERIFY2(ended && console.exitStatus() == QProcess::NormalExit && console.exitCode() == 0, errors.constData());
        const QImage picture(file);
        QVERIFY2(!picture.isNull(), errors.constData());
        QCOMPARE(picture.size(), wanted.boundedTo(kScreen));
    }
};

QTEST_GUILESS_MAIN(TestConsoleScreen)
#include "tst_console_screen.moc"

#include "adapters/log/log.h"
#include "adapters/log/log_line.h"

#include <QElapsedTimer>
#include <QLoggingCategory>
#include <QTemporaryDir>
#include <QTemporaryFile>
#include <QTest>

#include <cstdio>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace lintel;
using namespace lintel::log;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

Q_LOGGING_CATEGORY(lcTest, "lintel.test")

Line lineOf(const QString &message)
{
    return {fromEpochMillis(1'795'254'060'123), Level::Warning, u"lintel.test"_s, message};
}

/// A datagram socket that stands in for journald or a syslog daemon.
class LogService
{
public:
    explicit LogService(const QString &path)
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const QByteArray local = path.toLocal8Bit();
        std::memcpy(address.sun_path, local.constData(), size_t(local.size()));
        m_socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        m_isBound = ::bind(m_socket, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
    }
    ~LogService() { ::close(m_socket); }
    [[nodiscard]] bool isBound() const { return m_isBound; }
    [[nodiscard]] QByteArray next()
    {
        QByteArray buffer(65536, 0);
        const ssize_t size = ::recv(m_socket, buffer.data(), size_t(buffer.size()), 0);
        return size > 0 ? buffer.left(size) : QByteArray();
    }

private:
    int m_socket = -1;
    bool m_isBound = false;
};

/// What is written to file descriptor 2 as long as it lives.
class StandardError
{
public:
    StandardError()
    {
        std::fflush(stderr);
        m_before = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        m_isCaught = m_file.open() && m_before >= 0 && ::dup2(m_file.handle(), STDERR_FILENO) == STDERR_FILENO;
    }
    ~StandardError() { giveBack(); }
    [[nodiscard]] bool isCaught() const { return m_isCaught; }
    /// All of it; what is written from here on goes where it went before.
    [[nodiscard]] QByteArray take()
    {
        giveBack();
        m_file.seek(0);
        return m_file.readAll();
    }

private:
    void giveBack()
    {
        if (m_before < 0)
            return;
        std::fflush(stderr);
        ::dup2(m_before, STDERR_FILENO);
        ::close(std::exchange(m_before, -1));
    }

    QTemporaryFile m_file;
    int m_before = -1;
    bool m_isCaught = false;
};

} // namespace

class TestLog : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void cleanup() { uninstall(); }
    void logfmt_putsFieldsBesideTheMessage();
    void logfmt_escapesLineBreaks();
    void journal_writesFieldsAndLongValues();
    void redaction_hidesSecrets_data();
    void redaction_hidesSecrets();
    void redaction_leavesTheRestAlone();
    void repeats_areCounted();
    void journald_receivesWhatIsLogged();
    void journald_absentFallsBackAndSaysSo();
    void syslog_writesOneLineWithPriorityAndTime();
    void syslog_receivesWhatIsLogged_alsoAfterItsRestart();
    void syslog_thatHangsStopsNobody();
    void syslog_absentFallsBackAndSaysSo();
    void level_decidesWhatIsWritten_data();
    void level_decidesWhatIsWritten();
    void lines_ofTwoThreadsStayWhole();
};

void TestLog::logfmt_putsFieldsBesideTheMessage()
{
    QCOMPARE(toLogfmt(lineOf(u"spool opened "_s + field(u"path", u"/var/lib/a b"_s) + u' ' + field(u"rows", 3))),
             toIso8601(fromEpochMillis(1'795'254'060'123)).toUtf8()
                 + " level=WARNING category=lintel.test msg=\"spool opened\" path=\"/var/lib/a b\" rows=3\n");
    QVERIFY(toLogfmt(lineOf(u"a=1 in the middle"_s)).endsWith("msg=\"a=1 in the middle\"\n"));
}

void TestLog::logfmt_escapesLineBreaks()
{
    const QByteArray text = toLogfmt(lineOf(u"one\ntwo \"x\"\x1b[31m"_s));
    QCOMPARE(text.count('\n'), 1);
    QVERIFY(text.contains("one\\ntwo \\\"x\\\""));
    QVERIFY(!text.contains('\x1b'));
}

void TestLog::journal_writesFieldsAndLongValues()
{
    const QByteArray datagram = toJournal(lineOf(u"a\nb "_s + field(u"path", u"/x"_s)), u"lintel-sensor"_s);
    const QByteArray message = "a\nb path=/x";
    QVERIFY(datagram.startsWith("MESSAGE\n"_ba + char(message.size()) + QByteArray(7, 0) + message + "\nPRIORITY=4\n"));
    QVERIFY(datagram.contains("SYSLOG_IDENTIFIER=lintel-sensor\n"));
    QVERIFY(datagram.contains("LINTEL_PATH=/x\n"));
}

void TestLog::redaction_hidesSecrets_data()
{
    QTest::addColumn<QString>("text");
    QTest::newRow("password") << u"password=hunter2"_s;
    QTest::newRow("yaml") << u"db_password: hunter2"_s;
    QTest::newRow("quoted") << u"token=\"hunter2 and more\""_s;
    QTest::newRow("private key") << u"private_key=hunter2"_s;
    QTest::newRow("api key") << u"API_KEY = hunter2"_s;
    QTest::newRow("secret") << u"clientSecret=hunter2"_s;
    QTest::newRow("join token") << u"join_token: hunter2"_s;
    QTest::newRow("pin") << u"tpm_pin=hunter2"_s;
    QTest::newRow("pem") << u"read -----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY----- from disk"_s;
    QTest::newRow("cut pem") << u"-----BEGIN EC PRIVATE KEY-----\nhunter2"_s;
    QTest::newRow("field") << field(u"passphrase", u"hunter2"_s);
}

void TestLog::redaction_hidesSecrets()
{
    QFETCH(QString, text);
    QVERIFY2(!redacted(text).contains(u"hunter2"_s), qPrintable(redacted(text)));
    QVERIFY(redacted(text).contains(u"[redacted]"_s));
}

void TestLog::redaction_leavesTheRestAlone()
{
    for (const QString &text : {u"broker=127.0.0.1:8883 id=spiffe://a.org/agent/x"_s,
                                u"a.yaml:12: mqtt.port: expected 1"_s, u"mapping=5 spin=3"_s})
        QCOMPARE(redacted(text), text);
}

void TestLog::repeats_areCounted()
{
    RepeatFilter filter(10s);
    const Line line = lineOf(u"no connection"_s);
    QCOMPARE(filter.offer(line, 0s).size(), 1);
    for (int i = 1; i < 5; ++i)
        QVERIFY(filter.offer(line, std::chrono::seconds{i}).isEmpty());
    const QList<Line> later = filter.offer(line, 11s);
    QCOMPARE(later.size(), 2);
    QVERIFY(later[0].message.contains(u"repeated=4"_s));
    QCOMPARE(filter.offer(line, 12s).size(), 0);
    const QList<Line> other = filter.offer(lineOf(u"connected"_s), 13s);
    QCOMPARE(other.size(), 2);
    QVERIFY(other[0].message.contains(u"repeated=1"_s));
    QVERIFY(filter.flush().isEmpty());
}

void TestLog::journald_receivesWhatIsLogged()
{
    const QTemporaryDir folder;
    const QString path = folder.filePath(u"socket"_s);
    LogService journal(path);
    QVERIFY(journal.isBound());
    QVERIFY(install({Level::Info, Destination::Journald, u"lintel-test"_s, path}));
    qCDebug(lcTest) << "not this";
    qCWarning(lcTest).noquote() << u"disk is full"_s << field(u"free_bytes", 0);
    const QByteArray datagram = journal.next();
    QVERIFY(datagram.contains("MESSAGE=disk is full free_bytes=0\n"));
    QVERIFY(datagram.contains("PRIORITY=4\n") && datagram.contains("LINTEL_CATEGORY=lintel.test\n"));
    QVERIFY(journal.next().isEmpty());
}

void TestLog::journald_absentFallsBackAndSaysSo()
{
    StandardError standardError;
    QVERIFY(standardError.isCaught());
    const auto installed = install({Level::Info, Destination::Journald, u"lintel-test"_s, u"/nonexistent/socket"_s});
    QVERIFY(!installed);
    QCOMPARE(installed.error().code, Errc::Unavailable);
    QVERIFY(installed.error().message.contains(u"stderr"_s));
    qCCritical(lcTest).noquote() << u"disk is full"_s << field(u"free_bytes", 0);
    uninstall();
    const QByteArray written = standardError.take();
    QVERIFY2(written.endsWith(" level=ERROR category=lintel.test msg=\"disk is full\" free_bytes=0\n"), written);
    QCOMPARE(written.count('\n'), 1);
}

void TestLog::syslog_writesOneLineWithPriorityAndTime()
{
    Line line = lineOf(u"one\ntwo\x1b[31m \\ "_s + field(u"path", u"/x"_s));
    const QDateTime local(QDate(2026, 11, 3), QTime(9, 41, 7));
    line.time = fromEpochMillis(local.toMSecsSinceEpoch());
    QCOMPARE(toSyslog(line, u"lintel-sensor"_s, 42),
             "<28>Nov  3 09:41:07 lintel-sensor[42]: lintel.test: one\\ntwo [31m \\ path=/x"_ba);
}

void TestLog::syslog_receivesWhatIsLogged_alsoAfterItsRestart()
{
    const QTemporaryDir folder;
    const QString path = folder.filePath(u"log"_s);
    auto daemon = std::make_unique<LogService>(path);
    QVERIFY(daemon->isBound());
    QVERIFY(install({Level::Info, Destination::Syslog, u"lintel-test"_s, {}, path}));
    qCDebug(lcTest) << "not this";
    qCWarning(lcTest).noquote() << u"disk is full"_s << field(u"token", u"s3cr3t"_s);
    const QByteArray datagram = daemon->next();
    QVERIFY2(datagram.startsWith("<28>"), datagram);
    QVERIFY2(datagram.endsWith(" lintel-test[" + QByteArray::number(QCoreApplication::applicationPid())
                               + "]: lintel.test: disk is full token=[redacted]"),
             datagram);
    QVERIFY(daemon->next().isEmpty());

    daemon.reset();
    QVERIFY(QFile::remove(path));
    StandardError standardError;
    qCWarning(lcTest) << "nobody listens";
    daemon = std::make_unique<LogService>(path);
    QVERIFY(daemon->isBound());
    qCInfo(lcTest) << "it listens again";
    const QByteArray written = standardError.take();
    QVERIFY2(written.contains("nobody listens") && !written.contains("again"), written);
    QVERIFY(daemon->next().endsWith(": it listens again"));
}

void TestLog::syslog_thatHangsStopsNobody()
{
    const QTemporaryDir folder;
    const QString path = folder.filePath(u"log"_s);
    LogService daemon(path); // takes nothing out of its queue
    QVERIFY(install({Level::Info, Destination::Syslog, u"lintel-test"_s, {}, path}));
    StandardError standardError;
    constexpr int kLines = 2'000;
    for (int line = 0; line < kLines; ++line)
        qCInfo(lcTest) << "line" << line;
    const QByteArray written = standardError.take();
    int queued = 0;
    while (!daemon.next().isEmpty())
        ++queued;
    QVERIFY(queued > 0);
    QCOMPARE(queued + int(written.count('\n')), kLines);
}

void TestLog::syslog_absentFallsBackAndSaysSo()
{
    StandardError standardError;
    QVERIFY(standardError.isCaught());
    const auto installed =
        install({Level::Warning, Destination::Syslog, u"lintel-test"_s, {}, u"/nonexistent/socket"_s});
    QVERIFY(!installed);
    QVERIFY2(installed.error().message.startsWith(u"syslog does not listen"_s), qPrintable(installed.error().message));
    qCInfo(lcTest) << "not this";
    qCWarning(lcTest).noquote() << u"disk is full"_s << field(u"free_bytes", 0);
    uninstall();
    const QByteArray written = standardError.take();
    QVERIFY2(written.endsWith(" level=WARNING category=lintel.test msg=\"disk is full\" free_bytes=0\n"), written);
    QCOMPARE(written.count('\n'), 1);
}

void TestLog::level_decidesWhatIsWritten_data()
{
    QTest::addColumn<int>("level");
    QTest::addColumn<int>("lines"); // of one debug, one info, one warning and one critical message
    QTest::newRow("debug") << int(Level::Debug) << 4;
    QTest::newRow("info") << int(Level::Info) << 3;
    QTest::newRow("warning") << int(Level::Warning) << 2;
    QTest::newRow("error") << int(Level::Error) << 1;
}

void TestLog::level_decidesWhatIsWritten()
{
    QFETCH(int, level);
    QFETCH(int, lines);
    const QTemporaryDir folder;
    const QString path = folder.filePath(u"socket"_s);
    LogService journal(path);
    QVERIFY(install({Level(level), Destination::Journald, u"lintel-test"_s, path}));
    qCDebug(lcTest) << "a";
    qCInfo(lcTest) << "b";
    qCWarning(lcTest) << "c";
    qCCritical(lcTest) << "d";
    int received = 0;
    while (!journal.next().isEmpty())
        ++received;
    QCOMPARE(received, lines);
}

void TestLog::lines_ofTwoThreadsStayWhole()
{
    const QTemporaryDir folder;
    const QString path = folder.filePath(u"socket"_s);
    LogService journal(path);
    QVERIFY(install({Level::Info, Destination::Journald, u"lintel-test"_s, path}));
    constexpr int kLines = 100;
    const auto write = [](const char *who) {
        for (int i = 0; i < kLines; ++i)
            qCInfo(lcTest).noquote() << who << i;
    };
    int received = 0;
    {
        std::jthread one(write, "one");
        std::jthread two(write, "two");
        QElapsedTimer patience;
        patience.start();
        while (received < 2 * kLines && patience.elapsed() < 20'000) {
            const QByteArray line = journal.next();
            if (line.isEmpty())
                continue;
            QVERIFY(line.contains("MESSAGE=one ") || line.contains("MESSAGE=two "));
            ++received;
        }
    }
    QCOMPARE(received, 2 * kLines);
}

QTEST_GUILESS_MAIN(TestLog)
#include "tst_log.moc"

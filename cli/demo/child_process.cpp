#include "demo/child_process.h"

#include <QFile>
#include <QFileInfo>
#include <QProcessEnvironment>
#include <QRegularExpression>

#include <csignal>
#include <sys/prctl.h>
#include <unistd.h>

namespace lintel::demo {

using namespace Qt::StringLiterals;

namespace {

constexpr int kKillWaitMs = 5'000;
constexpr qint64 kLogEnd = 16 * 1024; // bytes looked at
constexpr qsizetype kLastWords = 400; // characters quoted

} // namespace

ChildProcess::ChildProcess(ChildSpec spec, QObject *parent) : QObject(parent), m_spec(std::move(spec))
{
    const pid_t parentPid = getpid();
    m_process.setChildProcessModifier([parentPid] {
        // An own process group keeps the terminal's Ctrl-C with the demo, which ends its children
        // in order; the death signal covers a demo that cannot do that any more.
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parentPid)
            _exit(127);
    });
    connect(&m_process, &QProcess::finished, this, &ChildProcess::onFinished);
}

ChildProcess::~ChildProcess()
{
    m_process.disconnect(this);
    if (!isRunning())
        return;
    m_process.kill();
    m_process.waitForFinished(kKillWaitMs);
}

Result<void> ChildProcess::start()
{
    m_howItEnded.clear();
    m_endExpected = false;
    m_endedWell = false;
    m_logStart = QFileInfo(m_spec.logFile).size();
    m_process.setProgram(m_spec.program);
    m_process.setArguments(m_spec.arguments);
    m_process.setStandardInputFile(QProcess::nullDevice());
    m_process.setProcessChannelMode(QProcess::MergedChannels);
    m_process.setStandardOutputFile(m_spec.logFile, QIODevice::Append);
    auto environment = QProcessEnvironment::systemEnvironment();
    for (const QString &entry : std::as_const(m_spec.environment))
        environment.insert(entry.section(u'=', 0, 0), entry.section(u'=', 1));
    m_process.setProcessEnvironment(environment);
    m_process.start();
    if (m_process.waitForStarted())
        return {};
    return Error{Errc::Io,
                 u"%1 cannot be started (%2): %3."_s.arg(m_spec.name, m_spec.program, m_process.errorString())};
}

void ChildProcess::terminate()
{
    m_endExpected = true;
    if (isRunning())
        m_process.terminate();
}

void ChildProcess::kill()
{
    m_endExpected = true;
    if (isRunning())
        m_process.kill();
}

void ChildProcess::hangUp()
{
    if (isRunning())
        ::kill(pid_t(m_process.processId()), SIGHUP);
}

void ChildProcess::onFinished(int exitCode, QProcess::ExitStatus status)
{
    m_endedWell = status == QProcess::NormalExit && exitCode == 0;
    m_wasKilled = status == QProcess::CrashExit && (exitCode == SIGKILL || exitCode == SIGTERM);
    m_howItEnded = status == QProcess::CrashExit ? u"was ended by signal %1"_s.arg(exitCode)
                                                 : u"ended with exit code %1"_s.arg(exitCode);
    Q_EMIT ended();
    if (!m_endExpected)
        Q_EMIT endedUnexpectedly(m_howItEnded);
}

QString ChildProcess::lastWords() const
{
    QFile file(m_spec.logFile);
    if (!file.open(QIODevice::ReadOnly))
        return {};
    file.seek(qMax(m_logStart, file.size() - kLogEnd));
    return lastComplaints(QString::fromUtf8(file.readAll()));
}

QString ChildProcess::obituary() const
{
    // Whoever was killed from outside has not said why.
    const QString words = m_wasKilled ? QString() : lastWords();
    return words.isEmpty() ? u"%1 %2."_s.arg(m_spec.name, m_howItEnded)
                           : u"%1 %2: %3"_s.arg(m_spec.name, m_howItEnded, words);
}

QString lastComplaints(const QString &log)
{
    static const QRegularExpression lintel(u"\\blevel=(\\w+)"_s);
    // "1763747066: text" or "2026-11-21T17:44:26: text"
    static const QRegularExpression mosquitto(u"^[0-9T:-]{8,19}: (?!Error|Warning)"_s);
    QStringList told;
    for (const QString &line : log.split(u'\n', Qt::SkipEmptyParts)) {
        const auto level = lintel.match(line).captured(1);
        if (level == "INFO"_L1 || level == "DEBUG"_L1 || mosquitto.match(line).hasMatch())
            continue;
        told << line.trimmed();
    }
    return told.mid(qMax(qsizetype(0), told.size() - 2)).join(u'\n').right(kLastWords);
}

} // namespace lintel::demo

// One process that the demo runs: its output goes to a log file, it ends with the demo in every
// case (even when the demo is killed with -9), and only by its own process id. Thread: its owner's.
#pragma once

#include "domain/result.h"

#include <QObject>
#include <QProcess>
#include <QStringList>

#include <memory>

namespace lintel::demo {

struct ChildSpec {
    QString name; // "hvac-001"
    QString kind; // what it is counted as: "lintel-sensor"
    QString program;
    QStringList arguments;
    QString logFile;         // standard output and error
    QStringList environment; // additions, NAME=value
};

class ChildProcess : public QObject
{
    Q_OBJECT
public:
    explicit ChildProcess(ChildSpec spec, QObject *parent = nullptr);
    /// Kills what still runs.
    ~ChildProcess() override;

    [[nodiscard]] Result<void> start();
    /// SIGTERM; the end is expected from here on.
    void terminate();
    void kill();
    /// SIGHUP: a broker reads its certificate again.
    void hangUp();
    /// It is meant to end, or has been told to.
    [[nodiscard]] bool isEndExpected() const { return m_endExpected; }

    [[nodiscard]] const ChildSpec &spec() const { return m_spec; }
    [[nodiscard]] bool isRunning() const { return m_process.state() != QProcess::NotRunning; }
    [[nodiscard]] qint64 pid() const { return m_process.processId(); }
    /// "ended with exit code 3" or "was ended by signal 9"; empty while it runs.
    [[nodiscard]] QString howItEnded() const { return m_howItEnded; }
    [[nodiscard]] bool endedWell() const { return m_endedWell; }
    /// The last warnings and errors of its log since it was started, for a sentence about what went
    /// wrong; often empty.
    [[nodiscard]] QString lastWords() const;
    /// "gateway was ended by signal 9." or "gateway ended with exit code 1: <its last words>"
    [[nodiscard]] QString obituary() const;

Q_SIGNALS:
    void ended();
    /// It ended although nobody had asked it to.
    void endedUnexpectedly(const QString &how);

private:
    void onFinished(int exitCode, QProcess::ExitStatus status);

    ChildSpec m_spec;
    QProcess m_process;
    QString m_howItEnded;
    bool m_endExpected = false;
    bool m_endedWell = false;
    bool m_wasKilled = false;
    qint64 m_logStart = 0; // what an earlier start has said is not about this one
};

/// The last two lines of `log` that are no mere information: Lintel's own below level WARNING, and
/// Mosquitto's without "Error" or "Warning", are left out.
[[nodiscard]] QString lastComplaints(const QString &log);

} // namespace lintel::demo

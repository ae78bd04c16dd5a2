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
    /// It is meant to end by itself now (a window that the user closes).
    void expectEnd() { m_endExpected = true; }

    [[nodiscard]] const ChildSpec &spec() const { return m_spec; }
    [[nodiscard]] bool isRunning() const { return m_process.state() != QProcess::NotRunning; }
    [[nodiscard]] qint64 pid() const { return m_process.processId(); }
    /// "ended with exit code 3" or "was killed by a signal"; empty while it runs.
    [[nodiscard]] QString howItEnded() const { return m_howItEnded; }
    [[nodiscard]] bool endedWell() const { return m_endedWell; }
    /// The last lines of its log, for a sentence about what went wrong.
    [[nodiscard]] QString lastWords() const;

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
};

} // namespace lintel::demo

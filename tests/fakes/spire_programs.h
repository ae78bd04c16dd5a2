// SPIRE's own programs for tests of interoperation: spire-agent and spire-server as processes with
// states of their own on free loopback ports, and spire-server's command line. They are not part of
// this project: the environment says where they lie. Ended by their process ids, also when the test
// fails. Main thread.
#pragma once

#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>

#include <memory>
#include <optional>

namespace lintel::test {

/// LINTEL_SPIRE_AGENT, LINTEL_SPIRE_SERVER: programs. LINTEL_SPIRE_TPM_PLUGIN: a folder with
/// tpm_attestor_server and tpm_attestor_agent; the agent's half must open the chip at the socket that
/// is its first argument. Empty: not set.
struct SpirePrograms {
    QString agent;
    QString server;
    QString tpmPlugins;

    [[nodiscard]] static SpirePrograms fromEnvironment();
};

struct SpireOutcome {
    int exitCode = -1;
    QString text; // standard output and error
    QJsonObject json;
};
/// spire-server's command line on `socket`; `arguments` begin with the command.
[[nodiscard]] SpireOutcome spireServer(const QStringList &arguments, const QString &socket);
/// The same with "-output json".
[[nodiscard]] SpireOutcome spireServerJson(QStringList arguments, const QString &socket);

/// One of the two programs as a process; its log is kept from run to run.
class SpireProcess
{
public:
    SpireProcess() = default;
    ~SpireProcess() { kill(); }
    SpireProcess(const SpireProcess &) = delete;
    SpireProcess &operator=(const SpireProcess &) = delete;

    [[nodiscard]] bool isRunning() const;
    [[nodiscard]] qint64 pid() const { return m_process ? m_process->processId() : 0; }
    void kill();
    [[nodiscard]] QString log() const;

protected:
    void run(const QString &program, const QStringList &arguments);
    [[nodiscard]] QString file(const QString &name) const { return m_dir.filePath(name); }
    bool write(const QString &name, const QString &text) const;

private:
    QTemporaryDir m_dir;
    std::unique_ptr<QProcess> m_process;
};

class SpireAgent : public SpireProcess
{
public:
    struct Options {
        QString server; // host:port
        QString trustDomain;
        QString bundle;    // file, SPIFFE format
        QString tpmSocket; // empty: attests with a join token
    };
    explicit SpireAgent(const Options &options);

    /// Attests with `joinToken`, or with what it kept, or with its chip.
    void start(const QString &joinToken = {});
    /// Of the Workload API.
    [[nodiscard]] QString socket() const { return file(QStringLiteral("api.sock")); }
    /// "api fetch jwt -audience x"
    [[nodiscard]] SpireOutcome command(const QStringList &arguments) const;

private:
    QString m_server;
};

class SpireServer : public SpireProcess
{
public:
    enum class Use {
        Interop,     // logs everything
        Measurement, // logs warnings, and has no limits of rates
    };
    /// Its SVIDs live for `svidSeconds`; the chips in `ekHashes` may attest.
    SpireServer(const QString &trustDomain, int svidSeconds, const QStringList &ekHashes, Use use = Use::Interop);

    /// Whether it is healthy.
    [[nodiscard]] bool start();
    [[nodiscard]] QString socket() const { return file(QStringLiteral("server.sock")); }
    [[nodiscard]] QString address() const;

private:
    quint16 m_port = 0;
};

} // namespace lintel::test

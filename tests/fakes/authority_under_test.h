// A lintel-authority process with a state of its own on free loopback ports, and lintelctl to manage
// it. Ended by its process id, also when the test fails. Main thread.
#pragma once

#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>

#include <memory>

namespace lintel::test {

class AuthorityUnderTest
{
public:
    /// Sections of its file besides authority, server and admin, as YAML text.
    explicit AuthorityUnderTest(QString domain = QStringLiteral("building-1.smart.local"), QString moreYaml = {});
    ~AuthorityUnderTest();

    /// More keys of section bundle_endpoint ("profile: …, key: …"); before start().
    void addToBundleEndpoint(const QString &keys);

    /// Whether it listens; call again after kill() for the same state and port.
    [[nodiscard]] bool start();
    /// SIGKILL.
    void kill();
    /// SIGTERM; its exit code, or -1.
    [[nodiscard]] int stop();

    struct Outcome {
        int exitCode = -1;
        QJsonObject json; // of --json, which is always given
    };
    /// lintelctl that asks this authority (--socket is added).
    [[nodiscard]] Outcome ctl(QStringList arguments) const;
    /// For commands that work on files: without --socket.
    [[nodiscard]] Outcome ctlPlain(QStringList arguments) const;
    /// As ctl(), without --json: what it prints.
    [[nodiscard]] QString ctlText(QStringList arguments) const;

    [[nodiscard]] QString address() const; // host:port for agents
    [[nodiscard]] quint16 bundlePort() const { return m_bundlePort; }
    [[nodiscard]] QString socket() const;
    [[nodiscard]] QString configFile() const;
    [[nodiscard]] QString file(const QString &name) const { return m_dir.filePath(name); }
    [[nodiscard]] QString domain() const { return m_domain; }
    [[nodiscard]] qint64 pid() const;
    /// What it has logged since its last start.
    [[nodiscard]] QString log() const;

private:
    void writeConfig() const;
    [[nodiscard]] QByteArray run(const QStringList &arguments, int *exitCode) const;

    QTemporaryDir m_dir;
    QString m_domain;
    QString m_more;
    QString m_endpointKeys;
    quint16 m_port = 0;
    quint16 m_bundlePort = 0;
    std::unique_ptr<QProcess> m_process;
};

} // namespace lintel::test

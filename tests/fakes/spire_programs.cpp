#include "fakes/spire_programs.h"

#include "process/free_port.h"

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QJsonDocument>
#include <QThread>

#include <arpa/inet.h>
#include <csignal>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lintel::test {

using namespace Qt::StringLiterals;

namespace {

constexpr int kPatienceMs = 60'000;

SpireOutcome finished(const QString &program, const QStringList &arguments)
{
    QProcess process;
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(program, arguments);
    SpireOutcome outcome;
    if (process.waitForFinished(kPatienceMs) && process.exitStatus() == QProcess::NormalExit)
        outcome.exitCode = process.exitCode();
    const QByteArray said = process.readAll();
    outcome.text = QString::fromUtf8(said);
    outcome.json = QJsonDocument::fromJson(said).object();
    return outcome;
}

} // namespace

SpirePrograms SpirePrograms::fromEnvironment()
{
    return {qEnvironmentVariable("LINTEL_SPIRE_AGENT"), qEnvironmentVariable("LINTEL_SPIRE_SERVER"),
            qEnvironmentVariable("LINTEL_SPIRE_TPM_PLUGIN")};
}

SpireOutcome spireServer(const QStringList &arguments, const QString &socket)
{
    return finished(SpirePrograms::fromEnvironment().server, arguments + QStringList{u"-socketPath"_s, socket});
}

SpireOutcome spireServerJson(QStringList arguments, const QString &socket)
{
    arguments.append({u"-output"_s, u"json"_s});
    return spireServer(arguments, socket);
}

// --- SpireProcess --------------------------------------------------------------------------------

bool SpireProcess::isRunning() const
{
    // Also where no event loop runs: looks once.
    return m_process && !m_process->waitForFinished(0) && m_process->state() == QProcess::Running;
}

void SpireProcess::kill()
{
    if (!m_process)
        return;
    m_process->kill();
    m_process->waitForFinished(kPatienceMs);
    m_process.reset();
}

QString SpireProcess::log() const
{
    QFile log(file(u"log"_s));
    return log.open(QIODevice::ReadOnly) ? QString::fromUtf8(log.readAll()) : QString();
}

bool SpireProcess::write(const QString &name, const QString &text) const
{
    QFile out(file(name));
    return out.open(QIODevice::WriteOnly) && out.write(text.toUtf8()) >= 0;
}

void SpireProcess::run(const QString &program, const QStringList &arguments)
{
    kill();
    m_process = std::make_unique<QProcess>();
    m_process->setProcessChannelMode(QProcess::MergedChannels);
    m_process->setStandardOutputFile(file(u"log"_s), QIODevice::Append);
    m_process->setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
    m_process->start(program, arguments);
    m_process->waitForStarted(kPatienceMs);
}

// --- SpireAgent ----------------------------------------------------------------------------------

SpireAgent::SpireAgent(const Options &options) : m_server(options.server)
{
    const QString attestor =
        options.tpmSocket.isEmpty()
            ? u"NodeAttestor \"join_token\" { plugin_data {} }"_s
            : uR"(NodeAttestor "tpm" { plugin_cmd = "%1/tpm_attestor_agent" plugin_args = ["%2"] plugin_data {} })"_s
                  .arg(SpirePrograms::fromEnvironment().tpmPlugins, options.tpmSocket);
    write(u"agent.conf"_s, uR"(agent {
  data_dir = "%1"
  log_level = "DEBUG"
  server_address = "%2"
  server_port = "%3"
  socket_path = "%4"
  trust_bundle_path = "%5"
  trust_bundle_format = "spiffe"
  trust_domain = "%6"
}
plugins {
  %7
  KeyManager "disk" { plugin_data { directory = "%1" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
)"_s.arg(file(u"data"_s), m_server.section(u':', 0, 0), m_server.section(u':', 1, 1), socket(), options.bundle,
                           options.trustDomain, attestor));
    QDir().mkpath(file(u"data"_s));
}

void SpireAgent::start(const QString &joinToken)
{
    QStringList arguments{u"run"_s, u"-config"_s, file(u"agent.conf"_s)};
    if (!joinToken.isEmpty())
        arguments.append({u"-joinToken"_s, joinToken});
    run(SpirePrograms::fromEnvironment().agent, arguments);
}

SpireOutcome SpireAgent::command(const QStringList &arguments) const
{
    return finished(SpirePrograms::fromEnvironment().agent, arguments + QStringList{u"-socketPath"_s, socket()});
}

// --- SpireServer ---------------------------------------------------------------------------------

SpireServer::SpireServer(const QString &trustDomain, int svidSeconds, const QStringList &ekHashes, Use use)
    : m_port(*freeLoopbackPort())
{
    QDir().mkpath(file(u"data"_s));
    QDir().mkpath(file(u"hashes"_s));
    for (const QString &hash : ekHashes)
        write(u"hashes/"_s + hash, {});
    const QString plugins = SpirePrograms::fromEnvironment().tpmPlugins;
    const QString tpm =
        plugins.isEmpty()
            ? QString()
            : uR"(NodeAttestor "tpm" { plugin_cmd = "%1/tpm_attestor_server" plugin_data { hash_path = "%2" } })"_s.arg(
                plugins, file(u"hashes"_s));
    write(u"server.conf"_s,
          uR"(server {
  bind_address = "127.0.0.1"
  bind_port = "%1"
  socket_path = "%2"
  trust_domain = "%3"
  data_dir = "%4"
  log_level = "%7"
  %8
  ca_ttl = "1h"
  agent_ttl = "%5s"
  default_x509_svid_ttl = "%5s"
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "%4/datastore.sqlite3" } }
  NodeAttestor "join_token" { plugin_data {} }
  %6
  KeyManager "memory" { plugin_data {} }
}
)"_s.arg(m_port)
              .arg(socket(), trustDomain, file(u"data"_s))
              .arg(svidSeconds)
              .arg(tpm, use == Use::Interop ? u"DEBUG"_s : u"WARN"_s,
                   use == Use::Interop ? QString() : u"ratelimit { attestation = false signing = false }"_s));
}

QString SpireServer::address() const
{
    return u"127.0.0.1:%1"_s.arg(m_port);
}

bool SpireServer::start()
{
    run(SpirePrograms::fromEnvironment().server, {u"run"_s, u"-config"_s, file(u"server.conf"_s)});
    QElapsedTimer patience;
    patience.start();
    while (patience.elapsed() < kPatienceMs && isRunning()) {
        if (spireServer({u"healthcheck"_s}, socket()).exitCode == 0)
            return true;
        QThread::msleep(200);
    }
    return false;
}

} // namespace lintel::test

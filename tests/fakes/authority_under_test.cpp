#include "fakes/authority_under_test.h"

#include "process/free_port.h"

#include <QElapsedTimer>
#include <QFile>
#include <QJsonDocument>

#include <arpa/inet.h>
#include <csignal>
#include <sys/socket.h>
#include <unistd.h>

namespace lintel::test {

using namespace Qt::StringLiterals;

namespace {

constexpr int kPatienceMs = 60'000;

sockaddr_in loopback(quint16 port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

quint16 freePort()
{
    const auto port = freeLoopbackPort();
    return port ? *port : quint16{0};
}

bool isListening(quint16 port)
{
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    const bool open = ::connect(socket, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
    ::close(socket);
    return open;
}

} // namespace

AuthorityUnderTest::AuthorityUnderTest(QString domain, QString moreYaml)
    : m_domain(std::move(domain)), m_more(std::move(moreYaml)), m_port(freePort()), m_bundlePort(freePort())
{
    writeConfig();
}

void AuthorityUnderTest::addToBundleEndpoint(const QString &keys)
{
    m_endpointKeys = u", "_s + keys;
    writeConfig();
}

void AuthorityUnderTest::writeConfig() const
{
    QFile file(configFile());
    if (!file.open(QIODevice::WriteOnly))
        return;
    file.write(u"authority: {trust_domain: %1, state_dir: %2}\n"
               "server: {host: 127.0.0.1, port: %3}\n"
               "admin: {socket: %4}\n"
               "bundle_endpoint: {host: 127.0.0.1, port: %5%6}\n%7"_s.arg(m_domain, m_dir.filePath(u"state"_s))
                   .arg(m_port)
                   .arg(socket())
                   .arg(m_bundlePort)
                   .arg(m_endpointKeys, m_more)
                   .toUtf8());
}

AuthorityUnderTest::~AuthorityUnderTest()
{
    kill();
}

QString AuthorityUnderTest::address() const
{
    return u"127.0.0.1:%1"_s.arg(m_port);
}

QString AuthorityUnderTest::socket() const
{
    return m_dir.filePath(u"admin.sock"_s);
}

QString AuthorityUnderTest::configFile() const
{
    return m_dir.filePath(u"authority.yaml"_s);
}

qint64 AuthorityUnderTest::pid() const
{
    return m_process ? m_process->processId() : 0;
}

QString AuthorityUnderTest::log() const
{
    QFile file(m_dir.filePath(u"log"_s));
    return file.open(QIODevice::ReadOnly) ? QString::fromUtf8(file.readAll()) : QString();
}

bool AuthorityUnderTest::start()
{
    kill();
    m_process = std::make_unique<QProcess>();
    m_process->setProcessChannelMode(QProcess::MergedChannels);
    m_process->setStandardOutputFile(m_dir.filePath(u"log"_s));
    m_process->start(QStringLiteral(LINTEL_BIN_DIR "/lintel-authority"), {u"--config"_s, configFile()});
    QElapsedTimer patience;
    patience.start();
    while (patience.elapsed() < kPatienceMs) {
        // The socket of the administration comes last.
        if (isListening(m_port) && isListening(m_bundlePort))
            return true;
        if (m_process->waitForFinished(20))
            return false;
    }
    return false;
}

void AuthorityUnderTest::kill()
{
    if (!m_process)
        return;
    m_process->kill();
    m_process->waitForFinished(kPatienceMs);
    m_process.reset();
}

int AuthorityUnderTest::stop()
{
    m_process->terminate();
    const bool ended = m_process->waitForFinished(kPatienceMs) && m_process->exitStatus() == QProcess::NormalExit;
    const int code = ended ? m_process->exitCode() : -1;
    m_process.reset();
    return code;
}

QByteArray AuthorityUnderTest::run(const QStringList &arguments, int *exitCode) const
{
    QProcess ctl;
    ctl.start(QStringLiteral(LINTEL_BIN_DIR "/lintelctl"), arguments);
    ctl.waitForFinished(kPatienceMs);
    *exitCode = ctl.exitStatus() == QProcess::NormalExit ? ctl.exitCode() : -1;
    return ctl.readAllStandardOutput();
}

AuthorityUnderTest::Outcome AuthorityUnderTest::ctl(QStringList arguments) const
{
    arguments.append({u"--socket"_s, socket()});
    return ctlPlain(std::move(arguments));
}

AuthorityUnderTest::Outcome AuthorityUnderTest::ctlPlain(QStringList arguments) const
{
    Outcome outcome;
    arguments.append(u"--json"_s);
    outcome.json = QJsonDocument::fromJson(run(arguments, &outcome.exitCode)).object();
    return outcome;
}

QString AuthorityUnderTest::ctlText(QStringList arguments) const
{
    int code = 0;
    arguments.append({u"--socket"_s, socket()});
    return QString::fromUtf8(run(arguments, &code));
}

} // namespace lintel::test

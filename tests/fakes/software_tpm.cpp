#include "fakes/software_tpm.h"

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QThread>

#include <csignal>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
// ThreadSanitizer takes QProcess's way of starting a child for a fork that goes on with threads.
extern "C" const char *__tsan_default_options();
extern "C" const char *__tsan_default_options()
{
    return "die_after_fork=0";
}
#endif

namespace lintel::test {

using namespace Qt::StringLiterals;

namespace {
constexpr int kSetupMillis = 60'000;
constexpr int kStartMillis = 15'000;
constexpr int kStopMillis = 5'000;

void write(const QString &path, const QByteArray &text)
{
    QFile file(path);
    if (!file.open(QIODevice::WriteOnly) || file.write(text) != text.size())
        throw std::runtime_error("cannot write " + path.toStdString());
}

void makeDir(const QString &path)
{
    if (!QDir().mkpath(path))
        throw std::runtime_error("cannot make " + path.toStdString());
}

bool accepts(const QString &socketFile)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const QByteArray path = QFile::encodeName(socketFile);
    if (path.size() >= static_cast<qsizetype>(sizeof address.sun_path))
        throw std::runtime_error("path of the TPM's socket is too long");
    qstrcpy(address.sun_path, path.constData());
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool ok = fd >= 0 && connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}
} // namespace

TpmVendor::TpmVendor()
{
    const QString dir = m_dir.path();
    makeDir(dir + u"/ca"_s);
    makeDir(certificatesDir());
    const QByteArray ca = (dir + u"/ca"_s).toLocal8Bit();
    write(dir + u"/localca.conf"_s, "statedir = " + ca + "\nsigningkey = " + ca + "/signkey.pem\nissuercert = " + ca
                                        + "/issuercert.pem\ncertserial = " + ca + "/certserial\n");
    write(dir + u"/localca.options"_s, "--platform-manufacturer Lintel\n--platform-version 1\n--platform-model Test\n");
    write(configFile(), "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = " + dir.toLocal8Bit()
                            + "/localca.conf\ncreate_certs_tool_options = " + dir.toLocal8Bit()
                            + "/localca.options\nactive_pcr_banks = sha256\n");
}

QString TpmVendor::certificatesDir() const
{
    return m_dir.filePath(u"certificates"_s);
}

QString TpmVendor::configFile() const
{
    return m_dir.filePath(u"setup.conf"_s);
}

void TpmVendor::publish() const
{
    for (const QString &name : {u"swtpm-localca-rootca-cert.pem"_s, u"issuercert.pem"_s})
        QFile::copy(m_dir.filePath(u"ca/"_s + name), certificatesDir() + u'/' + name);
}

SoftwareTpm::SoftwareTpm(const TpmVendor *vendor)
{
    makeDir(m_dir.filePath(u"nv"_s));
    makeDir(stateDir());
    manufacture(vendor);
    start();
}

SoftwareTpm::~SoftwareTpm()
{
    stop();
}

void SoftwareTpm::manufacture(const TpmVendor *vendor) const
{
    QStringList arguments{u"--tpm2"_s, u"--tpmstate"_s, m_dir.filePath(u"nv"_s), u"--pcr-banks"_s, u"sha256"_s};
    if (vendor)
        arguments << u"--create-ek-cert"_s << u"--config"_s << vendor->configFile();
    QProcess setup;
    setup.setProcessChannelMode(QProcess::MergedChannels);
    setup.start(u"swtpm_setup"_s, arguments);
    if (!setup.waitForFinished(kSetupMillis) || setup.exitStatus() != QProcess::NormalExit || setup.exitCode() != 0)
        throw std::runtime_error("swtpm_setup: " + setup.readAll().toStdString());
    if (vendor)
        vendor->publish();
}

QString SoftwareTpm::socketFile() const
{
    return m_dir.filePath(u"tpm"_s);
}

QString SoftwareTpm::tcti() const
{
    return u"swtpm:path="_s + socketFile();
}

QString SoftwareTpm::stateDir() const
{
    return m_dir.filePath(u"state"_s);
}

void SoftwareTpm::start()
{
    QFile::remove(socketFile());
    QFile::remove(socketFile() + u".ctrl"_s);
    m_process = std::make_unique<QProcess>();
    m_process->setProcessChannelMode(QProcess::MergedChannels);
    m_process->setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
    m_process->start(u"swtpm"_s, {u"socket"_s, u"--tpm2"_s, u"--tpmstate"_s, u"dir="_s + m_dir.filePath(u"nv"_s),
                                  u"--server"_s, u"type=unixio,path="_s + socketFile(), u"--ctrl"_s,
                                  u"type=unixio,path="_s + socketFile() + u".ctrl"_s, u"--flags"_s,
                                  u"not-need-init,startup-clear"_s});
    QElapsedTimer waited;
    waited.start();
    while (!accepts(socketFile() + u".ctrl"_s)) {
        if (waited.elapsed() > kStartMillis || m_process->state() == QProcess::NotRunning)
            throw std::runtime_error("swtpm does not start: " + m_process->readAll().toStdString());
        QThread::msleep(5);
        m_process->waitForReadyRead(0);
    }
}

void SoftwareTpm::stop()
{
    if (!m_process)
        return;
    m_process->terminate();
    if (!m_process->waitForFinished(kStopMillis)) {
        m_process->kill();
        m_process->waitForFinished(kStopMillis);
    }
    m_process.reset();
}

} // namespace lintel::test

#include "fakes/mosquitto_broker.h"

#include "mqtt/mosquitto_config.h"
#include "ports/system_clock.h"
#include "process/free_port.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QTcpSocket>
#include <QThread>

#include <csignal>
#include <stdexcept>
#include <sys/prctl.h>

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
constexpr int kStartMillis = 15'000;
constexpr int kStopMillis = 5'000;
const auto kProgram = u"/usr/sbin/mosquitto"_s;

/// In tests a wrong constant is the author's mistake: end the test with its sentence.
template <class T>
T must(Result<T> result)
{
    if (!result)
        throw std::runtime_error(result.error().message.toStdString());
    return std::move(*result);
}
} // namespace

Result<std::shared_ptr<const IdentitySnapshot>> MemoryIdentitySource::current() const
{
    const QMutexLocker lock(&m_mutex);
    if (!m_current)
        return Error{Errc::NotFound, u"There is no identity yet."_s};
    return m_current;
}

void MemoryIdentitySource::set(IdentitySnapshot snapshot)
{
    {
        const QMutexLocker lock(&m_mutex);
        m_current = std::make_shared<const IdentitySnapshot>(std::move(snapshot));
    }
    Q_EMIT svidChanged();
}

void MemoryIdentitySource::setBundles(const TrustBundles &bundles)
{
    {
        const QMutexLocker lock(&m_mutex);
        m_current = std::make_shared<const IdentitySnapshot>(IdentitySnapshot{m_current->svid, bundles});
    }
    Q_EMIT bundlesChanged();
}

quint16 freePort()
{
    const auto port = freeLoopbackPort();
    return port ? *port : quint16{0};
}

MosquittoBroker::MosquittoBroker(Options options)
    : m_options(std::move(options)), m_id(must(SpiffeId::parse(m_options.brokerId)))
{
    for (const QString &domain : std::as_const(m_options.domains))
        m_pkis.push_back(must(tls::Pki::create(must(TrustDomain::parse(domain)), SystemClock().now())));
}

MosquittoBroker::~MosquittoBroker()
{
    kill();
}

Result<void> MosquittoBroker::writeFiles()
{
    const auto svid = pki(m_id.trustDomain().name()).issue(m_id, std::chrono::hours{1}, SystemClock().now());
    if (!svid)
        return svid.error();
    const QDir dir(m_dir.path());
    if (auto written = tls::writeIdentity(dir.filePath(u"broker"_s), *svid, bundles()); !written)
        return written;
    QList<QByteArray> roots;
    for (const tls::Pki &one : m_pkis)
        roots.append(one.rootDer());
    if (auto written = tls::writePublicFile(dir.filePath(u"trust.pem"_s), tls::certificatesToPem(roots)); !written)
        return written;

    mqtt::MosquittoConfig config;
    config.bindAddress = u"127.0.0.1"_s;
    config.port = m_port;
    config.certificateFile = dir.filePath(u"broker/svid.pem"_s);
    config.keyFile = dir.filePath(u"broker/svid.key"_s);
    config.trustFile = dir.filePath(u"trust.pem"_s);
    config.user = mqtt::mosquittoUserOfThisProcess();
    config.maxInflightMessages = m_options.maxInflightMessages;
    config.verbose = m_options.verbose;
    if (m_options.acl) {
        config.aclFile = dir.filePath(u"acl"_s);
        // Mosquitto ignores a world-readable rule file in newer versions: keep it private.
        if (auto written = tls::writePrivateFile(config.aclFile, mqtt::mosquittoAclText()); !written)
            return written;
    }
    const auto text = mqtt::mosquittoConfigText(config);
    if (!text)
        return text.error();
    return tls::writePublicFile(dir.filePath(u"mosquitto.conf"_s), *text);
}

Result<void> MosquittoBroker::start()
{
    stop();
    if (m_port == 0)
        m_port = freePort();
    if (auto written = writeFiles(); !written)
        return written;
    m_process = std::make_unique<QProcess>();
    m_process->setStandardErrorFile(m_dir.filePath(u"broker.log"_s), QIODevice::Append);
    m_process->setStandardOutputFile(QProcess::nullDevice());
    m_process->setChildProcessModifier([] { ::prctl(PR_SET_PDEATHSIG, SIGKILL); });
    m_process->start(kProgram, {u"-c"_s, m_dir.filePath(u"mosquitto.conf"_s)});
    QElapsedTimer timer;
    timer.start();
    while (timer.elapsed() < kStartMillis) {
        if (m_process->state() == QProcess::NotRunning)
            break;
        QTcpSocket probe;
        probe.connectToHost(QHostAddress::LocalHost, m_port);
        if (probe.waitForConnected(200))
            return {};
        if (m_process->waitForFinished(20))
            break;
    }
    return Error{Errc::Unavailable, u"mosquitto did not start: %1"_s.arg(QString::fromUtf8(log().right(500)))};
}

void MosquittoBroker::stop()
{
    if (!m_process)
        return;
    m_process->terminate();
    if (!m_process->waitForFinished(kStopMillis))
        m_process->kill();
    m_process->waitForFinished(kStopMillis);
    m_process.reset();
}

void MosquittoBroker::kill()
{
    if (!m_process)
        return;
    m_process->kill();
    m_process->waitForFinished(kStopMillis);
    m_process.reset();
}

MqttEndpoint MosquittoBroker::endpoint() const
{
    MqttEndpoint endpoint;
    endpoint.host = u"127.0.0.1"_s;
    endpoint.port = m_port;
    endpoint.broker = m_id;
    endpoint.backoff = {std::chrono::milliseconds{50}, std::chrono::milliseconds{500}};
    return endpoint;
}

TrustBundles MosquittoBroker::bundles() const
{
    TrustBundles bundles;
    for (const tls::Pki &one : m_pkis)
        bundles.insert(one.domain(), {one.rootDer()});
    return bundles;
}

IdentitySnapshot MosquittoBroker::identity(const QString &spiffeId, std::chrono::seconds ttl) const
{
    const SpiffeId id = must(SpiffeId::parse(spiffeId));
    return {must(pki(id.trustDomain().name()).issue(id, ttl, SystemClock().now())), bundles()};
}

QString MosquittoBroker::identityDir(const QString &spiffeId)
{
    const IdentitySnapshot snapshot = identity(spiffeId);
    QString name = spiffeId.mid(9);
    const QString dir = m_dir.filePath(u"id-"_s + name.replace(u'/', u'_'));
    if (auto written = tls::writeIdentity(dir, snapshot.svid, snapshot.bundles); !written)
        throw std::runtime_error(written.error().message.toStdString());
    return dir;
}

const tls::Pki &MosquittoBroker::pki(const QString &domain) const
{
    for (const tls::Pki &one : m_pkis)
        if (one.domain().name() == domain)
            return one;
    throw std::runtime_error("no such trust domain: " + domain.toStdString());
}

void MosquittoBroker::replaceRoot(const QString &domain)
{
    for (tls::Pki &one : m_pkis)
        if (one.domain().name() == domain)
            one = must(tls::Pki::create(one.domain(), SystemClock().now()));
}

QByteArray MosquittoBroker::log() const
{
    QFile file(m_dir.filePath(u"broker.log"_s));
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

} // namespace lintel::test

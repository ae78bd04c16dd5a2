#include "fakes/guarded_broker.h"

#include "broker-plugin/watched_files.h"
#include "fakes/mosquitto_broker.h"
#include "mqtt/mosquitto_config.h"
#include "ports/system_clock.h"
#include "tls/file_key_store.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QProcessEnvironment>
#include <QTcpSocket>

#include <array>
#include <csignal>
#include <stdexcept>
#include <sys/prctl.h>

namespace lintel::test {

using namespace Qt::StringLiterals;

namespace {
constexpr int kStartMillis = 20'000;
constexpr int kStopMillis = 5'000;
const auto kProgram = u"/usr/sbin/mosquitto"_s;

template <class T>
T must(Result<T> result)
{
    if (!result)
        throw std::runtime_error(result.error().message.toStdString());
    return std::move(*result);
}

void must(const Result<void> &result)
{
    if (!result)
        throw std::runtime_error(result.error().message.toStdString());
}

QString keyIdOf(const QString &domain)
{
    return u"jwt-"_s + domain;
}
} // namespace

GuardedBroker::GuardedBroker(Options options)
    : m_options(std::move(options)), m_id(must(SpiffeId::parse(m_options.brokerId)))
{
    for (const QString &domain : std::as_const(m_options.domains)) {
        m_pkis.emplace(domain, must(tls::Pki::create(must(TrustDomain::parse(domain)), SystemClock().now())));
        m_signers.emplace(domain, must(tls::signingKeyFrom(must(tls::newSoftwareKey()))));
    }
    for (const QString &name : {u"bundles"_s, u"deny"_s})
        QDir(m_dir.path()).mkpath(name);
    for (const QString &domain : m_options.trustIsKept ? QStringList() : m_options.domains)
        writeBundle(domain, {pki(domain).rootDer()}, 1);
    writeRoles(m_options.roles);
    if (m_options.hasOwnClock)
        shiftClock({});
}

GuardedBroker::~GuardedBroker()
{
    stop();
}

Result<void> GuardedBroker::writeFiles()
{
    if (!m_options.trustIsKept)
        writeBrokerIdentity();
    QList<QByteArray> roots;
    for (const auto &[domain, pki] : m_pkis)
        roots.append(pki.rootDer());
    if (auto written = tls::writePublicFile(trustFile(), tls::certificatesToPem(roots)); !written)
        return written;
    mqtt::MosquittoConfig config;
    config.bindAddress = u"127.0.0.1"_s;
    config.port = m_port;
    config.certificateFile = identityFile();
    config.keyFile = identityFile();
    config.trustFile = trustFile();
    config.user = mqtt::mosquittoUserOfThisProcess();
    config.plugin = mqtt::MosquittoPlugin{
        QStringLiteral(LINTEL_PLUGIN), path(u"bundles"_s), path(u"roles.json"_s), path(u"deny"_s), path(u"state"_s),
        path(u"status.json"_s)};
    const auto text = mqtt::mosquittoConfigText(config);
    if (!text)
        return text.error();
    return tls::writePublicFile(path(u"mosquitto.conf"_s), *text);
}

Result<void> GuardedBroker::start()
{
    stop();
    if (m_port == 0)
        m_port = freePort();
    if (auto written = writeFiles(); !written)
        return written;
    m_process = std::make_unique<QProcess>();
    m_process->setStandardErrorFile(path(u"broker.log"_s), QIODevice::Append);
    m_process->setStandardOutputFile(QProcess::nullDevice());
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    QStringList loadedFirst;
#ifdef LINTEL_ASAN_RUNTIME
    // mosquitto itself is not instrumented: the runtime must be there before it, and what it leaks
    // when it ends is its own affair.
    loadedFirst.append(QStringLiteral(LINTEL_ASAN_RUNTIME));
    environment.insert(u"ASAN_OPTIONS"_s, u"detect_leaks=0"_s);
#endif
    if (m_options.hasOwnClock) {
        loadedFirst.append(QStringLiteral(LINTEL_SHIFTED_CLOCK));
        environment.insert(u"LINTEL_TEST_CLOCK"_s, path(u"clock"_s));
    }
    if (!loadedFirst.isEmpty())
        environment.insert(u"LD_PRELOAD"_s, loadedFirst.join(u':'));
    m_process->setProcessEnvironment(environment);
    m_process->setChildProcessModifier([] { ::prctl(PR_SET_PDEATHSIG, SIGKILL); });
    m_process->start(kProgram, {u"-c"_s, path(u"mosquitto.conf"_s)});
    QElapsedTimer timer;
    timer.start();
    while (timer.elapsed() < kStartMillis && m_process->state() != QProcess::NotRunning) {
        QTcpSocket probe;
        probe.connectToHost(QHostAddress::LocalHost, m_port);
        if (probe.waitForConnected(200))
            return {};
        if (m_process->waitForFinished(20))
            break;
    }
    return Error{Errc::Unavailable, u"mosquitto did not start: %1"_s.arg(QString::fromUtf8(log().right(800)))};
}

void GuardedBroker::stop()
{
    if (!m_process)
        return;
    m_process->terminate();
    if (!m_process->waitForFinished(kStopMillis))
        m_process->kill();
    m_process->waitForFinished(kStopMillis);
    m_process.reset();
}

void GuardedBroker::hangUp() const
{
    if (isRunning())
        ::kill(static_cast<pid_t>(m_process->processId()), SIGHUP);
}

void GuardedBroker::shiftClock(std::chrono::seconds wall, std::chrono::seconds sinceBoot) const
{
    const std::array<qint64, 2> shifts{Millis(wall).count(), Millis(sinceBoot).count()};
    QFile file(path(u"clock"_s)); // in place: the broker has it mapped
    if (!file.open(QIODevice::ReadWrite)
        || file.write(reinterpret_cast<const char *>(shifts.data()), sizeof(shifts)) != sizeof(shifts))
        throw std::runtime_error("the broker's clock cannot be moved");
}

QByteArray GuardedBroker::log() const
{
    QFile file(path(u"broker.log"_s));
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

Result<broker::BrokerStatus> GuardedBroker::status() const
{
    const auto bytes = tls::readWholeFile(path(u"status.json"_s));
    if (!bytes)
        return bytes.error();
    return broker::parseStatus(*bytes);
}

tls::Pki &GuardedBroker::pki(const QString &domain)
{
    return m_pkis.at(domain);
}

TrustBundles GuardedBroker::bundles() const
{
    TrustBundles bundles;
    for (const auto &[domain, pki] : m_pkis)
        bundles.insert(pki.domain(), {pki.rootDer()});
    return bundles;
}

IdentitySnapshot GuardedBroker::identity(const QString &spiffeId)
{
    const SpiffeId id = must(SpiffeId::parse(spiffeId));
    return {must(pki(id.trustDomain().name()).issue(id, std::chrono::hours{1}, SystemClock().now())), bundles()};
}

QString GuardedBroker::identityDirOf(const tls::Pki &pki, const QString &spiffeId, const QString &dir,
                                     std::chrono::seconds left)
{
    const SpiffeId id = must(SpiffeId::parse(spiffeId));
    // No SVID lives shorter than an hour: one that ends soon began long ago.
    const Timestamp begin = SystemClock().now() - (tls::Pki::kMinTtl - left);
    must(tls::writeIdentity(dir, must(pki.issue(id, tls::Pki::kMinTtl, begin)), {{pki.domain(), {pki.rootDer()}}}));
    return dir;
}

QString GuardedBroker::identityDir(const QString &spiffeId, std::chrono::seconds left)
{
    const SpiffeId id = must(SpiffeId::parse(spiffeId));
    return identityDirOf(pki(id.trustDomain().name()), spiffeId, path(u"id-%1"_s.arg(++m_identities)), left);
}

void GuardedBroker::writeBundle(const QString &domain, const QList<QByteArray> &rootsDer, quint64 sequence)
{
    tls::BundleDocument document;
    document.x509Authorities = rootsDer;
    document.jwtAuthorities = {{keyIdOf(domain), m_signers.at(domain)->publicKeyDer()}};
    document.sequence = sequence;
    must(tls::writePublicFile(path(u"bundles/%1.json"_s.arg(domain)), must(tls::printBundle(document))));
}

void GuardedBroker::removeBundle(const QString &domain)
{
    QFile::remove(path(u"bundles/%1.json"_s.arg(domain)));
}

void GuardedBroker::writeRoles(const broker::BrokerRoles &roles)
{
    must(tls::writePublicFile(path(u"roles.json"_s), broker::printRoles(roles)));
}

void GuardedBroker::writeDenyList(const QString &domain, quint64 sequence, const QList<tls::DenyEntry> &entries,
                                  const SigningKey *signer)
{
    const tls::DenyList list{must(TrustDomain::parse(domain)), sequence, SystemClock().now(), entries};
    writeDenyBytes(domain, must(tls::signDenyList(list, keyIdOf(domain), signer ? *signer : *m_signers.at(domain))));
}

void GuardedBroker::writeDenyBytes(const QString &domain, const QByteArray &bytes)
{
    const TrustDomain name = must(TrustDomain::parse(domain));
    must(tls::writePublicFile(path(u"deny/"_s + broker::DenyFiles::fileName(name)), bytes));
}

void GuardedBroker::writeBrokerIdentity()
{
    const SpiffeId shown = m_options.showsId.isEmpty() ? m_id : must(SpiffeId::parse(m_options.showsId));
    const auto svid = must(pki(shown.trustDomain().name()).issue(shown, std::chrono::hours{1}, SystemClock().now()));
    must(tls::writeKeyAndChain(identityFile(), svid));
}

void GuardedBroker::renewCertificate()
{
    writeBrokerIdentity();
}

} // namespace lintel::test

#include "authority/authority_process.h"

#include "authority/key_stores.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QFileInfo>

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::seconds kLongestTick = 60s;
constexpr auto kGrace = 3s;

Result<AttestationTerms> termsOf(const ProgramConfig &config, const Clock &clock)
{
    AttestationTerms terms;
    terms.clock = &clock;
    terms.policy.pcrs = config.pcrs;
    terms.quotesSpireTpm = config.quotesSpireTpm;
    terms.channelBindings = config.channelBindings;
    terms.policy.challengeLifetime = config.challengeLifetime;
    terms.policy.requireVendorCertificate = config.requiresVendorCertificate;
    if (config.vendorDir.isEmpty())
        return terms;
    auto vendors = tpm::VendorAuthorities::load(config.vendorDir);
    if (!vendors)
        return vendors.error();
    terms.policy.vendors = *std::move(vendors);
    return terms;
}

/// A certificate of the Web PKI, read anew when its file changes: such certificates are short-lived.
class WebCertificate
{
public:
    WebCertificate(QString certificate, QString key) : m_certificate(std::move(certificate)), m_key(std::move(key)) {}

    [[nodiscard]] Result<grpc::ServerTls> operator()()
    {
        const QDateTime changed = QFileInfo(m_certificate).lastModified();
        if (m_tls && changed == m_readAt)
            return *m_tls;
        const auto chainPem = tls::readWholeFile(m_certificate);
        if (!chainPem)
            return chainPem.error();
        const auto keyPem = tls::readPrivateFile(m_key);
        if (!keyPem)
            return keyPem.error();
        const auto chain = tls::certificatesFromPem(*chainPem);
        if (!chain)
            return chain.error();
        const auto key = tls::privateKeyFromPem(*keyPem);
        if (!key)
            return key.error();
        grpc::ServerTls tls;
        tls.own.chainDer = *chain;
        tls.own.key = *key;
        m_tls = tls;
        m_readAt = changed;
        return tls;
    }

private:
    QString m_certificate;
    QString m_key;
    QDateTime m_readAt;
    std::optional<grpc::ServerTls> m_tls;
};

} // namespace

Result<std::unique_ptr<AuthorityProcess>> AuthorityProcess::open(const ProgramConfig &config, const Clock &clock,
                                                                 const QString &version)
{
    auto terms = termsOf(config, clock);
    if (!terms)
        return terms.error();
    auto lock = StateLock::take(config.authority.stateDir);
    if (!lock)
        return lock.error();
    auto keys = openKeyStore(config);
    if (!keys)
        return keys.error();
    auto authority = Authority::open(config.authority, *std::move(keys), clock);
    if (!authority)
        return authority.error();
    terms->clock = &(*authority)->clock(); // peers are judged by the time that it goes by
    std::unique_ptr<AuthorityProcess> process(
        new AuthorityProcess(*std::move(lock), *std::move(authority), *std::move(terms), version));
    if (const auto listening = process->listen(config); !listening)
        return listening.error();
    return process;
}

AuthorityProcess::AuthorityProcess(std::unique_ptr<StateLock> lock, std::unique_ptr<Authority> authority,
                                   AttestationTerms terms, const QString &version)
    : m_lock(std::move(lock)), m_authority(std::move(authority)), m_service(*m_authority, std::move(terms), version),
      m_federation(*m_authority, m_authority->clock())
{
    connect(&m_service, &AuthorityService::noticed, this, &AuthorityProcess::trouble);
    connect(&m_service, &AuthorityService::closed, this, &AuthorityProcess::stopped);
    connect(&m_service, &AuthorityService::refreshWanted, &m_federation, &FederationClient::refresh,
            Qt::QueuedConnection);
    connect(&m_federation, &FederationClient::trouble, this, &AuthorityProcess::trouble);
    connect(&m_federation, &FederationClient::notice, this, &AuthorityProcess::notice);
    connect(&m_timer, &QTimer::timeout, this, &AuthorityProcess::tick);
}

AuthorityProcess::~AuthorityProcess() = default;

Result<void> AuthorityProcess::listen(const ProgramConfig &config)
{
    const auto agents = m_service.listenForAgents(config.host, config.port);
    if (!agents)
        return agents.error();
    m_port = *agents;
    if (const auto admin = m_service.listenForAdministration(config.adminSocket, config.adminMode); !admin)
        return admin;
    if (!config.bundles.isEnabled)
        return {};
    std::function<Result<grpc::ServerTls>()> tls;
    if (config.bundles.isWeb) {
        WebCertificate certificate(config.bundles.certificate, config.bundles.key);
        if (const auto usable = certificate(); !usable)
            return usable.error();
        tls = std::move(certificate);
    }
    const auto bundles = m_service.listenForBundles(config.bundles.host, config.bundles.port, std::move(tls));
    if (!bundles)
        return bundles.error();
    m_bundlePort = *bundles;
    return {};
}

void AuthorityProcess::start()
{
    tick();
    // Often enough that our own SVID is renewed well before its end, however short its life is.
    m_timer.start(std::clamp<std::chrono::seconds>(m_authority->config().x509Ttl / 8, 1s, kLongestTick));
    m_federation.start();
}

void AuthorityProcess::tick()
{
    const auto done = m_authority->tick();
    const auto well = done ? m_authority->health() : done;
    // What fails is said each time; what is merely so, as a clock that jumped, once.
    if (!done || (!well && !m_isTroubled))
        Q_EMIT trouble(well.error());
    else if (well && m_isTroubled)
        Q_EMIT notice(u"the authority is well again"_s);
    m_isTroubled = !well;
}

void AuthorityProcess::stop()
{
    m_timer.stop();
    m_service.close(kGrace);
}

} // namespace lintel::authority

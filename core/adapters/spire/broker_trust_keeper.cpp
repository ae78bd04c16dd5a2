#include "spire/broker_trust_keeper.h"

#include "spire/server_methods.h"
#include "spire/wire.h"
#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"
#include "tls/identity_files.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include "lintel_authority.pb.h"
#include "spire_entry.pb.h"
#include "spire_svid.pb.h"

#include <QDir>
#include <QFileInfo>

#include <algorithm>
#include <utility>

namespace lintel::spire {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace entryApi = ::spire::api::server::entry::v1;
namespace svidApi = ::spire::api::server::svid::v1;
namespace authority = ::lintel::authority::v1;

namespace {

constexpr auto kCallTime = 15s;
constexpr auto kReportEvery = 2s;
constexpr Millis kLookAgain{30s};
constexpr int kMaxReports = 1'000;

/// Writes only what differs, so that whoever watches the file is not woken for nothing.
Result<void> replaceFile(const QString &path, const QByteArray &bytes)
{
    const auto there = tls::readWholeFile(path);
    if (there && *there == bytes)
        return {};
    return tls::writePublicFile(path, bytes);
}

/// The file may be younger than what this agent remembers, which has a folder of its own.
Result<void> mayBeWritten(const QString &path, const tls::BundleDocument &fresh)
{
    const auto there = tls::readWholeFile(path);
    const auto known = there ? tls::parseBundle(*there) : Result<tls::BundleDocument>(there.error());
    return known ? tls::mayReplace(*known, fresh) : Result<void>();
}

Result<void> makeFolder(const QString &path)
{
    if (QDir().mkpath(path))
        return {};
    return Error{Errc::Io, u"The folder %1 for the broker's files cannot be made; correct its path or its "
                           u"permissions."_s.arg(path)};
}

} // namespace

BrokerTrustKeeper::BrokerTrustKeeper(BrokerTrustOptions options, EmbeddedIdentitySource &identity,
                                     ReadPrincipals readPrincipals, const Clock &clock, QObject *parent)
    : QObject(parent), m_options(std::move(options)), m_identity(identity), m_readPrincipals(std::move(readPrincipals)),
      m_keeper(clock, identity.time(), m_options.renewal, m_options.seed),
      m_channel({m_options.authority, [this] { return tlsAsAgent(m_identity, m_options.authorityId); }}),
      m_watch(m_channel, identity, m_options.authorityId.trustDomain())
{
    m_step.setSingleShot(true);
    connect(&m_step, &QTimer::timeout, this, &BrokerTrustKeeper::step);
    connect(&m_watch, &DenyListWatch::accepted, this, &BrokerTrustKeeper::takeDenyList);
    connect(&m_watch, &DenyListWatch::refused, this, [this](const Error &why) { troubled(Part::DenyList, why); });
    connect(&m_watch, &DenyListWatch::interrupted, this, [this](const Error &why) { troubled(Part::Watch, why); });
    connect(&m_watch, &DenyListWatch::restored, this, [this] { fine(Part::Watch); });
    connect(&m_reportTimer, &QTimer::timeout, this, &BrokerTrustKeeper::writeAgain);
    connect(&m_reportTimer, &QTimer::timeout, this, &BrokerTrustKeeper::report);
    connect(&m_identity, &IdentitySource::svidChanged, this, &BrokerTrustKeeper::onIdentity);
    connect(&m_identity, &IdentitySource::bundlesChanged, this, &BrokerTrustKeeper::onIdentity);
}

BrokerTrustKeeper::~BrokerTrustKeeper() = default;

void BrokerTrustKeeper::start()
{
    for (const QString &folder : {m_options.bundlesDir, m_options.denyListsDir}) {
        if (const auto made = makeFolder(folder); !made)
            troubled(Part::Bundles, made.error());
    }
    readCertificate();
    tellOfOldFiles();
    m_reportTimer.start(kReportEvery);
    if (m_identity.agentSvid())
        onIdentity();
    step();
}

BrokerTrustStatus BrokerTrustKeeper::status() const
{
    BrokerTrustStatus status;
    status.certificate = m_keeper.state();
    status.certificateExpiresAt = m_keeper.expiresAt().value_or(Timestamp{});
    status.rotations = m_keeper.rotations();
    status.isWatching = m_watch.isWatching();
    for (const auto &[domain, list] : m_watch.lists()) {
        if (domain == m_options.authorityId.trustDomain())
            status.denySequence = list.sequence;
        status.denied += list.entries.size();
        ++status.denyLists;
    }
    status.bundles = m_bundles;
    status.reported = m_reports;
    status.problem = QStringList(m_problems.values()).join(u' ');
    return status;
}

/// The agent has a new SVID, or there are new roots.
void BrokerTrustKeeper::onIdentity()
{
    writeBundles();
    readDenyLists();
    m_watch.judgeAgain();
    if (!m_identity.agentSvid())
        return;
    m_watch.begin(); // with the SVID of the moment
    const QList<QByteArray> kept = std::exchange(m_keptChain, {});
    const bool isForeign = !kept.isEmpty() && !verify(kept); // of another authority, perhaps
    if (isForeign || m_keeper.state() != SvidKeeper::State::Valid)
        m_keeper.hurry();
    step();
}

// --- Deny lists -------------------------------------------------------------------------------------

void BrokerTrustKeeper::takeDenyList(const tls::DenyList &list, const QByteArray &jws)
{
    const QString &domain = list.issuer.name();
    if (const auto written = replaceFile(u"%1/%2.jws"_s.arg(m_options.denyListsDir, domain), jws); !written) {
        m_unwritten.insert_or_assign(list.issuer, Unwritten{list, jws});
        return troubled(Part::DenyList, written.error());
    }
    m_unwritten.erase(list.issuer);
    if (m_unwritten.empty())
        fine(Part::DenyList);
    const auto told = m_told.constFind(list.issuer);
    const bool isNew = told == m_told.constEnd() || *told != list.sequence;
    m_told.insert(list.issuer, list.sequence);
    if (isNew && !list.entries.isEmpty())
        Q_EMIT notice(u"deny list %1 of %2 names %3 identities; the broker has it"_s.arg(list.sequence)
                          .arg(domain)
                          .arg(list.entries.size()));
    report();
}

/// The broker lets a revoked device in for as long as its file is old.
void BrokerTrustKeeper::writeAgain()
{
    for (const auto &[domain, one] : std::exchange(m_unwritten, {}))
        takeDenyList(one.list, one.jws);
}

/// What a run before this one has written: an older list does not take its place.
void BrokerTrustKeeper::readDenyLists()
{
    const auto documents = m_identity.documents();
    for (auto it = documents.cbegin(); it != documents.cend(); ++it) {
        if (m_watch.lists().contains(it.key()) || it.value().jwtAuthorities.isEmpty())
            continue;
        const auto bytes = tls::readWholeFile(u"%1/%2.jws"_s.arg(m_options.denyListsDir, it.key().name()));
        if (!bytes)
            continue;
        // One whose key is gone by now is judged by nobody; the authority's next one replaces it.
        if (const auto list = tls::verifyDenyList(*bytes, it.key(), it.value().jwtAuthorities, 0)) {
            m_watch.remember(*list);
            m_told.insert(it.key(), list->sequence);
        }
    }
}

/// As the broker's plugin judges: a list speaks of the members of its own trust domain only.
bool BrokerTrustKeeper::isDenied(const SpiffeId &id, const QString &serial) const
{
    const auto list = m_watch.lists().find(id.trustDomain());
    return list != m_watch.lists().end()
           && std::any_of(list->second.entries.cbegin(), list->second.entries.cend(), [&](const tls::DenyEntry &entry) {
                  const bool isEnrolledAnew = entry.issuedBefore.has_value();
                  return !isEnrolledAnew && (entry.id == id || (!entry.serial.isEmpty() && entry.serial == serial));
              });
}

// --- Bundles ----------------------------------------------------------------------------------------

void BrokerTrustKeeper::writeBundles()
{
    const auto documents = m_identity.documents();
    if (documents.isEmpty())
        return; // nothing was fetched yet; what lies there stays
    QStringList names;
    std::optional<Error> older;
    for (auto it = documents.cbegin(); it != documents.cend(); ++it) {
        const QString name = it.key().name() + u".json"_s;
        const QString path = u"%1/%2"_s.arg(m_options.bundlesDir, name);
        names.append(name);
        if (const auto allowed = mayBeWritten(path, it.value()); !allowed) {
            older = olderBundle(it.key(), allowed.error());
            continue;
        }
        const auto text = tls::printBundle(it.value());
        const auto written = text ? replaceFile(path, *text) : Result<void>(text.error());
        if (!written)
            return troubled(Part::Bundles, written.error());
    }
    // A federation that ended: its clients have no business here any more.
    QDir folder(m_options.bundlesDir);
    for (const QString &name : folder.entryList({u"*.json"_s}, QDir::Files)) {
        if (names.contains(name))
            continue;
        if (!folder.remove(name))
            return troubled(
                Part::Bundles,
                {Errc::Io, u"%1 cannot be removed, and its trust domain is no longer ours; remove it."_s.arg(
                               folder.filePath(name))});
        Q_EMIT notice(u"the trust domain of %1 is no longer ours; its bundle is removed"_s.arg(name));
    }
    m_bundles = names.size();
    if (older)
        return troubled(Part::Bundles, *older);
    fine(Part::Bundles);
}

// --- The broker's SVID ------------------------------------------------------------------------------

void BrokerTrustKeeper::step()
{
    for (;;) {
        const SvidKeeper::Next next = m_keeper.next();
        switch (next.step) {
        case SvidKeeper::Step::Wait: m_step.start(std::clamp(next.in, Millis{1}, kLookAgain)); return;
        case SvidKeeper::Step::Drop:
            troubled(Part::Certificate,
                     {Errc::Unavailable, u"The broker's certificate has expired; its clients cannot connect."_s});
            break;
        case SvidKeeper::Step::Fetch: askEntry(); break;
        }
    }
}

void BrokerTrustKeeper::readCertificate()
{
    const auto pem = tls::readWholeFile(m_options.identityFile);
    if (!pem)
        return;
    const auto chain = tls::certificatesFromPem(*pem);
    const auto key = tls::privateKeyFromPem(*pem);
    if (!chain || !key)
        return;
    const auto svid = tls::makeSvid(*chain, *key);
    // One that ends soon, or has ended, is fetched at once.
    if (!svid || svid->id != m_options.broker || svid->notAfter - m_identity.trustedNow() < 1min)
        return;
    if (m_keeper.succeeded(svid->notBefore, svid->notAfter))
        m_keptChain = *chain;
}

/// Formerly the broker's SVID lay in two files. A broker that still reads them ends with the certificate in them.
void BrokerTrustKeeper::tellOfOldFiles()
{
    const QFileInfo current(m_options.identityFile);
    const QString old = current.dir().filePath(tls::svidFileName());
    if (QFileInfo::exists(old))
        troubled(
            Part::OldFiles,
            {Errc::Conflict,
             u"%1 is not renewed any more: name %2 as certfile, keyfile, plugin_opt_certificate and plugin_opt_key "
             "in mosquitto.conf, restart the broker, then remove svid.pem and svid.key."_s.arg(old,
                                                                                               current.fileName())});
}

Result<void> BrokerTrustKeeper::verify(const QList<QByteArray> &chainDer) const
{
    const auto leaf = tls::describeCertificate(chainDer.value(0));
    if (!leaf)
        return leaf.error();
    // The authority's clock may be a little ahead of ours.
    return tls::verifyPeer(chainDer, m_options.broker, knownRoots(), tls::PeerRole::Server,
                           std::max(m_identity.trustedNow(), leaf->notBefore));
}

TrustBundles BrokerTrustKeeper::knownRoots() const
{
    TrustBundles roots;
    const auto documents = m_identity.documents();
    for (auto it = documents.cbegin(); it != documents.cend(); ++it)
        roots.insert(it.key(), it.value().x509Authorities);
    return roots;
}

void BrokerTrustKeeper::askEntry()
{
    m_keeper.attemptBegan();
    if (const auto agent = m_identity.agentSvid(); !agent)
        return fetchFailed(agent.error());
    entryApi::GetAuthorizedEntriesRequest request;
    request.mutable_output_mask()->set_spiffe_id(true);
    m_channel.unary(method::entry("GetAuthorizedEntries"), serialize(request), kCallTime, this,
                    [this](const grpc::Status &status, const QByteArray &message) {
                        if (!status.isOk())
                            return fetchFailed(errorOf(status, u"Asking for the broker's entry"_s));
                        const auto response = parse<entryApi::GetAuthorizedEntriesResponse>(message);
                        if (!response)
                            return fetchFailed(response.error());
                        for (const auto &entry : response->entries()) {
                            const auto id = spiffeIdOf(entry.spiffe_id());
                            if (id && *id == m_options.broker)
                                return askSvid(bytesOf(entry.id()));
                        }
                        fetchFailed({Errc::NotFound, u"The authority does not let this agent fetch the certificate of "
                                                     u"%1: enrol it with kind \"gateway\" (lintelctl enroll), or "
                                                     u"correct broker.id."_s.arg(m_options.broker.toString())});
                    });
}

void BrokerTrustKeeper::askSvid(const QByteArray &entryId)
{
    auto key = tls::newSoftwareKey();
    if (!key)
        return fetchFailed(key.error());
    m_key = *key;
    const auto signer = tls::signingKeyFrom(m_key);
    const auto csr = signer ? tls::makeCsr(**signer) : Result<QByteArray>(signer.error());
    if (!csr)
        return fetchFailed(csr.error());
    svidApi::BatchNewX509SVIDRequest request;
    auto *params = request.add_params();
    params->set_entry_id(stringOf(entryId));
    params->set_csr(stringOf(*csr));
    m_channel.unary(method::svid("BatchNewX509SVID"), serialize(request), kCallTime, this,
                    [this](const grpc::Status &status, const QByteArray &message) {
                        if (!status.isOk())
                            return fetchFailed(errorOf(status, u"Asking for the broker's certificate"_s));
                        takeSvid(message);
                    });
}

void BrokerTrustKeeper::takeSvid(const QByteArray &message)
{
    const auto response = parse<svidApi::BatchNewX509SVIDResponse>(message);
    if (!response)
        return fetchFailed(response.error());
    if (response->results_size() != 1)
        return fetchFailed(
            {Errc::Malformed, u"The authority answered %1 SVIDs to one request."_s.arg(response->results_size())});
    const auto &result = response->results(0);
    if (result.status().code() != 0)
        return fetchFailed(errorOf({grpc::StatusCode(result.status().code()), textOf(result.status().message()), {}},
                                   u"Asking for the broker's certificate"_s));
    const auto svid = tls::makeSvid(chainOf(result.svid()), m_key);
    if (!svid)
        return fetchFailed(svid.error());
    const auto verified = verify(svid->chainDer);
    if (!verified)
        return fetchFailed(verified.error());
    // The file first: what cannot be written is tried again soon, not at the next half life.
    if (const auto kept = tls::writeKeyAndChain(m_options.identityFile, *svid); !kept)
        return fetchFailed(kept.error());
    if (const auto taken = m_keeper.succeeded(svid->notBefore, svid->notAfter); !taken)
        troubled(Part::Certificate, taken.error());
    else
        fine(Part::Certificate);
    Q_EMIT notice(u"the broker's certificate is new, valid until %1"_s.arg(toIso8601(svid->notAfter)));
    step();
}

void BrokerTrustKeeper::fetchFailed(const Error &why)
{
    m_keeper.failed(why);
    // Without an identity of our own there is one trouble, and it is told elsewhere.
    if (m_identity.current())
        troubled(Part::Certificate, why);
    m_step.start(0ms);
}

// --- What was last accepted of those who are revoked ------------------------------------------------

void BrokerTrustKeeper::report()
{
    const bool isAnyDenied = std::any_of(m_watch.lists().begin(), m_watch.lists().end(),
                                         [](const auto &one) { return !one.second.entries.isEmpty(); });
    if (m_isReporting || !m_readPrincipals || !m_watch.isWatching() || !isAnyDenied)
        return;
    const auto principals = m_readPrincipals();
    if (!principals) {
        if (principals.error().code != Errc::NotFound) // the broker may never have written one
            troubled(Part::Report, principals.error());
        return;
    }
    authority::ReportLastAcceptedRequest request;
    QHash<QString, Timestamp> sent;
    for (auto it = principals->cbegin(); it != principals->cend() && request.items_size() < kMaxReports; ++it) {
        const BrokerPrincipal &known = it.value();
        const auto id = SpiffeId::parse(it.key());
        if (!id || known.lastAccepted <= m_reported.value(it.key()))
            continue;
        if (!isDenied(*id, known.serial))
            continue;
        auto *item = request.add_items();
        item->set_spiffe_id(it.key().toStdString());
        item->set_at_ms(toEpochMillis(known.lastAccepted));
        sent.insert(it.key(), known.lastAccepted);
    }
    if (sent.isEmpty())
        return;
    m_isReporting = true;
    m_channel.unary(method::trust("ReportLastAccepted"), serialize(request), kCallTime, this,
                    [this, sent](const grpc::Status &status, const QByteArray &) {
                        m_isReporting = false;
                        if (!status.isOk())
                            return troubled(Part::Report, errorOf(status, u"Telling what the broker last accepted"_s));
                        m_reported.insert(sent);
                        ++m_reports;
                        fine(Part::Report);
                    });
}

void BrokerTrustKeeper::troubled(Part part, const Error &what)
{
    if (std::exchange(m_problems[part], what.message) != what.message)
        Q_EMIT trouble(what);
}

void BrokerTrustKeeper::fine(Part part)
{
    m_problems.remove(part);
}

} // namespace lintel::spire

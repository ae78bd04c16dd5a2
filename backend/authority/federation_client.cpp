#include "authority/federation_client.h"

#include "spire/server_methods.h"

#include <QJsonDocument>
#include <QJsonObject>

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
const Actor kActor = u"federation"_s;
} // namespace

FederationClient::FederationClient(Authority &authority, const Clock &clock, FederationPace pace, QObject *parent)
    : QObject(parent), m_authority(authority), m_clock(clock), m_pace(pace), m_denyLists(authority, clock)
{
    connect(&m_denyLists, &PartnerDenyLists::trouble, this, &FederationClient::trouble);
    connect(&m_denyLists, &PartnerDenyLists::notice, this, &FederationClient::notice);
    connect(&m_denyLists, &PartnerDenyLists::newerBundleWanted, this, &FederationClient::refresh, Qt::QueuedConnection);
    connect(&m_authority, &Authority::relationshipsChanged, this, &FederationClient::dropFormerPartners,
            Qt::QueuedConnection);
}

FederationClient::~FederationClient() = default;

void FederationClient::start()
{
    const auto all = m_authority.relationships();
    if (!all) {
        Q_EMIT trouble(all.error());
        return;
    }
    for (const FederationRelationship &one : *all)
        refresh(one.domain);
}

std::optional<FederationRelationship> FederationClient::find(const TrustDomain &domain)
{
    const auto all = m_authority.relationships();
    if (!all)
        return {};
    const auto found =
        std::find_if(all->cbegin(), all->cend(), [&domain](const auto &one) { return one.domain == domain; });
    return found == all->cend() ? std::nullopt : std::optional(*found);
}

void FederationClient::refresh(const TrustDomain &domain)
{
    const auto relationship = find(domain);
    if (!relationship) {
        m_watches.erase(domain);
        return;
    }
    auto &watch = m_watches[domain];
    if (!watch) {
        watch = std::make_unique<Watch>();
        watch->timer.setSingleShot(true);
        watch->backoff = Backoff({m_pace.firstRetry, m_pace.latestRetry});
        connect(
            &watch->timer, &QTimer::timeout, this, [this, domain] { refresh(domain); }, Qt::QueuedConnection);
    }
    begin(*relationship, *watch);
}

Result<TrustBundles> FederationClient::bundlesFor(const SpiffeId &endpoint)
{
    if (endpoint.isEmpty())
        return TrustBundles{};
    const TrustDomain &domain = endpoint.trustDomain();
    const auto known = m_authority.federatedBundle(domain);
    if (!known)
        return known.error();
    if (!*known)
        return Error{Errc::NotFound,
                     u"There is no bundle of %1 yet to verify its endpoint with; set the first one by hand: "
                     "lintelctl bundle set"_s.arg(domain.name())};
    return TrustBundles{{domain, (*known)->x509Authorities}};
}

void FederationClient::begin(const FederationRelationship &relationship, Watch &watch)
{
    watch.timer.stop();
    const TrustDomain domain = relationship.domain;
    const bool byId = relationship.profile == EndpointProfile::HttpsSpiffe;
    const auto bundles = bundlesFor(byId ? relationship.endpointId : SpiffeId{});
    if (!bundles)
        return fail(domain, bundles.error());
    grpc::DocumentRequest request;
    request.url = QUrl(relationship.url);
    request.server = byId ? relationship.endpointId : SpiffeId{};
    request.bundles = *bundles;
    request.verifyAt = m_clock.now();
    watch.fetch = std::make_unique<grpc::DocumentFetch>(std::move(request));
    // The fetch is the one that speaks: it goes when it has finished its sentence.
    const auto release = [this, domain] {
        if (const auto found = m_watches.find(domain); found != m_watches.end() && found->second->fetch)
            found->second->fetch.release()->deleteLater();
    };
    connect(watch.fetch.get(), &grpc::DocumentFetch::done, this, [this, domain, release](const QByteArray &body) {
        release();
        take(domain, body);
    });
    connect(watch.fetch.get(), &grpc::DocumentFetch::failed, this, [this, domain, release](const Error &why) {
        release();
        fail(domain, why);
    });
    watch.fetch->start();
}

void FederationClient::take(const TrustDomain &domain, const QByteArray &body)
{
    const auto document = tls::parseBundle(body);
    if (!document)
        return fail(domain, document.error());
    // Whoever ended the relationship while this was under way meant it.
    const auto relationship = find(domain);
    if (!relationship)
        return void(m_watches.erase(domain));
    if (const auto stored = m_authority.setFederatedBundle(domain, *document, kActor); !stored)
        return fail(domain, stored.error());
    Watch &watch = *m_watches.at(domain);
    watch.backoff.reset();
    const std::chrono::milliseconds hint = document->refreshHint.value_or(std::chrono::seconds{0});
    watch.timer.start(hint.count() > 0 ? std::clamp(hint, m_pace.soonest, m_pace.latest) : m_pace.usual);
    note(domain, {});
    watchDenyList(*relationship, body);
}

void FederationClient::fail(const TrustDomain &domain, const Error &why)
{
    const auto found = m_watches.find(domain);
    if (found == m_watches.end())
        return;
    Watch &watch = *found->second;
    watch.timer.start(watch.backoff.next());
    note(domain, why.message);
}

void FederationClient::note(const TrustDomain &domain, const QString &problem)
{
    if (const auto noted = m_authority.noteRefresh(domain, problem); !noted && noted.error().code != Errc::NotFound)
        Q_EMIT trouble(noted.error());
    Watch &watch = *m_watches.at(domain);
    if (watch.problem == problem)
        return;
    watch.problem = problem;
    if (problem.isEmpty())
        Q_EMIT notice(u"the bundle of %1 can be fetched again"_s.arg(domain.name()));
    else
        Q_EMIT trouble({Errc::Unavailable, u"The bundle of %1 cannot be refreshed: %2"_s.arg(domain.name(), problem)});
}

/// Only an authority of Lintel's has one to offer.
void FederationClient::watchDenyList(const FederationRelationship &relationship, const QByteArray &body)
{
    const int port = QJsonDocument::fromJson(body).object().value(QStringView(spire::kDenyListPort)).toInt();
    if (port < 1 || port > 65'535)
        return m_denyLists.forget(relationship.domain);
    QString host = QUrl(relationship.url).host();
    if (host.contains(u':'))
        host = u'[' + host + u']';
    m_denyLists.watch(relationship.domain, u"%1:%2"_s.arg(host).arg(port));
}

void FederationClient::dropFormerPartners()
{
    const QList<TrustDomain> watched = m_denyLists.domains();
    for (const TrustDomain &domain : watched)
        if (!find(domain))
            m_denyLists.forget(domain);
}

} // namespace lintel::authority

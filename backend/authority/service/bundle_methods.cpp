#include "authority/service/authority_service.h"
#include "authority/service/conversions.h"
#include "spire/server_methods.h"

#include "spire_bundle.pb.h"
#include "spire_trustdomain.pb.h"

namespace lintel::authority {

using namespace Qt::StringLiterals;
namespace api = ::spire::api::server::bundle::v1;
namespace federationApi = ::spire::api::server::trustdomain::v1;
namespace method = spire::method;

namespace {

grpc::UnaryReply ownBundle(Authority &authority, const QByteArray &bytes)
{
    const auto request = spire::parse<api::GetBundleRequest>(bytes);
    if (!request)
        return refusal(request.error());
    const auto bundle = authority.bundle();
    if (!bundle)
        return refusal(bundle.error());
    types::Bundle response;
    fill(&response, authority.domain(), *bundle, request->has_output_mask() ? &request->output_mask() : nullptr);
    return reply(response);
}

grpc::UnaryReply federatedBundle(Authority &authority, const QByteArray &bytes)
{
    const auto request = spire::parse<api::GetFederatedBundleRequest>(bytes);
    if (!request)
        return refusal(request.error());
    const auto domain = trustDomainOf(request->trust_domain());
    if (!domain)
        return refusal(domain.error());
    if (*domain == authority.domain())
        return refusal({Errc::Malformed, u"%1 is this authority's own domain; ask GetBundle."_s.arg(domain->name())});
    const auto bundle = authority.federatedBundle(*domain);
    if (!bundle)
        return refusal(bundle.error());
    if (!*bundle)
        return refusal({Errc::NotFound, u"There is no bundle of %1 here."_s.arg(domain->name())});
    types::Bundle response;
    fill(&response, *domain, **bundle, request->has_output_mask() ? &request->output_mask() : nullptr);
    return reply(response);
}

/// What BatchCreate…, BatchUpdate… and BatchSetFederatedBundle have in common.
enum class Known { MustNot, Must, May };

void setOne(Authority &authority, const types::Bundle &bundle, Known known, const Actor &actor,
            api::FederatedBundleResults::Result *result)
{
    const auto store = [&]() -> Result<void> {
        const auto domain = trustDomainOf(bundle.trust_domain());
        if (!domain)
            return domain.error();
        const auto before = authority.federatedBundle(*domain);
        if (!before)
            return before.error();
        if (known == Known::MustNot && *before)
            return Error{Errc::Conflict, u"There is a bundle of %1 already."_s.arg(domain->name())};
        if (known == Known::Must && !*before)
            return Error{Errc::NotFound, u"There is no bundle of %1 here."_s.arg(domain->name())};
        const auto document = bundleOf(bundle);
        if (!document)
            return document.error();
        return authority.setFederatedBundle(*domain, *document, actor, true); // an operator's hand
    };
    const auto stored = store();
    fill(result->mutable_status(), stored ? grpc::Status{} : statusOf(stored.error()));
    if (stored)
        *result->mutable_bundle() = bundle;
}

template <class Request>
grpc::UnaryReply setAll(Authority &authority, const QByteArray &bytes, Known known, const Actor &actor)
{
    const auto request = spire::parse<Request>(bytes);
    if (!request)
        return refusal(request.error());
    api::FederatedBundleResults response;
    for (const types::Bundle &bundle : request->bundle())
        setOne(authority, bundle, known, actor, response.add_results());
    return reply(response);
}

Result<std::optional<FederationRelationship>> relationshipWith(Authority &authority, const TrustDomain &domain)
{
    const auto all = authority.relationships();
    if (!all)
        return all.error();
    for (const FederationRelationship &one : *all)
        if (one.domain == domain)
            return std::optional(one);
    return std::optional<FederationRelationship>();
}

Error noFederation(const TrustDomain &domain)
{
    return {Errc::NotFound, u"There is no federation with %1."_s.arg(domain.name())};
}

/// Stores a relationship, with the bundle that may come along.
Result<void> relate(Authority &authority, const types::FederationRelationship &wanted, Known known, const Actor &actor)
{
    const auto relationship = relationshipOf(wanted);
    if (!relationship)
        return relationship.error();
    const auto before = relationshipWith(authority, relationship->domain);
    if (!before)
        return before.error();
    if (known == Known::MustNot && *before)
        return Error{Errc::Conflict,
                     u"There is a federation with %1 already; update it."_s.arg(relationship->domain.name())};
    if (known == Known::Must && !*before)
        return noFederation(relationship->domain);
    if (wanted.has_trust_domain_bundle()) {
        const auto document = bundleOf(wanted.trust_domain_bundle());
        if (!document)
            return document.error();
        if (const auto stored = authority.setFederatedBundle(relationship->domain, *document, actor, true); !stored)
            return stored;
    }
    return authority.setRelationship(*relationship, actor);
}

template <class Request>
grpc::UnaryReply relateAll(Authority &authority, const QByteArray &bytes, Known known, const Actor &actor,
                           const std::function<void(const TrustDomain &)> &changed)
{
    const auto request = spire::parse<Request>(bytes);
    if (!request)
        return refusal(request.error());
    federationApi::FederationRelationshipResults response;
    for (const auto &wanted : request->federation_relationships()) {
        auto *result = response.add_results();
        const auto stored = relate(authority, wanted, known, actor);
        fill(result->mutable_status(), stored ? grpc::Status{} : statusOf(stored.error()));
        if (stored)
            *result->mutable_federation_relationship() = wanted;
        if (const auto domain = trustDomainOf(wanted.trust_domain()); stored && domain)
            changed(*domain);
    }
    return reply(response);
}

} // namespace

void AuthorityService::serveBundleMethods()
{
    // Anybody may ask for the bundle, since a new agent has no SVID yet, but strangers not as often as they like.
    m_agents.handleUnary(
        method::bundle("GetBundle"), [this](const QByteArray &bytes, const grpc::ServerCall &call) -> grpc::UnaryReply {
            if (const grpc::Peer &peer = call.peer(); peer.isStranger())
                if (const auto admitted = m_authority.admitCall(peer.address, hostOf(peer.address)); !admitted)
                    return refusal(admitted.error());
            return ownBundle(m_authority, bytes);
        });
    forAgents(method::bundle("GetFederatedBundle"),
              [this](const QByteArray &bytes, const Agent &) { return federatedBundle(m_authority, bytes); });

    forAdministrators(method::bundle("GetBundle"),
                      [this](const QByteArray &bytes, const Actor &) { return ownBundle(m_authority, bytes); });
    forAdministrators(method::bundle("GetFederatedBundle"),
                      [this](const QByteArray &bytes, const Actor &) { return federatedBundle(m_authority, bytes); });
    forAdministrators(method::bundle("CountBundles"), [this](const QByteArray &, const Actor &) {
        const auto bundles = m_authority.federatedBundles();
        if (!bundles)
            return refusal(bundles.error());
        api::CountBundlesResponse response;
        response.set_count(int(bundles->size()) + 1); // and our own
        return reply(response);
    });
    forAdministrators(method::bundle("ListFederatedBundles"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<api::ListFederatedBundlesRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto bundles = m_authority.federatedBundles();
        if (!bundles)
            return refusal(bundles.error());
        const auto page = pageOf(bundles->size(), request->page_size(), request->page_token());
        if (!page)
            return refusal(page.error());
        api::ListFederatedBundlesResponse response;
        response.set_next_page_token(page->next);
        const QList<TrustDomain> domains = bundles->keys();
        for (qsizetype i = page->begin; i < page->end; ++i)
            fill(response.add_bundles(), domains.at(i), bundles->value(domains.at(i)),
                 request->has_output_mask() ? &request->output_mask() : nullptr);
        return reply(response);
    });
    forAdministrators(method::bundle("BatchCreateFederatedBundle"),
                      [this](const QByteArray &bytes, const Actor &actor) {
                          return setAll<api::FederatedBundles>(m_authority, bytes, Known::MustNot, actor);
                      });
    forAdministrators(method::bundle("BatchSetFederatedBundle"), [this](const QByteArray &bytes, const Actor &actor) {
        return setAll<api::FederatedBundles>(m_authority, bytes, Known::May, actor);
    });
    forAdministrators(method::bundle("BatchUpdateFederatedBundle"),
                      [this](const QByteArray &bytes, const Actor &actor) {
                          return setAll<api::BatchUpdateFederatedBundleRequest>(m_authority, bytes, Known::Must, actor);
                      });
    forAdministrators(
        method::bundle("BatchDeleteFederatedBundle"), [this](const QByteArray &bytes, const Actor &actor) {
            using Request = api::BatchDeleteFederatedBundleRequest;
            const auto request = spire::parse<Request>(bytes);
            if (!request)
                return refusal(request.error());
            if (request->mode() == Request::DELETE)
                return refusal({Errc::Unsupported,
                                u"Delete the entries that federate with the domain first, or use mode dissociate."_s});
            api::BatchDeleteFederatedBundleResponse response;
            for (const std::string &name : request->trust_domains()) {
                auto *result = response.add_results();
                const auto domain = trustDomainOf(name);
                const auto deleted =
                    domain ? m_authority.deleteFederatedBundle(*domain, actor, request->mode() == Request::DISSOCIATE)
                           : Result<void>(domain.error());
                fill(result->mutable_status(), deleted ? grpc::Status{} : statusOf(deleted.error()));
                result->set_trust_domain(name);
            }
            return reply(response);
        });
}

grpc::UnaryReply AuthorityService::federationState()
{
    const auto all = m_authority.relationships();
    const auto bundles = m_authority.federatedBundles();
    if (!all || !bundles)
        return refusal(!all ? all.error() : bundles.error());
    wire::FederationState response;
    for (const FederationRelationship &one : *all) {
        auto *domain = response.add_domains();
        domain->set_trust_domain(one.domain.name().toStdString());
        domain->set_url(one.url.toStdString());
        if (one.profile == EndpointProfile::HttpsSpiffe)
            domain->set_endpoint_spiffe_id(one.endpointId.toString().toStdString());
        domain->set_refreshed_at_ms(toEpochMillis(one.refreshedAt));
        domain->set_problem(one.problem.toStdString());
        const auto bundle = bundles->constFind(one.domain);
        domain->set_has_bundle(bundle != bundles->cend());
        if (bundle != bundles->cend())
            domain->set_sequence(bundle->sequence.value_or(0));
    }
    return reply(response);
}

void AuthorityService::serveFederationMethods()
{
    const auto changed = [this](const TrustDomain &domain) { Q_EMIT refreshWanted(domain); };
    forAdministrators(method::admin("ListFederation"),
                      [this](const QByteArray &, const Actor &) { return federationState(); });
    forAdministrators(method::trustDomain("ListFederationRelationships"),
                      [this](const QByteArray &bytes, const Actor &) {
                          const auto request = spire::parse<federationApi::ListFederationRelationshipsRequest>(bytes);
                          if (!request)
                              return refusal(request.error());
                          const auto all = m_authority.relationships();
                          if (!all)
                              return refusal(all.error());
                          const auto page = pageOf(all->size(), request->page_size(), request->page_token());
                          if (!page)
                              return refusal(page.error());
                          federationApi::ListFederationRelationshipsResponse response;
                          response.set_next_page_token(page->next);
                          for (qsizetype i = page->begin; i < page->end; ++i)
                              fill(response.add_federation_relationships(), all->at(i));
                          return reply(response);
                      });
    forAdministrators(method::trustDomain("GetFederationRelationship"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<federationApi::GetFederationRelationshipRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto domain = trustDomainOf(request->trust_domain());
        if (!domain)
            return refusal(domain.error());
        const auto known = relationshipWith(m_authority, *domain);
        if (!known)
            return refusal(known.error());
        if (!*known)
            return refusal(noFederation(*domain));
        types::FederationRelationship response;
        fill(&response, **known);
        return reply(response);
    });
    forAdministrators(method::trustDomain("BatchCreateFederationRelationship"),
                      [this, changed](const QByteArray &bytes, const Actor &actor) {
                          return relateAll<federationApi::BatchCreateFederationRelationshipRequest>(
                              m_authority, bytes, Known::MustNot, actor, changed);
                      });
    forAdministrators(method::trustDomain("BatchUpdateFederationRelationship"),
                      [this, changed](const QByteArray &bytes, const Actor &actor) {
                          return relateAll<federationApi::BatchUpdateFederationRelationshipRequest>(
                              m_authority, bytes, Known::Must, actor, changed);
                      });
    forAdministrators(method::trustDomain("BatchDeleteFederationRelationship"), [this](const QByteArray &bytes,
                                                                                       const Actor &actor) {
        const auto request = spire::parse<federationApi::BatchDeleteFederationRelationshipRequest>(bytes);
        if (!request)
            return refusal(request.error());
        federationApi::BatchDeleteFederationRelationshipResponse response;
        for (const std::string &name : request->trust_domains()) {
            auto *result = response.add_results();
            const auto domain = trustDomainOf(name);
            const auto deleted = domain ? m_authority.deleteRelationship(*domain, actor) : Result<void>(domain.error());
            fill(result->mutable_status(), deleted ? grpc::Status{} : statusOf(deleted.error()));
            result->set_trust_domain(name);
        }
        return reply(response);
    });
    forAdministrators(method::trustDomain("RefreshBundle"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<federationApi::RefreshBundleRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto domain = trustDomainOf(request->trust_domain());
        if (!domain)
            return refusal(domain.error());
        const auto known = relationshipWith(m_authority, *domain);
        if (!known)
            return refusal(known.error());
        if (!*known)
            return refusal(noFederation(*domain));
        Q_EMIT refreshWanted(*domain);
        return replyNothing();
    });
}

} // namespace lintel::authority

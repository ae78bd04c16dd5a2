// Federation, JWT-SVIDs and minting (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
Error unknownDomain(const TrustDomain &domain)
{
    return {Errc::NotFound, u"There is no relationship with the trust domain %1."_s.arg(domain.name())};
}

Error wasRevoked(const SpiffeId &id)
{
    return {Errc::Denied, u"%1 was revoked; only a fresh enrolment brings it back."_s.arg(id.toString())};
}
} // namespace

Result<std::optional<tls::BundleDocument>> Authority::federatedBundle(const TrustDomain &other)
{
    const auto found = d->federated.constFind(other);
    return found == d->federated.cend() ? std::optional<tls::BundleDocument>() : std::optional(*found);
}

Result<QMap<TrustDomain, tls::BundleDocument>> Authority::federatedBundles()
{
    return d->federated;
}

Result<void> Authority::setFederatedBundle(const TrustDomain &other, const tls::BundleDocument &bundle,
                                           const Actor &actor, bool force)
{
    if (other == domain())
        return Error{Errc::Denied,
                     u"The bundle of %1 is this authority's own; nobody else can set it."_s.arg(other.name())};
    const auto known = d->federated.constFind(other);
    if (known != d->federated.cend()) {
        if (*known == bundle)
            return {};
        if (!force)
            if (const auto allowed = tls::mayReplace(*known, bundle); !allowed)
                return allowed;
    }
    const auto document = tls::printBundle(bundle);
    if (!document)
        return document.error();
    const auto set =
        d->change(actor, u"bundle.set"_s, other.name(),
                  u"%1 roots, %2 JWT keys."_s.arg(bundle.x509Authorities.size()).arg(bundle.jwtAuthorities.size()),
                  [&] { return d->store->putBundle(other, *document); });
    if (!set)
        return set;
    d->federated.insert(other, bundle);
    d->identity.setBundles(d->trustBundles());
    Q_EMIT bundleChanged();
    return {};
}

Result<void> Authority::deleteFederatedBundle(const TrustDomain &other, const Actor &actor, bool dissociate)
{
    QList<Entry> named;
    const QList<Entry> all = d->entries.all();
    for (const Entry &entry : all)
        if (entry.federatesWith.contains(other))
            named.append(entry);
    if (!named.isEmpty() && !dissociate)
        return Error{Errc::Conflict,
                     u"%1 entries federate with %2; take it out of them first, or dissociate them."_s.arg(named.size())
                         .arg(other.name())};
    if (!d->federated.contains(other))
        return unknownDomain(other);
    const auto gone = d->change(actor, u"bundle.delete"_s, other.name(), {}, [&]() -> Result<void> {
        for (Entry &entry : named) {
            entry.federatesWith.removeAll(other);
            ++entry.revision;
            if (const auto put = d->store->putEntry(entry, 0); !put)
                return put;
        }
        const auto deleted = d->store->deleteBundle(other);
        return deleted ? Result<void>() : deleted.error();
    });
    if (!gone)
        return gone;
    d->federated.remove(other);
    d->federatedDenials.remove(other);
    for (const Entry &entry : std::as_const(named))
        d->entries.put(entry);
    d->identity.setBundles(d->trustBundles());
    Q_EMIT bundleChanged();
    if (!named.isEmpty())
        Q_EMIT entriesChanged();
    return {};
}

Result<QList<FederationRelationship>> Authority::relationships()
{
    return d->store->relationships();
}

Result<void> Authority::setRelationship(const FederationRelationship &relationship, const Actor &actor)
{
    const auto malformed = [](const QString &message) { return Error{Errc::Malformed, message}; };
    if (relationship.domain.isEmpty() || relationship.domain == domain())
        return malformed(u"A relationship needs the trust domain of somebody else."_s);
    if (!relationship.url.startsWith("https://"_L1) || relationship.url.contains(u'@'))
        return malformed(
            u"\"%1\" is no address of a bundle endpoint: it must begin with https:// and name no user."_s.arg(
                relationship.url));
    if ((relationship.profile == EndpointProfile::HttpsSpiffe) == relationship.endpointId.isEmpty())
        return malformed(
            u"The profile https_spiffe needs the SPIFFE ID of the endpoint, and only that profile does."_s);
    const auto set = d->change(actor, u"federation.set"_s, relationship.domain.name(), relationship.url,
                               [&] { return d->store->putRelationship(relationship); });
    if (set)
        Q_EMIT relationshipsChanged();
    return set;
}

Result<void> Authority::deleteRelationship(const TrustDomain &other, const Actor &actor)
{
    const auto gone = d->change(actor, u"federation.delete"_s, other.name(), {}, [&]() -> Result<void> {
        const auto deleted = d->store->deleteRelationship(other);
        if (!deleted)
            return deleted.error();
        return *deleted ? Result<void>() : unknownDomain(other);
    });
    if (gone)
        Q_EMIT relationshipsChanged();
    return gone;
}

Result<void> Authority::setFederatedDenyList(const TrustDomain &other, const QByteArray &jws, const Actor &actor)
{
    const auto bundle = d->federated.constFind(other);
    if (other == domain() || bundle == d->federated.cend())
        return Error{Errc::Denied, u"There is no bundle of %1 to verify its deny list with."_s.arg(other.name())};
    const auto known = d->federatedDenials.constFind(other);
    const quint64 last = known == d->federatedDenials.cend() ? 0 : known->sequence;
    const auto list = tls::verifyDenyList(jws, other, bundle->jwtAuthorities, last);
    if (!list)
        return list.error();
    if (known != d->federatedDenials.cend() && known->jws == jws)
        return {};
    const auto set = d->change(actor, u"deny_list.set"_s, other.name(),
                               u"Number %1, %2 identities."_s.arg(list->sequence).arg(list->entries.size()),
                               [&] { return d->store->putFederatedDenyList(other, jws); });
    if (!set)
        return set;
    d->federatedDenials.insert(other, {list->sequence, jws});
    Q_EMIT federatedDenyListChanged(other);
    return {};
}

QMap<TrustDomain, QByteArray> Authority::federatedDenyLists() const
{
    QMap<TrustDomain, QByteArray> lists;
    for (auto it = d->federatedDenials.cbegin(); it != d->federatedDenials.cend(); ++it)
        lists.insert(it.key(), it->jws);
    return lists;
}

Result<void> Authority::noteRefresh(const TrustDomain &other, const QString &problem)
{
    const auto list = d->store->relationships();
    if (!list)
        return list.error();
    for (FederationRelationship relationship : *list) {
        if (relationship.domain != other)
            continue;
        relationship.problem = problem;
        if (problem.isEmpty())
            relationship.refreshedAt = d->now();
        return d->store->putRelationship(relationship);
    }
    return unknownDomain(other);
}

// --- Tokens and minting --------------------------------------------------------------------------

Result<JwtOrder> Authority::Private::prepareJwt(const SpiffeId &id, const QStringList &audience,
                                                std::chrono::seconds ttl) const
{
    const auto signer = ca.jwtSigner(now());
    if (!signer)
        return signer.error();
    JwtOrder order{{}, *signer};
    order.svid.id = id;
    order.svid.audience = audience;
    order.svid.issuedAt = std::chrono::floor<std::chrono::seconds>(now());
    order.svid.expiresAt = std::chrono::floor<std::chrono::seconds>(
        qMin<Timestamp>(now() + (ttl.count() > 0 ? ttl : config.jwtTtl), signer->notAfter));
    return order;
}

Result<JwtIssued> Authority::Private::signJwt(const JwtOrder &order)
{
    auto token = tls::signJwtSvid(order.svid, order.signer.keyId, *order.signer.key);
    return token ? Result<JwtIssued>(JwtIssued{order.svid, *token}) : token.error();
}

Result<JwtIssued> Authority::Private::signJwt(const SpiffeId &id, const QStringList &audience, std::chrono::seconds ttl)
{
    const auto order = prepareJwt(id, audience, ttl);
    if (!order)
        return order.error();
    auto issued = signJwt(*order);
    jwtsIssued += issued ? 1 : 0;
    return issued;
}

Result<JwtIssued> Authority::issueJwt(const Agent &agent, const QString &entryId, const QStringList &audience)
{
    const auto allowed = d->authorized(agent);
    const auto entry = allowed->entries.constFind(entryId);
    if (entry != allowed->entries.cend() && Private::isCurrent(*entry, d->now()))
        return d->signJwt(entry->spiffeId, audience, entry->jwtTtl);
    return Error{Errc::NotFound, u"The agent %1 has no entry %2."_s.arg(agent.id.toString(), entryId.left(80))};
}

/// No entry made by hand brings a device back. Whether the ID is a device's at all.
Result<bool> Authority::Private::refuseRevokedDevice(const SpiffeId &id)
{
    const auto device = store->deviceById(id);
    if (!device)
        return device.error();
    if (*device && (*device)->state == DeviceState::Revoked)
        return wasRevoked(id);
    return device->has_value();
}

/// Minting is no way round a revocation: neither while the deny list names it nor after.
Result<void> Authority::Private::refuseRevoked(const SpiffeId &id)
{
    const auto isDevice = refuseRevokedDevice(id);
    if (!isDevice)
        return isDevice.error();
    if (*isDevice)
        return {};
    const auto listed = store->denied();
    if (!listed)
        return listed.error();
    const bool isListed = std::any_of(listed->cbegin(), listed->cend(), [&id](const tls::DenyEntry &entry) {
        return entry.id == id && !entry.issuedBefore;
    });
    return isListed ? Result<void>(wasRevoked(id)) : Result<void>();
}

Result<IssuedSvid> Authority::mintX509(const QByteArray &csrDer, std::chrono::seconds ttl, const Actor &actor)
{
    const auto csr = tls::readCsr(csrDer);
    if (!csr)
        return csr.error();
    if (!csr->spiffeId)
        return Error{Errc::Malformed, u"The certificate request names no SPIFFE ID (exactly one URI name)."_s};
    if (const auto allowed = d->refuseRevoked(*csr->spiffeId); !allowed)
        return allowed.error();
    const auto issuer = d->ca.issuer();
    if (!issuer)
        return issuer.error();
    auto issued = (*issuer)->sign(d->orderFor(*csr->spiffeId, csr->publicKeyDer, ttl, csr->dnsNames), d->now());
    if (!issued)
        return issued.error();
    const auto written = d->change(actor, u"svid.mint"_s, csr->spiffeId->toString(),
                                   u"Serial %1, until %2."_s.arg(issued->serial, toIso8601(issued->notAfter)),
                                   [] { return Result<void>(); });
    if (!written)
        return written.error();
    ++d->svidsIssued;
    return issued;
}

Result<JwtIssued> Authority::mintJwt(const SpiffeId &id, const QStringList &audience, std::chrono::seconds ttl,
                                     const Actor &actor)
{
    if (!id.isMemberOf(domain()))
        return Error{Errc::Denied, u"The authority of %1 cannot speak for %2."_s.arg(domain().name(), id.toString())};
    if (const auto allowed = d->refuseRevoked(id); !allowed)
        return allowed.error();
    const auto written =
        d->change(actor, u"jwt.mint"_s, id.toString(), audience.join(u", "_s), [] { return Result<void>(); });
    if (!written)
        return written.error();
    return d->signJwt(id, audience, ttl);
}

} // namespace lintel::authority

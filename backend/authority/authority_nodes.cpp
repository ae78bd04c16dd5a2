// Agents once they have attested, and what they may fetch (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"
#include "tls/x509.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
/// What SPIRE calls authorized: children of this ID and, below them, theirs.
void collect(const EntryTable &table, const SpiffeId &parent, QSet<SpiffeId> &seen, QMap<QString, Entry> &found)
{
    if (seen.contains(parent))
        return;
    seen.insert(parent);
    const QList<Entry> children = table.childrenOf(parent);
    for (const Entry &child : children) {
        found.insert(child.id, child);
        collect(table, child.spiffeId, seen, found);
    }
}

bool hasAll(const Selectors &has, const Selectors &wanted)
{
    return std::includes(has.cbegin(), has.cend(), wanted.cbegin(), wanted.cend());
}
} // namespace

Result<QList<Agent>> Authority::Private::agentsOf(const QString &ekHash)
{
    QList<Agent> agents;
    for (const auto type : {kTpm, kLintelTpm}) {
        const auto id = agentIdFor(QString::fromLatin1(type), ekHash);
        if (!id)
            return id.error();
        const auto known = store->agent(*id);
        if (!known)
            return known.error();
        if (*known)
            agents.append(**known);
    }
    return agents;
}

Result<QList<SpiffeId>> Authority::Private::agentIdsOf(const Device &device)
{
    QList<SpiffeId> ids;
    if (!device.agentId.isEmpty())
        ids.append(device.agentId);
    const auto ofChip = device.ekHash.isEmpty() ? Result<QList<Agent>>(QList<Agent>()) : agentsOf(device.ekHash);
    if (!ofChip)
        return ofChip.error();
    for (const Agent &agent : *ofChip)
        if (!ids.contains(agent.id))
            ids.append(agent.id);
    return ids;
}

// --- Agents --------------------------------------------------------------------------------------

AgentCheck Authority::checkAgent(const QByteArray &leafDer)
{
    const auto refuse = [](AgentDenial reason, const QString &message) { return AgentCheck{reason, message, {}}; };
    const LeafFacts *leaf = d->leaves.object(leafDer);
    if (!leaf) {
        const auto id = tls::leafSpiffeId(leafDer);
        const auto facts = tls::describeCertificate(leafDer);
        if (!id || !facts)
            return refuse(AgentDenial::NotAttested, u"The certificate is no agent's."_s);
        d->leaves.insert(leafDer, new LeafFacts{*id, facts->serial, facts->notAfter});
        leaf = d->leaves.object(leafDer);
    }
    const Timestamp now = d->now();
    const auto known = d->store->agent(leaf->id);
    if (!known)
        return refuse(AgentDenial::NotActive, known.error().message);
    const QString who = leaf->id.toString();
    if (!*known)
        return refuse(AgentDenial::NotAttested, u"%1 has not attested here, or was evicted; attest again."_s.arg(who));
    Agent agent = **known;
    if (agent.isBanned)
        return refuse(AgentDenial::Banned, u"The agent %1 is banned."_s.arg(who));
    if (const auto offered = checkType(agent.attestationType); !offered)
        return refuse(AgentDenial::NotAttested, offered.error().message);
    if (now >= leaf->notAfter)
        return refuse(AgentDenial::Expired, u"The SVID of %1 has expired; attest again."_s.arg(who));
    if (leaf->serial != agent.serial) {
        if (agent.newSerial.isEmpty() || leaf->serial != agent.newSerial)
            return refuse(AgentDenial::NotActive, u"%1 shows an SVID that was replaced by a newer one."_s.arg(who));
        agent.serial = agent.newSerial;
        agent.expiresAt = agent.newExpiresAt;
        agent.keyHash = agent.newKeyHash;
        agent.newSerial.clear();
        agent.newExpiresAt = {};
        agent.newKeyHash.clear();
        if (const auto put = d->store->putAgent(agent); !put)
            return refuse(AgentDenial::NotActive, put.error().message);
    }
    d->lastSeen[agent.id] = now;
    return {AgentDenial::None, {}, agent};
}

Result<AgentSvid> Authority::renewAgent(const SpiffeId &id, const QByteArray &csrDer)
{
    const auto known = d->store->agent(id);
    if (!known)
        return known.error();
    if (!*known || (*known)->isBanned)
        return Error{Errc::Denied, u"%1 is not an agent in good standing."_s.arg(id.toString())};
    Agent agent = **known;
    if (agent.canReattest)
        return Error{Errc::Denied, u"%1 has a TPM, so it gets a new SVID by attesting again."_s.arg(id.toString())};
    const auto csr = tls::readCsr(csrDer);
    if (!csr)
        return csr.error();
    const auto issuer = d->ca.issuer();
    if (!issuer)
        return issuer.error();
    const auto issued = (*issuer)->sign(d->orderFor(id, csr->publicKeyDer, m_config.x509Ttl), d->now());
    if (!issued)
        return issued.error();
    agent.newSerial = issued->serial;
    agent.newExpiresAt = issued->notAfter;
    agent.newKeyHash = tls::publicKeyHash(csr->publicKeyDer);
    if (const auto put = d->store->putAgent(agent); !put)
        return put.error();
    return AgentSvid{agent, *issued};
}

Result<void> Authority::notePosted(const SpiffeId &id, const QString &version)
{
    const auto known = d->store->agent(id);
    if (!known)
        return known.error();
    if (!*known)
        return Error{Errc::NotFound, u"There is no agent %1."_s.arg(id.toString())};
    Agent agent = **known;
    agent.version = version.left(80);
    agent.lastSeenAt = d->now();
    return d->store->putAgent(agent);
}

Result<QList<Agent>> Authority::agents(const AgentFilter &filter)
{
    auto list = d->store->agents();
    if (!list)
        return list;
    list->removeIf([&](const Agent &agent) {
        return (filter.isBanned && agent.isBanned != *filter.isBanned)
               || (!filter.attestationType.isEmpty() && agent.attestationType != filter.attestationType)
               || (filter.expiresBefore && agent.expiresAt >= *filter.expiresBefore)
               || (filter.canReattest && agent.canReattest != *filter.canReattest);
    });
    return list;
}

Result<Agent> Authority::agent(const SpiffeId &id)
{
    const auto known = d->store->agent(id);
    if (!known)
        return known.error();
    if (!*known)
        return Error{Errc::NotFound, u"There is no agent %1."_s.arg(id.toString())};
    return **known;
}

Result<void> Authority::banAgent(const SpiffeId &id, const Actor &actor)
{
    auto known = agent(id);
    if (!known)
        return known.error();
    QList<Agent> same{*known};
    if (!known->ekHash.isEmpty()) {
        const auto ofChip = d->agentsOf(known->ekHash);
        if (!ofChip)
            return ofChip.error();
        same = *ofChip;
    }
    const auto banned = d->change(actor, u"agent.ban"_s, id.toString(), {}, [&]() -> Result<void> {
        for (Agent &one : same) {
            one.isBanned = true;
            if (const auto put = d->store->putAgent(one); !put)
                return put;
        }
        return {};
    });
    if (banned)
        for (const Agent &one : std::as_const(same))
            Q_EMIT agentRemoved(one.id);
    return banned;
}

Result<void> Authority::deleteAgent(const SpiffeId &id, const Actor &actor)
{
    const auto known = agent(id);
    if (!known)
        return known.error();
    // They were banned together.
    QList<SpiffeId> ids{id};
    if (known->isBanned && !known->ekHash.isEmpty()) {
        const auto ofChip = d->agentsOf(known->ekHash);
        if (!ofChip)
            return ofChip.error();
        for (const Agent &one : *ofChip)
            if (one.isBanned && one.id != id)
                ids.append(one.id);
    }
    const auto gone = d->change(actor, u"agent.delete"_s, id.toString(), {}, [&]() -> Result<void> {
        for (const SpiffeId &one : std::as_const(ids))
            if (const auto deleted = d->store->deleteAgent(one); !deleted)
                return deleted.error();
        return {};
    });
    if (gone)
        for (const SpiffeId &one : std::as_const(ids))
            Q_EMIT agentRemoved(one);
    return gone;
}

// --- What agents fetch ---------------------------------------------------------------------------

std::shared_ptr<const AuthorizedSet> Authority::Private::authorized(const Agent &agent)
{
    if (const auto *known = authorizedSets.object(agent.id);
        known && (*known)->revision == entries.revision() && (*known)->selectors == agent.selectors)
        return *known;
    auto fresh = std::make_shared<AuthorizedSet>();
    fresh->revision = entries.revision();
    fresh->selectors = agent.selectors;
    QSet<SpiffeId> seen;
    collect(entries, agent.id, seen, fresh->entries);
    if (const auto server = makeId(u"/spire/server"_s)) {
        const QList<Entry> aliases = entries.childrenOf(*server);
        for (const Entry &alias : aliases)
            if (hasAll(agent.selectors, alias.selectors))
                collect(entries, alias.spiffeId, seen, fresh->entries);
    }
    const auto cost = fresh->entries.size() + 1;
    authorizedSets.insert(agent.id, new std::shared_ptr<const AuthorizedSet>(fresh), cost);
    return fresh;
}

Result<QList<Entry>> Authority::authorizedEntries(const Agent &agent)
{
    const auto allowed = d->authorized(agent);
    const Timestamp now = d->now();
    QList<Entry> list;
    for (const Entry &entry : allowed->entries)
        if (Private::isCurrent(entry, now))
            list.append(entry);
    std::sort(list.begin(), list.end(), [](const Entry &a, const Entry &b) { return a.id < b.id; });
    return list;
}

} // namespace lintel::authority

// Attestation: who may try, what a chip or a token must show, and the agent's SVID (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"
#include "authority/enrolment_csv.h"
#include "tls/x509.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxSelectors = 200;

Error denied(const QString &message)
{
    return {Errc::Denied, message};
}

bool isTpm(const QString &type)
{
    return type == QLatin1StringView(kTpm) || type == QLatin1StringView(kLintelTpm);
}

Selectors sorted(Selectors selectors)
{
    std::sort(selectors.begin(), selectors.end());
    selectors.erase(std::unique(selectors.begin(), selectors.end()), selectors.end());
    return selectors;
}

/// "PCR 4, 7"
QString differences(const QMap<int, QByteArray> &before, const QMap<int, QByteArray> &after)
{
    QStringList changed;
    for (auto it = after.cbegin(); it != after.cend(); ++it)
        if (before.value(it.key()) != it.value())
            changed.append(QString::number(it.key()));
    for (auto it = before.cbegin(); it != before.cend(); ++it)
        if (!after.contains(it.key()))
            changed.append(QString::number(it.key()));
    return changed.isEmpty() ? QString() : u"PCR "_s + changed.join(u", "_s);
}
} // namespace

Result<void> Authority::admitCall(const QString &connection, const QString &address)
{
    return d->limiter.admitCall(connection, address);
}

Result<void> Authority::admit(const QString &ekHashOrToken, const QString &address)
{
    return d->limiter.admit(ekHashOrToken, address);
}

Result<void> Authority::checkType(const QString &type) const
{
    if (!AuthorityConfig::allAttestationTypes().contains(type))
        return Error{Errc::Unsupported, u"The authority has no node attestor \"%1\"."_s.arg(type.left(40))};
    if (!m_config.attestationTypes.contains(type))
        return Error{Errc::Unsupported,
                     u"The node attestation \"%1\" is switched off at this authority (attestation.types)."_s.arg(type)};
    return {};
}

Result<Device> Authority::considerDevice(const FirstContact &contact)
{
    const auto hash = parseEkHash(contact.ekHash);
    if (!hash)
        return hash.error();
    const auto known = d->store->deviceByEk(*hash);
    if (!known)
        return known.error();
    if (*known) {
        switch ((*known)->state) {
        case DeviceState::Approved: return **known;
        case DeviceState::Pending:
            d->waitingNotes.add(*hash, contact.address, d->now());
            return Error{
                Errc::Unavailable,
                u"This device waits for approval; run: lintelctl device approve %1 --name NAME"_s.arg(hash->left(16))};
        case DeviceState::Revoked:
            return denied(
                u"This device was revoked (%1); only a fresh enrolment brings it back."_s.arg((*known)->revokedWhy));
        }
    }
    const bool mayQueue = m_config.firstSeen == FirstSeen::QueueAll
                          || (m_config.firstSeen == FirstSeen::QueueGenuine && !contact.vendor.isEmpty());
    if (!mayQueue)
        return denied(u"This device is not enrolled; run: lintelctl enroll --hash %1 --name NAME"_s.arg(*hash));
    Device fresh;
    fresh.ekHash = *hash;
    fresh.vendor = contact.vendor;
    fresh.enrolledBy = contact.vendor.isEmpty() ? EnrolledBy::FirstContact : EnrolledBy::VendorCertificate;
    return fresh;
}

Result<AgentSvid> Authority::attest(const AttestedNode &node)
{
    const Timestamp now = d->now();
    const auto csr = tls::readCsr(node.csrDer);
    if (!csr)
        return csr.error();
    if (node.selectors.size() > kMaxSelectors)
        return Error{Errc::Malformed, u"An attestation gives %1 selectors at most."_s.arg(kMaxSelectors)};
    const QByteArray keyHash = tls::publicKeyHash(csr->publicKeyDer);
    if (const auto known = checkType(node.type); !known)
        return known.error();
    const bool byTpm = isTpm(node.type);
    const auto agentId = d->agentIdFor(node.type, byTpm ? node.ekHash : node.token);
    if (!agentId)
        return agentId.error();

    // Lazily: a power cut that undoes it undoes the agent as well as the spent token, and the device
    // attests again.
    auto transaction = d->store->transaction(sqlite::Durability::Lazy);
    if (!transaction)
        return transaction.error();
    const auto known = d->store->agent(*agentId);
    if (!known)
        return known.error();
    if (*known && (*known)->isBanned && !byTpm)
        return denied(u"The agent %1 is banned."_s.arg(agentId->toString()));

    Agent agent = known->value_or(Agent{});
    agent.id = *agentId;
    agent.attestationType = node.type;
    agent.canReattest = byTpm;
    agent.isBanned = false;
    agent.selectors = node.selectors;
    if (agent.firstSeenAt == Timestamp{})
        agent.firstSeenAt = now;
    agent.lastSeenAt = now;

    if (byTpm) {
        auto device = considerDevice({node.ekHash, node.vendor, node.address});
        if (!device)
            return device.error();
        // Whoever was sent away may not come back by the other attestation.
        const auto sameChip = d->agentsOf(node.ekHash);
        if (!sameChip)
            return sameChip.error();
        for (const Agent &one : *sameChip)
            if (one.isBanned)
                return denied(u"The agent %1 is banned."_s.arg(one.id.toString()));
        if (device->id == 0) {
            const QString network = networkOf(node.address);
            if (const auto room = d->checkQueueRoom(network); !room)
                return room.error();
            device->enrolledAt = now;
            if (const auto added = d->store->addDevice(*device); !added)
                return added.error();
            if (const auto noted = d->store->noteWaiting(device->ekHash, network, now); !noted)
                return noted.error();
            if (const auto written = d->audit(
                    u"agent:"_s + agentId->toString(), u"device.queue"_s, device->ekHash,
                    u"From %1; maker: %2."_s.arg(node.address, node.vendor.isEmpty() ? u"unknown"_s : node.vendor));
                !written)
                return written.error();
            if (const auto committed = transaction->commit(); !committed)
                return committed.error();
            d->waitingNotes.add(device->ekHash, node.address, now);
            return Error{
                Errc::Unavailable,
                u"This device is new here and waits for approval; run: lintelctl device approve %1 --name NAME"_s.arg(
                    device->ekHash.left(16))};
        }
        if (const auto strong = d->checkStrength(node, *device); !strong)
            return strong.error();
        const auto judged = d->judgeBoot(node, device->facts);
        if (!judged)
            return judged.error();
        const BootVerdict verdict = judged->verdict;
        AttestationRecord record{
            0,         now,     *agentId, device->ekHash, node.address, node.quote, node.quoteSignature,
            node.pcrs, verdict, {},       judged->reason, node.eventLog};
        const QString changedPcrs = differences(device->pcrs, node.pcrs);
        const bool isFirst = device->attestedAt == Timestamp{};
        QStringList why;
        if (!isFirst && verdict != device->verdict)
            why.append(u"\"%1\" became \"%2\""_s.arg(describe(device->verdict), describe(verdict)));
        if (!isFirst && !changedPcrs.isEmpty())
            why.append(u"%1 changed"_s.arg(changedPcrs));
        if (!why.isEmpty())
            why.append(judged->reason.chopped(judged->reason.endsWith(u'.')));
        record.change = why.join(u"; "_s);
        if (const auto added = d->store->addAttestation(record); !added)
            return added.error();
        device->agentId = *agentId; // it may come by another attestation than last time
        device->verdict = verdict;
        device->pcrs = node.pcrs;
        device->keyIsInTpm = node.keyIsInTpm;
        device->attestedAt = now;
        if (!node.vendor.isEmpty())
            device->vendor = node.vendor;
        if (const auto updated = d->store->updateDevice(*device); !updated)
            return updated.error();
        if (isFirst || !record.change.isEmpty()) {
            const QString details = isFirst ? u"First time: %1."_s.arg(describe(verdict)) : record.change + u'.';
            if (const auto written = d->audit(u"agent:"_s + agentId->toString(), u"device.attest"_s,
                                              device->spiffeId.toString(), details);
                !written)
                return written.error();
        }
        if (m_config.requireMeasuredBoot && verdict != BootVerdict::Matches) {
            if (const auto committed = transaction->commit(); !committed)
                return committed.error();
            return denied(u"The boot of %1 is not accepted: %2. %3"_s.arg(device->spiffeId.toString(),
                                                                          describe(verdict), judged->reason));
        }
        agent.ekHash = device->ekHash;
        agent.selectors.append({node.type, u"ek:"_s + device->ekHash});
        if (verdict == BootVerdict::Matches)
            agent.selectors.append({node.type, u"boot:expected"_s});
    } else {
        auto row = d->store->token(node.token);
        if (!row)
            return row.error();
        if (!*row)
            return denied(u"This join token is not known; make a new one with: lintelctl token create"_s);
        Store::TokenRow &token = **row;
        if (token.spentBy.isEmpty()) {
            if (now >= token.token.expiresAt)
                return denied(u"This join token has expired; make a new one with: lintelctl token create"_s);
            token.spentBy = keyHash;
            token.spentAt = now;
            // Kept for as long as the answer may be asked for again.
            token.token.expiresAt = qMax<Timestamp>(token.token.expiresAt, now + m_config.x509Ttl);
            if (const auto put = d->store->putToken(token); !put)
                return put.error();
            if (const auto written = d->audit(u"agent:"_s + agentId->toString(), u"token.spend"_s,
                                              token.token.spiffeId.toString(), u"From %1."_s.arg(node.address));
                !written)
                return written.error();
        } else if (token.spentBy != keyHash || now >= token.spentAt + m_config.x509Ttl) {
            return denied(u"This join token was used already; make a new one with: lintelctl token create"_s);
        }
    }

    const auto issuer = d->ca.issuer();
    if (!issuer)
        return issuer.error();
    const auto issued = (*issuer)->sign(d->orderFor(*agentId, csr->publicKeyDer, m_config.x509Ttl), now);
    if (!issued)
        return issued.error();
    agent.selectors = sorted(agent.selectors);
    // An agent whose SVID is still good goes on with it until it has the new one in its hands.
    if (!agent.serial.isEmpty() && agent.expiresAt > now && *known) {
        agent.newSerial = issued->serial;
        agent.newExpiresAt = issued->notAfter;
        agent.newKeyHash = keyHash;
    } else {
        agent.serial = issued->serial;
        agent.expiresAt = issued->notAfter;
        agent.keyHash = keyHash;
        agent.newSerial.clear();
        agent.newExpiresAt = {};
        agent.newKeyHash.clear();
    }
    if (const auto put = d->store->putAgent(agent); !put)
        return put.error();
    if (const auto committed = transaction->commit(); !committed)
        return committed.error();
    ++d->attestations;
    return AgentSvid{agent, *issued};
}

/// Whoever has a rooted device could else have it come by an attestation that says nothing of the key, and take
/// the key of its identity along.
Result<void> Authority::Private::checkStrength(const AttestedNode &node, const Device &device) const
{
    if (!device.keyIsInTpm || node.keyIsInTpm)
        return {};
    return denied(
        u"%1 has proved before that its key is in its TPM, and the attestation \"%2\" does not prove that: set "
        u"identity.attestor to lintel_tpm on the device, or let it come without the proof: lintelctl device "
        u"reattest %3 --allow-weaker"_s.arg(device.spiffeId.toString(), node.type, device.facts.name));
}

} // namespace lintel::authority

// Revocation, rejection, and what was last accepted of whoever was revoked (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {

constexpr std::chrono::minutes kAcceptedEvery{1};
constexpr qsizetype kPublishedReason = 120; // characters on the deny list; device and audit trail have all

constexpr qsizetype kLongestReason = 500;

Result<QString> reasonFrom(const QString &why)
{
    const QString reason = why.trimmed();
    if (reason.size() > kLongestReason)
        return Error{Errc::OutOfRange,
                     u"A reason has %1 characters at most, and this one has %2; make it shorter."_s.arg(kLongestReason)
                         .arg(reason.size())};
    return reason.isEmpty() ? u"no reason given"_s : reason;
}

} // namespace

Result<Device> Authority::reject(const QString &which, const QString &why, const Actor &actor)
{
    auto device = d->findDevice(which);
    if (!device)
        return device;
    if (device->state != DeviceState::Pending)
        return Error{Errc::Conflict,
                     u"%1 does not wait for approval; to end what a device has, revoke it."_s.arg(shown(*device))};
    const auto reason = reasonFrom(why);
    if (!reason)
        return reason.error();
    const auto rejected = d->change(actor, u"device.reject"_s, device->ekHash, u"Not let in: %1"_s.arg(*reason),
                                    [&] { return d->revokeOne(*device, u"not let in: "_s + *reason); });
    if (!rejected)
        return rejected.error();
    d->waitingNotes.remove(device->ekHash);
    return device;
}

Result<void> Authority::Private::revokeOne(Device &device, const QString &why)
{
    const Timestamp at = now();
    const bool neverLetIn = device.state == DeviceState::Pending;
    device.state = DeviceState::Revoked;
    device.revokedAt = at;
    device.revokedWhy = why;
    if (const auto updated = store->updateDevice(device); !updated)
        return updated;
    if (neverLetIn)
        return {}; // it has nothing that a broker could take

    QList<SpiffeId> ids;
    if (!device.spiffeId.isEmpty())
        ids.append(device.spiffeId);
    QList<SpiffeId> agentIds{device.agentId};
    for (const auto type : {kTpm, kLintelTpm})
        if (const auto agentId = agentIdFor(QString::fromLatin1(type), device.ekHash); agentId)
            agentIds.append(*agentId);
    for (const SpiffeId &agentId : std::as_const(agentIds)) {
        const auto agent = store->agent(agentId);
        if (!agent)
            return agent.error();
        if (!agentId.isEmpty() && !ids.contains(agentId))
            ids.append(agentId);
        if (!*agent)
            continue;
        // What ran on it alone goes with it; what also runs elsewhere does not.
        const auto below = authorized(**agent);
        for (const Entry &entry : below->entries) {
            const QList<Entry> same = entries.withId(entry.spiffeId);
            const bool onlyHere = std::all_of(same.cbegin(), same.cend(), [&](const Entry &other) {
                return below->entries.contains(other.id) || agentIds.contains(other.parentId);
            });
            if (onlyHere && !ids.contains(entry.spiffeId))
                ids.append(entry.spiffeId);
        }
        Agent banned = **agent;
        banned.isBanned = true;
        if (const auto put = store->putAgent(banned); !put)
            return put;
    }
    if (const auto gone = store->deleteEntriesOf(device.id); !gone)
        return gone;
    // The deny list forgets it one day, so nothing may be left that would give its identity to anybody then.
    const QList<Entry> byHand = entries.withId(device.spiffeId);
    for (const Entry &entry : byHand)
        if (const auto gone = store->deleteEntry(entry.id); !gone)
            return gone.error();
    if (device.ekHash.isEmpty())
        if (const auto gone = store->deleteToken(device.agentId.path().section(u'/', -1)); !gone)
            return gone.error();
    const QString published = why.left(kPublishedReason);
    for (const SpiffeId &id : std::as_const(ids))
        if (const auto added =
                store->addDenied({id, {}, device.ekHash, at, published, {}}, device.spiffeId, deniedUntil(at));
            !added)
            return added;
    if (const auto fits = checkDenyListRoom(); !fits)
        return fits;
    const auto number = store->nextNumber(kDenyNumber, at);
    return number ? Result<void>() : number.error();
}

Result<RevocationReport> Authority::revoke(const QString &which, const QString &why, const Actor &actor)
{
    auto found = d->findDevice(which);
    if (!found) {
        const auto program = SpiffeId::parse(which.trimmed());
        const bool isProgram =
            found.error().code == Errc::NotFound && program && !d->entries.withId(*program).isEmpty();
        return isProgram ? revokeProgram(*program, why, actor) : found.error();
    }
    Device device = *found;
    if (device.state == DeviceState::Revoked)
        return Error{Errc::Conflict,
                     u"%1 was revoked already, at %2."_s.arg(shown(device), toIso8601(device.revokedAt))};
    const auto reason = reasonFrom(why);
    if (!reason)
        return reason.error();
    const auto leaving = d->agentIdsOf(device);
    if (!leaving)
        return leaving.error();
    const auto revoked =
        d->change(actor, u"device.revoke"_s, shown(device), u"Revoked at %1: %2"_s.arg(toIso8601(d->now()), *reason),
                  [&] { return d->revokeOne(device, *reason); });
    if (!revoked)
        return revoked.error();
    // It is stored: brokers hear of it whatever becomes of the rest.
    d->denyJws.clear();
    const auto loaded = d->loadAdmissions();
    const auto number = d->store->number(kDenyNumber);
    Q_EMIT denyListChanged(); // first: it may be this very device that has to hear of it
    for (const SpiffeId &agentId : *leaving)
        Q_EMIT agentRemoved(agentId);
    Q_EMIT entriesChanged();
    if (!loaded)
        return loaded.error();
    if (!number)
        return number.error();
    return RevocationReport{device, *number};
}

/// A workload is no device: its entries and its identity go, its hosts stay.
Result<RevocationReport> Authority::revokeProgram(const SpiffeId &id, const QString &why, const Actor &actor)
{
    Device program;
    program.spiffeId = id;
    program.state = DeviceState::Revoked;
    program.revokedAt = d->now();
    const auto reason = reasonFrom(why);
    if (!reason)
        return reason.error();
    program.revokedWhy = *reason;
    quint64 sequence = 0;
    const auto revoked = d->change(
        actor, u"workload.revoke"_s, id.toString(),
        u"Revoked at %1: %2"_s.arg(toIso8601(program.revokedAt), program.revokedWhy), [&]() -> Result<void> {
            const QList<Entry> gone = d->entries.withId(id);
            for (const Entry &entry : gone)
                if (const auto deleted = d->store->deleteEntry(entry.id); !deleted)
                    return deleted.error();
            const tls::DenyEntry denied{id, {}, {}, program.revokedAt, program.revokedWhy.left(kPublishedReason), {}};
            if (auto added = d->store->addDenied(denied, id, d->deniedUntil(program.revokedAt)); !added)
                return added;
            if (auto fits = d->checkDenyListRoom(); !fits)
                return fits;
            const auto number = d->store->nextNumber(kDenyNumber, program.revokedAt);
            sequence = number ? *number : 0;
            return number ? Result<void>() : number.error();
        });
    if (!revoked)
        return revoked.error();
    // It is stored: brokers and hosts hear of it whatever becomes of the rest.
    d->denyJws.clear();
    const auto loaded = d->loadAdmissions();
    Q_EMIT denyListChanged();
    Q_EMIT entriesChanged();
    if (!loaded)
        return loaded.error();
    return RevocationReport{program, sequence};
}

Result<void> Authority::Private::auditLastAccepted(const SpiffeId &id, const LastAccepted &what)
{
    return audit(what.broker, u"device.lastAccepted"_s, id.toString(),
                 u"Revoked at %1; last message accepted at %2."_s.arg(toIso8601(what.revokedAt), toIso8601(what.at)));
}

/// What of it is later than what is known; nothing when it is no news.
Result<std::optional<LastAccepted>> Authority::Private::newsOf(const SpiffeId &id, Timestamp at, const Actor &broker)
{
    const auto known = store->lastAccepted(id);
    if (!known)
        return known.error();
    if (!*known)
        return Error{Errc::NotFound, u"%1 is not revoked here."_s.arg(id.toString())};
    // A broker whose clock is ahead, or which lies, does not hide what comes later.
    const LastAccepted said{(*known)->revokedAt, std::min(at, now()), broker};
    return said.at <= (*known)->at ? std::optional<LastAccepted>() : std::optional(said);
}

Result<void> Authority::Private::storeNews(const QHash<SpiffeId, LastAccepted> &news)
{
    if (news.isEmpty())
        return {};
    const Timestamp at = now();
    const auto tells = [&](const SpiffeId &id) {
        const auto toldAt = lastAcceptedToldAt.constFind(id);
        return toldAt == lastAcceptedToldAt.cend() || at >= *toldAt + kAcceptedEvery || at < *toldAt;
    };
    auto transaction = store->transaction();
    if (!transaction)
        return transaction.error();
    for (auto said = news.cbegin(); said != news.cend(); ++said) {
        if (auto set = store->setLastAccepted(said.key(), said->at); !set)
            return set;
        if (tells(said.key()))
            if (auto written = auditLastAccepted(said.key(), *said); !written)
                return written;
    }
    if (auto committed = transaction->commit(); !committed)
        return committed;
    for (auto said = news.cbegin(); said != news.cend(); ++said) {
        if (tells(said.key())) {
            lastAcceptedToldAt.insert(said.key(), at);
            lastAcceptedUntold.remove(said.key());
        } else {
            lastAcceptedUntold.insert(said.key(), *said);
        }
    }
    return {};
}

Result<void> Authority::noteLastAccepted(const SpiffeId &id, Timestamp at, const Actor &broker)
{
    const auto news = d->newsOf(id, at, broker);
    if (!news)
        return news.error();
    return *news ? d->storeNews({{id, **news}}) : Result<void>();
}

Result<void> Authority::noteLastAccepted(const QHash<SpiffeId, Timestamp> &accepted, const Actor &broker)
{
    QHash<SpiffeId, LastAccepted> all;
    for (auto it = accepted.cbegin(); it != accepted.cend(); ++it) {
        const auto news = d->newsOf(it.key(), it.value(), broker);
        // A broker may know of a list that is older than ours: whoever is enrolled again is no news.
        if (!news && news.error().code != Errc::NotFound)
            return news.error();
        if (news && *news)
            all.insert(it.key(), **news);
    }
    return d->storeNews(all);
}

} // namespace lintel::authority

// Enrolment, approval and revocation (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"
#include "authority/enrolment_csv.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {

QString shown(const Device &device)
{
    return device.spiffeId.isEmpty() ? device.ekHash : device.spiffeId.toString();
}

constexpr std::chrono::minutes kAcceptedEvery{1};
constexpr qsizetype kPublishedReason = 120; // characters on the deny list; device and audit trail have all

QString reasonFrom(const QString &why)
{
    return why.trimmed().isEmpty() ? u"no reason given"_s : why.trimmed().left(500);
}

} // namespace

Result<Device> Authority::Private::findDevice(const QString &which)
{
    const auto found = store->devicesLike(which.trimmed());
    if (!found)
        return found.error();
    QList<Device> current = *found;
    if (std::any_of(current.cbegin(), current.cend(), [](const Device &x) { return x.state != DeviceState::Revoked; }))
        current.removeIf([](const Device &x) { return x.state == DeviceState::Revoked; });
    else if (current.size() > 1)
        current = {current.first()}; // of several that were revoked one after the other, the last
    if (current.isEmpty())
        return Error{Errc::NotFound, u"There is no device \"%1\"; see: lintelctl device list"_s.arg(which.left(80))};
    if (current.size() > 1)
        return Error{
            Errc::Conflict,
            u"\"%1\" means %2 devices; give more digits of the hash."_s.arg(which.left(80)).arg(current.size())};
    return current.first();
}

/// One SPIFFE ID, one device: whoever has the name keeps it until it is revoked.
Result<SpiffeId> Authority::Private::freeDeviceId(const DeviceFacts &facts, qint64 exceptDevice)
{
    if (const auto checked = checkFacts(facts); !checked)
        return checked.error();
    const auto id = makeId(u"/agent/"_s + facts.name);
    if (!id)
        return id;
    const auto other = store->deviceById(*id);
    if (!other)
        return other.error();
    if (*other && (*other)->id != exceptDevice && (*other)->state != DeviceState::Revoked)
        return Error{Errc::Conflict,
                     u"%1 is another device already (%2); revoke that one first, or choose another name."_s.arg(
                         id->toString(),
                         (*other)->ekHash.isEmpty() ? u"with a join token"_s : u"TPM "_s + (*other)->ekHash.left(16))};
    return id;
}

/// Writes down an approved device; what an earlier life of it left behind no longer counts.
Result<void> Authority::Private::admitDevice(Device &device)
{
    const auto id = device.id == 0 ? store->addDevice(device) : Result<qint64>(device.id);
    if (!id)
        return id.error();
    device.id = *id;
    if (const auto updated = store->updateDevice(device); !updated)
        return updated;
    const Timestamp from = std::chrono::floor<std::chrono::seconds>(now());
    const auto limited = store->limitDenied(device.spiffeId, device.ekHash, from, deniedUntil(from));
    if (!limited)
        return limited.error();
    if (*limited > 0)
        if (const auto number = store->nextNumber(kDenyNumber, now()); !number)
            return number.error();
    if (device.ekHash.isEmpty())
        return {};

    for (const auto type : {kTpm, kLintelTpm}) {
        const auto agentId = agentIdFor(QString::fromLatin1(type), device.ekHash);
        if (!agentId)
            return agentId.error();
        if (const auto gone = store->deleteAgent(*agentId); !gone)
            return gone.error();
    }
    // For its agent by either attestation with the same chip.
    for (const auto type : {kLintelTpm, kTpm}) {
        const auto agentId = agentIdFor(QString::fromLatin1(type), device.ekHash);
        if (!agentId)
            return agentId.error();
        Entry entry;
        entry.id = randomToken();
        entry.spiffeId = device.spiffeId;
        entry.parentId = *agentId;
        entry.selectors = {{u"lintel"_s, u"device"_s}};
        entry.createdAt = now();
        entry.keyBound = true;
        if (const auto put = store->putEntry(entry, device.id); !put)
            return put;
        if (!isGateway(device.facts))
            continue;
        if (const auto put = putBrokerEntry(device.id, *agentId); !put)
            return put;
    }
    return {};
}

bool Authority::Private::isGateway(const DeviceFacts &facts)
{
    return facts.kind == "gateway"_L1;
}

/// The gateway agent also fetches the certificate of the broker beside it, with a key of its own.
Result<void> Authority::Private::putBrokerEntry(qint64 deviceId, const SpiffeId &agentId)
{
    const auto broker = makeId(u"/broker"_s);
    if (!broker)
        return broker.error();
    Entry entry;
    entry.id = randomToken();
    entry.spiffeId = *broker;
    entry.parentId = agentId;
    entry.selectors = {{u"lintel"_s, u"broker"_s}};
    entry.createdAt = now();
    return store->putEntry(entry, deviceId);
}

Result<Device> Authority::Private::enrollOne(const QString &ekHash, const DeviceFacts &facts, const Actor &actor,
                                             const QString &vendor)
{
    const auto hash = parseEkHash(ekHash);
    if (!hash)
        return hash.error();
    const auto known = store->deviceByEk(*hash);
    if (!known)
        return known.error();
    if (*known && (*known)->state == DeviceState::Approved)
        return Error{Errc::Conflict, u"This TPM is enrolled already, as %1."_s.arg((*known)->spiffeId.toString())};
    Device device;
    if (*known && (*known)->state == DeviceState::Pending)
        device = **known;
    const auto id = freeDeviceId(facts, device.id);
    const auto agentId = agentIdFor(QString::fromLatin1(kLintelTpm), *hash);
    if (!id || !agentId)
        return !id ? id.error() : agentId.error();
    device.ekHash = *hash;
    device.facts = facts;
    device.spiffeId = *id;
    device.agentId = *agentId;
    device.state = DeviceState::Approved;
    device.approvedAt = now();
    if (!vendor.isEmpty())
        device.vendor = vendor;
    if (device.id == 0) {
        device.enrolledBy = EnrolledBy::EkHash;
        device.enrolledAt = now();
    }
    if (const auto admitted = admitDevice(device); !admitted)
        return admitted.error();
    if (const auto written = audit(actor, u"device.enroll"_s, id->toString(), u"TPM %1."_s.arg(*hash)); !written)
        return written.error();
    return device;
}

Result<Device> Authority::enroll(const QString &ekHash, const DeviceFacts &facts, const Actor &actor,
                                 const QString &vendor)
{
    auto transaction = d->store->transaction();
    if (!transaction)
        return transaction.error();
    const auto device = d->enrollOne(ekHash, facts, actor, vendor);
    if (!device)
        return device;
    if (const auto committed = transaction->commit(); !committed)
        return committed.error();
    if (const auto loaded = d->loadAdmissions(); !loaded)
        return loaded.error();
    Q_EMIT entriesChanged();
    Q_EMIT denyListChanged();
    return device;
}

Result<BatchOutcome> Authority::enrollBatch(const QByteArray &csv, const Actor &actor)
{
    const EnrolmentList list = parseEnrolments(csv);
    BatchOutcome outcome;
    for (const EnrolmentProblem &problem : list.problems)
        outcome.problems.append({problem.line, problem.message});
    auto transaction = d->store->transaction();
    if (!transaction)
        return transaction.error();
    // Also when a row is broken already, so that one run tells of all that is wrong.
    for (const EnrolmentRow &row : list.rows) {
        const auto device = d->enrollOne(row.ekHash, row.facts, actor);
        if (device) {
            ++outcome.enrolled;
            continue;
        }
        if (device.error().code == Errc::Io || device.error().code == Errc::Full)
            return device.error();
        outcome.problems.append({row.line, device.error().message});
    }
    if (!outcome.problems.isEmpty()) {
        outcome.enrolled = 0;
        std::sort(outcome.problems.begin(), outcome.problems.end(),
                  [](const BatchProblem &a, const BatchProblem &b) { return a.line < b.line; });
        return outcome; // the transaction is undone
    }
    if (const auto committed = transaction->commit(); !committed)
        return committed.error();
    if (const auto loaded = d->loadAdmissions(); !loaded)
        return loaded.error();
    Q_EMIT entriesChanged();
    Q_EMIT denyListChanged();
    return outcome;
}

Result<QList<Device>> Authority::devices(std::optional<DeviceState> state)
{
    return d->store->devices(state);
}

Result<WaitingDevices> Authority::waiting(int most)
{
    const auto total = d->store->countDevices(DeviceState::Pending);
    if (!total)
        return total.error();
    const auto devices = d->store->latestDevices(DeviceState::Pending, most);
    if (!devices)
        return devices.error();
    WaitingDevices waiting;
    waiting.total = *total;
    for (const Device &device : *devices) {
        const WaitingNotes::Note note = d->waitingNotes.of(device.ekHash);
        waiting.latest.append(
            {device.ekHash, device.vendor, device.enrolledAt, note.lastAt, note.address, note.attempts});
    }
    std::sort(waiting.latest.begin(), waiting.latest.end(), [](const WaitingDevice &a, const WaitingDevice &b) {
        const auto cameAt = [](const WaitingDevice &one) { return std::max(one.firstAt, one.lastAt); };
        return cameAt(a) != cameAt(b) ? cameAt(a) > cameAt(b) : a.ekHash < b.ekHash;
    });
    return waiting;
}

Result<Device> Authority::device(const QString &which)
{
    return d->findDevice(which);
}

Result<Device> Authority::approve(const QString &which, const DeviceFacts &facts, const Actor &actor)
{
    const auto device = d->findDevice(which);
    if (!device)
        return device;
    if (device->state != DeviceState::Pending)
        return Error{Errc::Conflict, u"%1 does not wait for approval."_s.arg(shown(*device))};
    return enroll(device->ekHash, facts, actor);
}

Result<Device> Authority::reject(const QString &which, const QString &why, const Actor &actor)
{
    auto device = d->findDevice(which);
    if (!device)
        return device;
    if (device->state != DeviceState::Pending)
        return Error{Errc::Conflict,
                     u"%1 does not wait for approval; to end what a device has, revoke it."_s.arg(shown(*device))};
    const QString reason = reasonFrom(why);
    const auto rejected = d->change(actor, u"device.reject"_s, device->ekHash, u"Not let in: %1"_s.arg(reason),
                                    [&] { return d->revokeOne(*device, u"not let in: "_s + reason); });
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
    const QString reason = reasonFrom(why);
    const auto leaving = d->agentIdsOf(device);
    if (!leaving)
        return leaving.error();
    const auto revoked =
        d->change(actor, u"device.revoke"_s, shown(device), u"Revoked at %1: %2"_s.arg(toIso8601(d->now()), reason),
                  [&] { return d->revokeOne(device, reason); });
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
    program.revokedWhy = reasonFrom(why);
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

Result<void> Authority::reattest(const QString &which, const Actor &actor)
{
    const auto device = d->findDevice(which);
    if (!device)
        return device.error();
    if (device->state != DeviceState::Approved)
        return Error{Errc::Conflict, u"%1 is not an approved device."_s.arg(shown(*device))};
    if (device->ekHash.isEmpty())
        return Error{
            Errc::Unsupported,
            u"%1 has no TPM to attest with; make a new token with: lintelctl token create"_s.arg(shown(*device))};
    const auto leaving = d->agentIdsOf(*device);
    if (!leaving)
        return leaving.error();
    const auto gone = d->change(actor, u"device.reattest"_s, shown(*device), {}, [&]() -> Result<void> {
        for (const SpiffeId &agentId : *leaving)
            if (const auto deleted = d->store->deleteAgent(agentId); !deleted)
                return deleted.error();
        return {};
    });
    if (gone)
        for (const SpiffeId &agentId : *leaving)
            Q_EMIT agentRemoved(agentId);
    return gone;
}

Result<void> Authority::Private::auditLastAccepted(const SpiffeId &id, const LastAccepted &what)
{
    return audit(what.broker, u"device.lastAccepted"_s, id.toString(),
                 u"Revoked at %1; last message accepted at %2."_s.arg(toIso8601(what.revokedAt), toIso8601(what.at)));
}

Result<void> Authority::noteLastAccepted(const SpiffeId &id, Timestamp at, const Actor &broker)
{
    const auto known = d->store->lastAccepted(id);
    if (!known)
        return known.error();
    if (!*known)
        return Error{Errc::NotFound, u"%1 is not revoked here."_s.arg(id.toString())};
    // A broker whose clock is ahead, or which lies, does not hide what comes later.
    const Timestamp now = d->now();
    const LastAccepted said{(*known)->revokedAt, std::min(at, now), broker};
    if (said.at <= (*known)->at)
        return {};
    auto transaction = d->store->transaction();
    if (!transaction)
        return transaction.error();
    if (auto set = d->store->setLastAccepted(id, said.at); !set)
        return set;
    const auto toldAt = d->lastAcceptedToldAt.constFind(id);
    const bool tells = toldAt == d->lastAcceptedToldAt.cend() || now >= *toldAt + kAcceptedEvery || now < *toldAt;
    if (tells)
        if (auto written = d->auditLastAccepted(id, said); !written)
            return written;
    if (auto committed = transaction->commit(); !committed)
        return committed;
    if (tells) {
        d->lastAcceptedToldAt.insert(id, now);
        d->lastAcceptedUntold.remove(id);
    } else {
        d->lastAcceptedUntold.insert(id, said);
    }
    return {};
}

} // namespace lintel::authority

// Enrolment and approval (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"
#include "authority/enrolment_csv.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMostProblems = 1'000; // in the answer about one list
} // namespace

QString shown(const Device &device)
{
    return device.spiffeId.isEmpty() ? device.ekHash : device.spiffeId.toString();
}

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
        const auto known = d->store->deviceByEk(row.ekHash);
        const bool isChip = known && *known && (*known)->state == DeviceState::Approved;
        outcome.problems.append({row.line, (isChip ? u"hash: "_s : u"name: "_s) + device.error().message});
        if (outcome.problems.size() > kMostProblems)
            break;
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

Result<void> Authority::reattest(const QString &which, const Actor &actor, bool mayBeWeaker)
{
    auto device = d->findDevice(which);
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
    const bool forgets = mayBeWeaker && device->keyIsInTpm;
    const QString details = forgets ? u"It need not prove again that its key is in its TPM."_s : QString();
    const auto gone = d->change(actor, u"device.reattest"_s, shown(*device), details, [&]() -> Result<void> {
        if (forgets) {
            device->keyIsInTpm = false;
            if (const auto updated = d->store->updateDevice(*device); !updated)
                return updated;
        }
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

} // namespace lintel::authority

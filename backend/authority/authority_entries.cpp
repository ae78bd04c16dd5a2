// Registration entries and join tokens (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"
#include "authority/enrolment_csv.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxHintBytes = 1'024; // SPIFFE_Workload_API.md section 8
constexpr std::chrono::seconds kMaxTokenTtl = std::chrono::hours{24 * 30};

Error malformed(const QString &message)
{
    return {Errc::Malformed, message};
}

bool isDnsName(const QString &name)
{
    return !name.isEmpty() && name.size() <= 253 && std::all_of(name.cbegin(), name.cend(), [](QChar c) {
        const char16_t u = c.unicode();
        return (u >= u'a' && u <= u'z') || (u >= u'A' && u <= u'Z') || (u >= u'0' && u <= u'9') || u == u'.'
               || u == u'-' || u == u'*' || u == u'_';
    });
}

Result<void> checkEntry(const Entry &entry, const AuthorityConfig &config)
{
    if (!entry.spiffeId.isMemberOf(config.domain) || entry.spiffeId.path().isEmpty())
        return malformed(u"An entry needs a SPIFFE ID of %1 with a path; \"%2\" is none."_s.arg(
            config.domain.name(), entry.spiffeId.toString()));
    if (entry.spiffeId.path().startsWith("/spire/"_L1))
        return malformed(u"%1 is reserved for the authority and its agents."_s.arg(entry.spiffeId.toString()));
    if (!entry.parentId.isMemberOf(config.domain) || entry.parentId.path().isEmpty())
        return malformed(u"An entry needs a parent of %1 with a path; \"%2\" is none."_s.arg(
            config.domain.name(), entry.parentId.toString()));
    if (entry.selectors.isEmpty())
        return malformed(u"An entry needs a selector."_s);
    for (const Selector &selector : entry.selectors)
        if (selector.type.isEmpty() || selector.type.contains(u':') || selector.value.isEmpty())
            return malformed(
                u"\"%1:%2\" is no selector: type and value are needed."_s.arg(selector.type, selector.value));
    if (entry.x509Ttl.count() < 0 || entry.x509Ttl * 4 > config.issuingLifetime || entry.jwtTtl.count() < 0
        || entry.jwtTtl * 4 > config.jwtKeyLifetime)
        return Error{Errc::OutOfRange, u"An SVID may live a quarter of its issuer's life at most."_s};
    if (entry.hint.toUtf8().size() > kMaxHintBytes)
        return malformed(u"A hint has %1 bytes at most."_s.arg(kMaxHintBytes));
    for (const QString &name : entry.dnsNames)
        if (!isDnsName(name))
            return malformed(u"\"%1\" is no DNS name."_s.arg(name.left(80)));
    return {};
}

void tidy(Entry &entry)
{
    std::sort(entry.selectors.begin(), entry.selectors.end());
    entry.selectors.erase(std::unique(entry.selectors.begin(), entry.selectors.end()), entry.selectors.end());
}
} // namespace

Result<QList<Entry>> Authority::entries(const EntryFilter &filter)
{
    QList<Entry> list = d->entries.all();
    Selectors wanted = filter.selectors;
    std::sort(wanted.begin(), wanted.end());
    list.removeIf([&](const Entry &entry) {
        return (!filter.spiffeId.isEmpty() && entry.spiffeId != filter.spiffeId)
               || (!filter.parentId.isEmpty() && entry.parentId != filter.parentId)
               || (!filter.hint.isEmpty() && entry.hint != filter.hint)
               || (!wanted.isEmpty() && entry.selectors != wanted)
               || (filter.downstream && entry.downstream != *filter.downstream);
    });
    return list;
}

Result<Entry> Authority::entry(const QString &id)
{
    if (const Entry *found = d->entries.find(id))
        return *found;
    return Error{Errc::NotFound, u"There is no entry %1."_s.arg(id.left(80))};
}

Result<std::optional<Entry>> Authority::similarEntry(const Entry &entry)
{
    Entry wanted = entry;
    tidy(wanted);
    const QList<Entry> same = d->entries.withId(wanted.spiffeId);
    for (const Entry &other : same)
        if (other.parentId == wanted.parentId && other.selectors == wanted.selectors)
            return std::optional(other);
    return std::optional<Entry>();
}

/// An operator gives a revoked workload an entry again: from now on its SVIDs are good, older ones stay
/// refused. A device needs its enrolment.
Result<bool> Authority::Private::readmitProgram(const SpiffeId &id)
{
    const auto devices = store->devicesLike(id.toString());
    if (!devices || !devices->isEmpty())
        return devices ? Result<bool>(false) : devices.error();
    const Timestamp from = std::chrono::floor<std::chrono::seconds>(now());
    const auto limited = store->limitDenied(id, {}, from, deniedUntil(from));
    if (!limited)
        return limited.error();
    if (*limited == 0)
        return false;
    const auto number = store->nextNumber(kDenyNumber, now());
    return number ? Result<bool>(true) : number.error();
}

Result<Entry> Authority::createEntry(const Entry &wanted, const Actor &actor)
{
    Entry entry = wanted;
    tidy(entry);
    if (const auto checked = checkEntry(entry, m_config); !checked)
        return checked.error();
    for (const TrustDomain &other : std::as_const(entry.federatesWith))
        if (!d->federated.contains(other))
            return Error{Errc::NotFound,
                         u"There is no bundle of %1 to federate with; set it first."_s.arg(other.name())};
    if (const auto allowed = d->refuseRevokedDevice(entry.spiffeId); !allowed)
        return allowed.error();
    const auto similar = similarEntry(entry);
    if (!similar)
        return similar.error();
    if (*similar)
        return Error{Errc::Conflict, u"The entry %1 is the same already."_s.arg((*similar)->id)};
    if (entry.id.isEmpty())
        entry.id = randomToken();
    if (entry.id.size() > 255 || d->entries.find(entry.id))
        return Error{Errc::Conflict, u"The entry id %1 is taken or too long."_s.arg(entry.id.left(80))};
    entry.revision = 0;
    entry.keyBound = false;
    entry.createdAt = d->now();
    bool wasRevoked = false;
    const auto created = d->change(actor, u"entry.create"_s, entry.spiffeId.toString(),
                                   u"%1 under %2."_s.arg(entry.id, entry.parentId.toString()), [&]() -> Result<void> {
                                       if (const auto put = d->store->putEntry(entry, 0); !put)
                                           return put;
                                       const auto limited = d->readmitProgram(entry.spiffeId);
                                       wasRevoked = limited && *limited;
                                       return limited ? Result<void>() : limited.error();
                                   });
    if (!created)
        return created.error();
    d->entries.put(entry);
    if (wasRevoked) {
        if (const auto loaded = d->loadLimits(); !loaded)
            return loaded.error();
        Q_EMIT denyListChanged();
    }
    Q_EMIT entriesChanged();
    return entry;
}

Result<Entry> Authority::updateEntry(const Entry &wanted, const Actor &actor)
{
    const Entry *known = d->entries.find(wanted.id);
    if (!known)
        return Error{Errc::NotFound, u"There is no entry %1."_s.arg(wanted.id.left(80))};
    Entry entry = wanted;
    tidy(entry);
    if (const auto checked = checkEntry(entry, m_config); !checked)
        return checked.error();
    if (known->keyBound && (entry.spiffeId != known->spiffeId || entry.parentId != known->parentId))
        return Error{Errc::Denied,
                     u"%1 is the entry of a device; revoke and enrol the device instead."_s.arg(entry.id)};
    for (const TrustDomain &other : std::as_const(entry.federatesWith))
        if (!d->federated.contains(other))
            return Error{Errc::NotFound,
                         u"There is no bundle of %1 to federate with; set it first."_s.arg(other.name())};
    const auto similar = similarEntry(entry);
    if (!similar)
        return similar.error();
    if (*similar && (*similar)->id != entry.id)
        return Error{Errc::Conflict, u"The entry %1 is the same already."_s.arg((*similar)->id)};
    // Another name is another identity.
    if (entry.spiffeId != known->spiffeId)
        if (const auto allowed = d->refuseRevoked(entry.spiffeId); !allowed)
            return allowed.error();
    entry.keyBound = known->keyBound;
    entry.createdAt = known->createdAt;
    entry.revision = known->revision + 1;
    const auto updated = d->change(actor, u"entry.update"_s, entry.spiffeId.toString(), entry.id,
                                   [&] { return d->store->putEntry(entry, 0); });
    if (!updated)
        return updated.error();
    d->entries.put(entry);
    Q_EMIT entriesChanged();
    return entry;
}

Result<void> Authority::deleteEntry(const QString &id, const Actor &actor)
{
    const Entry *known = d->entries.find(id);
    if (!known)
        return Error{Errc::NotFound, u"There is no entry %1."_s.arg(id.left(80))};
    const auto deleted = d->change(actor, u"entry.delete"_s, known->spiffeId.toString(), id, [&]() -> Result<void> {
        const auto gone = d->store->deleteEntry(id);
        return gone ? Result<void>() : gone.error();
    });
    if (!deleted)
        return deleted;
    d->entries.remove(id);
    Q_EMIT entriesChanged();
    return {};
}

Result<JoinToken> Authority::createToken(std::chrono::seconds ttl, const SpiffeId &id, const Actor &actor,
                                         const DeviceFacts &facts, const QString &text)
{
    if (ttl.count() < 1 || ttl > kMaxTokenTtl)
        return Error{Errc::OutOfRange, u"A join token lives 1 second to 30 days."_s};
    if (const auto offered = checkType(QString::fromLatin1(kJoinToken)); !offered)
        return offered.error();
    const JoinToken token{text.isEmpty() ? randomToken() : text, d->now() + ttl, id};
    const auto agentId = d->agentIdFor(QString::fromLatin1(kJoinToken), token.token);
    if (!agentId)
        return malformed(u"A join token has letters, digits, '.', '-' and '_' only."_s);
    const auto known = d->store->token(token.token);
    if (!known)
        return known.error();
    if (*known)
        return Error{Errc::Conflict, u"This join token exists already."_s};

    static const QString agentPath = u"/agent/"_s;
    const bool ofDevice = !id.isEmpty() && id.path().startsWith(agentPath);
    Entry entry;
    SpiffeId replaced;
    const auto made =
        d->change(actor, u"token.create"_s, id.toString(), u"For %1 s."_s.arg(ttl.count()), [&]() -> Result<void> {
            if (const auto put = d->store->putToken({token, {}, {}}); !put)
                return put;
            if (id.isEmpty())
                return {};
            qint64 deviceId = 0;
            if (ofDevice) {
                Device device;
                device.facts = facts;
                if (device.facts.name.isEmpty())
                    device.facts.name = id.path().mid(agentPath.size());
                if (id.path() != agentPath + device.facts.name)
                    return malformed(u"The name \"%1\" does not belong to %2."_s.arg(device.facts.name, id.toString()));
                const auto other = d->store->deviceById(id);
                if (!other)
                    return other.error();
                const bool again =
                    *other && (*other)->state != DeviceState::Revoked && (*other)->enrolledBy == EnrolledBy::JoinToken;
                if (again) {
                    device.id = (*other)->id;
                    replaced = (*other)->agentId;
                    if (const auto gone = d->store->deleteEntriesOf(device.id); !gone)
                        return gone;
                    if (const auto gone = d->store->deleteAgent(replaced); !gone)
                        return gone.error();
                }
                const auto free = d->freeDeviceId(device.facts, device.id);
                if (!free)
                    return free.error();
                device.spiffeId = *free;
                device.agentId = *agentId;
                device.enrolledBy = EnrolledBy::JoinToken;
                device.enrolledAt = device.approvedAt = d->now();
                device.state = DeviceState::Approved;
                if (const auto admitted = d->admitDevice(device); !admitted)
                    return admitted;
                deviceId = device.id;
                if (Private::isGateway(device.facts))
                    if (const auto put = d->putBrokerEntry(deviceId, *agentId); !put)
                        return put;
            }
            entry.id = randomToken();
            entry.spiffeId = id;
            entry.parentId = *agentId;
            entry.selectors = {{u"spiffe_id"_s, agentId->toString()}};
            entry.createdAt = d->now();
            if (const auto checked = checkEntry(entry, m_config); !checked)
                return checked;
            return d->store->putEntry(entry, deviceId);
        });
    if (!made)
        return made.error();
    if (const auto loaded = d->loadAdmissions(); !loaded)
        return loaded.error();
    if (!replaced.isEmpty())
        Q_EMIT agentRemoved(replaced);
    Q_EMIT entriesChanged();
    if (ofDevice)
        Q_EMIT denyListChanged();
    return token;
}

} // namespace lintel::authority

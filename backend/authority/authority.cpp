#include "authority/authority.h"

#include "authority/authority_private.h"
#include "authority/store_values.h"
#include "tls/file_key_store.h"
#include "tls/identity_files.h"
#include "tls/signed_time.h"
#include "tls/x509.h"

#include <QUuid>

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
const QString kDomain = u"domain"_s;
} // namespace

QString randomToken()
{
    return QUuid::createUuid().toString(QUuid::WithoutBraces); // 122 bits of the system's generator
}

// --- Private -------------------------------------------------------------------------------------

namespace {
/// Where SVIDs are short-lived (a demo, a test), devices attest more often than an hour's pace allows for.
RateLimits limitsFor(std::chrono::seconds x509Ttl)
{
    constexpr double kAttemptsPerLife = 4;
    RateLimits limits;
    limits.perKeyPerMinute = std::max(limits.perKeyPerMinute, kAttemptsPerLife * 60 / double(x509Ttl.count()));
    return limits;
}
} // namespace

Authority::Private::Private(const AuthorityConfig &settings, std::unique_ptr<KeyStore> keyStore,
                            std::unique_ptr<Store> opened, const Clock &theClock)
    : config(settings), clock(theClock), keys(std::move(keyStore)), store(std::move(opened)),
      ca(settings, *store, *keys), limiter(theClock, limitsFor(settings.x509Ttl)), pool(settings.signingThreads)
{}

Result<SpiffeId> Authority::Private::makeId(const QString &path) const
{
    return SpiffeId::parse(u"spiffe://"_s + config.domain.name() + path);
}

Result<SpiffeId> Authority::Private::agentIdFor(const QString &type, const QString &what) const
{
    return makeId(agentPath(qPrintable(type), what));
}

Result<void> Authority::Private::audit(const Actor &actor, const QString &action, const QString &subject,
                                       const QString &details)
{
    return store->audit(now(), actor, action, subject, details);
}

Result<void> Authority::Private::loadEntries()
{
    const auto stored = store->entries();
    if (!stored)
        return stored.error();
    entries.assign(*stored);
    return {};
}

Result<void> Authority::Private::loadFederated()
{
    const auto documents = store->bundles();
    if (!documents)
        return documents.error();
    federated.clear();
    for (auto it = documents->cbegin(); it != documents->cend(); ++it) {
        auto bundle = tls::parseBundle(it.value());
        if (!bundle)
            return Error{bundle.error().code,
                         u"The stored bundle of %1 is broken: %2"_s.arg(it.key().name(), bundle.error().message)};
        federated.insert(it.key(), *bundle);
    }
    const auto denials = store->federatedDenyLists();
    if (!denials)
        return denials.error();
    federatedDenials.clear();
    for (auto it = denials->cbegin(); it != denials->cend(); ++it) {
        // One that no current key has signed is of no use to anybody; its domain sends it anew.
        if (const auto list = tls::verifyDenyList(it.value(), it.key(), federated.value(it.key()).jwtAuthorities, 0))
            federatedDenials.insert(it.key(), {list->sequence, it.value()});
    }
    return {};
}

TrustBundles Authority::Private::trustBundles() const
{
    TrustBundles bundles;
    for (auto it = federated.cbegin(); it != federated.cend(); ++it)
        bundles.insert(it.key(), it->x509Authorities);
    bundles.insert(config.domain, ca.roots());
    return bundles;
}

SvidOrder Authority::Private::orderFor(const SpiffeId &id, const QByteArray &publicKeyDer, std::chrono::seconds ttl,
                                       const QStringList &dnsNames) const
{
    return {id, publicKeyDer, ttl.count() > 0 ? ttl : config.x509Ttl, dnsNames, noOlderSvid.value(id)};
}

Result<void> Authority::Private::renewServerSvid()
{
    const auto id = makeId(u"/spire/server"_s);
    const auto key = tls::newSoftwareKey();
    const auto issuer = ca.issuer();
    if (!id || !key || !issuer)
        return !id ? id.error() : !key ? key.error() : issuer.error();
    const auto signer = tls::signingKeyFrom(*key);
    if (!signer)
        return signer.error();
    const auto issued = (*issuer)->sign(orderFor(*id, (*signer)->publicKeyDer(), config.x509Ttl), now());
    if (!issued)
        return issued.error();
    identity.setSvid({*id, issued->chainDer, *key, issued->notBefore, issued->notAfter});
    return {};
}

Result<void> Authority::Private::loadAdmissions()
{
    if (auto loaded = loadEntries(); !loaded)
        return loaded;
    return loadLimits();
}

// --- Authority -----------------------------------------------------------------------------------

Authority::Authority(AuthorityConfig config, std::unique_ptr<Private> parts)
    : m_config(std::move(config)), d(std::move(parts))
{}

Authority::~Authority()
{
    // What was not due yet; nobody hears of a disk that says no here.
    auto transaction = d->store->transaction();
    if (transaction && d->storeRefusals(true))
        (void)bool(transaction->commit());
}

Result<std::unique_ptr<Authority>> Authority::open(const AuthorityConfig &config, std::unique_ptr<KeyStore> keys,
                                                   const Clock &clock)
{
    if (const auto checked = config.check(); !checked)
        return checked.error();
    if (!isPlausible(clock.now()))
        return Error{Errc::Unavailable,
                     u"The clock reads %1, so it was never set; an authority signs nothing before it is."_s.arg(
                         toIso8601(clock.now()))};
    if (const auto made = tls::makePrivateDirectory(config.stateDir); !made)
        return made.error();
    auto store = Store::open(config.stateDir, config.vfs);
    if (!store)
        return store.error();
    const auto known = (*store)->meta(kDomain);
    if (!known)
        return known.error();
    if (*known && **known != config.domain.name())
        return Error{Errc::Conflict,
                     u"The state in %1 belongs to the trust domain %2, not to %3; name another directory."_s.arg(
                         config.stateDir, **known, config.domain.name())};
    auto parts = std::make_unique<Private>(config, std::move(keys), std::move(*store), clock);
    Private &d = *parts;
    if (!*known) {
        const auto begun = d.change(kSelf, u"authority.begin"_s, config.domain.name(), d.keys->description(),
                                    [&] { return d.store->setMeta(kDomain, config.domain.name()); });
        if (!begun)
            return begun.error();
    }
    for (const auto &step : {&Private::loadEntries, &Private::loadFederated, &Private::loadLimits})
        if (const auto loaded = (d.*step)(); !loaded)
            return loaded.error();
    if (const auto begun = d.ca.begin(); !begun)
        return begun.error();
    if (const auto begun = d.beginClock(); !begun)
        return begun.error();
    std::unique_ptr<Authority> authority(new Authority(config, std::move(parts)));
    if (const auto ticked = authority->tick(); !ticked)
        return ticked.error();
    return authority;
}

IdentitySource &Authority::identity()
{
    return d->identity;
}

Result<AuthorityStatus> Authority::status()
{
    AuthorityStatus status;
    status.domain = domain();
    const auto agentList = d->store->agents();
    if (!agentList)
        return agentList.error();
    status.agents = int(agentList->size());
    status.entries = int(d->entries.size());
    for (const auto &[state, count] : {std::pair{DeviceState::Approved, &status.approvedDevices},
                                       std::pair{DeviceState::Pending, &status.pendingDevices},
                                       std::pair{DeviceState::Revoked, &status.revokedDevices}}) {
        const auto counted = d->store->countDevices(state);
        if (!counted)
            return counted.error();
        *count = *counted;
    }
    const auto bundleNumber = d->store->number(kBundleNumber);
    const auto denyNumber = d->store->number(kDenyNumber);
    if (!bundleNumber || !denyNumber)
        return !bundleNumber ? bundleNumber.error() : denyNumber.error();
    status.bundleSequence = *bundleNumber;
    status.denyListSequence = *denyNumber;
    status.svidsIssued = d->svidsIssued;
    status.jwtsIssued = d->jwtsIssued;
    status.attestations = d->attestations;
    status.keyStore = d->keys->description();
    status.authorities = d->ca.states();

    QList<RunwayItem> items;
    for (const CaStatus &key : std::as_const(status.authorities)) {
        if (key.phase != CaPhase::Active)
            continue;
        const QString what = key.kind == CaKind::Root      ? u"root"_s
                             : key.kind == CaKind::Issuing ? u"issuing CA"_s
                                                           : u"JWT key"_s;
        items.append({what, key.notAfter, u"authority"_s, key.notBefore});
    }
    for (auto it = d->federated.cbegin(); it != d->federated.cend(); ++it) {
        Timestamp last{};
        for (const QByteArray &root : it->x509Authorities)
            if (const auto facts = tls::describeCertificate(root))
                last = qMax(last, facts->notAfter);
        if (last != Timestamp{})
            items.append({u"bundle of %1"_s.arg(it.key().name()), last, u"uplink"_s});
    }
    status.runway = runwayReport(items, d->now());
    status.clockSentence = d->clock.sentence(d->wallMayBeSure());
    if (const auto well = health(); !well)
        status.problem = well.error().message;
    return status;
}

// --- Our own bundle, deny list, audit ------------------------------------------------------------

Result<tls::BundleDocument> Authority::bundle()
{
    const auto number = d->store->number(kBundleNumber);
    if (!number)
        return number.error();
    return tls::BundleDocument{d->ca.roots(), d->ca.jwtAuthorities(), *number, d->config.refreshHint};
}

Result<QByteArray> Authority::signedTime(const QByteArray &nonce)
{
    if (const auto sure = d->checkClockIsSure(); !sure)
        return sure.error();
    const Timestamp now = d->now();
    const auto signer = d->ca.jwtSigner(now);
    if (!signer)
        return signer.error();
    return tls::signTime(domain(), nonce, now, signer->keyId, *signer->key);
}

Result<QList<AuditRecord>> Authority::audit(qint64 afterNumber, int limit, const QString &about)
{
    QStringList subjects;
    if (!about.isEmpty()) {
        const auto device = d->findDevice(about);
        if (!device && device.error().code != Errc::NotFound)
            return device.error();
        subjects.append(about);
        if (device)
            subjects.append({device->spiffeId.toString(), device->ekHash});
        subjects.removeAll(QString());
    }
    return d->store->auditRecords(afterNumber, qBound(1, limit, 10'000), subjects);
}

namespace {
Error brokenTrail(qint64 number)
{
    return {Errc::Io, u"The audit trail is broken at record %1: somebody has changed or removed it."_s.arg(number)};
}
} // namespace

Result<void> Authority::checkAudit()
{
    d->auditChecked = 0;
    d->auditCheckedHash.clear();
    return checkAudit({});
}

Result<void> Authority::checkAudit(const QList<AuditRecord> &listed)
{
    const auto hashOf = [this](qint64 number) -> Result<QByteArray> {
        if (number == 0)
            return QByteArray();
        const auto found = d->store->auditRecords(number - 1, 1);
        if (!found)
            return found.error();
        return found->isEmpty() || found->first().number != number ? brokenTrail(number)
                                                                   : Result<QByteArray>(found->first().hash);
    };
    const auto last = hashOf(d->auditChecked);
    if (!last)
        return last.error();
    if (*last != d->auditCheckedHash)
        return brokenTrail(d->auditChecked);
    while (true) {
        const auto records = d->store->auditRecords(d->auditChecked, 5'000);
        if (!records)
            return records.error();
        for (const AuditRecord &record : *records) {
            if (record.number != d->auditChecked + 1 || record.hash != Store::auditHash(d->auditCheckedHash, record))
                return brokenTrail(d->auditChecked + 1);
            d->auditChecked = record.number;
            d->auditCheckedHash = record.hash;
        }
        if (records->isEmpty())
            break;
    }
    const AuditRecord *before = nullptr;
    for (const AuditRecord &record : listed) {
        const auto previous = before && before->number == record.number - 1 ? Result<QByteArray>(before->hash)
                                                                            : hashOf(record.number - 1);
        if (!previous)
            return previous.error();
        if (record.hash != Store::auditHash(*previous, record))
            return brokenTrail(record.number);
        before = &record;
    }
    return {};
}

} // namespace lintel::authority

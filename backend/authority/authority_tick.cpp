// What time demands, whether all is well, and the deny list (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"

#include <algorithm>
#include <utility>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr std::chrono::hours kAgentsKept{24 * 7}; // after the end of their last SVID
/// For verifiers whose clock is slow: they take a certificate for as much longer.
constexpr std::chrono::hours kSlowClocks{1};
/// What is left of the deny list's length when no more may be revoked: entries grow by "before" when their
/// device is enrolled anew.
constexpr qsizetype kReserve = tls::kMostDenyListBytes / 8;
/// Written at each tick, so that a full disk is noticed before somebody needs it.
const QString kTickedAt = u"ticked.at"_s;
} // namespace

// --- Deny list -----------------------------------------------------------------------------------

/// Until then, something that was issued before the revocation may still be valid. Fixed by the lifetimes as they
/// are configured, so that a list holds each revocation for this long at least; longer where keys of today were
/// made with a longer life.
Timestamp Authority::Private::deniedUntil(Timestamp revokedAt) const
{
    const Timestamp longest = revokedAt + std::max(config.issuingLifetime, config.jwtKeyLifetime);
    return std::max(longest, ca.endOfAllSigned()) + kSlowClocks;
}

Result<void> Authority::Private::checkDenyListRoom()
{
    const auto entriesNow = store->denied();
    if (!entriesNow)
        return entriesNow.error();
    const qsizetype bytes = tls::denyListBytes({config.domain, ~0ULL >> 1, now(), *entriesNow});
    if (bytes <= tls::kMostDenyListBytes - kReserve)
        return {};
    return Error{
        Errc::Full,
        u"The deny list has no room for this: it names %1 identities, and brokers read %2 KiB at most. Nothing "
        "was changed. There is room again once the certificates of those who were revoked first are over; until "
        "then end this one with: spire-server agent ban"_s.arg(entriesNow->size())
            .arg(tls::kMostDenyListBytes / 1'024)};
}

Result<void> Authority::Private::loadLimits()
{
    const auto denied = store->denied();
    if (!denied)
        return denied.error();
    noOlderSvid.clear();
    for (const tls::DenyEntry &entry : *denied)
        if (entry.id && entry.issuedBefore)
            noOlderSvid[*entry.id] = qMax(noOlderSvid.value(*entry.id), *entry.issuedBefore);
    denyJws.clear();
    return {};
}

Result<quint64> Authority::denyListSequence()
{
    return d->store->number(kDenyNumber);
}

Result<QByteArray> Authority::denyListJws()
{
    const Timestamp now = d->now();
    const auto signer = d->ca.jwtSigner(now);
    if (!signer)
        return signer.error();
    if (!d->denyJws.isEmpty() && d->denyKeyId == signer->keyId)
        return d->denyJws;
    const auto number = d->store->number(kDenyNumber);
    if (!number)
        return number.error();
    const auto entries = d->store->denied();
    if (!entries)
        return entries.error();
    auto jws = tls::signDenyList({domain(), *number, now, *entries}, signer->keyId, *signer->key);
    if (!jws)
        return jws.error();
    d->denyJws = *jws;
    d->denyKeyId = signer->keyId;
    return d->denyJws;
}

// --- Queue ---------------------------------------------------------------------------------------

Result<void> Authority::Private::checkQueueRoom(const QString &network)
{
    const auto waiting = store->countDevices(DeviceState::Pending);
    if (!waiting)
        return waiting.error();
    if (*waiting >= config.maxPending)
        return Error{Errc::Full,
                     u"%1 devices wait for approval already; approve or reject some first."_s.arg(*waiting)};
    const auto fromThere = store->countWaitingFrom(network);
    if (!fromThere)
        return fromThere.error();
    if (*fromThere >= (config.maxPending + 1) / 2)
        return Error{Errc::Full,
                     u"%1 devices from %2 wait for approval already; approve or reject some first."_s.arg(*fromThere)
                         .arg(network)};
    return {};
}

/// Who came again since the last time, and who has not for too long. The caller holds a transaction.
Result<void> Authority::Private::keepQueue(Timestamp at)
{
    const auto &notes = waitingNotes.all();
    for (auto it = notes.cbegin(); it != notes.cend(); ++it)
        if (it->lastAt >= waitingStoredAt)
            if (const auto noted = store->noteWaiting(it.key(), networkOf(it->address), it->lastAt); !noted)
                return noted;
    const auto forgotten = store->forgetWaiting(at - config.pendingKept, at);
    if (!forgotten)
        return forgotten.error();
    if (*forgotten == 0)
        return {};
    return audit(kSelf, u"device.forget"_s, config.domain.name(),
                 u"%1 that waited for approval and came no more."_s.arg(*forgotten));
}

// --- Time ----------------------------------------------------------------------------------------

/// All of it, or nothing. The transaction is over when this returns.
Result<TickOutcome> Authority::Private::tickOnDisk(Timestamp at)
{
    TickOutcome outcome;
    outcome.refusalsWritten = refusalsAreDue();
    auto transaction = store->transaction();
    if (!transaction)
        return transaction.error();
    const auto advanced = ca.advance(at);
    if (!advanced)
        return advanced.error();
    outcome.keysChanged = *advanced;
    if (outcome.keysChanged) {
        if (const auto number = store->nextNumber(kBundleNumber, at); !number)
            return number.error();
        if (const auto written = audit(kSelf, u"ca.rotate"_s, config.domain.name(),
                                       u"Keys of the CA were prepared, put to use or retired."_s);
            !written)
            return written.error();
    }
    const auto expired = store->forgetEntries(at);
    if (!expired)
        return expired.error();
    const auto revoked = store->deleteEntriesOfRevoked();
    if (!revoked)
        return revoked.error();
    outcome.entriesWentAway = *expired > 0 || *revoked > 0;
    // Those of an older version, and of a list that a backup was put back with, do not say yet how long.
    if (const auto bounded = store->boundDenied(deniedUntil(at)); !bounded)
        return bounded.error();
    const auto undenied = store->forgetDenied(at);
    if (!undenied)
        return undenied.error();
    outcome.denyListChanged = *undenied > 0;
    if (outcome.denyListChanged)
        if (const auto number = store->nextNumber(kDenyNumber, at); !number)
            return number.error();
    if (const auto kept = keepQueue(at); !kept)
        return kept.error();
    for (auto it = lastAcceptedUntold.cbegin(); it != lastAcceptedUntold.cend(); ++it)
        if (const auto written = auditLastAccepted(it.key(), *it); !written)
            return written.error();
    for (auto it = lastSeen.cbegin(); it != lastSeen.cend(); ++it)
        if (const auto set = store->setLastSeen(it.key(), it.value()); !set)
            return set.error();
    if (const auto forgotten = store->forgetAgents(at - kAgentsKept); !forgotten)
        return forgotten.error();
    if (const auto forgotten = store->forgetTokens(at - config.x509Ttl); !forgotten)
        return forgotten.error();
    if (const auto forgotten = store->forgetEventLogs(); !forgotten)
        return forgotten.error();
    if (const auto stored = storeRefusals(outcome.refusalsWritten); !stored)
        return stored.error();
    if (const auto written = store->setMeta(kTickedAt, QString::number(toEpochMillis(at))); !written)
        return written.error();
    if (const auto committed = transaction->commit(); !committed)
        return committed.error();
    return outcome;
}

Result<void> Authority::tick()
{
    const auto done = tickNow();
    d->tickProblem = done ? std::nullopt : std::optional(done.error());
    if (const bool isWell = bool(health()); std::exchange(d->wasWell, isWell) != isWell)
        Q_EMIT healthChanged();
    return done;
}

Result<void> Authority::tickNow()
{
    const Timestamp now = d->now();
    if (!isPlausible(now))
        return Error{Errc::Unavailable, u"The clock was set back before 2020; nothing is signed until it is right."_s};
    if (d->caIsUnread) {
        if (const auto reread = d->ca.begin(); !reread)
            return reread;
        d->caIsUnread = false;
    }
    if (const auto made = d->ca.makeKeys(now); !made)
        return made;
    const auto outcome = d->tickOnDisk(now);
    if (!outcome) {
        // What the CA holds in memory must be what is on disk.
        d->caIsUnread = !d->ca.begin();
        return outcome.error();
    }
    d->ca.destroyLooseKeys();
    d->lastSeen.clear();
    d->waitingStoredAt = now;
    for (auto it = d->lastAcceptedUntold.cbegin(); it != d->lastAcceptedUntold.cend(); ++it)
        d->lastAcceptedToldAt.insert(it.key(), now);
    d->lastAcceptedUntold.clear();
    if (outcome->refusalsWritten) {
        d->refusalLog.clear();
        d->refusalsStoredAt = now;
    }
    if (outcome->denyListChanged)
        if (const auto loaded = d->loadLimits(); !loaded)
            return loaded;
    if (outcome->denyListChanged || outcome->keysChanged)
        Q_EMIT denyListChanged(); // shorter, or signed anew by the key of today
    const auto half = d->identity.notBefore() + (d->identity.notAfter() - d->identity.notBefore()) / 2;
    if (outcome->keysChanged || now >= half)
        if (const auto renewed = d->renewServerSvid(); !renewed)
            return renewed;
    d->identity.setBundles(d->trustBundles());
    if (outcome->entriesWentAway) {
        if (const auto loaded = d->loadEntries(); !loaded)
            return loaded;
        Q_EMIT entriesChanged();
    }
    if (outcome->keysChanged) {
        Q_EMIT bundleChanged();
        // A list signed by a key that leaves the bundle could no longer be checked.
        if (const auto signer = d->ca.jwtSigner(now); signer && signer->keyId != d->denyKeyId) {
            d->denyJws.clear();
            Q_EMIT denyListChanged();
        }
    }
    return {};
}

Result<void> Authority::health() const
{
    if (d->tickProblem)
        return *d->tickProblem;
    const Timestamp now = d->now();
    const auto issuer = d->ca.issuer();
    if (!issuer)
        return issuer.error();
    if (!(*issuer)->isValid(now))
        return Error{Errc::Unavailable, u"The issuing CA is not valid now; check the clock of the authority."_s};
    const auto signer = d->ca.jwtSigner(now);
    return signer ? Result<void>() : signer.error();
}

} // namespace lintel::authority

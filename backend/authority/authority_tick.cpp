// What time demands, whether all is well, and the deny list (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"

#include <QFile>

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
constexpr auto kBootIdFile = "/proc/sys/kernel/random/boot_id";

QString bootIdOfKernel()
{
    QFile file(QString::fromLatin1(kBootIdFile));
    return file.open(QIODevice::ReadOnly) ? QString::fromLatin1(file.readAll().trimmed()) : QString();
}
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
Result<void> Authority::Private::keepQueue(const CaMoment &moment)
{
    const auto &notes = waitingNotes.all();
    for (auto it = notes.cbegin(); it != notes.cend(); ++it)
        if (it->lastAt >= waitingStoredAt)
            if (const auto noted = store->noteWaiting(it.key(), networkOf(it->address), it->lastAt); !noted)
                return noted;
    if (!moment.isSure)
        return {};
    const auto forgotten = store->forgetWaiting(moment.now - config.pendingKept, moment.now);
    if (!forgotten)
        return forgotten.error();
    if (*forgotten == 0)
        return {};
    return audit(kSelf, u"device.forget"_s, config.domain.name(),
                 u"%1 that waited for approval and came no more."_s.arg(*forgotten));
}

// --- Time ----------------------------------------------------------------------------------------

Result<void> Authority::Private::beginClock()
{
    bootId = config.bootId.isEmpty() ? bootIdOfKernel() : config.bootId;
    const auto mark = store->meta(kClockMark);
    const auto ticked = store->meta(kTickedAt);
    if (!mark || !ticked)
        return !mark ? mark.error() : ticked.error();
    hasClockMark = mark->has_value();
    if (const auto known = ClockMark::parse(mark->value_or(QString())))
        clock.begin(*known, bootId);
    else if (*ticked) // an older version's, or put back from a backup
        clock.begin({fromEpochMillis((*ticked)->toLongLong()), {}, {}}, bootId);
    return {}; // a new one has nothing to lose by a wrong clock
}

Result<bool> Authority::Private::isUnused()
{
    if (hasClockMark)
        return false;
    const auto agents = store->agents();
    if (!agents)
        return agents.error();
    qint64 known = agents->size();
    for (const DeviceState state : {DeviceState::Approved, DeviceState::Pending, DeviceState::Revoked}) {
        const auto counted = store->countDevices(state);
        if (!counted)
            return counted.error();
        known += *counted;
    }
    return known == 0;
}

Result<void> Authority::Private::checkClockIsSure() const
{
    if (clock.reading().isSure())
        return {};
    return Error{Errc::Unavailable, u"The authority's own clock is not sure, so it signs no time now."_s};
}

/// Once for each trouble, and when it is over. The caller holds a transaction.
Result<void> Authority::Private::tellOfClock(ClockWatch::State state)
{
    if (state == clockTold)
        return {};
    if (state == ClockWatch::State::Sure)
        return audit(kSelf, u"clock.sure"_s, config.domain.name(), u"The clock is believed again."_s);
    return audit(kSelf, u"clock.doubt"_s, config.domain.name(), clock.sentence(wallMayBeSure()));
}

Result<void> Authority::Private::forgetWhatIsOver(Timestamp at, TickOutcome *outcome)
{
    const auto expired = store->forgetEntries(at);
    if (!expired)
        return expired.error();
    outcome->entriesWentAway = outcome->entriesWentAway || *expired > 0;
    // Those of an older version, and of a list that a backup was put back with, do not say yet how long.
    if (const auto bounded = store->boundDenied(deniedUntil(at)); !bounded)
        return bounded;
    const auto undenied = store->forgetDenied(at);
    if (!undenied)
        return undenied.error();
    outcome->denyListChanged = *undenied > 0;
    if (outcome->denyListChanged)
        if (const auto number = store->nextNumber(kDenyNumber, at); !number)
            return number.error();
    if (auto forgotten = store->forgetAgents(at - kAgentsKept); !forgotten)
        return forgotten;
    return store->forgetTokens(at - config.x509Ttl);
}

/// All of it, or nothing. The transaction is over when this returns.
Result<TickOutcome> Authority::Private::tickOnDisk(const ClockWatch::Reading &reading)
{
    const Timestamp at = reading.now;
    TickOutcome outcome;
    outcome.refusalsWritten = refusalsAreDue();
    auto transaction = store->transaction();
    if (!transaction)
        return transaction.error();
    if (const auto told = tellOfClock(reading.state); !told)
        return told.error();
    const auto advanced = ca.advance({at, reading.isSure()});
    if (!advanced)
        return advanced.error();
    outcome.keysChanged = advanced->isAny;
    if (outcome.keysChanged) {
        if (const auto number = store->nextNumber(kBundleNumber, at); !number)
            return number.error();
        const QString what = advanced->returned.isEmpty() ? u"Keys of the CA were prepared, put to use or retired."_s
                                                          : advanced->returned.join(u' ');
        if (const auto written = audit(kSelf, u"ca.rotate"_s, config.domain.name(), what); !written)
            return written.error();
    }
    const auto revoked = store->deleteEntriesOfRevoked();
    if (!revoked)
        return revoked.error();
    outcome.entriesWentAway = *revoked > 0;
    if (reading.isSure())
        if (const auto forgotten = forgetWhatIsOver(at, &outcome); !forgotten)
            return forgotten.error();
    if (const auto kept = keepQueue({at, reading.isSure()}); !kept)
        return kept.error();
    for (auto it = lastAcceptedUntold.cbegin(); it != lastAcceptedUntold.cend(); ++it)
        if (const auto written = auditLastAccepted(it.key(), *it); !written)
            return written.error();
    for (auto it = lastSeen.cbegin(); it != lastSeen.cend(); ++it)
        if (const auto set = store->setLastSeen(it.key(), it.value()); !set)
            return set.error();
    if (const auto forgotten = store->forgetEventLogs(); !forgotten)
        return forgotten.error();
    if (const auto stored = storeRefusals(outcome.refusalsWritten); !stored)
        return stored.error();
    if (reading.isSure())
        if (const auto written = store->setMeta(kTickedAt, QString::number(toEpochMillis(at))); !written)
            return written.error();
    const bool marks = reading.isSure() && (hasClockMark || !clock.isOnTrial());
    if (marks)
        if (const auto written = store->setMeta(kClockMark, clock.mark(bootId).toText()); !written)
            return written.error();
    if (const auto committed = transaction->commit(); !committed)
        return committed.error();
    clockTold = reading.state;
    hasClockMark = hasClockMark || marks;
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
    ClockWatch::Reading reading = d->clock.look(d->wallMayBeSure());
    if (!reading.isSure() && isPlausible(d->clock.wall())) {
        const auto isUnused = d->isUnused();
        if (!isUnused)
            return isUnused.error();
        if (*isUnused) {
            d->clock.startOver();
            reading = d->clock.reading();
        }
    }
    const Timestamp now = reading.now;
    if (!isPlausible(now))
        return Error{Errc::Unavailable, u"The clock was set back before 2020; nothing is signed until it is right."_s};
    if (d->caIsUnread) {
        if (const auto reread = d->ca.begin(); !reread)
            return reread;
        d->caIsUnread = false;
    }
    const CaMoment moment{now, reading.isSure()};
    if (const auto made = d->ca.makeKeys(moment); !made)
        return made;
    const bool isSureAgain = reading.isSure() && d->clockTold != ClockWatch::State::Sure;
    const auto outcome = d->tickOnDisk(reading);
    if (!outcome) {
        // What the CA holds in memory must be what is on disk.
        d->caIsUnread = !d->ca.begin();
        return outcome.error();
    }
    d->ca.destroyLooseKeys(moment);
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
    const bool wentBack = now < std::exchange(d->tickedAt, now) - ClockWatch::kTolerance;
    if (isSureAgain || wentBack)
        d->denyJws.clear(); // its date was that of a clock that was wrong
    if (outcome->denyListChanged || outcome->keysChanged || isSureAgain || wentBack)
        Q_EMIT denyListChanged(); // shorter, or signed anew by the key of today
    const auto half = d->identity.notBefore() + (d->identity.notAfter() - d->identity.notBefore()) / 2;
    const bool isDue = outcome->keysChanged || now >= half || now < d->identity.notBefore();
    // Without keys that may sign now it is health() that says so, and an operator is still heard.
    if (isDue && d->checkKeys())
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

Result<void> Authority::Private::checkKeys() const
{
    const Timestamp at = now();
    const auto issuer = ca.issuer();
    if (!issuer)
        return issuer.error();
    if (!(*issuer)->isValid(at))
        return Error{Errc::Unavailable, u"The issuing CA is not valid now; check the clock of the authority."_s};
    const auto signer = ca.jwtSigner(at);
    return signer ? Result<void>() : signer.error();
}

Result<void> Authority::health() const
{
    if (d->tickProblem)
        return *d->tickProblem;
    const auto clockState = d->clock.reading().state;
    // A machine that was off for long is no trouble by itself.
    if (clockState == ClockWatch::State::Jumped || clockState == ClockWatch::State::Behind)
        return Error{Errc::Unavailable, d->clock.sentence(d->wallMayBeSure())};
    auto checked = d->checkKeys();
    if (!checked && clockState != ClockWatch::State::Sure)
        return Error{checked.error().code, checked.error().message + u' ' + d->clock.sentence(d->wallMayBeSure())};
    return checked;
}

const Clock &Authority::clock() const
{
    return d->clock;
}

Result<ClockAccepted> Authority::acceptClock(const Actor &actor)
{
    const Timestamp before = d->now();
    const Timestamp wall = d->clock.wall();
    if (!isPlausible(wall))
        return Error{Errc::Unavailable,
                     u"The clock reads %1, so it was never set; set it first."_s.arg(toIso8601(wall))};
    const auto written =
        d->change(actor, u"clock.accept"_s, domain().name(),
                  u"It is %1, not %2."_s.arg(toIso8601(wall), toIso8601(before)), [] { return Result<void>(); });
    if (!written)
        return written.error();
    d->clock.accept();
    if (const auto ticked = tick(); !ticked)
        return ticked.error();
    if (const auto checked = d->checkKeys(); !checked)
        return Error{checked.error().code,
                     u"The clock is believed now, but still nothing can be signed: %1"_s.arg(checked.error().message)};
    return ClockAccepted{before, d->now()};
}

} // namespace lintel::authority

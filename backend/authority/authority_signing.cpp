// What agents have signed: SVIDs, tokens, the time (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"
#include "tls/signed_time.h"
#include "tls/x509.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {

constexpr qsizetype kFew = 4;

/// What the event loop's thread knows of a request; the rest is verified and signed on any thread.
struct PreparedOrder {
    SvidOrder order; // without its key
    QByteArray csrDer;
    QString entryId;
    QString refusal; // there is no such entry
    bool keyBound = false;
};

Result<IssuedSvid> signedFor(const PreparedOrder &prepared, const QByteArray &agentKey, const Issuer &issuer,
                             Timestamp now)
{
    if (!prepared.refusal.isEmpty())
        return Error{Errc::NotFound, prepared.refusal};
    const auto csr = tls::readCsr(prepared.csrDer);
    if (!csr)
        return csr.error();
    if (prepared.keyBound && tls::publicKeyHash(csr->publicKeyDer) != agentKey)
        return Error{Errc::Denied,
                     u"The SVID of %1 belongs to the key that its TPM has attested, and to no other."_s.arg(
                         prepared.order.id.toString())};
    SvidOrder order = prepared.order;
    order.publicKeyDer = csr->publicKeyDer;
    return issuer.sign(order, now);
}

QString noEntry(const Agent &agent, const QString &entryId)
{
    return u"The agent %1 has no entry %2."_s.arg(agent.id.toString(), entryId.left(80));
}

Error tooManyJobs(const Agent &agent)
{
    return {Errc::Full, u"The agent %1 waits for %2 requests already; ask again when some of them are answered."_s
                            .arg(agent.id.toString())
                            .arg(SigningPool::kJobsOfOne)};
}

/// Everything that one batch needs on its threads, and what comes of it.
struct Batch {
    QList<PreparedOrder> orders;
    QList<Result<IssuedSvid>> results;
    std::shared_ptr<const Issuer> issuer;
    QByteArray agentKey;
    Timestamp now{};

    bool sign(Result<IssuedSvid> *slot, qsizetype i) const
    {
        slot[i] = signedFor(orders[i], agentKey, *issuer, now);
        return bool(slot[i]);
    }
};

} // namespace

struct Authority::Signing {
    static Result<std::shared_ptr<Batch>> prepare(Private &d, const Agent &agent, const QList<SvidRequest> &requests)
    {
        const auto issuer = d.ca.issuer();
        if (!issuer)
            return issuer.error();
        auto batch = std::make_shared<Batch>();
        batch->issuer = *issuer;
        batch->agentKey = agent.keyHash;
        batch->now = d.now();
        const auto allowed = d.authorized(agent);
        batch->orders.reserve(requests.size());
        for (const SvidRequest &request : requests) {
            PreparedOrder prepared;
            prepared.entryId = request.entryId;
            const auto entry = allowed->entries.constFind(request.entryId);
            if (entry == allowed->entries.cend() || !Private::isCurrent(*entry, batch->now)) {
                prepared.refusal = noEntry(agent, request.entryId);
            } else {
                prepared.order = d.orderFor(entry->spiffeId, {}, entry->x509Ttl, entry->dnsNames);
                prepared.keyBound = entry->keyBound;
                prepared.csrDer = request.csrDer;
            }
            batch->orders.append(prepared);
        }
        batch->results = QList<Result<IssuedSvid>>(requests.size(), Error{Errc::NotFound, {}});
        return batch;
    }

    /// It may have been revoked while its batch was signed: then it gets nothing, and what was signed goes nowhere.
    static Result<void> checkStanding(Private &d, const Agent &agent)
    {
        const auto known = d.store->agent(agent.id);
        if (!known)
            return known.error();
        if (!*known || (*known)->isBanned)
            return Error{Errc::Denied, u"%1 is not an agent in good standing."_s.arg(agent.id.toString())};
        return {};
    }

    /// It may have lost the entry, too.
    static bool stillHas(Private &d, const AuthorizedSet &allowed, const QString &entryId, const SpiffeId &id)
    {
        const auto entry = allowed.entries.constFind(entryId);
        return entry != allowed.entries.cend() && entry->spiffeId == id && Private::isCurrent(*entry, d.now());
    }

    static void settle(Private &d, const Agent &agent, Batch &batch)
    {
        const auto allowed = d.authorized(agent);
        for (qsizetype i = 0; i < batch.results.size(); ++i) {
            Result<IssuedSvid> &result = batch.results[i];
            if (!result)
                continue;
            const QString &entryId = batch.orders[i].entryId;
            if (!stillHas(d, *allowed, entryId, result->id) || result->notBefore < d.noOlderSvid.value(result->id))
                result = Error{Errc::NotFound, noEntry(agent, entryId)};
        }
    }

    static void count(Private &d, const Batch &batch)
    {
        d.svidsIssued += quint64(std::count_if(batch.results.cbegin(), batch.results.cend(),
                                               [](const auto &result) { return bool(result); }));
    }

    /// One signature: here where keys are quick, else beside the event loop.
    template <class Value, class Sign, class Done>
    static void one(Authority &self, const Agent &agent, const Sign &sign, const Done &done)
    {
        const auto result = std::make_shared<Result<Value>>(Error{Errc::Unavailable, {}});
        const auto work = [result, sign](qsizetype) {
            *result = sign();
            return bool(*result);
        };
        if (self.d->pool.isQuick()) {
            self.d->pool.forEach(1, work);
            return done(*result);
        }
        if (!self.d->pool.start(&self, agent.id.toString(), 1, work, [result, done] { done(*result); }))
            done(tooManyJobs(agent));
    }
};

Result<QList<Result<IssuedSvid>>> Authority::issueX509(const Agent &agent, const QList<SvidRequest> &requests)
{
    const auto batch = Signing::prepare(*d, agent, requests);
    if (!batch)
        return batch.error();
    Result<IssuedSvid> *slot = (*batch)->results.data();
    d->pool.forEach(requests.size(), [&](qsizetype i) { return (*batch)->sign(slot, i); });
    Signing::count(*d, **batch);
    return (*batch)->results;
}

void Authority::issueX509Later(const Agent &agent, const QList<SvidRequest> &requests, const SvidsDone &done)
{
    if (requests.isEmpty() || (requests.size() <= kFew && d->pool.isQuick()))
        return done(issueX509(agent, requests));
    const auto prepared = Signing::prepare(*d, agent, requests);
    if (!prepared)
        return done(prepared.error());
    const std::shared_ptr<Batch> &batch = *prepared;
    Result<IssuedSvid> *slot = batch->results.data();
    const bool isStarted = d->pool.start(
        this, agent.id.toString(), requests.size(), [batch, slot](qsizetype i) { return batch->sign(slot, i); },
        [this, batch, agent, done] {
            if (const auto stands = Signing::checkStanding(*d, agent); !stands)
                return done(stands.error());
            Signing::settle(*d, agent, *batch);
            Signing::count(*d, *batch);
            done(batch->results);
        });
    if (!isStarted)
        done(tooManyJobs(agent));
}

void Authority::issueJwtLater(const Agent &agent, const QString &entryId, const QStringList &audience,
                              const JwtDone &done)
{
    const auto allowed = d->authorized(agent);
    const auto entry = allowed->entries.constFind(entryId);
    if (entry == allowed->entries.cend() || !Private::isCurrent(*entry, d->now()))
        return done(Error{Errc::NotFound, noEntry(agent, entryId)});
    const auto order = d->prepareJwt(entry->spiffeId, audience, entry->jwtTtl);
    if (!order)
        return done(order.error());
    Signing::one<JwtIssued>(
        *this, agent, [order = *order] { return Private::signJwt(order); },
        [this, agent, entryId, id = entry->spiffeId, done](const Result<JwtIssued> &issued) {
            if (const auto stands = Signing::checkStanding(*d, agent); issued && !stands)
                return done(stands.error());
            if (issued && !Signing::stillHas(*d, *d->authorized(agent), entryId, id))
                return done(Error{Errc::NotFound, noEntry(agent, entryId)});
            d->jwtsIssued += issued ? 1 : 0;
            done(issued);
        });
}

void Authority::signedTimeLater(const Agent &agent, const QByteArray &nonce, const TimeDone &done)
{
    if (const auto sure = d->checkClockIsSure(); !sure)
        return done(sure.error());
    const Timestamp now = d->now();
    const auto signer = d->ca.jwtSigner(now);
    if (!signer)
        return done(signer.error());
    Signing::one<QByteArray>(
        *this, agent,
        [domain = domain(), nonce, now, signer = *signer] {
            return tls::signTime(domain, nonce, now, signer.keyId, *signer.key);
        },
        done);
}

} // namespace lintel::authority

#include "workload-api/svid_cache.h"

#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"
#include "tls/x509.h"
#include "workload-api/caller_attestor.h"

#include <QRandomGenerator>

#include <algorithm>

namespace lintel::workloads {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

// A timer sleeps through a suspended machine, and the wall clock may jump.
constexpr Millis kLookAgain{30s};
constexpr int kErrandsAtOnce = 64;

/// Half of its life, give or take a tenth: not all at once.
Timestamp renewalOf(const SvidCache::Svid &svid)
{
    const auto life = (svid.notAfter - svid.notBefore).count();
    return svid.notBefore + Millis{life * (450 + QRandomGenerator::global()->bounded(101)) / 1'000};
}

} // namespace

SvidCache::SvidCache(WorkloadIssuer &issuer, const Clock &clock, QSet<SpiffeId> excluded, QObject *parent)
    : QObject(parent), m_issuer(issuer), m_clock(clock), m_excluded(std::move(excluded))
{
    m_timer.setSingleShot(true);
    connect(&m_timer, &QTimer::timeout, this, &SvidCache::step);
    connect(&m_issuer, &WorkloadIssuer::changed, this, &SvidCache::step);
    step();
}

QList<WorkloadEntry> SvidCache::entries() const
{
    QList<WorkloadEntry> found;
    for (const auto &[id, record] : m_records) {
        if (!isDenied(record.entry.spiffeId, {}, m_clock.now()))
            found.append(record.entry);
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const WorkloadEntry &a, const WorkloadEntry &b) { return a.createdAt < b.createdAt; });
    return found;
}

const SvidCache::Svid *SvidCache::find(const QString &entryId) const
{
    const auto it = m_records.find(entryId);
    if (it == m_records.end() || !it->second.svid || it->second.svid->notAfter <= m_clock.now())
        return nullptr;
    return &*it->second.svid;
}

QString SvidCache::problemOf(const QString &entryId) const
{
    const auto it = m_records.find(entryId);
    return it == m_records.end() ? QString() : it->second.problem;
}

void SvidCache::setDenyList(const tls::DenyList &list)
{
    m_denied.insert(list.issuer, list);
    step();
    Q_EMIT changed(); // tokens and entries without an SVID as well
}

bool SvidCache::isDenied(const SpiffeId &id, const QString &serial, Timestamp begin) const
{
    const auto list = m_denied.constFind(id.trustDomain());
    return list != m_denied.cend() && list->find(id, serial, begin) != nullptr;
}

void SvidCache::step()
{
    bool isNew = adoptEntries();
    qsizetype errands =
        std::count_if(m_records.begin(), m_records.end(), [](const auto &one) { return one.second.errand != 0; });
    for (auto &[id, record] : m_records) {
        isNew = dropWhatEnded(record) || isNew;
        if (errands < kErrandsAtOnce && isDue(record)) {
            ++errands;
            issue(record);
        }
    }
    schedule();
    if (isNew)
        Q_EMIT changed();
}

bool SvidCache::adoptEntries()
{
    if (!m_issuer.ready())
        return false;
    bool isNew = false;
    QSet<QString> present;
    for (const WorkloadEntry &entry : m_issuer.entries()) {
        if (!isForCallers(entry.selectors) || m_excluded.contains(entry.spiffeId)
            || !entry.spiffeId.isMemberOf(m_issuer.trustDomain()))
            continue;
        present.insert(entry.id);
        Record &record = m_records[entry.id];
        if (record.entry == entry)
            continue;
        isNew = true;
        if (record.entry.spiffeId != entry.spiffeId) {
            record = Record{};
        } else if (record.entry.revision != entry.revision) {
            record.renewAt = {}; // lifetime or names may be others
            record.retryAt = 0ns;
        }
        record.entry = entry;
    }
    const auto gone = std::erase_if(m_records, [&](const auto &one) { return !present.contains(one.first); });
    return isNew || gone > 0;
}

bool SvidCache::dropWhatEnded(Record &record)
{
    if (!record.svid)
        return false;
    if (record.svid->notAfter > m_clock.now()
        && !isDenied(record.entry.spiffeId, record.svid->serial, record.svid->notBefore))
        return false;
    record.svid.reset();
    return true;
}

bool SvidCache::isTrusted(const Record &record) const
{
    const auto bundles = m_issuer.bundles();
    const TrustDomain &domain = record.entry.spiffeId.trustDomain();
    return bool(tls::verifyPeer(record.svid->chainDer, record.entry.spiffeId,
                                {{domain, bundles.value(domain).x509Authorities}}, tls::PeerRole::Client,
                                m_clock.now()));
}

bool SvidCache::isDue(const Record &record) const
{
    if (record.errand != 0 || m_clock.monotonic() < record.retryAt
        || isDenied(record.entry.spiffeId, {}, m_clock.now()))
        return false;
    return !record.svid || record.renewAt <= m_clock.now() || !isTrusted(record);
}

void SvidCache::issue(Record &record)
{
    const QString id = record.entry.id;
    const quint64 errand = record.errand = ++m_lastErrand;
    const auto key = tls::newSoftwareKey();
    const auto signer = key ? tls::signingKeyFrom(*key) : Result<std::shared_ptr<SigningKey>>(key.error());
    const auto csr = signer ? tls::makeCsr(**signer, record.entry.spiffeId) : Result<QByteArray>(signer.error());
    if (!csr)
        return onIssued(id, errand, nullptr, csr.error());
    m_issuer.newX509(record.entry, *csr, this, [this, id, errand, kept = *key](const Result<QList<QByteArray>> &chain) {
        onIssued(id, errand, kept, chain);
    });
}

Result<SvidCache::Svid> SvidCache::check(const Record &record, const std::shared_ptr<EVP_PKEY> &key,
                                         const QList<QByteArray> &chainDer) const
{
    const SpiffeId &id = record.entry.spiffeId;
    const auto made = tls::makeSvid(chainDer, key);
    if (!made)
        return made.error();
    const auto verified =
        tls::verifyPeer(chainDer, id, {{id.trustDomain(), m_issuer.bundles().value(id.trustDomain()).x509Authorities}},
                        tls::PeerRole::Client, m_clock.now());
    if (!verified)
        return verified.error();
    const auto facts = tls::describeCertificate(chainDer.first());
    if (!facts)
        return facts.error();
    if (isDenied(id, facts->serial, facts->notBefore))
        return Error{Errc::Denied, u"%1 is on the deny list."_s.arg(id.toString())};
    const auto keyDer = tls::privateKeyToDer(*key);
    if (!keyDer)
        return keyDer.error();
    return Svid{chainDer, *keyDer, facts->serial, facts->notBefore, facts->notAfter};
}

void SvidCache::onIssued(const QString &entryId, quint64 errand, const std::shared_ptr<EVP_PKEY> &key,
                         const Result<QList<QByteArray>> &chainDer)
{
    const auto it = m_records.find(entryId);
    if (it == m_records.end() || it->second.errand != errand)
        return; // the entry is gone, or another by now
    Record &record = it->second;
    record.errand = 0;
    auto svid = chainDer ? check(record, key, *chainDer) : Result<Svid>(chainDer.error());
    if (svid) {
        record.renewAt = renewalOf(*svid);
        record.svid = std::move(*svid);
        record.backoff.reset();
        record.problem.clear();
        schedule();
        Q_EMIT changed();
        return;
    }
    record.retryAt = m_clock.monotonic() + record.backoff.next();
    const QString problem =
        u"There is no new SVID for %1. %2"_s.arg(record.entry.spiffeId.toString(), svid.error().message);
    schedule();
    if (std::exchange(record.problem, problem) != problem)
        Q_EMIT problemFound({svid.error().code, problem});
}

void SvidCache::schedule()
{
    Millis in = kLookAgain;
    const Timestamp now = m_clock.now();
    for (const auto &[id, record] : m_records) {
        if (record.svid)
            in = std::min(in, record.svid->notAfter - now);
        if (record.errand != 0 || isDenied(record.entry.spiffeId, {}, now))
            continue;
        const Millis due = record.svid ? record.renewAt - now : 0ms;
        const Millis allowed = std::chrono::ceil<Millis>(record.retryAt - m_clock.monotonic());
        in = std::min(in, std::max(due, allowed));
    }
    m_timer.start(std::clamp(in, Millis{100}, kLookAgain));
}

} // namespace lintel::workloads

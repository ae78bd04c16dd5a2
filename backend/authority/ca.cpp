#include "authority/ca.h"

#include "authority/store.h"
#include "tls/file_key_store.h"

#include <QRandomGenerator>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
constexpr std::chrono::minutes kBackdate{1};
constexpr std::chrono::minutes kFutureTaken{15}; // until one that is prepared begins

QString nameOf(CaKind kind)
{
    switch (kind) {
    case CaKind::Root: return u"root"_s;
    case CaKind::Issuing: return u"issuing"_s;
    case CaKind::Jwt: return u"jwt"_s;
    }
    return {};
}

Timestamp wholeSeconds(Timestamp t)
{
    return std::chrono::floor<std::chrono::seconds>(t);
}

const CaKey *find(const QList<CaKey> &state, CaKind kind, CaPhase phase)
{
    for (const CaKey &key : state)
        if (key.kind == kind && key.phase == phase)
            return &key;
    return nullptr;
}

bool isOver(const CaKey &key, CaKind kind, Timestamp now)
{
    return key.kind == kind && key.notAfter <= now;
}

bool isValid(const CaKey &key, Timestamp now)
{
    return now >= key.notBefore && now < key.notAfter;
}

/// Made by a clock that was ahead of what it says now.
bool isFromAhead(const CaKey &key, Timestamp now)
{
    return key.notBefore > now + kFutureTaken;
}

/// Whether any root is valid, though it may not sign.
bool hasRootFor(const QList<CaKey> &state, Timestamp now)
{
    return std::any_of(state.cbegin(), state.cend(),
                       [now](const CaKey &key) { return key.kind == CaKind::Root && isValid(key, now); });
}

bool hasValidRoot(const QList<CaKey> &state, Timestamp now)
{
    const CaKey *root = find(state, CaKind::Root, CaPhase::Active);
    return root && isValid(*root, now);
}

/// Whether there may be a new one now: while the time is not sure, only what a root can be found for.
bool canCome(CaKind kind, const CaMoment &moment, bool hasRoot)
{
    return kind == CaKind::Root || hasRoot || (kind == CaKind::Jwt && moment.isSure);
}

/// Whether a successor (or the first one) has to be made; of a state that is settled.
bool needsNext(const QList<CaKey> &state, CaKind kind, const CaMoment &moment, bool hasRoot)
{
    if (!canCome(kind, moment, hasRoot))
        return false;
    const CaKey *active = find(state, kind, CaPhase::Active);
    if (!active)
        return true;
    return moment.isSure && !find(state, kind, CaPhase::Prepared)
           && moment.now >= active->notBefore + (active->notAfter - active->notBefore) / 2;
}

void setPhase(QList<CaKey> &state, const QString &label, CaPhase phase)
{
    for (CaKey &key : state)
        if (key.label == label)
            key.phase = phase;
}
} // namespace

// --- Issuer --------------------------------------------------------------------------------------

Issuer::Issuer(QByteArray certificateDer, tls::IssuerFacts facts, std::shared_ptr<SigningKey> key, TrustDomain domain)
    : m_certificateDer(std::move(certificateDer)), m_facts(std::move(facts)), m_key(std::move(key)),
      m_domain(std::move(domain))
{}

Result<IssuedSvid> Issuer::sign(const SvidOrder &order, Timestamp now) const
{
    if (!order.id.isMemberOf(m_domain))
        return Error{Errc::Denied,
                     u"The authority of %1 cannot speak for %2."_s.arg(m_domain.name(), order.id.toString())};
    if (!isValid(now))
        return Error{Errc::Unavailable,
                     u"The issuing CA of %1 is not valid now (until %2), so it signs nothing; check "
                     "the clock of the authority."_s.arg(m_domain.name(), toIso8601(m_facts.notAfter))};
    tls::LeafCertificate leaf;
    leaf.id = order.id;
    leaf.dnsNames = order.dnsNames;
    leaf.publicKeyDer = order.publicKeyDer;
    leaf.notBefore = wholeSeconds(qMax(now - kBackdate, order.notBefore));
    leaf.notAfter = wholeSeconds(qMin<Timestamp>(now + order.ttl, m_facts.notAfter));
    if (leaf.notAfter <= now)
        return Error{Errc::OutOfRange, u"An SVID that ends at once is of no use; give it a longer life."_s};
    auto written = tls::writeLeaf(leaf, m_facts, *m_key);
    if (!written)
        return written.error();
    return IssuedSvid{order.id, {written->der, m_certificateDer}, written->serial, leaf.notBefore, leaf.notAfter};
}

// --- CertificateAuthority ------------------------------------------------------------------------

CertificateAuthority::CertificateAuthority(const AuthorityConfig &config, Store &store, KeyStore &keys)
    : m_config(config), m_store(&store), m_keys(&keys)
{}

std::chrono::seconds CertificateAuthority::lifetime(CaKind kind) const
{
    switch (kind) {
    case CaKind::Root: return m_config.rootLifetime;
    case CaKind::Issuing: return m_config.issuingLifetime;
    case CaKind::Jwt: return m_config.jwtKeyLifetime;
    }
    return {};
}

Result<void> CertificateAuthority::begin()
{
    auto state = m_store->caKeys();
    if (!state)
        return state.error();
    return adopt(*state);
}

Result<void> CertificateAuthority::makeKeys(const CaMoment &moment)
{
    dropUsedSpares();
    QList<CaKey> state = m_state;
    bool hasRoot = true;
    for (const CaKind kind : {CaKind::Root, CaKind::Issuing, CaKind::Jwt}) {
        (void)settle(state, kind, moment, hasRoot);
        const bool isNeeded = needsNext(state, kind, moment, hasRoot);
        if (kind == CaKind::Root) // one that comes now signs at once only when there is none
            hasRoot = hasValidRoot(state, moment.now) || (isNeeded && !find(state, kind, CaPhase::Active));
        if (!isNeeded || m_spares.contains(kind))
            continue;
        destroyLooseKeys(moment); // what an attempt before this one may have left
        const QString label =
            u"%1-%2"_s.arg(nameOf(kind)).arg(QRandomGenerator::system()->generate64(), 16, 16, QChar(u'0'));
        if (const auto noted = m_store->addLooseKey(label); !noted)
            return noted;
        const auto key = m_keys->create(label);
        if (!key)
            return key.error();
        m_spares.insert(kind, {label, *key});
    }
    return {};
}

/// A root serves until its overlap begins; the others until three quarters of their life. And a key
/// that others must know of is out for one refresh of their bundles, at least, before it signs.
Timestamp CertificateAuthority::activationOf(const CaKey &active, const CaKey &next) const
{
    const auto life = active.notAfter - active.notBefore;
    const Timestamp due =
        active.kind == CaKind::Root ? active.notAfter - m_config.rootOverlap : active.notAfter - life / 4;
    if (active.kind == CaKind::Issuing)
        return due; // it travels in the chain of each SVID
    return qMax<Timestamp>(due, next.notBefore + kBackdate + m_config.refreshHint);
}

Result<CaChange> CertificateAuthority::advance(const CaMoment &moment)
{
    QList<CaKey> state = m_state;
    CaChange change;
    for (const CaKind kind : {CaKind::Root, CaKind::Issuing, CaKind::Jwt}) {
        const auto advanced = advanceKind(state, kind, moment);
        if (!advanced)
            return advanced.error();
        change.isAny = change.isAny || advanced->isAny;
        change.returned += advanced->returned;
    }
    if (!change.isAny)
        return change;
    if (const auto saved = m_store->replaceCaKeys(state); !saved)
        return saved.error();
    const auto signsIn = [](const QList<CaKey> &keys, const QString &label) {
        return std::any_of(keys.cbegin(), keys.cend(),
                           [&](const CaKey &key) { return key.label == label && key.phase != CaPhase::Old; });
    };
    for (const CaKey &key : std::as_const(m_state))
        if (key.phase != CaPhase::Old && !signsIn(state, key.label))
            if (const auto noted = m_store->addLooseKey(key.label); !noted)
                return noted.error();
    for (const CaKey &key : std::as_const(state))
        if (key.phase != CaPhase::Old && !signsIn(m_state, key.label))
            if (const auto noted = m_store->dropLooseKey(key.label); !noted)
                return noted.error();
    if (const auto adopted = adopt(state); !adopted)
        return adopted.error();
    return change;
}

bool CertificateAuthority::canSign(const CaKey &key)
{
    const auto opened = m_keys->open(key.label);
    return opened && (*opened)->publicKeyDer() == key.publicKeyDer;
}

CaChange CertificateAuthority::settle(QList<CaKey> &state, CaKind kind, const CaMoment &moment, bool hasRoot)
{
    const Timestamp now = moment.now;
    CaChange change;
    if (moment.isSure) {
        change.isAny = state.removeIf([&](const CaKey &key) { return isOver(key, kind, now); }) > 0;
        // Made by a clock that was ahead: it would not be valid when it is needed.
        for (CaKey &key : state) {
            if (key.kind != kind || key.phase != CaPhase::Prepared || !isFromAhead(key, now))
                continue;
            key.phase = CaPhase::Old;
            change.isAny = true;
        }
    }
    const CaKey *active = find(state, kind, CaPhase::Active);
    if (active && isValid(*active, now))
        return change;
    const CaKey *other = nullptr;
    for (const CaKey &key : std::as_const(state))
        if (key.kind == kind && key.phase != CaPhase::Active && isValid(key, now)
            && (!other || key.notAfter > other->notAfter) && canSign(key))
            other = &key;
    // Without another root or one that could sign a successor, it stays what it is.
    const bool makesRoom =
        active
        && (kind == CaKind::Root ? moment.isSure && isFromAhead(*active, now) && !hasRootFor(state, now)
                                 : canCome(kind, moment, hasRoot));
    if (!other && !makesRoom)
        return change;
    const QString retired = active ? active->label : QString();
    const QString returned = other ? other->label : QString();
    if (active && other)
        change.returned.append(u"%1 is not valid now (from %2 until %3), so %4 signs."_s.arg(
            retired, toIso8601(active->notBefore), toIso8601(active->notAfter), returned));
    if (!retired.isEmpty())
        setPhase(state, retired, CaPhase::Old);
    if (!returned.isEmpty())
        setPhase(state, returned, CaPhase::Active);
    change.isAny = true;
    return change;
}

Result<CaChange> CertificateAuthority::advanceKind(QList<CaKey> &state, CaKind kind, const CaMoment &moment)
{
    const bool hasRoot = hasValidRoot(state, moment.now);
    CaChange change = settle(state, kind, moment, hasRoot);
    if (needsNext(state, kind, moment, hasRoot)) {
        auto fresh = prepared(state, kind, moment.now);
        if (!fresh)
            return fresh.error();
        if (!find(state, kind, CaPhase::Active))
            fresh->phase = CaPhase::Active;
        state.append(*fresh);
        change.isAny = true;
    }
    const CaKey *active = find(state, kind, CaPhase::Active);
    const CaKey *next = find(state, kind, CaPhase::Prepared);
    if (moment.isSure && active && next && isValid(*next, moment.now) && moment.now >= activationOf(*active, *next)) {
        const QString retired = active->label;
        const QString fresh = next->label;
        setPhase(state, retired, CaPhase::Old);
        setPhase(state, fresh, CaPhase::Active);
        change.isAny = true;
    }
    return change;
}

Result<CaKey> CertificateAuthority::prepared(const QList<CaKey> &state, CaKind kind, Timestamp now)
{
    const auto spare = m_spares.constFind(kind);
    if (spare == m_spares.cend())
        return Error{Errc::Unavailable, u"The next %1 key of the authority is not made yet."_s.arg(nameOf(kind))};
    const std::shared_ptr<SigningKey> key = spare->key;
    CaKey fresh;
    fresh.kind = kind;
    fresh.label = spare->label;
    fresh.notBefore = wholeSeconds(now - kBackdate);
    fresh.notAfter = wholeSeconds(now + lifetime(kind));
    fresh.publicKeyDer = key->publicKeyDer();
    if (kind == CaKind::Jwt)
        return fresh;

    tls::AuthorityCertificate certificate;
    certificate.domain = m_config.domain;
    certificate.isLimitedToDomain = m_config.nameConstraint;
    certificate.commonName = u"%1 %2"_s.arg(m_config.domain.name().left(40), fresh.label);
    certificate.publicKeyDer = fresh.publicKeyDer;
    certificate.notBefore = fresh.notBefore;
    if (kind == CaKind::Root) {
        certificate.notAfter = fresh.notAfter;
        auto written = tls::writeAuthority(certificate, nullptr, *key);
        if (!written)
            return written.error();
        fresh.certificateDer = written->der;
        return fresh;
    }
    const CaKey *root = find(state, CaKind::Root, CaPhase::Active);
    if (!root)
        return Error{Errc::Unavailable, u"There is no root that could sign an issuing CA."_s};
    const auto rootKey = m_keys->open(root->label);
    if (!rootKey)
        return rootKey.error();
    const auto rootFacts = tls::issuerFacts(root->certificateDer);
    if (!rootFacts)
        return rootFacts.error();
    fresh.notAfter = qMin(fresh.notAfter, rootFacts->notAfter);
    certificate.notAfter = fresh.notAfter;
    certificate.pathLength = 0;
    auto written = tls::writeAuthority(certificate, &*rootFacts, **rootKey);
    if (!written)
        return written.error();
    fresh.certificateDer = written->der;
    return fresh;
}

/// Opens what signs; private keys that will never sign again are destroyed by destroyLooseKeys().
Result<void> CertificateAuthority::adopt(const QList<CaKey> &state)
{
    std::shared_ptr<const Issuer> issuer;
    std::shared_ptr<SigningKey> jwtKey;
    if (const CaKey *active = find(state, CaKind::Issuing, CaPhase::Active)) {
        const auto key = m_keys->open(active->label);
        if (!key)
            return key.error();
        auto facts = tls::issuerFacts(active->certificateDer);
        if (!facts)
            return facts.error();
        if ((*key)->publicKeyDer() != active->publicKeyDer)
            return Error{Errc::Conflict,
                         u"The key \"%1\" in %2 is not the one of the issuing CA; put the right key back."_s.arg(
                             active->label, m_keys->description())};
        issuer = std::make_shared<const Issuer>(active->certificateDer, *facts, *key, m_config.domain);
    }
    if (const CaKey *active = find(state, CaKind::Jwt, CaPhase::Active)) {
        const auto key = m_keys->open(active->label);
        if (!key)
            return key.error();
        jwtKey = *key;
    }
    m_state = state;
    m_issuer = std::move(issuer);
    m_jwtKey = std::move(jwtKey);
    return {};
}

bool CertificateAuthority::isSpare(const QString &label) const
{
    return std::any_of(m_spares.cbegin(), m_spares.cend(), [&](const Spare &spare) { return spare.label == label; });
}

void CertificateAuthority::dropUsedSpares()
{
    m_spares.removeIf([this](const auto &spare) {
        return std::any_of(m_state.cbegin(), m_state.cend(),
                           [&](const CaKey &key) { return key.label == spare.value().label; });
    });
}

bool CertificateAuthority::hasRootAt(Timestamp time) const
{
    const auto isRoot = [](const CaKey &key) { return key.kind == CaKind::Root; };
    return std::none_of(m_state.cbegin(), m_state.cend(), isRoot)
           || std::any_of(m_state.cbegin(), m_state.cend(),
                          [&](const CaKey &key) { return isRoot(key) && isValid(key, time); });
}

void CertificateAuthority::destroyLooseKeys(const CaMoment &moment)
{
    dropUsedSpares();
    const auto serves = [&](CaKind kind) {
        const CaKey *active = find(m_state, kind, CaPhase::Active);
        return active && isValid(*active, moment.now);
    };
    if (!moment.isSure || !serves(CaKind::Root) || !serves(CaKind::Issuing) || !serves(CaKind::Jwt))
        return;
    const auto loose = m_store->looseKeys();
    if (!loose)
        return; // the next time
    for (const QString &label : *loose) {
        const bool signs = std::any_of(m_state.cbegin(), m_state.cend(), [&](const CaKey &key) {
            return key.label == label && key.phase != CaPhase::Old;
        });
        // A key that its store keeps does no harm meanwhile: nothing asks for it.
        if (!signs && !isSpare(label) && m_keys->remove(label))
            (void)bool(m_store->dropLooseKey(label));
    }
}

Timestamp CertificateAuthority::endOfAllSigned() const
{
    Timestamp end{};
    for (const CaKey &key : m_state)
        if (key.kind != CaKind::Root && key.phase != CaPhase::Prepared)
            end = qMax(end, key.notAfter);
    return end;
}

Result<std::shared_ptr<const Issuer>> CertificateAuthority::issuer() const
{
    if (!m_issuer)
        return Error{Errc::Unavailable, u"The authority has no issuing CA yet."_s};
    return m_issuer;
}

Result<CertificateAuthority::JwtSigner> CertificateAuthority::jwtSigner(Timestamp now) const
{
    const CaKey *active = find(m_state, CaKind::Jwt, CaPhase::Active);
    if (!active || !m_jwtKey || now >= active->notAfter || now < active->notBefore)
        return Error{Errc::Unavailable, u"The authority has no JWT key that is valid now; check its clock."_s};
    return JwtSigner{active->label, m_jwtKey, active->notAfter};
}

QList<QByteArray> CertificateAuthority::roots() const
{
    QList<QByteArray> certificates;
    for (const CaKey &key : m_state)
        if (key.kind == CaKind::Root)
            certificates.append(key.certificateDer);
    return certificates;
}

QList<tls::JwtAuthority> CertificateAuthority::jwtAuthorities() const
{
    QList<tls::JwtAuthority> authorities;
    for (const CaKey &key : m_state)
        if (key.kind == CaKind::Jwt)
            authorities.append({key.label, key.publicKeyDer});
    return authorities;
}

QList<CaStatus> CertificateAuthority::states() const
{
    QList<CaStatus> states;
    for (const CaKey &key : m_state)
        states.append({key.kind, key.phase, key.label, key.notBefore, key.notAfter});
    return states;
}

} // namespace lintel::authority

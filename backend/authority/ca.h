// The certificate authority: a root (in the bundle), an issuing CA under it (in the chain of every
// SVID) and a JWT key (in the bundle), each with a successor that is prepared at half of its life,
// published, and only then put to use (X509-SVID.md, JWT-SVID.md; docs/architecture.md, "Identity").
//
// Belongs to Authority and lives on its thread, except for sign(), which any thread may call on a
// snapshot. Its state (certificates, phases, labels of keys) is the Store's; keys are the KeyStore's.
#pragma once

#include "authority/authority_config.h"
#include "domain/timestamp.h"
#include "ports/key_store.h"
#include "tls/bundle_document.h"
#include "tls/certificate_writer.h"

#include <QList>
#include <QMap>

#include <memory>
#include <optional>

namespace lintel::authority {

class Store;

enum class CaKind { Root, Issuing, Jwt };
enum class CaPhase { Prepared, Active, Old }; // Old: no longer signs, still in the bundle until its end

/// One key of the authority, as stored.
struct CaKey {
    CaKind kind = CaKind::Root;
    CaPhase phase = CaPhase::Prepared;
    QString label;             // in the KeyStore; also the JWT key's id
    QByteArray certificateDer; // empty for JWT keys
    QByteArray publicKeyDer;
    Timestamp notBefore{};
    Timestamp notAfter{};
};

struct CaStatus {
    CaKind kind = CaKind::Root;
    CaPhase phase = CaPhase::Prepared;
    QString label;
    Timestamp notBefore{};
    Timestamp notAfter{};
};

struct IssuedSvid {
    SpiffeId id;
    QList<QByteArray> chainDer; // leaf first, then the issuing CA; no root
    QString serial;             // upper-case hex
    Timestamp notBefore{};
    Timestamp notAfter{};
};

/// What one SVID needs. The public key comes from a CSR whose signature was verified.
struct SvidOrder {
    SpiffeId id;
    QByteArray publicKeyDer;
    std::chrono::seconds ttl{0};
    QStringList dnsNames;
    Timestamp notBefore{}; // zero: a minute back, since clocks differ
};

/// The issuing CA of one moment; immutable, any thread.
class Issuer
{
public:
    Issuer(QByteArray certificateDer, tls::IssuerFacts facts, std::shared_ptr<SigningKey> key, TrustDomain domain);
    /// The SVID never outlives the issuing CA: its end is brought forward. Unavailable: the CA is
    /// over, or not valid yet, at `now`. Denied: ID of another domain.
    [[nodiscard]] Result<IssuedSvid> sign(const SvidOrder &order, Timestamp now) const;
    [[nodiscard]] bool isValid(Timestamp now) const { return now >= m_facts.notBefore && now < m_facts.notAfter; }

private:
    QByteArray m_certificateDer;
    tls::IssuerFacts m_facts;
    std::shared_ptr<SigningKey> m_key;
    TrustDomain m_domain;
};

/// What time it is, and whether that is sure (clock_watch.h).
struct CaMoment {
    Timestamp now{};
    bool isSure = true;
};

struct CaChange {
    bool isAny = false;
    QStringList returned; // sentences: keys that sign again because the active one is not valid
};

class CertificateAuthority
{
public:
    CertificateAuthority(const AuthorityConfig &config, Store &store, KeyStore &keys);

    /// Opens the keys of the stored state; also after a change that did not reach the disk.
    [[nodiscard]] Result<void> begin();
    /// Makes the private keys that advance() will need, each written down before it exists. What is not used
    /// after all (a full disk, a crash) is used the next time, or destroyed. No transaction may be open.
    [[nodiscard]] Result<void> makeKeys(const CaMoment &moment);
    /// Prepares, activates and retires what is due, the very first keys too. Where the active key is not valid now
    /// and another one is, that one signs. While the time is not sure nothing else happens than that, and what is
    /// there stays: no root comes or goes, and an issuing CA or JWT key comes only where none is left that may sign.
    /// A root that is not valid yet, of a clock that was ahead, makes room for another where none is valid and the time
    /// is sure. After makeKeys(). The caller holds a transaction around it.
    [[nodiscard]] Result<CaChange> advance(const CaMoment &moment);
    /// Destroys private keys that will never sign again, while the time is sure and a key of each kind is valid;
    /// once the change is on disk, and no transaction open.
    void destroyLooseKeys(const CaMoment &moment);
    /// Whether one of the roots is valid then, or there is none at all yet.
    [[nodiscard]] bool hasRootAt(Timestamp time) const;

    /// Nothing that was signed up to now is valid later than this.
    [[nodiscard]] Timestamp endOfAllSigned() const;

    [[nodiscard]] Result<std::shared_ptr<const Issuer>> issuer() const;
    /// The JWT key that signs now, and its id.
    struct JwtSigner {
        QString keyId;
        std::shared_ptr<SigningKey> key;
        Timestamp notAfter{};
    };
    [[nodiscard]] Result<JwtSigner> jwtSigner(Timestamp now) const;
    [[nodiscard]] QList<QByteArray> roots() const;
    [[nodiscard]] QList<tls::JwtAuthority> jwtAuthorities() const;
    [[nodiscard]] QList<CaStatus> states() const;

private:
    [[nodiscard]] Result<CaChange> advanceKind(QList<CaKey> &state, CaKind kind, const CaMoment &moment);
    /// Of what is there: what is over goes, and what is valid signs.
    [[nodiscard]] CaChange settle(QList<CaKey> &state, CaKind kind, const CaMoment &moment, bool hasRoot);
    [[nodiscard]] bool canSign(const CaKey &key);
    [[nodiscard]] Result<CaKey> prepared(const QList<CaKey> &state, CaKind kind, Timestamp now);
    [[nodiscard]] Result<void> adopt(const QList<CaKey> &state);
    [[nodiscard]] std::chrono::seconds lifetime(CaKind kind) const;
    [[nodiscard]] bool isSpare(const QString &label) const;
    void dropUsedSpares();
    [[nodiscard]] Timestamp activationOf(const CaKey &active, const CaKey &next) const;

    AuthorityConfig m_config;
    Store *m_store;
    KeyStore *m_keys;
    QList<CaKey> m_state;
    struct Spare {
        QString label;
        std::shared_ptr<SigningKey> key;
    };
    QMap<CaKind, Spare> m_spares; // made, and in no state yet
    std::shared_ptr<const Issuer> m_issuer;
    std::shared_ptr<SigningKey> m_jwtKey;
};

} // namespace lintel::authority

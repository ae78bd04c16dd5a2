// The numbered list of identities that an authority has revoked, as it travels: a JWS in compact
// form (ES256, type "lintel-deny-list+jwt"), signed by a JWT key of the trust domain's bundle. The
// authority writes it; broker plugins and Workload API servers obey it. Pure functions; any thread.
//
// Payload: {"iss": trust domain, "seq": number, "iat": s, "entries": [{"id": SPIFFE ID?,
// "serial": hex?, "ek": hash?, "at": ms, "why": text, "before": ms?}]}; an entry has at least one
// of id, serial and ek.
#pragma once

#include "ports/key_store.h"
#include "tls/bundle_document.h"

namespace lintel::tls {

struct DenyEntry {
    std::optional<SpiffeId> id;
    /// Hexadecimal, upper case, as describeCertificate() gives it. Obeyed by whoever reads a list; lintel-authority
    /// revokes identities as a whole, and writes none.
    QString serial;
    QString ekHash; // lower case
    Timestamp revokedAt{};
    QString reason;
    /// Set once the identity was enrolled anew: then only SVIDs that began before this are refused.
    std::optional<Timestamp> issuedBefore;

    friend bool operator==(const DenyEntry &, const DenyEntry &) = default;
};

struct DenyList {
    TrustDomain issuer;
    quint64 sequence = 0;
    Timestamp issuedAt{}; // whole seconds
    QList<DenyEntry> entries;

    /// The entry that refuses a certificate with these facts (Timestamp: its notBefore), or null.
    [[nodiscard]] const DenyEntry *find(const SpiffeId &id, const QString &serial, Timestamp notBefore) const;
};

/// Longer ones are read by nobody: neither as a token nor from a file.
inline constexpr qsizetype kMostDenyListBytes = 1024 * 1024;
/// How long the list is once it is signed, to a few hundred bytes.
[[nodiscard]] qsizetype denyListBytes(const DenyList &list);

/// Full: longer than kMostDenyListBytes.
[[nodiscard]] Result<QByteArray> signDenyList(const DenyList &list, const QString &keyId, const SigningKey &key);

/// Denied: signed by nobody in `keys`, or about another domain than `issuer`. Conflict: its number
/// is lower than `lastSequence`, the last one accepted (an old list cannot bring anybody back).
[[nodiscard]] Result<DenyList> verifyDenyList(const QByteArray &jws, const TrustDomain &issuer,
                                              const QList<JwtAuthority> &keys, quint64 lastSequence);

} // namespace lintel::tls

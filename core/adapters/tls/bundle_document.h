// SPIFFE bundles as JSON (SPIFFE_Trust_Domain_and_Bundle.md section 4, X509-SVID.md section 6,
// JWT-SVID.md section 6): what a trust domain publishes so that others can check its SVIDs.
// Values and pure functions; any thread. The trust domain is no part of the document: whoever
// stores one writes down beside it whose it is (section 3).
#pragma once

#include "domain/result.h"
#include "domain/spiffe_id.h"
#include "domain/timestamp.h"

#include <QByteArray>
#include <QHash>
#include <QList>
#include <QString>

#include <chrono>
#include <optional>

namespace lintel::tls {

struct JwtAuthority {
    QString keyId;
    QByteArray publicKeyDer; // SubjectPublicKeyInfo: RSA, or EC on P-256, P-384, P-521
    friend bool operator==(const JwtAuthority &, const JwtAuthority &) = default;
};

struct BundleDocument {
    QList<QByteArray> x509Authorities; // DER
    QList<JwtAuthority> jwtAuthorities;
    std::optional<quint64> sequence;
    std::optional<std::chrono::seconds> refreshHint;

    /// No usable keys: every SVID of the domain is to be treated as invalid (section 4.1.3).
    [[nodiscard]] bool isEmpty() const { return x509Authorities.isEmpty() && jwtAuthorities.isEmpty(); }
    friend bool operator==(const BundleDocument &, const BundleDocument &) = default;
};

using JwtBundles = QHash<TrustDomain, QList<JwtAuthority>>;

/// Malformed when the text is no JWK set or a SPIFFE parameter has the wrong type. Single keys that
/// the standard tells to ignore (unknown kty or use, x5c missing, broken) are left out. At most
/// 1 MiB and 1,000 keys.
[[nodiscard]] Result<BundleDocument> parseBundle(const QByteArray &json);
/// The document to publish; stable, so equal bundles are equal bytes.
[[nodiscard]] Result<QByteArray> printBundle(const BundleDocument &bundle);
/// Only the jwt-svid keys, with kid and without "use": what the Workload API hands out.
[[nodiscard]] Result<QByteArray> printJwtKeySet(const QList<JwtAuthority> &authorities);

/// Whether `fresh` may take the place of `known`: Conflict when its sequence is lower, or equal
/// with other contents; a document without a sequence is taken only when `known` has none either.
[[nodiscard]] Result<void> mayReplace(const BundleDocument &known, const BundleDocument &fresh);

} // namespace lintel::tls

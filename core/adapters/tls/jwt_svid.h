// JWT-SVIDs by the letter of SPIFFE JWT-SVID.md: signing (ES256, with kid) and validation.
// Pure functions; any thread.
#pragma once

#include "ports/key_store.h"
#include "tls/bundle_document.h"

#include <QJsonObject>
#include <QStringList>

namespace lintel::tls {

struct JwtSvid {
    SpiffeId id;          // "sub"
    QStringList audience; // "aud", at least one
    Timestamp issuedAt{}; // "iat"; whole seconds
    Timestamp expiresAt{};
    QJsonObject claims; // all of them, as they stand in the token
};

/// Small differences between two clocks (Appendix A).
constexpr std::chrono::seconds kJwtLeeway{10};

/// Malformed: no audience, an ID without a path, or an end before the beginning.
[[nodiscard]] Result<QByteArray> signJwtSvid(const JwtSvid &svid, const QString &keyId, const SigningKey &key);

/// Whether `token` was signed by the trust domain that its own subject names, is meant for
/// `audience` and valid at `at`. Denied or Malformed with the rule that was broken.
[[nodiscard]] Result<JwtSvid> validateJwtSvid(const QByteArray &token, const QString &audience,
                                              const JwtBundles &bundles, Timestamp at);

} // namespace lintel::tls

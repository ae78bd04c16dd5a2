// JSON Web Signatures in compact form (RFC 7515), with no more of JOSE than SPIFFE needs: an
// allow-list of asymmetric algorithms, no "none", no HMAC, no critical or unprotected headers, no
// keys taken from the token itself. Pure functions; any thread.
#pragma once

#include "ports/key_store.h"
#include "tls/bundle_document.h"

#include <QJsonObject>

namespace lintel::tls {

struct SignedToken {
    QString algorithm;
    QString keyId; // empty when the token names none
    QString type;  // empty when the token names none
    QJsonObject payload;
    QByteArray signingInput;
    QByteArray signature;
};

/// Takes the token apart without believing any of it. Malformed with the rule that was broken.
/// At most 1 MiB.
[[nodiscard]] Result<SignedToken> parseToken(const QByteArray &token);
/// ES256; `type` empty leaves the header out.
[[nodiscard]] Result<QByteArray> signToken(const QJsonObject &payload, const QString &type, const QString &keyId,
                                           const SigningKey &key);
/// Tries the key that the token names, or each one when it names none. Denied when none fits.
[[nodiscard]] Result<void> verifyToken(const SignedToken &token, const QList<JwtAuthority> &keys);

} // namespace lintel::tls

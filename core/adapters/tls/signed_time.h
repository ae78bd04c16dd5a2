// What time it is, by the word of an authority: a JWS (ES256) over its trust domain, the nonce of
// whoever asked, and the time. The nonce makes it an answer to this question and to no older one.
// Pure functions; any thread.
#pragma once

#include "ports/key_store.h"
#include "tls/bundle_document.h"

#include <QByteArray>
#include <QString>

namespace lintel::tls {

/// A nonce longer than this is not answered. Bytes.
inline constexpr qsizetype kMaxTimeNonce = 64;

/// `keyId` names the key in the bundle of `domain`. Malformed when the nonce is too long.
[[nodiscard]] Result<QByteArray> signTime(const TrustDomain &domain, const QByteArray &nonce, Timestamp time,
                                          const QString &keyId, const SigningKey &key);
/// The time in `jws`; Malformed or Denied when it is not the answer of that domain, signed by one of its
/// keys, to that nonce.
[[nodiscard]] Result<Timestamp> verifyTime(const QByteArray &jws, const TrustDomain &domain, const QByteArray &nonce,
                                           const QList<JwtAuthority> &keys);

} // namespace lintel::tls

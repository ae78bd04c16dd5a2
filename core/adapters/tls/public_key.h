// Public keys between DER and OpenSSL, and signatures under them. Private to this folder and to
// adapters beside it that use OpenSSL. Any thread.
#pragma once

#include "tls/openssl_handles.h"

#include <QByteArrayView>

namespace lintel::tls {

using PkeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using MdCtxPtr = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;

/// Null when it is no key that OpenSSL knows, or its point is not on its curve. P-256 takes a way
/// around OpenSSL's decoders that is 20 times as fast.
[[nodiscard]] PkeyPtr publicKeyFromDer(QByteArrayView spki);
[[nodiscard]] QByteArray publicKeyToDer(const EVP_PKEY *key);
/// EC on P-256, P-384 or P-521, or RSA of 2,048 to 8,192 bits.
[[nodiscard]] bool isAcceptableKey(const EVP_PKEY *key);
/// SHA-256 and friends, fetched once: OpenSSL 3 looks them up by name at every use otherwise.
[[nodiscard]] const EVP_MD *sha256();
[[nodiscard]] bool verifySignature(EVP_PKEY *key, const EVP_MD *digest, QByteArrayView message,
                                   QByteArrayView signature);

} // namespace lintel::tls

// Owning pointers for OpenSSL's objects, and its error queue as a sentence. Private to the
// adapters that use OpenSSL. Any thread.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <QByteArray>
#include <QString>

#include <memory>

namespace lintel::tls {

template <auto Free>
struct Freer {
    template <class T>
    void operator()(T *object) const
    {
        Free(object);
    }
};

inline void freeX509Stack(STACK_OF(X509) * stack)
{
    sk_X509_pop_free(stack, X509_free);
}

using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using X509StackPtr = std::unique_ptr<STACK_OF(X509), Freer<freeX509Stack>>;
using X509StorePtr = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;
using X509StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, Freer<X509_STORE_CTX_free>>;
using X509NamePtr = std::unique_ptr<X509_NAME, Freer<X509_NAME_free>>;
using X509ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, Freer<BN_free>>;
using Asn1TimePtr = std::unique_ptr<ASN1_TIME, Freer<ASN1_TIME_free>>;

/// Nothing, and OpenSSL's reason, when the bytes are no certificate. Each thread keeps its last few, as reading one
/// costs OpenSSL 3.0 more than checking its signature: the answer may be shared, so nobody changes it.
[[nodiscard]] X509Ptr x509FromDer(const QByteArray &der);
[[nodiscard]] QByteArray derOf(const X509 *certificate);
/// The same of a certificate that OpenSSL has read by itself and nobody will change: x509FromDer() then gives this one.
[[nodiscard]] QByteArray sharedDerOf(X509 *certificate);
/// What OpenSSL's error queue of this thread says, and empties it.
[[nodiscard]] QString opensslReason();

} // namespace lintel::tls

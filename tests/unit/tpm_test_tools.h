// What the tests of the TPM adapter share: requests, certificates and handshakes over memory.
#pragma once

#include "ports/system_clock.h"
#include "tls/openssl_handles.h"
#include "tpm/tpm_device.h"

#include <openssl/provider.h>
#include <openssl/ssl.h>

#include <QByteArray>

#include <memory>
#include <stdexcept>

namespace lintel::test {

/// In tests a failure of the scenery ends the test with its sentence.
template <class T>
T must(Result<T> result)
{
    if (!result)
        throw std::runtime_error(result.error().message.toStdString());
    return std::move(*result);
}

inline Timestamp now()
{
    return SystemClock().now();
}

inline void demand(bool condition, const char *what)
{
    if (!condition)
        throw std::runtime_error(what + (": " + tls::opensslReason().toStdString()));
}

inline std::shared_ptr<EVP_PKEY> softwareKey()
{
    return {EVP_EC_gen("P-256"), EVP_PKEY_free};
}

template <class T, auto ToDer>
QByteArray der(const T *object)
{
    unsigned char *bytes = nullptr;
    const int size = ToDer(object, &bytes);
    demand(size > 0, "encoding");
    QByteArray out(reinterpret_cast<const char *>(bytes), size);
    OPENSSL_free(bytes);
    return out;
}

inline QByteArray csrOf(EVP_PKEY *key)
{
    const std::unique_ptr<X509_REQ, tls::Freer<X509_REQ_free>> csr{X509_REQ_new()};
    demand(X509_REQ_set_pubkey(csr.get(), key) == 1, "X509_REQ_set_pubkey");
    demand(X509_REQ_sign(csr.get(), key, EVP_sha256()) > 0, "X509_REQ_sign");
    return der<X509_REQ, i2d_X509_REQ>(csr.get());
}

inline tls::X509Ptr selfSigned(EVP_PKEY *key)
{
    tls::X509Ptr certificate{X509_new()};
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3'600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char *>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
    demand(X509_set_pubkey(certificate.get(), key) == 1, "X509_set_pubkey");
    demand(X509_sign(certificate.get(), key, EVP_sha256()) > 0, "X509_sign");
    return certificate;
}

using SslContextPtr = std::unique_ptr<SSL_CTX, tls::Freer<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, tls::Freer<SSL_free>>;

/// One end of TLS 1.3 with client certificates that trusts exactly `peer`.
inline SslContextPtr tlsContext(const SSL_METHOD *method, EVP_PKEY *key, X509 *certificate, X509 *peer)
{
    SslContextPtr context{SSL_CTX_new(method)};
    demand(SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1, "TLS 1.3");
    demand(SSL_CTX_use_certificate(context.get(), certificate) == 1, "SSL_CTX_use_certificate");
    demand(SSL_CTX_use_PrivateKey(context.get(), key) == 1, "SSL_CTX_use_PrivateKey");
    demand(SSL_CTX_check_private_key(context.get()) == 1, "SSL_CTX_check_private_key");
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), peer);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    return context;
}

/// A whole handshake over memory; false when either end refuses.
inline bool handshake(SSL_CTX *clientContext, SSL_CTX *serverContext)
{
    const SslPtr client{SSL_new(clientContext)};
    const SslPtr server{SSL_new(serverContext)};
    BIO *clientEnd = nullptr;
    BIO *serverEnd = nullptr;
    demand(BIO_new_bio_pair(&clientEnd, 0, &serverEnd, 0) == 1, "BIO pair");
    SSL_set_bio(client.get(), clientEnd, clientEnd);
    SSL_set_bio(server.get(), serverEnd, serverEnd);
    SSL_set_connect_state(client.get());
    SSL_set_accept_state(server.get());
    for (int turn = 0; turn < 20; ++turn) {
        for (SSL *end : {client.get(), server.get()})
            if (const int result = SSL_do_handshake(end);
                result != 1 && SSL_get_error(end, result) != SSL_ERROR_WANT_READ)
                return false;
        if (SSL_is_init_finished(client.get()) && SSL_is_init_finished(server.get()))
            return SSL_get_verify_result(client.get()) == X509_V_OK && SSL_get_verify_result(server.get()) == X509_V_OK;
    }
    return false;
}

} // namespace lintel::test

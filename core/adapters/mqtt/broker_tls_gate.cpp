#include "mqtt/broker_tls_gate.h"

#include "ports/identity_source.h"
#include "tls/openssl_handles.h"
#include "tls/x509.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <netdb.h>
#include <sys/socket.h>
#include <vector>

namespace lintel::mqtt {

using namespace Qt::StringLiterals;

namespace {
struct Gate {
    BrokerTlsGate::Verifier verifier;
    std::vector<SSL_CTX *> contexts;
    int contextIndex = -1;
    int certificateIndex = -1;
};

Gate &gate()
{
    static Gate *const one = new Gate; // OpenSSL's hooks outlive every static object
    return *one;
}

QList<QByteArray> chainOf(X509_STORE_CTX *context)
{
    QList<QByteArray> chain;
    const X509 *leaf = X509_STORE_CTX_get0_cert(context);
    chain.append(tls::derOf(leaf));
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(context);
    for (int i = 0; i < sk_X509_num(sent); ++i)
        if (const X509 *one = sk_X509_value(sent, i); one != leaf)
            chain.append(tls::derOf(one));
    return chain;
}

QString addressOf(const SSL *ssl)
{
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    std::array<char, NI_MAXHOST> text{};
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    if (::getpeername(SSL_get_fd(ssl), generic, &size) != 0
        || ::getnameinfo(generic, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0)
        return u"a client"_s;
    return QString::fromLatin1(text.data());
}

int verifyClient(X509_STORE_CTX *context, void *)
{
    auto *ssl = static_cast<SSL *>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
    X509 *leaf = X509_STORE_CTX_get0_cert(context);
    if (!ssl || !SSL_is_server(ssl))
        return X509_verify_cert(context); // a bridge of the broker's own: not our connection
    SSL_set_num_tickets(ssl, 0);          // every connection shows its certificate anew
    const auto refused = [context] {
        X509_STORE_CTX_set_error(context, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    };
    if (SSL_version(ssl) < TLS1_3_VERSION || !leaf || !gate().verifier)
        return refused();
    auto verified = gate().verifier(chainOf(context), addressOf(ssl));
    if (!verified)
        return refused();
    auto attached = std::make_unique<std::any>(std::move(*verified));
    if (X509_set_ex_data(leaf, gate().certificateIndex, attached.get()) != 1)
        return refused();
    (void)attached.release(); // freeVerified() below has it now
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
}

void contextMade(void *parent, void *, CRYPTO_EX_DATA *, int, long, void *)
{
    // OpenSSL sets the fields of a new context around this call and leaves the verifier alone.
    auto *context = static_cast<SSL_CTX *>(parent);
    gate().contexts.push_back(context);
    SSL_CTX_set_cert_verify_callback(context, verifyClient, nullptr);
}

void contextFreed(void *parent, void *, CRYPTO_EX_DATA *, int, long, void *)
{
    std::erase(gate().contexts, static_cast<SSL_CTX *>(parent));
}

void freeVerified(void *, void *value, CRYPTO_EX_DATA *, int, long, void *)
{
    delete static_cast<std::any *>(value);
}

/// A copy of a certificate is verified by nobody.
int dropVerified(CRYPTO_EX_DATA *, const CRYPTO_EX_DATA *, void **value, int, long, void *)
{
    *value = nullptr;
    return 1;
}
} // namespace

Result<void> BrokerTlsGate::install(Verifier verifier)
{
    Gate &one = gate();
    if (one.contextIndex < 0)
        one.contextIndex = SSL_CTX_get_ex_new_index(0, nullptr, contextMade, nullptr, contextFreed);
    if (one.certificateIndex < 0)
        one.certificateIndex = X509_get_ex_new_index(0, nullptr, nullptr, dropVerified, freeVerified);
    if (one.contextIndex < 0 || one.certificateIndex < 0)
        return Error{Errc::Io, u"The broker's TLS cannot be hooked: %1."_s.arg(tls::opensslReason())};
    one.verifier = std::move(verifier);
    return {};
}

void BrokerTlsGate::removeVerifier()
{
    gate().verifier = nullptr;
}

std::any BrokerTlsGate::takeVerified(void *x509)
{
    const tls::X509Ptr certificate{static_cast<X509 *>(x509)};
    if (!certificate || gate().certificateIndex < 0)
        return {};
    const auto *verified = static_cast<std::any *>(X509_get_ex_data(certificate.get(), gate().certificateIndex));
    return verified ? *verified : std::any{};
}

qsizetype BrokerTlsGate::contexts()
{
    return static_cast<qsizetype>(gate().contexts.size());
}

Result<void> BrokerTlsGate::useIdentity(const QByteArray &chainPem, const QByteArray &keyPem)
{
    const auto chain = tls::certificatesFromPem(chainPem);
    if (!chain)
        return chain.error();
    auto key = tls::privateKeyFromPem(keyPem);
    if (!key)
        return key.error();
    const auto svid = tls::makeSvid(*chain, std::move(*key)); // refuses a key of another certificate
    if (!svid)
        return svid.error();
    const tls::X509Ptr leaf = tls::x509FromDer(svid->chainDer.first());
    const tls::X509StackPtr rest{sk_X509_new_null()};
    for (const QByteArray &der : svid->chainDer.sliced(1))
        if (tls::X509Ptr one = tls::x509FromDer(der); one && sk_X509_push(rest.get(), one.get()) > 0)
            (void)one.release();
    for (SSL_CTX *context : gate().contexts)
        if (SSL_CTX_use_cert_and_key(context, leaf.get(), svid->key.get(), rest.get(), 1) != 1)
            return Error{Errc::Io, u"The broker's new certificate cannot be used: %1."_s.arg(tls::opensslReason())};
    return {};
}

} // namespace lintel::mqtt

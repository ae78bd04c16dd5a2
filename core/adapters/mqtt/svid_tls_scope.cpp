#include "mqtt/svid_tls_scope.h"

#include "ports/system_clock.h"
#include "tls/openssl_handles.h"
#include "tls/x509.h"

#include <openssl/ssl.h>

#include <QHash>
#include <QList>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace lintel {

using namespace Qt::StringLiterals;

/// The process-wide part: labels, the peers behind them, and OpenSSL's callbacks.
struct TlsScope {
    static TlsScope &instance()
    {
        static auto *scope = new TlsScope; // never destroyed: the library's threads outlive statics
        return *scope;
    }

    TlsScope()
    {
        findUsableCiphers();
        m_sslIndex = SSL_get_ex_new_index(0, nullptr, onNew, nullptr, onFree);
    }

    [[nodiscard]] bool usable() const { return m_ciphers.size() == kCiphers && m_sslIndex >= 0; }

    /// A free number and its label; 0 when none is free.
    quint32 enrol(const std::shared_ptr<TlsPeer> &peer)
    {
        const QMutexLocker lock(&m_mutex);
        if (m_peers.size() >= kMaxNumber)
            return 0;
        do {
            m_lastNumber = m_lastNumber % kMaxNumber + 1;
        } while (m_peers.contains(m_lastNumber));
        m_peers.insert(m_lastNumber, peer);
        return m_lastNumber;
    }

    void strike(quint32 number)
    {
        const QMutexLocker lock(&m_mutex);
        m_peers.remove(number);
    }

    /// Ciphers of TLS 1.2 in a fixed order: the first always stands there, each other one is a bit.
    [[nodiscard]] QByteArray labelOf(quint32 number) const
    {
        QByteArray label = m_ciphers.first();
        for (int bit = 0; bit < kBits; ++bit)
            if (number & (1u << bit))
                label += ':' + m_ciphers[bit + 1];
        return label;
    }

private:
    static constexpr int kBits = 16;
    static constexpr int kCiphers = kBits + 1;
    static constexpr quint32 kMaxNumber = (1u << kBits) - 1;

    void findUsableCiphers()
    {
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        if (context && SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0") == 1)
            for (const QByteArray &name : olderCiphersOf(context))
                if (m_ciphers.size() < kCiphers)
                    m_ciphers.append(name);
        SSL_CTX_free(context);
        ERR_clear_error();
    }

    [[nodiscard]] static QList<QByteArray> olderCiphersOf(const SSL_CTX *context)
    {
        QList<QByteArray> names;
        const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(context);
        for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); ++i) {
            const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
            if (qstrcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") != 0)
                names.append(SSL_CIPHER_get_name(cipher));
        }
        return names;
    }

    /// 0 for a context that carries no label.
    [[nodiscard]] quint32 numberOf(const SSL_CTX *context) const
    {
        const QList<QByteArray> names = olderCiphersOf(context);
        if (names.isEmpty() || names.size() > kCiphers || names.first() != m_ciphers.first())
            return 0;
        quint32 number = 0;
        for (qsizetype i = 1; i < names.size(); ++i) {
            const qsizetype bit = m_ciphers.indexOf(names[i]) - 1;
            if (bit < 0)
                return 0;
            number |= 1u << bit;
        }
        return number;
    }

    [[nodiscard]] std::shared_ptr<TlsPeer> peerOf(const SSL_CTX *context)
    {
        const quint32 number = numberOf(context);
        if (number == 0)
            return {};
        const QMutexLocker lock(&m_mutex);
        return m_peers.value(number).lock();
    }

    using Slot = std::shared_ptr<TlsPeer>; // what hangs on an SSL object of ours

    [[nodiscard]] static TlsPeer *peerOf(const SSL *ssl)
    {
        const auto *slot = static_cast<Slot *>(SSL_get_ex_data(ssl, instance().m_sslIndex));
        return slot ? slot->get() : nullptr;
    }

    static void onNew(void *parent, void *, CRYPTO_EX_DATA *data, int index, long, void *)
    {
        auto *ssl = static_cast<SSL *>(parent);
        SSL_CTX *context = SSL_get_SSL_CTX(ssl);
        auto peer = context ? instance().peerOf(context) : Slot{};
        if (!peer)
            return;
        CRYPTO_set_ex_data(data, index, new Slot(std::move(peer)));
        SSL_set_min_proto_version(ssl, TLS1_3_VERSION);
        SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
        SSL_set_cert_cb(ssl, onCertificateWanted, nullptr);
        SSL_set_info_callback(ssl, onInfo);
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
        // This callback has no per-SSL form; the context is the library's for this one client.
        SSL_CTX_set_cert_verify_callback(context, onVerify, nullptr);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    }

    static void onFree(void *, void *slot, CRYPTO_EX_DATA *, int, long, void *) { delete static_cast<Slot *>(slot); }

    static int onCertificateWanted(SSL *ssl, void *)
    {
        TlsPeer *peer = peerOf(ssl);
        return peer && peer->present(ssl) ? 1 : 0;
    }

    static int onVerify(X509_STORE_CTX *context, void *)
    {
        const auto *ssl = static_cast<SSL *>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
        TlsPeer *peer = ssl ? peerOf(ssl) : nullptr;
        if (peer && peer->verify(context)) {
            X509_STORE_CTX_set_error(context, X509_V_OK);
            return 1;
        }
        X509_STORE_CTX_set_error(context, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }

    static void onInfo(const SSL *ssl, int where, int value)
    {
        TlsPeer *peer = peerOf(ssl);
        if (!peer)
            return;
        if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
            peer->onAlert(value);
        if (where == SSL_CB_CONNECT_EXIT && value <= 0) {
            const int error = SSL_get_error(ssl, value);
            if (error == SSL_ERROR_SYSCALL || error == SSL_ERROR_SSL || error == SSL_ERROR_ZERO_RETURN)
                peer->handshakeFailed();
        }
    }

    QList<QByteArray> m_ciphers;
    int m_sslIndex = -1;
    QMutex m_mutex; // guards the two below
    QHash<quint32, std::weak_ptr<TlsPeer>> m_peers;
    quint32 m_lastNumber = 0;
};

Result<std::shared_ptr<TlsPeer>> TlsPeer::make(const SpiffeId &expected, const IdentitySource &identity,
                                               std::chrono::milliseconds unacknowledgedTimeout)
{
    TlsScope &scope = TlsScope::instance();
    if (!scope.usable())
        return Error{Errc::Unsupported, u"This OpenSSL has too few ciphers to tell Lintel's connections apart; "
                                        "use a build with the usual TLS 1.2 ciphers."_s};
    std::shared_ptr<TlsPeer> peer(new TlsPeer(expected, identity, unacknowledgedTimeout));
    peer->m_number = scope.enrol(peer);
    if (peer->m_number == 0)
        return Error{Errc::Full, u"Too many connections are open in this process; close some."_s};
    peer->m_label = scope.labelOf(peer->m_number);
    return peer;
}

TlsPeer::TlsPeer(SpiffeId expected, const IdentitySource &identity, std::chrono::milliseconds timeout)
    : m_expected(std::move(expected)), m_timeout(timeout), m_identity(&identity)
{}

TlsPeer::~TlsPeer()
{
    if (m_number != 0)
        TlsScope::instance().strike(m_number);
}

bool TlsPeer::verified() const
{
    const QMutexLocker lock(&m_mutex);
    return m_verified;
}

std::optional<Error> TlsPeer::failure() const
{
    const QMutexLocker lock(&m_mutex);
    return m_failure;
}

void TlsPeer::onHandshakeFailed(std::function<void()> handler)
{
    const QMutexLocker lock(&m_mutex);
    m_handler = std::move(handler);
}

void TlsPeer::handshakeFailed()
{
    std::function<void()> handler;
    {
        const QMutexLocker lock(&m_mutex);
        handler = m_handler;
    }
    if (handler)
        handler();
}

void TlsPeer::detach()
{
    const QMutexLocker lock(&m_mutex);
    m_identity = nullptr;
}

bool TlsPeer::fail(Error error)
{
    m_failure = std::move(error);
    return false;
}

std::shared_ptr<const IdentitySnapshot> TlsPeer::snapshot()
{
    if (!m_identity)
        return nullptr;
    auto current = m_identity->current();
    if (current)
        return *std::move(current);
    m_failure = current.error();
    return nullptr;
}

bool TlsPeer::present(SSL *ssl)
{
    const QMutexLocker lock(&m_mutex);
    const auto identity = snapshot();
    if (!identity)
        return false;
    const X509Svid &svid = identity->svid;
    const tls::X509Ptr leaf = svid.chainDer.isEmpty() ? nullptr : tls::x509FromDer(svid.chainDer.first());
    if (!leaf || SSL_use_certificate(ssl, leaf.get()) != 1 || SSL_use_PrivateKey(ssl, svid.key.get()) != 1)
        return fail({Errc::Conflict, u"Our certificate cannot be used: %1."_s.arg(tls::opensslReason())});
    SSL_clear_chain_certs(ssl);
    for (qsizetype i = 1; i < svid.chainDer.size(); ++i)
        if (const tls::X509Ptr intermediate = tls::x509FromDer(svid.chainDer[i]))
            SSL_add1_chain_cert(ssl, intermediate.get());

    setUpSocket(SSL_get_fd(ssl));
    return true;
}

/// The first moment at which the library's socket can be reached.
void TlsPeer::setUpSocket(int socket) const
{
    // A peer that acknowledges nothing at all is given up by the kernel.
    const auto timeout = static_cast<unsigned int>(m_timeout.count());
    (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    // The library leaves Nagle's algorithm on: a second packet would wait until the first is
    // acknowledged, 40 ms when the broker has nothing to answer.
    constexpr int on = 1;
    (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool TlsPeer::verify(X509_STORE_CTX *context)
{
    const QMutexLocker lock(&m_mutex);
    const auto identity = snapshot();
    if (!identity)
        return false;
    QList<QByteArray> chain;
    if (const X509 *leaf = X509_STORE_CTX_get0_cert(context))
        chain.append(tls::derOf(leaf));
    const STACK_OF(X509) *others = X509_STORE_CTX_get0_untrusted(context);
    for (int i = 0; i < sk_X509_num(others); ++i)
        if (const QByteArray der = tls::derOf(sk_X509_value(others, i)); !chain.contains(der))
            chain.append(der);
    const auto good =
        tls::verifyPeer(chain, m_expected, identity->bundles, tls::PeerRole::Server, m_identity->trustedNow());
    if (!good)
        return fail({good.error().code, u"The broker was refused. %1"_s.arg(good.error().message)});
    m_verified = true;
    return true;
}

void TlsPeer::onAlert(int alert)
{
    const QMutexLocker lock(&m_mutex);
    constexpr int kCloseNotify = 0;
    if ((alert & 0xff) == kCloseNotify || m_failure)
        return;
    const QString words = QString::fromLatin1(SSL_alert_desc_string_long(alert));
    if (m_verified)
        m_failure = Error{Errc::Denied, u"The broker refused our certificate (TLS alert: %1); check that it trusts our "
                                        "root and that the certificate is valid now."_s.arg(words)};
    else
        m_failure =
            Error{Errc::Denied, u"The broker ended the TLS handshake (alert: %1); it must speak TLS 1.3."_s.arg(words)};
}

} // namespace lintel

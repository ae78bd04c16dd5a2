#include "grpc/tls_session.h"

#include "ports/system_clock.h"
#include "tls/openssl_handles.h"
#include "tls/x509.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string_view>

#include <sys/socket.h>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

namespace {

constexpr unsigned char kH2[] = {2, 'h', '2'};
constexpr unsigned char kHttp1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

/// OpenSSL's reason without the protocol version that begins its words for an alert.
QString reason()
{
    QString words = tls::opensslReason();
    const qsizetype alert = words.indexOf("alert "_L1);
    return alert < 0 ? words : u"alert \"%1\""_s.arg(words.sliced(alert + 6));
}

bool isLiteral(const QString &host)
{
    return host.contains(u':')
           || std::all_of(host.begin(), host.end(), [](QChar c) { return c.isDigit() || c == u'.'; });
}

} // namespace

struct TlsSession::Callbacks {
    // A socket BIO of our own, because OpenSSL's writes raise SIGPIPE.
    static int bioWrite(BIO *bio, const char *data, int size)
    {
        const auto *self = static_cast<TlsSession *>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        const auto sent = ::send(self->m_socket, data, static_cast<size_t>(size), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            BIO_set_retry_write(bio);
        return static_cast<int>(sent);
    }

    static int bioRead(BIO *bio, char *buffer, int size)
    {
        auto *self = static_cast<TlsSession *>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        const auto received = ::recv(self->m_socket, buffer, static_cast<size_t>(size), 0);
        if (received < 0 && (errno == EAGAIN || errno == EINTR))
            BIO_set_retry_read(bio);
        self->m_ended = received == 0;
        return static_cast<int>(received);
    }

    static long bioControl(BIO *bio, int command, long, void *)
    {
        if (command == BIO_CTRL_EOF)
            return static_cast<TlsSession *>(BIO_get_data(bio))->m_ended ? 1 : 0;
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }

    static BIO_METHOD *bioMethod()
    {
        static BIO_METHOD *method = [] {
            BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals");
            BIO_meth_set_write(made, bioWrite);
            BIO_meth_set_read(made, bioRead);
            BIO_meth_set_ctrl(made, bioControl);
            return made;
        }();
        return method;
    }

    static int onVerify(X509_STORE_CTX *context, void *)
    {
        const auto *ssl = static_cast<SSL *>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
        auto *self = ssl ? static_cast<TlsSession *>(SSL_get_app_data(ssl)) : nullptr;
        if (!self)
            return 0;
        if (self->m_byName)
            return checkByName(*self, context);
        self->m_peerChain.clear();
        // What was shown, leaf first; the context holds all of it as untrusted.
        STACK_OF(X509) *shown = X509_STORE_CTX_get0_untrusted(context);
        for (int i = 0; i < sk_X509_num(shown); ++i)
            self->m_peerChain.append(shared(tls::sharedDerOf(sk_X509_value(shown, i)), i));
        // The session would keep them for as long as the connection lives; the handshake needs the leaf alone.
        while (sk_X509_num(shown) > 1)
            X509_free(sk_X509_pop(shown));
        const auto good = self->checkPeer();
        if (good) {
            self->m_peerId = *tls::leafSpiffeId(self->m_peerChain.first());
            X509_STORE_CTX_set_error(context, X509_V_OK);
            return 1;
        }
        self->m_failure = good.error();
        const auto facts =
            self->m_peerChain.isEmpty() ? malformed() : tls::describeCertificate(self->m_peerChain.first());
        const bool expired = facts && facts->notAfter < self->verificationTime();
        X509_STORE_CTX_set_error(context, expired ? X509_V_ERR_CERT_HAS_EXPIRED : X509_V_ERR_CERT_REJECTED);
        return 0;
    }

    /// Many peers have the same issuers: one copy of these serves them all.
    static QByteArray shared(const QByteArray &der, int position)
    {
        static thread_local QByteArray lastIssuer;
        if (position == 0)
            return der;
        if (lastIssuer != der)
            lastIssuer = der;
        return lastIssuer;
    }

    /// What OpenSSL does by itself: a path to the system's roots, and the name of the host.
    static int checkByName(TlsSession &self, X509_STORE_CTX *context)
    {
        if (X509_verify_cert(context) == 1)
            return 1;
        const int error = X509_STORE_CTX_get_error(context);
        self.m_failure = {Errc::Denied, u"The server's certificate is not to be trusted: %1."_s.arg(
                                            QString::fromUtf8(X509_verify_cert_error_string(error)))};
        return 0;
    }

    static int onAlpn(SSL *ssl, const unsigned char **out, unsigned char *outSize, const unsigned char *in,
                      unsigned int inSize, void *)
    {
        const auto *self = static_cast<TlsSession *>(SSL_get_app_data(ssl));
        const bool grpc = self->m_use == TlsUse::Grpc;
        unsigned char *chosen = nullptr;
        const int found =
            SSL_select_next_proto(&chosen, outSize, grpc ? kH2 : kHttp1, grpc ? sizeof kH2 : sizeof kHttp1, in, inSize);
        *out = chosen;
        return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    static Result<tls::CertificateFacts> malformed() { return Error{Errc::Malformed, {}}; }

    /// What all connections of this process share; it holds no identity.
    static SSL_CTX *context(bool isServer)
    {
        static SSL_CTX *const server = makeContext(true);
        static SSL_CTX *const client = makeContext(false);
        return isServer ? server : client;
    }

    static SSL_CTX *makeContext(bool isServer)
    {
        SSL_CTX *context = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method());
        if (!context)
            return nullptr;
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(context, 0);
        // An idle connection keeps no record buffers.
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
                                      | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_cert_verify_callback(context, onVerify, nullptr);
        // A chain longer than a few certificates is no SVID; the limit also bounds what a stranger
        // can make us parse.
        constexpr size_t kMaxChainBytes = 32 * 1024;
        SSL_CTX_set_max_cert_list(context, kMaxChainBytes);
        if (isServer)
            SSL_CTX_set_alpn_select_cb(context, onAlpn, nullptr);
        return context;
    }
};

Timestamp TlsSession::verificationTime() const
{
    const Timestamp at = m_verifyAt == Timestamp{} ? SystemClock().now() : m_verifyAt;
    if (m_mayBeBehindBy.count() == 0)
        return at;
    Timestamp begun = at;
    for (const QByteArray &certificate : m_peerChain) {
        if (const auto facts = tls::describeCertificate(certificate))
            begun = std::max(begun, facts->notBefore);
    }
    return std::min(begun, at + m_mayBeBehindBy);
}

Result<void> TlsSession::checkPeer() const
{
    if (!m_isServer)
        return tls::verifyPeer(m_peerChain, m_expected, m_bundles, tls::PeerRole::Server, verificationTime());
    if (m_peerChain.isEmpty())
        return Error{Errc::Denied, u"The client showed no certificate."_s};
    const auto id = tls::leafSpiffeId(m_peerChain.first());
    if (!id)
        return Error{Errc::Denied, u"The client's certificate is no X.509-SVID. %1"_s.arg(id.error().message)};
    return tls::verifyPeer(m_peerChain, *id, m_bundles, tls::PeerRole::Client, verificationTime());
}

Result<std::unique_ptr<TlsSession>> TlsSession::make(int socket, TlsUse use, bool isServer)
{
    std::unique_ptr<TlsSession> session(new TlsSession);
    session->m_socket = socket;
    session->m_use = use;
    session->m_isServer = isServer;
    SSL_CTX *context = Callbacks::context(isServer);
    session->m_ssl = context ? SSL_new(context) : nullptr;
    BIO *bio = session->m_ssl ? BIO_new(Callbacks::bioMethod()) : nullptr;
    if (!bio)
        return Error{Errc::Io, u"TLS cannot be set up: %1."_s.arg(tls::opensslReason())};
    BIO_set_data(bio, session.get());
    BIO_set_init(bio, 1);
    SSL_set_bio(session->m_ssl, bio, bio);
    SSL_set_app_data(session->m_ssl, session.get());
    return session;
}

Result<std::unique_ptr<TlsSession>> TlsSession::client(int socket, const ClientTls &setup, const QString &host)
{
    if (setup.expectedServer.isEmpty())
        return Error{Errc::Malformed, u"The server's SPIFFE ID is missing; without it nobody can be verified."_s};
    auto session = make(socket, TlsUse::Grpc, false);
    if (!session)
        return session;
    TlsSession &self = **session;
    self.m_expected = setup.expectedServer;
    self.m_bundles = setup.bundles;
    self.m_verifyAt = setup.verifyAt;
    self.m_mayBeBehindBy = setup.mayBeBehindBy;
    self.greet(host, kH2, sizeof kH2);
    if (setup.own)
        if (const auto shown = self.present(*setup.own); !shown)
            return shown.error();
    return session;
}

Result<std::unique_ptr<TlsSession>> TlsSession::documentClient(int socket, const ClientTls &setup, const QString &host)
{
    auto session = make(socket, TlsUse::Documents, false);
    if (!session)
        return session;
    TlsSession &self = **session;
    self.m_expected = setup.expectedServer;
    self.m_bundles = setup.bundles;
    self.m_verifyAt = setup.verifyAt;
    self.greet(host, kHttp1, sizeof kHttp1);
    if (setup.expectedServer.isEmpty())
        if (const auto expected = self.expectHost(host); !expected)
            return expected.error();
    return session;
}

Result<void> TlsSession::expectHost(const QString &host)
{
    m_byName = true;
    X509_VERIFY_PARAM *terms = SSL_get0_param(m_ssl);
    const QByteArray name = host.toUtf8();
    const tls::X509StorePtr roots{X509_STORE_new()};
    const bool named = isLiteral(host) ? X509_VERIFY_PARAM_set1_ip_asc(terms, name.constData()) == 1
                                       : SSL_set1_host(m_ssl, name.constData()) == 1;
    if (!named || !roots || X509_STORE_set_default_paths(roots.get()) != 1
        || SSL_set1_verify_cert_store(m_ssl, roots.get()) != 1)
        return Error{Errc::Io, u"The system's certificates cannot be used: %1."_s.arg(tls::opensslReason())};
    if (m_verifyAt != Timestamp{})
        X509_VERIFY_PARAM_set_time(terms, toEpochMillis(m_verifyAt) / 1000);
    ERR_clear_error();
    return {};
}

void TlsSession::greet(const QString &host, const unsigned char *protocols, unsigned int size)
{
    SSL_set_verify(m_ssl, SSL_VERIFY_PEER, nullptr);
    SSL_set_alpn_protos(m_ssl, protocols, size);
    if (!isLiteral(host))
        SSL_set_tlsext_host_name(m_ssl, host.toUtf8().constData());
    SSL_set_connect_state(m_ssl);
}

Result<std::unique_ptr<TlsSession>> TlsSession::server(int socket, const ServerTls &setup, TlsUse use)
{
    auto session = make(socket, use, true);
    if (!session)
        return session;
    TlsSession &self = **session;
    self.m_bundles = setup.bundles;
    self.m_verifyAt = setup.verifyAt;
    SSL_set_verify(self.m_ssl, use == TlsUse::Grpc ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    SSL_set_accept_state(self.m_ssl);
    if (const auto shown = self.present(setup.own); !shown)
        return shown.error();
    return session;
}

TlsSession::~TlsSession()
{
    SSL_free(m_ssl);
}

Result<void> TlsSession::present(const X509Svid &own)
{
    // Connection after connection shows the same certificates: parsed once, they are shared by all of them.
    struct Parsed {
        QList<QByteArray> chainDer;
        tls::X509Ptr leaf;
        tls::X509StackPtr others;
    };
    static thread_local Parsed last;
    if (!last.leaf || last.chainDer != own.chainDer) {
        Parsed fresh{own.chainDer, own.chainDer.isEmpty() ? nullptr : tls::x509FromDer(own.chainDer.first()),
                     tls::X509StackPtr(sk_X509_new_null())};
        bool whole = fresh.leaf && fresh.others;
        for (qsizetype i = 1; whole && i < own.chainDer.size(); ++i) {
            tls::X509Ptr certificate = tls::x509FromDer(own.chainDer[i]);
            whole = certificate && sk_X509_push(fresh.others.get(), certificate.get()) > 0;
            if (whole)
                (void)certificate.release();
        }
        if (!whole)
            return Error{Errc::Conflict, u"Our certificate cannot be used: %1."_s.arg(tls::opensslReason())};
        last = std::move(fresh);
    }
    if (!own.key || SSL_use_cert_and_key(m_ssl, last.leaf.get(), own.key.get(), last.others.get(), 1) != 1)
        return Error{Errc::Conflict, u"Our certificate cannot be used: %1."_s.arg(tls::opensslReason())};
    return {};
}

IoStep TlsSession::stepAfter(int result)
{
    switch (SSL_get_error(m_ssl, result)) {
    case SSL_ERROR_WANT_READ: return IoStep::WaitRead;
    case SSL_ERROR_WANT_WRITE: return IoStep::WaitWrite;
    case SSL_ERROR_ZERO_RETURN: return IoStep::Closed;
    default: break;
    }
    if (m_ended || ERR_peek_error() == 0) {
        ERR_clear_error();
        return IoStep::Closed;
    }
    if (m_failure.message.isEmpty())
        m_failure = {Errc::Unavailable, u"TLS failed: %1."_s.arg(reason())};
    ERR_clear_error();
    return IoStep::Failed;
}

IoStep TlsSession::handshake()
{
    ERR_clear_error();
    const int result = SSL_do_handshake(m_ssl);
    if (result != 1)
        return stepAfter(result);
    const unsigned char *protocol = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(m_ssl, &protocol, &size);
    const bool isH2 = std::string_view(reinterpret_cast<const char *>(protocol), size) == "h2";
    if (m_use == TlsUse::Grpc && !isH2) {
        m_failure = {Errc::Unsupported, u"The other side did not agree to speak HTTP/2 (ALPN h2)."_s};
        return IoStep::Failed;
    }
    return IoStep::Done;
}

IoResult TlsSession::read(char *buffer, qsizetype size)
{
    ERR_clear_error();
    const int result = SSL_read(m_ssl, buffer, static_cast<int>(size));
    if (result > 0)
        return {IoStep::Done, result};
    return {stepAfter(result), 0};
}

IoResult TlsSession::write(const char *data, qsizetype size)
{
    ERR_clear_error();
    const qsizetype most = std::min<qsizetype>(size, std::numeric_limits<int>::max());
    const int result = SSL_write(m_ssl, data, static_cast<int>(most));
    if (result > 0)
        return {IoStep::Done, result};
    return {stepAfter(result), 0};
}

void TlsSession::shutDown()
{
    if (SSL_is_init_finished(m_ssl))
        (void)SSL_shutdown(m_ssl);
    ERR_clear_error();
}

Result<QByteArray> TlsSession::exportKeyingMaterial(const QByteArray &label, int length) const
{
    QByteArray bytes(length, '\0');
    if (length <= 0 || SSL_is_init_finished(m_ssl) != 1
        || SSL_export_keying_material(m_ssl, reinterpret_cast<unsigned char *>(bytes.data()), size_t(length),
                                      label.constData(), size_t(label.size()), nullptr, 0, 0)
               != 1)
        return Error{Errc::Unavailable, u"TLS gives no keying material: %1."_s.arg(tls::opensslReason())};
    return bytes;
}

QByteArray TlsSession::ownCertificate() const
{
    const X509 *own = SSL_get_certificate(m_ssl);
    return own ? tls::derOf(own) : QByteArray();
}

} // namespace lintel::grpc

// TLS 1.3 of one connection over a socket that somebody else owns: our certificate, ALPN, and the
// check of the other side by its SPIFFE ID. No tickets, no resumption: every connection proves both
// identities anew. Keys stay where they are (a TPM key signs through OpenSSL).
//
// Belongs to one connection and its thread. Blocks only while a key signs.
#pragma once

#include "grpc/grpc_channel.h"
#include "grpc/grpc_server.h"

#include <memory>

using SSL = struct ssl_st;
using X509_STORE_CTX = struct x509_store_ctx_st;

namespace lintel::grpc {

enum class TlsUse {
    Grpc,      // ALPN h2, a client certificate is asked for
    Documents, // ALPN http/1.1 or none, no client certificate
};

enum class IoStep {
    Done,
    WaitRead,
    WaitWrite,
    Closed, // the other side ended in order, or just went away
    Failed, // failure() says why
};

struct IoResult {
    IoStep step = IoStep::Done;
    qsizetype bytes = 0;
};

class TlsSession
{
public:
    [[nodiscard]] static Result<std::unique_ptr<TlsSession>> client(int socket, const ClientTls &setup,
                                                                    const QString &host);
    /// For documents: without a certificate of ours. Who answers must be `setup.expectedServer`; without
    /// that it must be `host`, with a certificate under the system's roots (RFC 6125).
    [[nodiscard]] static Result<std::unique_ptr<TlsSession>> documentClient(int socket, const ClientTls &setup,
                                                                            const QString &host);
    [[nodiscard]] static Result<std::unique_ptr<TlsSession>> server(int socket, const ServerTls &setup, TlsUse use);
    ~TlsSession();

    [[nodiscard]] IoStep handshake();
    [[nodiscard]] IoResult read(char *buffer, qsizetype size);
    /// May be repeated with other memory that holds the same bytes.
    [[nodiscard]] IoResult write(const char *data, qsizetype size);
    /// Says goodbye if that is possible at once.
    void shutDown();

    [[nodiscard]] Error failure() const { return m_failure; }
    [[nodiscard]] const QList<QByteArray> &peerChain() const { return m_peerChain; }
    [[nodiscard]] const std::optional<SpiffeId> &peerId() const { return m_peerId; }
    [[nodiscard]] Result<QByteArray> exportKeyingMaterial(const QByteArray &label, int length) const;
    /// DER of what this side shows; empty when it shows none.
    [[nodiscard]] QByteArray ownCertificate() const;

private:
    struct Callbacks; // OpenSSL's view of us

    TlsSession() = default;
    [[nodiscard]] static Result<std::unique_ptr<TlsSession>> make(int socket, TlsUse use, bool isServer);
    [[nodiscard]] Result<void> expectHost(const QString &host);
    void greet(const QString &host, const unsigned char *protocols, unsigned int size);
    [[nodiscard]] Result<void> present(const X509Svid &own);
    [[nodiscard]] Timestamp verificationTime() const;
    [[nodiscard]] Result<void> checkPeer() const;
    IoStep stepAfter(int result);

    SSL *m_ssl = nullptr;
    int m_socket = -1;
    bool m_isServer = false;
    bool m_byName = false; // the Web PKI decides about the peer, not a SPIFFE ID
    bool m_ended = false;  // the socket had no more bytes
    TlsUse m_use = TlsUse::Grpc;
    SpiffeId m_expected; // of a server
    TrustBundles m_bundles;
    Timestamp m_verifyAt{};
    std::chrono::milliseconds m_mayBeBehindBy{0};
    QList<QByteArray> m_peerChain;
    std::optional<SpiffeId> m_peerId; // verified
    Error m_failure{Errc::Unavailable, {}};
};

} // namespace lintel::grpc

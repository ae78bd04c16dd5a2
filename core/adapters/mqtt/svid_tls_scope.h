// TLS by SPIFFE identity for a library that makes its own OpenSSL contexts and shows them to
// nobody, as Paho does. Why it works the way it does: docs/decisions/0002.
//
// A TlsPeer stands for one connection attempt: whom to expect, and who we are. Its label goes into
// the library's cipher list option; every SSL object whose context carries that label is then
// bound to the peer: TLS 1.3 only, our SVID when the broker asks for it, the broker's chain
// verified by SPIFFE ID under the bundles of that moment. Every other SSL object of the process is
// left as it is. Made on any thread; handshakes run on the library's threads.
#pragma once

#include "ports/identity_source.h"

#include <QByteArray>
#include <QMutex>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

using SSL = struct ssl_st;
using X509_STORE_CTX = struct x509_store_ctx_st;

namespace lintel {

class TlsPeer
{
public:
    /// Unsupported when OpenSSL lacks the ciphers that labels are made of; Full when 65,535
    /// attempts are alive. The identity source must live until detach().
    [[nodiscard]] static Result<std::shared_ptr<TlsPeer>> make(const SpiffeId &expected, const IdentitySource &identity,
                                                               std::chrono::milliseconds unacknowledgedTimeout);
    ~TlsPeer();
    TlsPeer(const TlsPeer &) = delete;
    TlsPeer &operator=(const TlsPeer &) = delete;

    /// The value for the library's cipher list option; it means nothing else, since TLS 1.3 does
    /// not use that list.
    [[nodiscard]] const QByteArray &label() const { return m_label; }

    /// True once this connection's handshake verified the broker. A resumed TLS session shows no
    /// certificate and leaves it false.
    [[nodiscard]] bool verified() const;
    /// Why the handshake failed, if it was we or an alert of the broker.
    [[nodiscard]] std::optional<Error> failure() const;
    /// Called on the library's thread when a handshake has failed for good. Paho itself does not
    /// notice a connection that is reset during the handshake until its time is up.
    void onHandshakeFailed(std::function<void()> handler);
    /// From now on handshakes fail; the identity source may go.
    void detach();

private:
    friend struct TlsScope;
    TlsPeer(SpiffeId expected, const IdentitySource &identity, std::chrono::milliseconds timeout);
    bool present(SSL *ssl);
    void setUpSocket(int socket) const;
    bool verify(X509_STORE_CTX *context);
    void onAlert(int alert);
    void handshakeFailed();
    bool fail(Error error);
    /// The identity of this moment, with m_mutex held; null, and why is noted, when there is none.
    std::shared_ptr<const IdentitySnapshot> snapshot();

    const SpiffeId m_expected;
    const std::chrono::milliseconds m_timeout;
    quint32 m_number = 0;
    QByteArray m_label;
    mutable QMutex m_mutex; // guards what follows: handshakes run on the library's threads
    const IdentitySource *m_identity;
    std::function<void()> m_handler;
    bool m_verified = false;
    std::optional<Error> m_failure;
};

} // namespace lintel

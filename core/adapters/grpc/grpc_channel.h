// The calling end of gRPC: one HTTP/2 connection to one server, over TLS 1.3 with a SPIFFE identity
// or over a Unix socket in clear text, opened when the first call needs it and again after it was
// lost (a GOAWAY is normal: running calls finish, the next call gets a new connection).
//
// Lives on the thread that made it, which needs an event loop; every signal is emitted there and
// never from inside a call to it. Nothing blocks but the signature in a TLS handshake.
#pragma once

#include "grpc/grpc_types.h"

#include <QObject>

#include <chrono>
#include <functional>
#include <memory>

namespace lintel::grpc {

/// How the channel proves itself and whom it accepts. Asked anew for each connection, so that a
/// rotated SVID or bundle is used by the next one.
struct ClientTls {
    std::optional<X509Svid> own; // none: the server sees no certificate (node attestation)
    SpiffeId expectedServer;     // verified with the bundle of its trust domain, never by host name
    TrustBundles bundles;
    Timestamp verifyAt{}; // when the server's certificate has to be valid; zero: now by the system's clock
    /// `verifyAt` may lie that far in the past, as on a board without a clock: then it is at least as late as
    /// the server's own chain says, which a trusted root has signed. What is over by `verifyAt` stays refused.
    std::chrono::milliseconds mayBeBehindBy{0};
};

struct ChannelTarget {
    /// "host:port", or "unix:///path" (also "unix:path").
    QString address;
    /// Empty for a Unix socket. A TCP address without it is refused: nothing travels in clear text.
    std::function<Result<ClientTls>()> tls;
};

/// One call; the channel owns it until finished() was emitted, then it deletes itself later.
class ClientCall : public QObject
{
    Q_OBJECT
public:
    using QObject::QObject;
    /// Queued, with HTTP/2's flow control.
    virtual void send(const QByteArray &message) = 0;
    /// No more messages from us.
    virtual void closeSending() = 0;
    /// Ends the call; finished(Cancelled) follows.
    virtual void cancel() = 0;
    /// Bytes of our messages that wait for the server or for the connection.
    [[nodiscard]] virtual qsizetype queuedBytes() const = 0;
    /// While paused nothing is received and the server is held back by flow control.
    virtual void pauseReceiving(bool paused) = 0;

Q_SIGNALS:
    void messageReceived(const QByteArray &message);
    /// What was queued has gone out.
    void drained();
    /// Once, last. A connection that could not be made is Unavailable with the reason.
    void finished(const lintel::grpc::Status &status);
};

class Channel : public QObject
{
    Q_OBJECT
public:
    explicit Channel(ChannelTarget target, QObject *parent = nullptr);
    /// Calls that still run end without finished().
    ~Channel() override;

    /// `path` is "/package.Service/Method". Deadline 0 = none (streams).
    ClientCall *start(const QByteArray &path, const Metadata &metadata = {}, std::chrono::milliseconds deadline = {});
    /// One message there, one back; `done` runs on this thread, once, unless `context` died before.
    void unary(const QByteArray &path, const QByteArray &request, std::chrono::milliseconds deadline, QObject *context,
               std::function<void(Status, QByteArray response)> done, const Metadata &metadata = {});

    /// Closes the connection in order; the next call opens a new one, with the SVID that is current
    /// then.
    void reset();

    /// Of the open connection (RFC 5705, RFC 8446 section 7.5); Unavailable without one. Both ends
    /// get the same bytes, and nobody between them does.
    [[nodiscard]] Result<QByteArray> exportKeyingMaterial(const QByteArray &label, int length) const;
    /// DER of the server's certificate on the open connection; empty without one.
    [[nodiscard]] QByteArray serverCertificate() const;

Q_SIGNALS:
    /// An open connection broke. Not after reset(), not when a connection could not be made (its
    /// calls say so), and not for a server that said goodbye in order.
    void connectionLost(const lintel::Error &reason);

private:
    class Private;
    std::unique_ptr<Private> d;
};

} // namespace lintel::grpc

Q_DECLARE_METATYPE(lintel::grpc::Status)

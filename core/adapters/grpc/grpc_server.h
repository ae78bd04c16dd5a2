// The answering end of gRPC: TCP with TLS 1.3, Unix sockets in clear text, many connections on one
// event loop. TLS always asks for a client certificate and takes a connection without one; whether a
// method needs one is its handler's business (Peer::id).
//
// Lives on the thread that made it. A handler may answer later and from another thread's result,
// but touches a ServerCall only on the server's thread, and does not delete the server. Limits: message 4 MiB, 100 streams a
// connection (fewer for whoever shows no certificate), header list 16 KiB of which only what is asked for is kept,
// handshake, first message and idle timeouts; what breaks HTTP/2 or gRPC ends its own connection or stream and
// nothing else.
#pragma once

#include "grpc/grpc_types.h"

#include <QObject>

#include <chrono>
#include <functional>
#include <memory>

namespace lintel::grpc {

/// Asked for each new connection.
struct ServerTls {
    X509Svid own;
    /// A client certificate is checked against the bundle of its own trust domain, as
    /// tls::verifyPeer does; one that fails ends the handshake.
    TrustBundles bundles;
    Timestamp verifyAt{}; // when a client's certificate has to be valid; zero: now by the system's clock
};

struct ServerLimits {
    qsizetype maxMessageBytes = 4 * 1024 * 1024;
    int maxConnections = 4'000;
    int connectionsPerUser = 1'000; // over a Unix socket
    int connectionsPerPeer = 16;    // of one SPIFFE ID; a newer one ends the oldest that is idle, or the oldest
    int maxStreamsPerConnection = 100;
    int streamsOfUser = 16;    // on one connection over a Unix socket: streams that stay open, and calls beside them
    int streamsOfStranger = 4; // on one connection
    qsizetype maxQueuedBytes = 16 * 1024 * 1024; // of one call towards a caller that does not read; then it ends
    qsizetype maxBufferedBytes =
        64 * 1024 * 1024; // of all calls, and messages that are half here; then the newest ends
    qsizetype userBufferedBytes = 32 * 1024 * 1024; // of that for those of one user over a Unix socket
    // For a call's first message to begin, and six times as long until it (a unary one's whole request) is here.
    std::chrono::milliseconds firstMessageTimeout{10'000};
    std::chrono::milliseconds handshakeTimeout{10'000};
    std::chrono::milliseconds idleTimeout{30 * 60'000};     // without a call; then GOAWAY; 0 = never
    std::chrono::milliseconds anonymousIdleTimeout{30'000}; // the same over TLS without a client certificate
    std::chrono::milliseconds maxConnectionAge{0};          // then GOAWAY; 0 = never
    // A stranger is who shows no certificate over TLS: time to prove what it is, and no room to wait in.
    std::chrono::milliseconds strangerLife{90'000}; // of its connection, whatever its calls do
    qsizetype strangerMessageBytes = 2 * 1024 * 1024;
    int strangersPerNetwork = 2'000;                    // an IPv4 address or an IPv6 /64; handshakes included
    qsizetype strangerBufferedBytes = 16 * 1024 * 1024; // of maxBufferedBytes for all strangers
    qsizetype networkBufferedBytes = 4 * 1024 * 1024;   // of that for those of one network
};

/// What a bundle endpoint serves.
struct Document {
    QByteArray body;
    QByteArray contentType = "application/json";
};

/// One incoming call. Shared by the server and the handler; after finish(), or when the caller is
/// gone (cancelled()), everything on it does nothing.
class ServerCall : public QObject
{
    Q_OBJECT
public:
    using QObject::QObject;
    [[nodiscard]] virtual const Peer &peer() const = 0;
    [[nodiscard]] virtual QByteArray path() const = 0;
    /// Empty when absent, and when the server does not keep it: Server::keepMetadata().
    [[nodiscard]] virtual QByteArray metadata(const QByteArray &name) const = 0;
    /// As Channel::exportKeyingMaterial; Unsupported without TLS.
    [[nodiscard]] virtual Result<QByteArray> exportKeyingMaterial(const QByteArray &label, int length) const = 0;
    /// DER of what this end showed on this connection; empty without TLS, and when the caller is gone.
    [[nodiscard]] virtual QByteArray ownCertificate() const = 0;
    /// Bytes that wait for this caller; a stream that pushes should look before it adds.
    [[nodiscard]] virtual qsizetype queuedBytes() const = 0;
    virtual void send(const QByteArray &message) = 0;
    virtual void finish(const Status &status) = 0;
    /// While paused nothing is received and the caller is held back by flow control.
    virtual void pauseReceiving(bool paused) = 0;

Q_SIGNALS:
    void messageReceived(const QByteArray &message);
    /// What was queued has gone out.
    void drained();
    /// The caller has sent its last message.
    void halfClosed();
    /// The caller is gone, cancelled, or its deadline (grpc-timeout) has passed.
    void cancelled();
};

using StreamHandler = std::function<void(std::shared_ptr<ServerCall>)>;

struct UnaryReply {
    Status status;
    QByteArray message; // when ok
};
using UnaryHandler = std::function<UnaryReply(const QByteArray &request, const ServerCall &call)>;
/// Answers with send() and finish(), now or later.
using LaterHandler = std::function<void(const QByteArray &request, const std::shared_ptr<ServerCall> &call)>;

class Server : public QObject
{
    Q_OBJECT
public:
    explicit Server(ServerLimits limits = {}, QObject *parent = nullptr);
    ~Server() override;

    /// Both kinds before or after listening. A path without a handler answers Unimplemented.
    void handleStream(const QByteArray &path, const StreamHandler &handler);
    void handleUnary(const QByteArray &path, const UnaryHandler &handler);
    void handleUnaryLater(const QByteArray &path, const LaterHandler &handler);
    /// Called first for every call; a status that is not ok ends it (service-wide rules).
    void setGuard(std::function<Status(const ServerCall &)> guard);
    /// What guard and handlers look at; all other metadata is dropped as it comes, so that it fills no memory.
    void keepMetadata(const QList<QByteArray> &names);

    /// Port 0 = any; returns the port. Conflict when it is taken, with what to do. `tls` without a
    /// result refuses connections and says so once.
    [[nodiscard]] Result<quint16> listenTcp(const QString &address, quint16 port,
                                            std::function<Result<ServerTls>()> tls);
    /// Replaces a socket file that nobody listens on; Conflict when somebody does. `mode` as chmod.
    [[nodiscard]] Result<void> listenUnix(const QString &path, uint mode);

    /// HTTP/1.1 over the same TLS for a SPIFFE bundle endpoint, without gRPC: GET and HEAD of the
    /// documents, no client certificate asked for. `tls.own` may be a Web PKI certificate, its id
    /// empty.
    [[nodiscard]] Result<quint16> listenHttps(const QString &address, quint16 port,
                                              std::function<Result<ServerTls>()> tls);
    /// `provider` is asked at each GET; its error answers 503. `path` is "/" or "/a/b".
    void serveDocument(const QByteArray &path, const std::function<Result<Document>()> &provider);

    /// GOAWAY to everybody, running calls get `grace`, then all is closed; closed() follows.
    void close(std::chrono::milliseconds grace);
    /// Ends every connection whose verified peer is `id`; how many.
    int disconnectPeer(const SpiffeId &id);

    [[nodiscard]] int connectionCount() const;

Q_SIGNALS:
    /// After close(): no connection is left.
    void closed();
    /// Something that an operator should know, in a sentence: refused clients, no certificate to
    /// show, no file descriptors left. At most one of each code a second.
    void noticed(const lintel::Error &what);

private:
    class Private;
    std::unique_ptr<Private> d;
};

} // namespace lintel::grpc

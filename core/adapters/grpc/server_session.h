// The server's side of one HTTP/2 connection, without its socket: takes bytes, turns streams into
// calls, and has bytes to send. So it can be fed by a fuzzer as well as by a link.
//
// Belongs to a connection of a Server and its thread. Calls and sessions know each other while both
// live; either may go first.
#pragma once

#include "grpc/grpc_server.h"
#include "grpc/http2.h"

#include <QBasicTimer>
#include <QHash>

#include <memory>
#include <vector>

namespace lintel::grpc {

class ServerCallImpl;

/// What a session asks of the server that it belongs to.
class ServerHost
{
public:
    [[nodiscard]] virtual const ServerLimits &limits() const = 0;
    /// Whether guard or handlers ask for it.
    [[nodiscard]] virtual bool keepsMetadata(const QByteArray &name) const = 0;
    /// Guard and handler of a new call; outside of nghttp2.
    virtual void beginCall(const std::shared_ptr<ServerCallImpl> &call) = 0;
    /// Accounts for calls and for messages that are half here; false when there is no room for more.
    [[nodiscard]] virtual bool reserve(const Peer &peer, qsizetype bytes) = 0;
    virtual void release(const Peer &peer, qsizetype bytes) = 0;

protected:
    ~ServerHost() = default;
};

/// What a session asks of its connection.
class ServerLink
{
public:
    /// There is something to send; not at once, since several calls may add to it.
    virtual void flushSoon() = 0;
    [[nodiscard]] virtual Result<QByteArray> exportKeyingMaterial(const QByteArray &label, int length) const = 0;
    [[nodiscard]] virtual QByteArray ownCertificate() const = 0;

protected:
    ~ServerLink() = default;
};

class ServerSession final : public Http2
{
public:
    ServerSession(ServerHost &host, ServerLink &link, std::shared_ptr<const Peer> peer);
    ~ServerSession() override;

    /// Lets handlers see what has come since the last time. Outside of receive() and collect().
    void dispatch();
    [[nodiscard]] bool hasNews() const { return !m_touched.empty(); }
    /// Without a call for a while: keeps no more memory than it needs.
    void rest();
    /// The connection is gone: every call is cancelled with the next dispatch().
    void abandon();
    [[nodiscard]] int callCount() const { return static_cast<int>(m_calls.size()); }
    [[nodiscard]] ServerHost &host() const { return m_host; }
    [[nodiscard]] ServerLink &link() const { return m_link; }
    [[nodiscard]] const std::shared_ptr<const Peer> &peer() const { return m_peer; }
    /// The answer to the ping of announceGoAway() has come: nothing is on its way any more.
    [[nodiscard]] bool takePingAnswered() { return std::exchange(m_pingAnswered, false); }

private:
    friend class ServerCallImpl;

    void onHeadersBegin(qint32 stream) override;
    bool onHeader(qint32 stream, const QByteArray &name, const QByteArray &value) override;
    void onHeadersEnd(qint32 stream) override;
    void onData(qint32 stream, QByteArrayView bytes) override;
    void onEndOfStream(qint32 stream) override;
    void onStreamClosed(qint32 stream, quint32 error) override;
    void onGoAway(quint32, const QByteArray &) override {}
    void onPingAnswered() override { m_pingAnswered = true; }
    void onLocalEnd(qint32 stream) override;
    Outgoing outgoing(qint32 stream) override;
    void onSent(qint32 stream, qsizetype bytes) override;
    void touch(const std::shared_ptr<ServerCallImpl> &call);
    void detach(ServerCallImpl &call);

    ServerHost &m_host;
    ServerLink &m_link;
    std::shared_ptr<const Peer> m_peer;
    QHash<qint32, std::shared_ptr<ServerCallImpl>> m_calls;
    std::vector<std::shared_ptr<ServerCallImpl>> m_touched; // have something for their handlers
    bool m_pingAnswered = false;
};

class ServerCallImpl final : public ServerCall, public std::enable_shared_from_this<ServerCallImpl>
{
    Q_OBJECT
public:
    ServerCallImpl(ServerSession &session, qint32 stream);
    ~ServerCallImpl() override;

    [[nodiscard]] const Peer &peer() const override { return *m_peer; }
    [[nodiscard]] QByteArray path() const override { return m_path; }
    [[nodiscard]] QByteArray metadata(const QByteArray &name) const override;
    [[nodiscard]] Result<QByteArray> exportKeyingMaterial(const QByteArray &label, int length) const override;
    [[nodiscard]] QByteArray ownCertificate() const override;
    [[nodiscard]] qsizetype queuedBytes() const override { return m_out.size(); }
    void send(const QByteArray &message) override;
    void finish(const Status &status) override;
    void pauseReceiving(bool paused) override;

    [[nodiscard]] bool isOver() const { return m_isOver; }
    /// One message in, one out; instead of signals.
    void setUnary(UnaryHandler handler);
    void setUnaryLater(LaterHandler handler) { m_unary = std::move(handler); }

private:
    friend class ServerSession;

    /// An answer of HTTP, to what is no gRPC request.
    void refuseHttp(const QByteArray &status);
    [[nodiscard]] QByteArray httpProblem() const;
    void begin();
    void dispatch();
    void deliverMessages();
    void answerUnary();
    void openWindow();
    bool account();
    void watchArrival();
    void giveUpWaiting();
    void abort(const Status &status);
    void touch();
    void timerEvent(QTimerEvent *event) override;

    ServerSession *m_session; // null when the stream is closed
    std::shared_ptr<const Peer> m_peer;
    qint32 m_stream;
    QByteArray m_method;
    QByteArray m_path;
    QByteArray m_contentType;
    QByteArray m_timeout;
    Metadata m_metadata;
    MessageReader m_reader;
    SendQueue m_out;
    QList<QPair<QByteArray, QByteArray>> m_trailers;
    QBasicTimer m_deadline;
    QBasicTimer m_arrival;
    LaterHandler m_unary;
    QByteArray m_request;       // of a unary call
    int m_messages = 0;         // that have come
    qsizetype m_unconsumed = 0; // received, but the window was not opened again
    qsizetype m_headBytes = 0;  // of the call itself and what it keeps of its headers
    qsizetype m_reserved = 0;   // told to the host
    bool m_headersComplete = false;
    bool m_headersSent = false;
    bool m_hasBegun = false;
    bool m_isPaused = false;
    bool m_remoteEnded = false;
    bool m_halfClosedTold = false;
    bool m_wasDrained = false;
    bool m_tellCancelled = false;
    bool m_isOver = false; // finished, or the handler knows that it was cancelled
    bool m_isTouched = false;
    bool m_isLate = false; // its first message, but it has begun
};

} // namespace lintel::grpc

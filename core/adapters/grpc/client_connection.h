// The calling side of one HTTP/2 connection: ClientSession turns calls into streams and knows no
// socket; ClientConnection finds the server, makes TLS and moves the bytes.
//
// Belongs to a Channel and its thread. A slot of a call may end the call or the channel: whoever
// works holds the connection, and looks again after each signal.
#pragma once

#include "grpc/grpc_channel.h"
#include "grpc/http2.h"
#include "grpc/link.h"
#include "grpc/resolver.h"

#include <QBasicTimer>
#include <QHash>
#include <QPointer>
#include <QTimer>

#include <memory>
#include <vector>

namespace lintel::grpc {

class ClientCallImpl;

class ClientSession final : public Http2
{
public:
    /// `flushSoon`: there is something to send.
    ClientSession(QByteArray authority, bool isTls, std::function<void()> flushSoon);
    ~ClientSession() override;

    void start(ClientCallImpl &call);
    void forget(qint32 stream) { m_calls.remove(stream); }
    /// Lets calls see what has come since the last time. Outside of receive() and collect().
    void dispatch();
    [[nodiscard]] bool hasNews() const { return !m_touched.empty(); }
    /// The connection is gone; all calls end with this.
    void abandon(const Status &status);
    [[nodiscard]] int callCount() const { return static_cast<int>(m_calls.size()); }
    [[nodiscard]] bool isRetiring() const { return m_isRetiring; }

private:
    friend class ClientCallImpl;

    void onHeadersBegin(qint32) override {}
    bool onHeader(qint32 stream, const QByteArray &name, const QByteArray &value) override;
    void onHeadersEnd(qint32 stream) override;
    void onData(qint32 stream, QByteArrayView bytes) override;
    void onEndOfStream(qint32 stream) override;
    void onStreamClosed(qint32 stream, quint32 error) override;
    void onGoAway(quint32 error, const QByteArray &words) override;
    Outgoing outgoing(qint32 stream) override;
    void onSent(qint32 stream, qsizetype bytes) override;
    void touch(ClientCallImpl &call);

    QByteArray m_authority;
    bool m_isTls;
    std::function<void()> m_flushSoon;
    QHash<qint32, ClientCallImpl *> m_calls;
    std::vector<QPointer<ClientCallImpl>> m_touched;
    bool m_isRetiring = false;
};

/// What a call needs of its channel.
class CallHost
{
public:
    /// The server did not look at the call: another connection may.
    virtual void startAgain(ClientCallImpl &call) = 0;

protected:
    ~CallHost() = default;
};

class ClientCallImpl final : public ClientCall
{
    Q_OBJECT
public:
    ClientCallImpl(CallHost &host, QByteArray path, Metadata metadata, std::chrono::milliseconds deadline,
                   QObject *parent);
    ~ClientCallImpl() override;

    void send(const QByteArray &message) override;
    void closeSending() override;
    void cancel() override;
    [[nodiscard]] qsizetype queuedBytes() const override { return m_out.size(); }
    void pauseReceiving(bool paused) override;

    /// Ends the call; finished() comes from the event loop.
    void fail(const Status &status);
    [[nodiscard]] bool isComplete() const { return m_final.has_value(); }

private:
    friend class ClientSession;

    [[nodiscard]] QList<QPair<QByteArray, QByteArray>> headers(const ClientSession &session) const;
    void takeHeader(const QByteArray &name, const QByteArray &value);
    [[nodiscard]] Status statusOfResponse() const;
    void streamClosed(quint32 error);
    void dispatch();
    void deliverMessages();
    void complete(const Status &status);
    void tellFinished();
    void forgetReplay();
    void timerEvent(QTimerEvent *event) override;

    CallHost &m_host;
    ClientSession *m_session = nullptr; // while a stream is open
    qint32 m_stream = 0;
    QByteArray m_path;
    Metadata m_metadata;
    std::chrono::steady_clock::time_point m_expires = std::chrono::steady_clock::time_point::max();
    QBasicTimer m_deadline;
    MessageReader m_reader;
    SendQueue m_out;
    QList<QByteArray> m_replay; // what was sent, for a server that did not look at it
    qsizetype m_replayBytes = 0;
    bool m_canReplay = true;
    int m_httpStatus = 0;
    QByteArray m_contentType;
    std::optional<QByteArray> m_grpcStatus;
    QByteArray m_grpcMessage;
    QByteArray m_details;
    qsizetype m_unconsumed = 0;
    bool m_isClosedForSending = false;
    bool m_isPaused = false;
    bool m_wasDrained = false;
    bool m_isTouched = false;
    bool m_startAgain = false;
    bool m_isTold = false;
    std::optional<Status> m_ended; // by the server; messages may still wait
    std::optional<Status> m_final;
};

class ClientConnection;

class ChannelHost
{
public:
    [[nodiscard]] virtual Poller &poller() = 0;
    virtual void connectionReady(ClientConnection &connection) = 0;
    /// Could not be made.
    virtual void connectionRefused(ClientConnection &connection, const Error &reason) = 0;
    /// Takes no new calls any more.
    virtual void connectionRetired(ClientConnection &connection) = 0;
    virtual void connectionLost(ClientConnection &connection, const Error &reason) = 0;
    virtual void connectionEnded(ClientConnection &connection) = 0;

protected:
    ~ChannelHost() = default;
};

class ClientConnection final : public std::enable_shared_from_this<ClientConnection>, private Link::Owner
{
public:
    ClientConnection(ChannelHost &host, Target target, QString shownAddress, std::function<Result<ClientTls>()> tls);

    /// Nothing is told from inside of this.
    void open();
    [[nodiscard]] bool isReady() const
    {
        return m_session && !m_isEnding && !m_toldRetired && !m_session->isRetiring();
    }
    void start(ClientCallImpl &call);
    /// The running calls finish, then it closes.
    void retire();
    /// The channel is going away.
    void abandon();
    [[nodiscard]] const TlsSession *tls() const { return m_link ? m_link->tls() : nullptr; }

private:
    [[nodiscard]] std::shared_ptr<void> keepAlive() override { return shared_from_this(); }
    [[nodiscard]] Result<std::unique_ptr<TlsSession>> makeTls(int socket) override;
    void linkOpened() override;
    void linkReceived(QByteArrayView bytes) override;
    void linkDrained() override { pump(); }
    void linkFailed(const Error &reason) override;
    void linkClosed() override;

    void tryAddresses(Result<QList<SocketAddress>> addresses);
    void tryNext();
    void refuse(const Error &reason);
    void pump();
    void takeNoMore();
    void flush();
    void flushSoon();
    void end();

    ChannelHost *m_host; // null when the channel is gone
    Target m_target;
    QString m_shown;
    std::function<Result<ClientTls>()> m_tlsProvider;
    Resolver m_resolver;
    QList<SocketAddress> m_addresses;
    std::unique_ptr<Link> m_link;
    std::unique_ptr<ClientSession> m_session;
    QTimer m_patience; // with connecting, later with closing
    Error m_lastError{Errc::Unavailable, {}};
    bool m_isPumping = false;
    bool m_isFlushPending = false;
    bool m_isEnding = false;
    bool m_toldRetired = false;
};

} // namespace lintel::grpc

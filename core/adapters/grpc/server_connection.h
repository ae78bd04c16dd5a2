// One accepted connection of a Server: its link, and what is spoken on it (gRPC or documents).
//
// Owned by the server and by itself while it works. Its time limits are looked at by the server's
// clock tick, so that an idle connection costs no timer.
#pragma once

#include "grpc/http1_documents.h"
#include "grpc/link.h"
#include "grpc/server_session.h"

#include <chrono>
#include <memory>

namespace lintel::grpc {

using TlsProvider = std::function<Result<ServerTls>()>;

class ServerConnection;

class ConnectionHost : public ServerHost
{
public:
    [[nodiscard]] virtual Poller &poller() = 0;
    [[nodiscard]] virtual const DocumentProviders &documents() const = 0;
    virtual void flushSoon(const std::shared_ptr<ServerConnection> &connection) = 0;
    /// The next time limit may be earlier than it was.
    virtual void limitChanged(std::chrono::steady_clock::time_point limit) = 0;
    virtual void notice(const Error &what) = 0;
    virtual void connectionEnded(ServerConnection &connection) = 0;
    /// A connection of a local user, or one over the network whose other end is not known yet; false: that
    /// user or that network has enough of them.
    [[nodiscard]] virtual bool takePlace(const Peer &peer) = 0;
    /// It is known now, or gone.
    virtual void leavePlace(const Peer &peer) = 0;
    /// Its peer has shown an SVID of this ID.
    virtual void identified(ServerConnection &connection, const SpiffeId &id) = 0;

protected:
    ~ConnectionHost() = default;
};

class ServerConnection final : public std::enable_shared_from_this<ServerConnection>,
                               private Link::Owner,
                               private ServerLink
{
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    ServerConnection(ConnectionHost &host, TlsUse use, TlsProvider tls);

    [[nodiscard]] Result<void> start(Accepted accepted);
    /// Sends what the calls have prepared and lets handlers see what has come.
    void pump();
    /// Acts on limits that have passed.
    void checkTime(TimePoint now);
    /// When checkTime() has something to do; max() for never.
    [[nodiscard]] TimePoint nextLimit() const { return m_limit; }
    /// No new calls, and the end when the running ones are through.
    void retire();
    /// Now; running calls are cancelled.
    void end();
    /// The server is going away: nothing is told to anybody.
    void abandon();
    [[nodiscard]] bool isOf(const SpiffeId &id) const { return m_peer && m_peer->id == id; }
    [[nodiscard]] const std::optional<SpiffeId> &id() const { return m_peer->id; }
    [[nodiscard]] bool isIdle() const { return m_session && m_session->callCount() == 0; }

private:
    enum class Phase { Opening, Running, Announced, Retiring, Ending };

    [[nodiscard]] std::shared_ptr<void> keepAlive() override { return shared_from_this(); }
    [[nodiscard]] Result<std::unique_ptr<TlsSession>> makeTls(int socket) override;
    void linkOpened() override;
    void linkReceived(QByteArrayView bytes) override;
    void linkDrained() override { pump(); }
    void linkFailed(const Error &reason) override;
    void linkClosed() override;
    void flushSoon() override;
    [[nodiscard]] Result<QByteArray> exportKeyingMaterial(const QByteArray &label, int length) const override;
    [[nodiscard]] QByteArray ownCertificate() const override;

    void flush();
    void goodbye();
    void setLimit(TimePoint limit);
    void noteActivity();
    void leavePlace();
    [[nodiscard]] TimePoint idleLimit() const;
    [[nodiscard]] TimePoint restLimit() const;

    ConnectionHost &m_host;
    TlsUse m_use;
    TlsProvider m_tlsProvider;
    std::shared_ptr<Peer> m_peer;
    Link m_link;
    std::unique_ptr<ServerSession> m_session;
    std::unique_ptr<DocumentExchange> m_documents;
    Phase m_phase = Phase::Opening;
    bool m_isTls;
    bool m_hasPlace = false; // see ConnectionHost::takePlace()
    bool m_isPumping = false;
    bool m_isFlushPending = false;
    bool m_isResting = false;
    TimePoint m_limit = TimePoint::max();
    TimePoint m_endAt = TimePoint::max(); // of a stranger
    TimePoint m_retireAt = TimePoint::max();
    TimePoint m_idleSince = TimePoint::max();
};

} // namespace lintel::grpc

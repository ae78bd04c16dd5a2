#include "grpc/grpc_server.h"

#include "grpc/server_connection.h"

#include <QPointer>
#include <QSocketNotifier>
#include <QTimer>

#include <algorithm>
#include <exception>
#include <unordered_map>
#include <vector>

namespace lintel::grpc {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto kNoticeInterval = 1s;
constexpr auto kAcceptPause = 500ms; // when the system has no descriptors left
constexpr int kAcceptsAtOnce = 32;

} // namespace

class Server::Private final : public ConnectionHost
{
public:
    explicit Private(Server &owner, const ServerLimits &serverLimits) : m_owner(owner), m_limits(serverLimits)
    {
        m_tick.setSingleShot(true);
        m_tick.setTimerType(Qt::CoarseTimer);
        QObject::connect(&m_tick, &QTimer::timeout, &m_owner, [this] { tick(); });
    }
    ~Private()
    {
        for (const auto &[key, connection] : m_connections)
            connection->abandon();
    }

    struct Listener {
        TcpListener tcp;
        std::optional<UnixListener> unixSocket;
        TlsUse use = TlsUse::Grpc;
        TlsProvider tls;
        std::unique_ptr<QSocketNotifier> notifier;

        [[nodiscard]] const Socket &socket() const { return unixSocket ? unixSocket->socket() : tcp.socket; }
    };

    [[nodiscard]] const ServerLimits &limits() const override { return m_limits; }
    [[nodiscard]] bool keepsMetadata(const QByteArray &name) const override { return m_metadata.contains(name); }
    void beginCall(const std::shared_ptr<ServerCallImpl> &call) override;
    [[nodiscard]] bool reserve(const Peer &peer, qsizetype bytes) override;
    void release(const Peer &peer, qsizetype bytes) override;
    [[nodiscard]] bool takePlace(const Peer &peer) override;
    void leavePlace(const Peer &peer) override;
    void identified(ServerConnection &connection, const SpiffeId &id) override;
    [[nodiscard]] Poller &poller() override { return m_poller; }
    [[nodiscard]] const DocumentProviders &documents() const override { return m_documents; }
    void flushSoon(const std::shared_ptr<ServerConnection> &connection) override;
    void limitChanged(Clock::time_point limit) override;
    void notice(const Error &what) override;
    void connectionEnded(ServerConnection &connection) override;

    void addListener(std::unique_ptr<Listener> listener);
    [[nodiscard]] Result<quint16> listenTcp(const QString &address, quint16 port, TlsUse use, TlsProvider tls);
    void accept(Listener &listener);
    void tick();
    void close(std::chrono::milliseconds grace);
    void endAll();

    Server &m_owner;
    ServerLimits m_limits;
    Poller m_poller;
    QHash<QByteArray, StreamHandler> m_streams;
    QHash<QByteArray, UnaryHandler> m_unary;
    QHash<QByteArray, LaterHandler> m_later;
    DocumentProviders m_documents;
    std::function<Status(const ServerCall &)> m_guard;
    QList<QByteArray> m_metadata; // names that are kept
    std::vector<std::unique_ptr<Listener>> m_listeners;
    std::unordered_map<ServerConnection *, std::shared_ptr<ServerConnection>> m_connections;
    std::vector<std::shared_ptr<ServerConnection>> m_toFlush;
    QTimer m_tick;
    Clock::time_point m_nextTick = Clock::time_point::max();
    QHash<Errc, Clock::time_point> m_lastNotices;
    Clock::time_point m_acceptAgain = Clock::time_point::max();
    Clock::time_point m_closeAt = Clock::time_point::max();
    qsizetype m_buffered = 0;
    struct Share {
        int connections = 0;
        qsizetype buffered = 0;
    };
    QHash<QByteArray, Share> m_strangers; // by network
    qsizetype m_strangersBuffered = 0;
    QHash<quint32, Share> m_users;                            // local ones
    QHash<SpiffeId, std::vector<ServerConnection *>> m_known; // the oldest first
    bool m_isClosing = false;
};

bool Server::Private::reserve(const Peer &peer, qsizetype bytes)
{
    if (m_buffered + bytes > m_limits.maxBufferedBytes)
        return false;
    if (peer.isStranger()) {
        Share &strangers = m_strangers[peer.network];
        if (m_strangersBuffered + bytes > m_limits.strangerBufferedBytes
            || strangers.buffered + bytes > m_limits.networkBufferedBytes)
            return false;
        m_strangersBuffered += bytes;
        strangers.buffered += bytes;
    } else if (peer.process) {
        Share &user = m_users[peer.process->uid];
        if (user.buffered + bytes > m_limits.userBufferedBytes)
            return false;
        user.buffered += bytes;
    }
    m_buffered += bytes;
    return true;
}

void Server::Private::release(const Peer &peer, qsizetype bytes)
{
    m_buffered -= bytes;
    if (peer.process) {
        if (const auto user = m_users.find(peer.process->uid); user != m_users.end())
            user->buffered -= bytes;
        return;
    }
    if (!peer.isStranger())
        return;
    m_strangersBuffered -= bytes;
    if (const auto it = m_strangers.find(peer.network); it != m_strangers.end())
        it->buffered -= bytes;
}

bool Server::Private::takePlace(const Peer &peer)
{
    int &count = (peer.process ? m_users[peer.process->uid] : m_strangers[peer.network]).connections;
    if (count >= (peer.process ? m_limits.connectionsPerUser : m_limits.strangersPerNetwork))
        return false;
    ++count;
    return true;
}

void Server::Private::leavePlace(const Peer &peer)
{
    if (peer.process) {
        if (const auto user = m_users.find(peer.process->uid); user != m_users.end() && --user->connections == 0)
            m_users.erase(user);
    } else if (const auto it = m_strangers.find(peer.network); it != m_strangers.end() && --it->connections == 0) {
        m_strangers.erase(it);
    }
}

/// A device that lost its network comes back while its old connections still seem to live, so it is not refused.
void Server::Private::identified(ServerConnection &connection, const SpiffeId &id)
{
    std::vector<ServerConnection *> &known = m_known[id];
    std::shared_ptr<ServerConnection> leaving;
    if (!known.empty() && known.size() >= static_cast<size_t>(m_limits.connectionsPerPeer)) {
        const auto idle = std::find_if(known.begin(), known.end(), [](const auto *one) { return one->isIdle(); });
        const auto chosen = idle != known.end() ? idle : known.begin();
        leaving = (*chosen)->shared_from_this();
        known.erase(chosen);
    }
    known.push_back(&connection);
    if (!leaving)
        return;
    notice({Errc::Full, u"%1 has more than %2 connections; an old one was ended."_s.arg(id.toString())
                            .arg(m_limits.connectionsPerPeer)});
    leaving->end();
}

void Server::Private::beginCall(const std::shared_ptr<ServerCallImpl> &call)
{
    try {
        if (m_guard) {
            if (const Status status = m_guard(*call); !status.isOk())
                return call->finish(status);
        }
        const QByteArray path = call->path();
        if (const auto unary = m_unary.constFind(path); unary != m_unary.constEnd())
            return call->setUnary(*unary);
        if (const auto later = m_later.constFind(path); later != m_later.constEnd())
            return call->setUnaryLater(*later);
        if (const auto stream = m_streams.constFind(path); stream != m_streams.constEnd()) {
            const StreamHandler handler = *stream;
            return handler(call);
        }
        call->finish({StatusCode::Unimplemented, u"There is no method %1."_s.arg(QString::fromUtf8(path)), {}});
    } catch (const std::exception &problem) {
        call->finish({StatusCode::Internal, u"The method failed: %1."_s.arg(QString::fromUtf8(problem.what())), {}});
    }
}

void Server::Private::flushSoon(const std::shared_ptr<ServerConnection> &connection)
{
    if (m_toFlush.empty())
        QMetaObject::invokeMethod(
            &m_owner,
            [this] {
                const QPointer<Server> alive(&m_owner);
                for (const auto &waiting : std::exchange(m_toFlush, {})) {
                    waiting->pump();
                    if (!alive)
                        return;
                }
            },
            Qt::QueuedConnection);
    m_toFlush.push_back(connection);
}

void Server::Private::limitChanged(Clock::time_point limit)
{
    if (limit >= m_nextTick)
        return;
    m_nextTick = limit;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(limit - Clock::now());
    m_tick.start(std::clamp<std::chrono::milliseconds>(wait, 1ms, 24h));
}

void Server::Private::tick()
{
    m_nextTick = Clock::time_point::max();
    const auto now = Clock::now();
    if (now >= m_acceptAgain) {
        m_acceptAgain = Clock::time_point::max();
        for (const auto &listener : m_listeners)
            listener->notifier->setEnabled(true);
    }
    if (now >= m_closeAt) {
        m_closeAt = Clock::time_point::max();
        endAll();
    }
    std::vector<std::shared_ptr<ServerConnection>> due;
    for (const auto &[key, connection] : m_connections)
        if (connection->nextLimit() <= now)
            due.push_back(connection);
    const QPointer<Server> alive(&m_owner);
    for (const auto &connection : due) {
        connection->checkTime(now);
        if (!alive)
            return;
    }
    auto next = std::min(m_acceptAgain, m_closeAt);
    for (const auto &[key, connection] : m_connections)
        next = std::min(next, connection->nextLimit());
    if (next != Clock::time_point::max())
        limitChanged(next);
}

void Server::Private::notice(const Error &what)
{
    const auto now = Clock::now();
    const auto last = m_lastNotices.constFind(what.code);
    if (last != m_lastNotices.constEnd() && now - *last < kNoticeInterval)
        return;
    m_lastNotices.insert(what.code, now);
    // Not from inside of somebody's call.
    QMetaObject::invokeMethod(
        &m_owner, [owner = &m_owner, what] { Q_EMIT owner->noticed(what); }, Qt::QueuedConnection);
}

void Server::Private::connectionEnded(ServerConnection &connection)
{
    if (const auto known = connection.id() ? m_known.find(*connection.id()) : m_known.end(); known != m_known.end()) {
        known->erase(std::remove(known->begin(), known->end(), &connection), known->end());
        if (known->empty())
            m_known.erase(known);
    }
    if (m_connections.erase(&connection) == 0 || !m_isClosing || !m_connections.empty())
        return;
    QMetaObject::invokeMethod(
        &m_owner, [owner = &m_owner] { Q_EMIT owner->closed(); }, Qt::QueuedConnection);
}

void Server::Private::addListener(std::unique_ptr<Listener> listener)
{
    Listener *const raw = listener.get();
    raw->notifier = std::make_unique<QSocketNotifier>(raw->socket().descriptor(), QSocketNotifier::Read);
    QObject::connect(raw->notifier.get(), &QSocketNotifier::activated, &m_owner, [this, raw] { accept(*raw); });
    m_listeners.push_back(std::move(listener));
    m_isClosing = false;
}

Result<quint16> Server::Private::listenTcp(const QString &address, quint16 port, TlsUse use, TlsProvider tls)
{
    if (!tls)
        return Error{Errc::Malformed, u"A TCP listener needs an identity; clear text is for Unix sockets only."_s};
    auto opened = listenOnTcp(address, port);
    if (!opened)
        return opened.error();
    auto listener = std::make_unique<Listener>();
    listener->tcp = *std::move(opened);
    listener->use = use;
    listener->tls = std::move(tls);
    const quint16 bound = listener->tcp.port;
    addListener(std::move(listener));
    return bound;
}

void Server::Private::accept(Listener &listener)
{
    for (int i = 0; i < kAcceptsAtOnce; ++i) {
        Accepted accepted = acceptOne(listener.socket(), listener.unixSocket.has_value());
        if (!accepted.socket.isOpen()) {
            if (accepted.error != EMFILE && accepted.error != ENFILE && accepted.error != ENOMEM
                && accepted.error != ENOBUFS)
                return; // nobody waits, or somebody left before we looked
            notice({Errc::Full, u"No connection can be taken: %1."_s.arg(systemReason(accepted.error))});
            for (const auto &each : m_listeners)
                each->notifier->setEnabled(false);
            m_acceptAgain = Clock::now() + kAcceptPause;
            return limitChanged(m_acceptAgain);
        }
        if (m_connections.size() >= static_cast<size_t>(m_limits.maxConnections)) {
            notice({Errc::Full, u"A connection was refused: %1 are open already."_s.arg(m_limits.maxConnections)});
            continue;
        }
        const auto connection = std::make_shared<ServerConnection>(*this, listener.use, listener.tls);
        m_connections.emplace(connection.get(), connection);
        if (const auto started = connection->start(std::move(accepted)); !started) {
            m_connections.erase(connection.get());
            notice(started.error());
        }
    }
}

void Server::Private::close(std::chrono::milliseconds grace)
{
    m_isClosing = true;
    m_listeners.clear();
    if (m_connections.empty()) {
        QMetaObject::invokeMethod(
            &m_owner, [owner = &m_owner] { Q_EMIT owner->closed(); }, Qt::QueuedConnection);
        return;
    }
    m_closeAt = Clock::now() + grace;
    limitChanged(m_closeAt);
    std::vector<std::shared_ptr<ServerConnection>> all;
    all.reserve(m_connections.size());
    for (const auto &[key, connection] : m_connections)
        all.push_back(connection);
    for (const auto &connection : all)
        connection->retire();
}

void Server::Private::endAll()
{
    std::vector<std::shared_ptr<ServerConnection>> all;
    all.reserve(m_connections.size());
    for (const auto &[key, connection] : m_connections)
        all.push_back(connection);
    for (const auto &connection : all)
        connection->end();
}

Server::Server(ServerLimits limits, QObject *parent) : QObject(parent), d(std::make_unique<Private>(*this, limits))
{
    qRegisterMetaType<lintel::Error>();
}

Server::~Server() = default;

void Server::handleStream(const QByteArray &path, const StreamHandler &handler)
{
    d->m_streams.insert(path, handler);
}

void Server::handleUnary(const QByteArray &path, const UnaryHandler &handler)
{
    d->m_unary.insert(path, handler);
}

void Server::handleUnaryLater(const QByteArray &path, const LaterHandler &handler)
{
    d->m_later.insert(path, handler);
}

void Server::setGuard(std::function<Status(const ServerCall &)> guard)
{
    d->m_guard = std::move(guard);
}

void Server::keepMetadata(const QList<QByteArray> &names)
{
    d->m_metadata = names;
}

Result<quint16> Server::listenTcp(const QString &address, quint16 port, std::function<Result<ServerTls>()> tls)
{
    return d->listenTcp(address, port, TlsUse::Grpc, std::move(tls));
}

Result<quint16> Server::listenHttps(const QString &address, quint16 port, std::function<Result<ServerTls>()> tls)
{
    return d->listenTcp(address, port, TlsUse::Documents, std::move(tls));
}

Result<void> Server::listenUnix(const QString &path, uint mode)
{
    auto opened = UnixListener::open(path, mode);
    if (!opened)
        return opened.error();
    auto listener = std::make_unique<Private::Listener>();
    listener->unixSocket.emplace(*std::move(opened));
    d->addListener(std::move(listener));
    return {};
}

void Server::serveDocument(const QByteArray &path, const std::function<Result<Document>()> &provider)
{
    d->m_documents.insert(path, provider);
}

void Server::close(std::chrono::milliseconds grace)
{
    d->close(grace);
}

int Server::disconnectPeer(const SpiffeId &id)
{
    std::vector<std::shared_ptr<ServerConnection>> matching;
    for (const auto &[key, connection] : d->m_connections)
        if (connection->isOf(id))
            matching.push_back(connection);
    for (const auto &connection : matching)
        connection->end();
    return static_cast<int>(matching.size());
}

int Server::connectionCount() const
{
    return static_cast<int>(d->m_connections.size());
}

} // namespace lintel::grpc

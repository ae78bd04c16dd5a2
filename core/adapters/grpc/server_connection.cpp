#include "grpc/server_connection.h"

#include <algorithm>

namespace lintel::grpc {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr auto kGoodbyeTime = 2s;  // for the other side to close as well
constexpr auto kAnnounceTime = 1s; // for an answer to the ping behind the announced GOAWAY
constexpr auto kRestAfter = 1s;    // and at most one more: whole seconds, so that many connections are one tick
constexpr qsizetype kEnough = 16 * 1024;
constexpr int kRoundsAtOnce = 8; // then it is another connection's turn

} // namespace

ServerConnection::ServerConnection(ConnectionHost &host, TlsUse use, TlsProvider tls)
    : m_host(host), m_use(use), m_tlsProvider(std::move(tls)), m_peer(std::make_shared<Peer>()),
      m_link(host.poller(), *this), m_isTls(bool(m_tlsProvider))
{}

void ServerConnection::leavePlace()
{
    if (std::exchange(m_hasPlace, false))
        m_host.leavePlace(*m_peer);
}

Result<void> ServerConnection::start(Accepted accepted)
{
    m_peer->address = std::move(accepted.address);
    m_peer->network = std::move(accepted.network);
    m_peer->process = accepted.process;
    m_hasPlace = m_host.takePlace(*m_peer);
    if (!m_hasPlace && m_peer->process)
        return Error{Errc::Full,
                     u"A connection of the user %1 was refused: it has too many."_s.arg(m_peer->process->uid)};
    if (!m_hasPlace)
        return Error{Errc::Full,
                     u"The connection from %1 was refused: too many of its network have not shown who they are."_s.arg(
                         m_peer->address)};
    if (const auto started = m_link.start(std::move(accepted.socket), false, m_isTls); !started) {
        leavePlace();
        return started.error();
    }
    m_tlsProvider = {};
    setLimit(std::chrono::steady_clock::now() + m_host.limits().handshakeTimeout);
    if (!m_isTls)
        linkOpened();
    return {};
}

Result<std::unique_ptr<TlsSession>> ServerConnection::makeTls(int socket)
{
    auto setup = m_tlsProvider();
    if (!setup)
        return Error{setup.error().code,
                     u"There is no certificate to show to clients. %1"_s.arg(setup.error().message)};
    return TlsSession::server(socket, *setup, m_use);
}

void ServerConnection::linkOpened()
{
    const auto now = std::chrono::steady_clock::now();
    if (const TlsSession *tls = m_link.tls()) {
        m_peer->chainDer = tls->peerChain();
        m_peer->id = tls->peerId();
        if (m_peer->id) {
            leavePlace();
            m_host.identified(*this, *m_peer->id);
        }
    }
    m_phase = Phase::Running;
    if (m_use == TlsUse::Documents) { // the limit of the handshake holds for the request as well
        m_documents = std::make_unique<DocumentExchange>();
        return;
    }
    // make_unique cannot see our private base.
    m_session.reset(new ServerSession(m_host, *this, m_peer)); // NOLINT(modernize-make-unique)
    const auto age = m_host.limits().maxConnectionAge;
    if (age > 0ms)
        m_retireAt = now + age;
    if (m_isTls && m_hasPlace)
        m_endAt = now + m_host.limits().strangerLife;
    m_idleSince = now;
    setLimit(idleLimit());
    pump();
}

ServerConnection::TimePoint ServerConnection::idleLimit() const
{
    const ServerLimits &limits = m_host.limits();
    const auto idle = m_isTls && !m_peer->id ? limits.anonymousIdleTimeout : limits.idleTimeout;
    const auto idleEnd = idle > 0ms && m_idleSince != TimePoint::max() ? m_idleSince + idle : TimePoint::max();
    return std::min({m_endAt, m_retireAt, idleEnd});
}

ServerConnection::TimePoint ServerConnection::restLimit() const
{
    return m_isResting || m_idleSince == TimePoint::max()
               ? TimePoint::max()
               : std::chrono::ceil<std::chrono::seconds>(m_idleSince + kRestAfter);
}

void ServerConnection::setLimit(TimePoint limit)
{
    const bool isEarlier = limit < m_limit;
    m_limit = limit;
    if (isEarlier)
        m_host.limitChanged(limit);
}

void ServerConnection::noteActivity()
{
    if (m_phase != Phase::Running || !m_session)
        return;
    // The limit that is set may pass a little too early; checkTime() then looks again.
    const bool isIdle = m_session->callCount() == 0;
    m_idleSince = isIdle ? std::chrono::steady_clock::now() : TimePoint::max();
    m_isResting = false;
    if (isIdle)
        setLimit(std::min({m_limit, idleLimit(), restLimit()}));
}

void ServerConnection::linkReceived(QByteArrayView bytes)
{
    if (m_documents) {
        if (const QByteArray answer = m_documents->receive(bytes, m_host.documents()); !answer.isEmpty()) {
            m_link.write(answer);
            goodbye();
        }
        return;
    }
    if (!m_session || m_phase == Phase::Ending)
        return;
    const bool good = m_session->receive(bytes);
    pump();
    if (!good && m_phase != Phase::Ending) {
        m_session->abandon();
        goodbye();
        pump();
    }
}

void ServerConnection::pump()
{
    m_isFlushPending = false;
    if (!m_session || std::exchange(m_isPumping, true))
        return;
    const auto self = shared_from_this();
    // Sending may drain or close calls, whose handlers may send again.
    for (int round = 0; round < kRoundsAtOnce && (round == 0 || m_session->hasNews()); ++round) {
        m_session->dispatch();
        flush();
    }
    m_isPumping = false;
    if (m_session->hasNews())
        flushSoon();
    noteActivity();
    if (m_phase == Phase::Ending)
        return;
    if (m_phase == Phase::Announced && m_session->takePingAnswered())
        checkTime(m_limit);
    else if (m_session->isOver() && !m_link.isCongested())
        goodbye();
}

void ServerConnection::flush()
{
    QByteArray &buffer = m_host.poller().writeBuffer();
    while (m_link.state() == Link::State::Open && !m_link.isCongested()) {
        buffer.resize(0);
        m_session->collect(buffer, kEnough);
        if (buffer.isEmpty())
            return;
        m_link.write(buffer);
    }
}

void ServerConnection::flushSoon()
{
    if (!m_isPumping && !std::exchange(m_isFlushPending, true))
        m_host.flushSoon(shared_from_this());
}

void ServerConnection::checkTime(TimePoint now)
{
    if (now < m_limit)
        return;
    m_limit = TimePoint::max();
    const auto self = shared_from_this();
    switch (m_phase) {
    case Phase::Opening:
        m_host.notice({Errc::Timeout, u"%1 did not finish the TLS handshake in time."_s.arg(m_peer->address)});
        return end();
    case Phase::Running:
        if (m_documents || now >= m_endAt)
            return end();
        if (now >= restLimit()) {
            m_session->rest();
            m_isResting = true;
        }
        if (now < idleLimit())
            return setLimit(std::min(idleLimit(), restLimit()));
        return retire();
    case Phase::Announced:
        m_phase = Phase::Retiring;
        m_session->goAway(Http2::kNoError);
        setLimit(m_endAt);
        return pump();
    case Phase::Retiring: return now >= m_endAt ? end() : setLimit(m_endAt);
    case Phase::Ending: m_link.close(); return linkClosed();
    }
}

void ServerConnection::retire()
{
    if (m_phase == Phase::Opening || m_documents)
        return end();
    if (m_phase != Phase::Running)
        return;
    m_phase = Phase::Announced;
    m_session->announceGoAway();
    setLimit(std::chrono::steady_clock::now() + kAnnounceTime);
    flushSoon();
}

void ServerConnection::end()
{
    if (m_phase == Phase::Ending)
        return;
    if (m_session) {
        m_session->terminate(Http2::kNoError);
        m_session->abandon();
        flush();
    }
    goodbye();
    flushSoon(); // the handlers learn of it
}

/// What is queued goes out, then the socket closes.
void ServerConnection::goodbye()
{
    m_phase = Phase::Ending;
    m_link.sayGoodbye();
    setLimit(std::chrono::steady_clock::now() + kGoodbyeTime);
}

void ServerConnection::abandon()
{
    m_phase = Phase::Ending;
    m_hasPlace = false;
    m_link.close();
    m_session.reset();
}

void ServerConnection::linkFailed(const Error &reason)
{
    if (m_phase == Phase::Opening)
        m_host.notice({reason.code, u"The connection from %1 was refused. %2"_s.arg(m_peer->address, reason.message)});
    m_phase = Phase::Ending;
    setLimit(std::chrono::steady_clock::now() + kGoodbyeTime);
    if (m_session) {
        m_session->abandon();
        pump();
    }
}

void ServerConnection::linkClosed()
{
    const auto self = shared_from_this();
    if (m_session) {
        m_session->abandon();
        pump();
    }
    leavePlace();
    m_host.connectionEnded(*this);
}

Result<QByteArray> ServerConnection::exportKeyingMaterial(const QByteArray &label, int length) const
{
    if (!m_isTls)
        return Error{Errc::Unsupported, u"A Unix socket has no TLS, so there is no keying material."_s};
    if (!m_link.tls())
        return Error{Errc::Unavailable, u"The caller is gone."_s};
    return m_link.tls()->exportKeyingMaterial(label, length);
}

QByteArray ServerConnection::ownCertificate() const
{
    return m_link.tls() ? m_link.tls()->ownCertificate() : QByteArray();
}

} // namespace lintel::grpc

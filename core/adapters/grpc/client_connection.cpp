#include "grpc/client_connection.h"

#include <algorithm>

namespace lintel::grpc {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr auto kConnectTime = 20s; // all addresses and the handshake
constexpr auto kGoodbyeTime = 2s;
constexpr qsizetype kEnough = 16 * 1024;
constexpr int kRoundsAtOnce = 8; // then it is the turn of others

} // namespace

ClientSession::ClientSession(QByteArray authority, bool isTls, std::function<void()> flushSoon)
    : Http2(Role::Client, 0), m_authority(std::move(authority)), m_isTls(isTls), m_flushSoon(std::move(flushSoon))
{}

ClientSession::~ClientSession()
{
    for (ClientCallImpl *call : std::as_const(m_calls))
        call->m_session = nullptr;
}

void ClientSession::start(ClientCallImpl &call)
{
    const qint32 stream = submitRequest(call.headers(*this));
    if (stream < 0)
        return call.fail({StatusCode::Unavailable, u"The connection takes no more calls."_s, {}});
    call.m_session = this;
    call.m_stream = stream;
    m_calls.insert(stream, &call);
    m_flushSoon();
}

void ClientSession::touch(ClientCallImpl &call)
{
    if (!std::exchange(call.m_isTouched, true))
        m_touched.emplace_back(&call);
}

void ClientSession::dispatch()
{
    while (!m_touched.empty()) {
        const auto touched = std::exchange(m_touched, {});
        for (const auto &call : touched) {
            if (!call)
                continue;
            call->m_isTouched = false;
            call->dispatch();
        }
    }
}

void ClientSession::abandon(const Status &status)
{
    for (ClientCallImpl *call : std::exchange(m_calls, {})) {
        call->m_session = nullptr;
        if (!call->m_ended)
            call->m_ended = status;
        touch(*call);
    }
}

bool ClientSession::onHeader(qint32 stream, const QByteArray &name, const QByteArray &value)
{
    if (ClientCallImpl *call = m_calls.value(stream))
        call->takeHeader(name, value);
    return true;
}

void ClientSession::onHeadersEnd(qint32 stream)
{
    ClientCallImpl *call = m_calls.value(stream);
    if (!call || call->m_httpStatus < 200) // an interim answer
        return;
    // Servers measure the connection by pings while they answer, and reset what they have answered early.
    earnControlFrames(2);
    call->forgetReplay();
    const bool isGrpc = call->m_httpStatus == 200 && call->m_contentType.startsWith("application/grpc");
    if (isGrpc || call->m_grpcStatus)
        return;
    call->m_ended = call->m_httpStatus == 200 ? Status{StatusCode::Unknown, u"The server's answer is no gRPC."_s, {}}
                                              : call->statusOfResponse();
    touch(*call);
}

void ClientSession::onData(qint32 stream, QByteArrayView bytes)
{
    ClientCallImpl *call = m_calls.value(stream);
    if (!call)
        return;
    earnControlFrames(1);
    call->m_unconsumed += bytes.size();
    call->m_reader.append(bytes);
    touch(*call);
}

void ClientSession::onEndOfStream(qint32 stream)
{
    if (ClientCallImpl *call = m_calls.value(stream)) {
        call->m_ended = call->statusOfResponse();
        touch(*call);
    }
}

void ClientSession::onStreamClosed(qint32 stream, quint32 error)
{
    if (ClientCallImpl *call = m_calls.take(stream)) {
        if (call->m_httpStatus != 0)
            earnReset();
        call->streamClosed(error);
        touch(*call);
    }
}

void ClientSession::onGoAway(quint32, const QByteArray &)
{
    m_isRetiring = true;
}

Http2::Outgoing ClientSession::outgoing(qint32 stream)
{
    ClientCallImpl *call = m_calls.value(stream);
    if (!call)
        return {};
    return {&call->m_out, call->m_isClosedForSending, nullptr};
}

void ClientSession::onSent(qint32 stream, qsizetype)
{
    ClientCallImpl *call = m_calls.value(stream);
    if (call && call->m_out.isEmpty() && !call->m_isClosedForSending) {
        call->m_wasDrained = true;
        touch(*call);
    }
}

ClientConnection::ClientConnection(ChannelHost &host, Target target, QString shownAddress,
                                   std::function<Result<ClientTls>()> tls)
    : m_host(&host), m_target(std::move(target)), m_shown(std::move(shownAddress)), m_tlsProvider(std::move(tls))
{
    m_patience.setSingleShot(true);
}

void ClientConnection::open()
{
    QObject::connect(&m_patience, &QTimer::timeout, &m_patience, [this] {
        const auto self = shared_from_this();
        if (m_isEnding)
            return linkClosed();
        refuse({Errc::Timeout, u"%1 did not answer in time."_s.arg(m_shown)});
    });
    m_patience.start(kConnectTime);
    if (m_target.isUnix()) {
        const auto address = unixAddress(m_target.path);
        Result<QList<SocketAddress>> addresses =
            address ? Result<QList<SocketAddress>>(QList{*address}) : Result<QList<SocketAddress>>(address.error());
        QMetaObject::invokeMethod(
            &m_resolver, [this, addresses] { tryAddresses(addresses); }, Qt::QueuedConnection);
        return;
    }
    m_resolver.start(m_target.host, m_target.port,
                     [this](const Result<QList<SocketAddress>> &addresses) { tryAddresses(addresses); });
}

void ClientConnection::tryAddresses(Result<QList<SocketAddress>> addresses)
{
    const auto self = shared_from_this();
    if (!m_host || m_isEnding)
        return;
    if (!addresses)
        return refuse(addresses.error());
    m_addresses = *std::move(addresses);
    tryNext();
}

void ClientConnection::tryNext()
{
    const auto self = shared_from_this();
    while (m_host && !m_isEnding && !m_addresses.isEmpty()) {
        auto socket = beginConnect(m_addresses.takeFirst());
        if (!socket) {
            m_lastError = socket.error();
            continue;
        }
        // make_unique cannot see our private base.
        m_link.reset(new Link(m_host->poller(), *this)); // NOLINT(modernize-make-unique)
        const auto started = m_link->start(*std::move(socket), true, !m_target.isUnix());
        if (started)
            return;
        m_lastError = started.error();
    }
    if (m_host && !m_isEnding)
        refuse({Errc::Unavailable, u"%1 cannot be reached: %2"_s.arg(m_shown, m_lastError.message)});
}

Result<std::unique_ptr<TlsSession>> ClientConnection::makeTls(int socket)
{
    auto setup = m_tlsProvider();
    if (!setup)
        return setup.error();
    return TlsSession::client(socket, *setup, m_target.host);
}

void ClientConnection::linkOpened()
{
    m_patience.stop();
    const QByteArray authority = m_target.isUnix() ? QByteArray("localhost") : m_shown.toUtf8();
    m_session = std::make_unique<ClientSession>(authority, !m_target.isUnix(), [this] { flushSoon(); });
    if (m_host)
        m_host->connectionReady(*this);
    pump();
}

void ClientConnection::start(ClientCallImpl &call)
{
    m_session->start(call);
}

void ClientConnection::linkReceived(QByteArrayView bytes)
{
    if (!m_session || m_isEnding)
        return;
    const bool good = m_session->receive(bytes);
    if (!good) {
        takeNoMore();
        m_session->abandon({StatusCode::Unavailable, u"%1 does not speak HTTP/2 as it must."_s.arg(m_shown), {}});
    }
    pump();
    if (!good)
        end();
}

void ClientConnection::pump()
{
    m_isFlushPending = false;
    if (!m_session || !m_host || std::exchange(m_isPumping, true))
        return;
    const auto self = shared_from_this();
    // Sending may drain or close calls, whose slots may send again.
    for (int round = 0; round < kRoundsAtOnce && (round == 0 || m_session->hasNews()); ++round) {
        m_session->dispatch();
        flush();
    }
    m_isPumping = false;
    if (!m_host)
        return;
    if (m_session->hasNews())
        flushSoon();
    if (m_isEnding)
        return;
    if (m_session->isRetiring() || m_session->isOver())
        takeNoMore();
    if ((m_session->isRetiring() && m_session->callCount() == 0) || m_session->isOver())
        end();
}

/// Calls that begin from now on get another connection.
void ClientConnection::takeNoMore()
{
    if (m_host && !std::exchange(m_toldRetired, true))
        m_host->connectionRetired(*this);
}

void ClientConnection::flush()
{
    while (m_host && m_link->state() == Link::State::Open && !m_link->isCongested()) {
        QByteArray &buffer = m_host->poller().writeBuffer();
        buffer.resize(0);
        m_session->collect(buffer, kEnough);
        if (buffer.isEmpty())
            return;
        m_link->write(buffer);
    }
}

void ClientConnection::flushSoon()
{
    if (m_isPumping || std::exchange(m_isFlushPending, true))
        return;
    QMetaObject::invokeMethod(
        &m_patience,
        [self = weak_from_this()] {
            if (const auto connection = self.lock())
                connection->pump();
        },
        Qt::QueuedConnection);
}

void ClientConnection::retire()
{
    m_toldRetired = true;
    if (!m_session)
        return refuse({Errc::Unavailable, u"The connection to %1 was given up."_s.arg(m_shown)});
    if (m_isEnding)
        return;
    m_session->goAway(Http2::kNoError);
    if (m_session->callCount() == 0)
        end();
    else
        flushSoon();
}

void ClientConnection::end()
{
    if (std::exchange(m_isEnding, true))
        return;
    flush();
    // Nobody would tell them later: what ends here was our doing, or the server's within its rights.
    m_session->abandon({StatusCode::Unavailable, u"The connection to %1 was closed."_s.arg(m_shown), {}});
    m_session->dispatch();
    if (!m_host)
        return;
    m_link->sayGoodbye();
    m_patience.start(kGoodbyeTime);
}

void ClientConnection::abandon()
{
    m_host = nullptr;
    m_isEnding = true;
    m_patience.stop();
    if (m_session) {
        // Best effort: the server should not have to wait for its timeouts.
        m_session->abandon({StatusCode::Cancelled, u"The channel was closed."_s, {}});
    }
    if (m_link)
        m_link->close();
}

void ClientConnection::refuse(const Error &reason)
{
    if (std::exchange(m_isEnding, true))
        return;
    m_patience.stop();
    if (m_link)
        m_link->close();
    if (m_host)
        m_host->connectionRefused(*this, reason);
}

void ClientConnection::linkFailed(const Error &reason)
{
    if (m_isEnding)
        return;
    if (!m_session) {
        m_lastError = reason;
        if (m_link->wasReached())
            return refuse({reason.code, u"%1: %2"_s.arg(m_shown, reason.message)});
        // The link that calls us cannot be replaced now.
        QMetaObject::invokeMethod(
            &m_patience,
            [self = weak_from_this()] {
                if (const auto connection = self.lock())
                    connection->tryNext();
            },
            Qt::QueuedConnection);
        return;
    }
    const bool expected = m_session->isRetiring() || m_toldRetired;
    m_isEnding = true;
    const QString words = u"The connection to %1 was lost. %2"_s.arg(m_shown, reason.message);
    m_session->abandon({StatusCode::Unavailable, words, {}});
    const auto self = shared_from_this();
    if (m_host && !expected)
        m_host->connectionLost(*this, {reason.code, words});
    if (m_host && !m_isPumping)
        m_session->dispatch();
}

void ClientConnection::linkClosed()
{
    m_patience.stop();
    if (!m_isEnding || !m_session)
        return;
    m_link->close();
    if (m_host)
        m_host->connectionEnded(*this);
}

} // namespace lintel::grpc

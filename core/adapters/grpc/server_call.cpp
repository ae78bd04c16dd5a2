#include "grpc/server_session.h"

#include <QTimerEvent>

#include <algorithm>
#include <exception>
#include <limits>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

namespace {

const QPair<QByteArray, QByteArray> kStatusOk{":status", "200"};
const QPair<QByteArray, QByteArray> kContentType{"content-type", "application/grpc"};

QList<QPair<QByteArray, QByteArray>> trailersFor(const Status &status)
{
    QList<QPair<QByteArray, QByteArray>> trailers{{"grpc-status", QByteArray::number(static_cast<int>(status.code))}};
    if (!status.message.isEmpty())
        trailers.append({"grpc-message", encodeStatusMessage(status.message)});
    if (!status.details.isEmpty())
        trailers.append({"grpc-status-details-bin", status.details.toBase64(QByteArray::OmitTrailingEquals)});
    return trailers;
}

qsizetype longestMessage(const Peer &peer, const ServerLimits &limits)
{
    return peer.isStranger() ? std::min(limits.maxMessageBytes, limits.strangerMessageBytes) : limits.maxMessageBytes;
}

} // namespace

ServerCallImpl::ServerCallImpl(ServerSession &session, qint32 stream)
    : m_session(&session), m_peer(session.peer()), m_stream(stream),
      m_reader(longestMessage(*session.peer(), session.host().limits()))
{}

ServerCallImpl::~ServerCallImpl() = default;

QByteArray ServerCallImpl::metadata(const QByteArray &name) const
{
    for (const auto &[key, value] : m_metadata)
        if (key == name)
            return decodeMetadata(key, value);
    return {};
}

Result<QByteArray> ServerCallImpl::exportKeyingMaterial(const QByteArray &label, int length) const
{
    if (!m_session)
        return Error{Errc::Unavailable, u"The caller is gone."_s};
    return m_session->link().exportKeyingMaterial(label, length);
}

QByteArray ServerCallImpl::ownCertificate() const
{
    return m_session ? m_session->link().ownCertificate() : QByteArray();
}

void ServerCallImpl::touch()
{
    if (!m_session)
        return;
    m_session->touch(shared_from_this());
    m_session->link().flushSoon();
}

void ServerCallImpl::send(const QByteArray &message)
{
    if (m_isOver || !m_session)
        return;
    if (m_out.size() + message.size() > m_session->host().limits().maxQueuedBytes)
        return abort({StatusCode::ResourceExhausted, u"The caller reads too slowly for what it asked."_s, {}});
    m_out.append(frameMessage(message));
    if (std::exchange(m_headersSent, true))
        m_session->resume(m_stream);
    else
        m_session->submitResponse(m_stream, {kStatusOk, kContentType}, true);
    m_session->link().flushSoon();
}

void ServerCallImpl::finish(const Status &status)
{
    if (m_isOver)
        return;
    m_isOver = true;
    m_deadline.stop();
    m_arrival.stop();
    if (!m_session)
        return;
    m_trailers = trailersFor(status);
    if (m_headersSent)
        m_session->resume(m_stream);
    else
        m_session->submitResponse(m_stream, QList{kStatusOk, kContentType} + m_trailers, false);
    m_headersSent = true;
    openWindow();
    m_session->link().flushSoon();
}

/// Ends the call from our side and tells the handler, but not from inside of what it called.
void ServerCallImpl::abort(const Status &status)
{
    m_out.clear();
    m_tellCancelled = !m_isOver && m_hasBegun && !m_unary;
    finish(status);
    touch();
}

void ServerCallImpl::refuseHttp(const QByteArray &status)
{
    m_isOver = true;
    m_session->submitResponse(m_stream, {{":status", status}, {"content-length", "0"}}, false);
    m_session->link().flushSoon();
}

void ServerCallImpl::pauseReceiving(bool paused)
{
    m_isPaused = paused;
    if (!paused)
        touch();
}

QByteArray ServerCallImpl::httpProblem() const
{
    if (m_method != "POST")
        return "405";
    const bool isGrpc = m_contentType.startsWith("application/grpc")
                        && (m_contentType.size() == 16 || m_contentType[16] == '+' || m_contentType[16] == ';');
    return isGrpc ? QByteArray() : QByteArray("415");
}

void ServerCallImpl::begin()
{
    m_hasBegun = true;
    if (!account())
        return;
    if (const QByteArray problem = httpProblem(); !problem.isEmpty())
        return refuseHttp(problem);
    if (!m_timeout.isEmpty()) {
        const auto timeout = decodeTimeout(m_timeout);
        if (!timeout)
            return finish({StatusCode::Internal,
                           u"The grpc-timeout \"%1\" is malformed."_s.arg(QString::fromLatin1(m_timeout)),
                           {}});
        const auto ms = std::min<qint64>(timeout->count(), std::numeric_limits<int>::max());
        m_deadline.start(static_cast<int>(ms), this);
    }
    m_session->host().beginCall(shared_from_this());
}

/// A call that never brings its request costs its caller nothing, so it does not wait for ever.
void ServerCallImpl::watchArrival()
{
    const bool isComplete = m_remoteEnded || (m_messages > 0 && !m_unary);
    if (!m_session || m_isOver || m_isPaused || m_headersSent || isComplete)
        m_arrival.stop();
    else if (!m_arrival.isActive())
        m_arrival.start(static_cast<int>(m_session->host().limits().firstMessageTimeout.count()), this);
}

void ServerCallImpl::giveUpWaiting()
{
    m_arrival.stop();
    if (m_isOver || !m_session)
        return;
    const auto patience = m_session->host().limits().firstMessageTimeout;
    if ((m_messages > 0 || m_reader.isInsideMessage()) && !std::exchange(m_isLate, true)) {
        constexpr int kOfASlowOne = 5;
        m_arrival.start(static_cast<int>(patience.count() * kOfASlowOne), this);
        return;
    }
    const auto self = shared_from_this();
    const bool tells = !m_unary;
    finish({StatusCode::DeadlineExceeded, u"The request of this call did not come in time."_s, {}});
    if (tells)
        Q_EMIT cancelled();
}

void ServerCallImpl::timerEvent(QTimerEvent *event)
{
    if (event->timerId() == m_arrival.timerId())
        return giveUpWaiting();
    if (event->timerId() != m_deadline.timerId())
        return;
    m_deadline.stop();
    if (m_isOver)
        return;
    const auto self = shared_from_this();
    m_out.clear();
    finish({StatusCode::DeadlineExceeded, u"The caller's deadline has passed."_s, {}});
    Q_EMIT cancelled();
}

/// False: there was no room, and the call is over.
bool ServerCallImpl::account()
{
    if (!m_session)
        return true;
    if (m_isOver && m_reader.heldBytes() > 0)
        m_reader = MessageReader(0);
    // The call itself is there until its stream is closed.
    const qsizetype held = m_headBytes + (m_isOver ? 0 : m_reader.heldBytes() + m_request.size());
    if (held > m_reserved) {
        if (m_isOver)
            return false; // it never got its room
        if (!m_session->host().reserve(*m_peer, held - m_reserved)) {
            abort({StatusCode::ResourceExhausted, u"The server has no memory for this call now; try again."_s, {}});
            return false;
        }
    } else {
        m_session->host().release(*m_peer, m_reserved - held);
    }
    m_reserved = held;
    return true;
}

void ServerCallImpl::openWindow()
{
    if (!m_session || m_unconsumed == 0 || (m_isPaused && !m_isOver))
        return;
    m_session->consume(m_stream, std::exchange(m_unconsumed, 0));
    m_session->link().flushSoon();
}

void ServerCallImpl::dispatch()
{
    const auto self = shared_from_this();
    if (!m_hasBegun && m_headersComplete && m_session)
        begin();
    if (!m_isOver)
        deliverMessages();
    account();
    openWindow();
    if (!m_isOver && m_reader.fault() && !m_reader.hasMessage())
        finish(*m_reader.fault());
    if (!m_isOver && m_session && m_remoteEnded && !m_isPaused && !m_reader.hasMessage()
        && !std::exchange(m_halfClosedTold, true)) {
        if (m_reader.isInsideMessage())
            finish({StatusCode::Internal, u"The request ended inside of a message."_s, {}});
        else if (m_unary)
            answerUnary();
        else
            Q_EMIT halfClosed();
    }
    if (!m_isOver && m_session && std::exchange(m_wasDrained, false) && m_out.isEmpty())
        Q_EMIT drained();
    if (std::exchange(m_tellCancelled, false))
        Q_EMIT cancelled();
    watchArrival();
    if (m_session)
        return;
    m_deadline.stop();
    if (m_hasBegun && !std::exchange(m_isOver, true) && !m_unary)
        Q_EMIT cancelled();
    // A handler that keeps the call inside of its own connections would keep it for ever.
    m_unary = {};
    disconnect();
}

void ServerCallImpl::deliverMessages()
{
    while (!m_isOver && !m_isPaused && m_session && m_reader.hasMessage()) {
        QByteArray message = m_reader.takeMessage();
        ++m_messages;
        if (!m_unary) {
            Q_EMIT messageReceived(message);
        } else if (m_messages > 1) {
            finish({StatusCode::Unimplemented, u"This method takes one message."_s, {}});
        } else {
            m_request = std::move(message);
        }
    }
}

void ServerCallImpl::setUnary(UnaryHandler handler)
{
    m_unary = [handler = std::move(handler)](const QByteArray &request, const std::shared_ptr<ServerCall> &call) {
        const UnaryReply reply = handler(request, *call);
        if (reply.status.isOk())
            call->send(reply.message);
        call->finish(reply.status);
    };
}

void ServerCallImpl::answerUnary()
{
    if (m_messages == 0)
        return finish({StatusCode::Unimplemented, u"This method takes one message; none was sent."_s, {}});
    const QByteArray request = std::exchange(m_request, {});
    try {
        m_unary(request, shared_from_this());
    } catch (const std::exception &problem) {
        finish({StatusCode::Internal, u"The method failed: %1."_s.arg(QString::fromUtf8(problem.what())), {}});
    }
}

} // namespace lintel::grpc

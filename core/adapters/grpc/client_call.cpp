#include "grpc/client_connection.h"

#include <QTimerEvent>

#include <limits>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

namespace {

constexpr qsizetype kMaxMessageBytes = 4 * 1024 * 1024;
constexpr qsizetype kMaxReplayBytes = 256 * 1024;

} // namespace

ClientCallImpl::ClientCallImpl(CallHost &host, QByteArray path, Metadata metadata, std::chrono::milliseconds deadline,
                               QObject *parent)
    : ClientCall(parent), m_host(host), m_path(std::move(path)), m_metadata(std::move(metadata)),
      m_reader(kMaxMessageBytes)
{
    if (deadline.count() <= 0)
        return;
    m_expires = std::chrono::steady_clock::now() + deadline;
    m_deadline.start(static_cast<int>(std::min<qint64>(deadline.count(), std::numeric_limits<int>::max())), this);
}

ClientCallImpl::~ClientCallImpl()
{
    if (m_session)
        m_session->forget(m_stream);
}

QList<QPair<QByteArray, QByteArray>> ClientCallImpl::headers(const ClientSession &session) const
{
    QList<QPair<QByteArray, QByteArray>> headers{{":method", "POST"},
                                                 {":scheme", session.m_isTls ? "https" : "http"},
                                                 {":path", m_path},
                                                 {":authority", session.m_authority},
                                                 {"te", "trailers"},
                                                 {"content-type", "application/grpc"},
                                                 {"user-agent", "grpc-c++-lintel/1"}};
    if (m_expires != std::chrono::steady_clock::time_point::max())
        headers.append({"grpc-timeout", encodeTimeout(std::chrono::ceil<std::chrono::milliseconds>(
                                            m_expires - std::chrono::steady_clock::now()))});
    for (const auto &[name, value] : m_metadata)
        headers.append({name, encodeMetadata(name, value)});
    return headers;
}

void ClientCallImpl::send(const QByteArray &message)
{
    if (m_final || m_isClosedForSending)
        return;
    const QByteArray framed = frameMessage(message);
    m_out.append(framed);
    m_replayBytes += framed.size();
    if (m_canReplay && m_replayBytes <= kMaxReplayBytes)
        m_replay.append(framed);
    else
        forgetReplay();
    if (m_session) {
        m_session->resume(m_stream);
        m_session->m_flushSoon();
    }
}

void ClientCallImpl::forgetReplay()
{
    m_canReplay = false;
    m_replay.clear();
}

void ClientCallImpl::closeSending()
{
    if (m_final || std::exchange(m_isClosedForSending, true) || !m_session)
        return;
    m_session->resume(m_stream);
    m_session->m_flushSoon();
}

void ClientCallImpl::cancel()
{
    fail({StatusCode::Cancelled, u"The call was cancelled."_s, {}});
}

void ClientCallImpl::fail(const Status &status)
{
    if (m_final)
        return;
    complete(status);
    QMetaObject::invokeMethod(
        this, [this] { tellFinished(); }, Qt::QueuedConnection);
}

void ClientCallImpl::pauseReceiving(bool paused)
{
    m_isPaused = paused;
    if (paused || m_final)
        return;
    // Not from inside of this call.
    QMetaObject::invokeMethod(
        this, [this] { dispatch(); }, Qt::QueuedConnection);
}

/// Lets go of the stream; nothing of the server counts after this.
void ClientCallImpl::complete(const Status &status)
{
    m_final = status;
    m_deadline.stop();
    m_out.clear();
    m_replay.clear();
    if (ClientSession *session = std::exchange(m_session, nullptr)) {
        session->forget(m_stream);
        session->reset(m_stream, Http2::kCancel);
        session->m_flushSoon();
    }
}

void ClientCallImpl::tellFinished()
{
    if (!m_final || std::exchange(m_isTold, true))
        return;
    deleteLater();
    Q_EMIT finished(*m_final);
}

void ClientCallImpl::timerEvent(QTimerEvent *event)
{
    if (event->timerId() != m_deadline.timerId() || m_final)
        return;
    complete(
        {StatusCode::DeadlineExceeded, u"The server did not answer %1 in time."_s.arg(QString::fromUtf8(m_path)), {}});
    tellFinished();
}

void ClientCallImpl::takeHeader(const QByteArray &name, const QByteArray &value)
{
    if (name == ":status")
        m_httpStatus = value.toInt();
    else if (name == "content-type")
        m_contentType = value;
    else if (name == "grpc-status")
        m_grpcStatus = value;
    else if (name == "grpc-message")
        m_grpcMessage = value;
    else if (name == "grpc-status-details-bin")
        m_details = decodeMetadata(name, value);
}

Status ClientCallImpl::statusOfResponse() const
{
    if (m_grpcStatus)
        return {codeFromText(*m_grpcStatus), decodeStatusMessage(m_grpcMessage), m_details};
    if (m_httpStatus != 200)
        return {codeOfHttpStatus(m_httpStatus),
                u"The server answered with the HTTP status %1 instead of gRPC."_s.arg(m_httpStatus),
                {}};
    return {StatusCode::Internal, u"The server ended the call without a status."_s, {}};
}

void ClientCallImpl::streamClosed(quint32 error)
{
    m_session = nullptr;
    if (m_ended)
        return;
    if (error == Http2::kCancel && std::chrono::steady_clock::now() >= m_expires) {
        // The server watches the deadline as well, and was first to see it.
        m_ended = Status{StatusCode::DeadlineExceeded, u"The server gave up at the deadline."_s, {}};
        return;
    }
    m_startAgain = error == Http2::kRefusedStream && m_canReplay;
    if (m_grpcStatus)
        m_ended = statusOfResponse();
    else
        m_ended =
            Status{codeOfHttp2Error(error), u"The server ended the stream (%1)."_s.arg(Http2::nameOfError(error)), {}};
}

void ClientCallImpl::dispatch()
{
    if (m_final)
        return;
    if (std::exchange(m_startAgain, false)) {
        // Once: a server that refuses twice means it.
        m_ended.reset();
        m_out.clear();
        for (const QByteArray &framed : std::exchange(m_replay, {}))
            m_out.append(framed);
        m_canReplay = false;
        return m_host.startAgain(*this);
    }
    const QPointer<ClientCallImpl> self(this);
    deliverMessages();
    if (!self || m_final)
        return;
    if (m_reader.fault() && !m_reader.hasMessage())
        m_ended = m_reader.fault();
    if (m_session && m_unconsumed > 0 && !m_isPaused) {
        m_session->consume(m_stream, std::exchange(m_unconsumed, 0));
        m_session->m_flushSoon();
    }
    if (m_ended && !m_reader.hasMessage()) {
        const bool isCut = m_ended->isOk() && m_reader.isInsideMessage();
        complete(isCut ? Status{StatusCode::Internal, u"The answer ended inside of a message."_s, {}} : *m_ended);
        return tellFinished();
    }
    if (std::exchange(m_wasDrained, false) && m_out.isEmpty())
        Q_EMIT drained();
}

void ClientCallImpl::deliverMessages()
{
    const QPointer<ClientCallImpl> self(this);
    while (self && !m_final && !m_isPaused && m_reader.hasMessage())
        Q_EMIT messageReceived(m_reader.takeMessage());
}

} // namespace lintel::grpc

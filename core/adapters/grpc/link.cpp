#include "grpc/link.h"

#include <cerrno>

#include <sys/socket.h>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

namespace {

constexpr int kReadsAtOnce = 16; // then it is another connection's turn

Error hungUp()
{
    return {Errc::Unavailable, u"The other side closed the connection."_s};
}

} // namespace

Result<void> Link::start(Socket socket, bool isConnecting, bool isTls)
{
    m_socket = std::move(socket);
    m_isTls = isTls;
    m_wasAccepted = !isConnecting;
    m_wasReached = !isConnecting;
    if (!isConnecting && isTls) {
        auto session = m_owner.makeTls(m_socket.descriptor());
        if (!session)
            return session.error();
        m_tls = *std::move(session);
    }
    m_number = m_poller.add(m_socket.descriptor(), true, isConnecting, *this);
    if (m_number == 0)
        return Error{Errc::Io, u"The system has no room to watch another connection; raise the limit of open files."_s};
    m_waitsForWriting = isConnecting;
    m_state = isConnecting ? State::Connecting : (isTls ? State::Handshake : State::Open);
    return {};
}

void Link::socketReady(bool readable, bool writable)
{
    const auto keep = m_owner.keepAlive();
    if (m_state == State::Connecting && writable)
        connected();
    if (m_state == State::Handshake)
        handshake();
    if ((m_state == State::Open || m_state == State::SayingGoodbye) && (writable || m_tls))
        sendUnsent();
    if ((m_state == State::Open || m_state == State::SayingGoodbye) && (readable || m_tlsWantsToWrite))
        readAll();
}

void Link::connected()
{
    if (const int error = connectionError(m_socket); error != 0)
        return lose({Errc::Unavailable, u"%1."_s.arg(systemReason(error))});
    m_wasReached = true;
    if (!m_isTls) {
        m_state = State::Open;
        wait(false);
        return m_owner.linkOpened();
    }
    auto session = m_owner.makeTls(m_socket.descriptor());
    if (!session)
        return lose(session.error());
    m_tls = *std::move(session);
    m_state = State::Handshake;
}

void Link::handshake()
{
    switch (m_tls->handshake()) {
    case IoStep::Done:
        m_state = State::Open;
        wait(false);
        return m_owner.linkOpened();
    case IoStep::WaitRead: return wait(false);
    case IoStep::WaitWrite: return wait(true);
    case IoStep::Closed:
        return lose({Errc::Unavailable, u"The other side closed the connection during the TLS handshake."_s});
    case IoStep::Failed: return lose(m_tls->failure());
    }
}

IoResult Link::readSome(char *buffer, qsizetype size)
{
    if (m_tls)
        return m_tls->read(buffer, size);
    const auto received = ::recv(m_socket.descriptor(), buffer, static_cast<size_t>(size), 0);
    if (received > 0)
        return {IoStep::Done, received};
    const bool again = received < 0 && (errno == EAGAIN || errno == EINTR);
    return {again ? IoStep::WaitRead : IoStep::Closed, 0};
}

IoResult Link::writeSome(const char *data, qsizetype size)
{
    if (m_tls)
        return m_tls->write(data, size);
    const auto sent = ::send(m_socket.descriptor(), data, static_cast<size_t>(size), MSG_NOSIGNAL);
    if (sent >= 0)
        return {IoStep::Done, sent};
    const bool again = errno == EAGAIN || errno == EINTR;
    return {again ? IoStep::WaitWrite : IoStep::Closed, 0};
}

void Link::readAll()
{
    QByteArray &buffer = m_poller.readBuffer();
    for (int i = 0; i < kReadsAtOnce && m_state != State::Closed; ++i) {
        const IoResult result = readSome(buffer.data(), buffer.size());
        switch (result.step) {
        case IoStep::Done:
            if (m_state == State::Open)
                m_owner.linkReceived(QByteArrayView(buffer.constData(), result.bytes));
            break;
        case IoStep::WaitRead:
            if (std::exchange(m_tlsWantsToWrite, false))
                wait(isCongested());
            return;
        case IoStep::WaitWrite: m_tlsWantsToWrite = true; return wait(true);
        case IoStep::Closed: return lose(hungUp());
        case IoStep::Failed: return lose(m_tls->failure());
        }
    }
}

void Link::write(QByteArrayView bytes)
{
    if (m_state != State::Open)
        return;
    while (m_unsent.isEmpty() && !bytes.isEmpty()) {
        const IoResult result = writeSome(bytes.data(), bytes.size());
        if (result.step != IoStep::Done)
            break; // an error shows again when the socket is read
        bytes = bytes.sliced(result.bytes);
    }
    if (bytes.isEmpty())
        return;
    m_unsent.append(bytes);
    wait(true);
}

void Link::sendUnsent()
{
    if (m_unsent.isEmpty())
        return;
    qsizetype sent = 0;
    while (sent < m_unsent.size()) {
        const IoResult result = writeSome(m_unsent.constData() + sent, m_unsent.size() - sent);
        if (result.step == IoStep::Closed || result.step == IoStep::Failed)
            return lose(result.step == IoStep::Failed ? m_tls->failure() : hungUp());
        if (result.step != IoStep::Done)
            break;
        sent += result.bytes;
    }
    if (sent < m_unsent.size()) {
        m_unsent.remove(0, sent);
        return;
    }
    m_unsent = {};
    wait(false);
    if (m_state == State::SayingGoodbye)
        return endOutput();
    m_owner.linkDrained();
}

void Link::sayGoodbye()
{
    if (m_state == State::Closed || m_state == State::SayingGoodbye)
        return;
    if (m_state == State::Handshake)
        m_tls.reset();
    m_state = State::SayingGoodbye;
    if (m_unsent.isEmpty())
        endOutput();
}

void Link::endOutput()
{
    if (m_tls)
        m_tls->shutDown();
    (void)::shutdown(m_socket.descriptor(), SHUT_WR);
}

void Link::lose(const Error &reason)
{
    if (m_state == State::SayingGoodbye) {
        close();
        return m_owner.linkClosed();
    }
    if (m_wasAccepted && m_state == State::Handshake) {
        // The client, which thinks that it is connected, has to get the alert.
        m_state = State::SayingGoodbye;
        m_tls.reset();
        (void)::shutdown(m_socket.descriptor(), SHUT_WR);
        return m_owner.linkFailed(reason);
    }
    close();
    m_owner.linkFailed(reason);
    m_owner.linkClosed();
}

void Link::wait(bool write)
{
    if (write == m_waitsForWriting || m_number == 0)
        return;
    m_waitsForWriting = write;
    m_poller.change(m_number, m_socket.descriptor(), true, write);
}

void Link::close()
{
    if (m_number != 0)
        m_poller.remove(std::exchange(m_number, 0), m_socket.descriptor());
    if (m_state == State::Open && m_tls && m_unsent.isEmpty())
        m_tls->shutDown();
    m_state = State::Closed;
    m_socket = Socket();
    m_unsent = {};
}

} // namespace lintel::grpc

// The bytes of one connection, in clear text (Unix sockets) or over TLS: never blocks, keeps what
// the socket did not take, tells its owner what came.
//
// Belongs to a connection, which is kept alive by keepAlive() while the link calls it and may
// close() the link from inside. Memory of an idle link: the OpenSSL session and nothing else.
#pragma once

#include "grpc/poller.h"
#include "grpc/socket.h"
#include "grpc/tls_session.h"

#include <memory>

namespace lintel::grpc {

class Link final : private Poller::Watcher
{
public:
    class Owner
    {
    public:
        /// Held while the link works, so that nothing disappears underneath it.
        [[nodiscard]] virtual std::shared_ptr<void> keepAlive() = 0;
        /// A TCP connection stands; the TLS session that goes on top of it.
        [[nodiscard]] virtual Result<std::unique_ptr<TlsSession>> makeTls(int socket) = 0;
        /// The connection is ready for the protocol above.
        virtual void linkOpened() = 0;
        virtual void linkReceived(QByteArrayView bytes) = 0;
        /// What write() kept has gone out.
        virtual void linkDrained() = 0;
        /// Nothing goes in or out any more; at most once, not after close() or sayGoodbye().
        virtual void linkFailed(const Error &reason) = 0;
        /// The socket is gone; last, unless close() came first.
        virtual void linkClosed() = 0;

    protected:
        ~Owner() = default;
    };

    enum class State { Idle, Connecting, Handshake, Open, SayingGoodbye, Closed };

    Link(Poller &poller, Owner &owner) : m_poller(poller), m_owner(owner) {}
    Link(const Link &) = delete;
    Link &operator=(const Link &) = delete;
    ~Link() { close(); }

    /// A socket that is still connecting, or one that was accepted. Nothing is called from here.
    [[nodiscard]] Result<void> start(Socket socket, bool isConnecting, bool isTls);

    [[nodiscard]] State state() const { return m_state; }
    /// The address answered; what failed after that, the next address will not do better.
    [[nodiscard]] bool wasReached() const { return m_wasReached; }
    /// Takes everything; what the socket does not take now is sent later.
    void write(QByteArrayView bytes);
    /// The socket is behind; add nothing until linkDrained().
    [[nodiscard]] bool isCongested() const { return !m_unsent.isEmpty(); }

    /// Sends what is left, says goodbye, and reads on until the other side has closed as well:
    /// closing with unread bytes would make the kernel discard what we said last.
    void sayGoodbye();
    void close();

    [[nodiscard]] const TlsSession *tls() const { return m_tls.get(); }

private:
    void socketReady(bool readable, bool writable) override;
    void connected();
    void handshake();
    void readAll();
    void readClearText();
    void sendUnsent();
    void endOutput();
    void lose(const Error &reason);
    void wait(bool write);
    [[nodiscard]] IoResult readSome(char *buffer, qsizetype size);
    [[nodiscard]] IoResult writeSome(const char *data, qsizetype size);

    Poller &m_poller;
    Owner &m_owner;
    Socket m_socket;
    quint64 m_number = 0;
    State m_state = State::Idle;
    bool m_isTls = false;
    bool m_wasAccepted = false;
    bool m_wasReached = false;
    bool m_waitsForWriting = false;
    bool m_tlsWantsToWrite = false; // a read that cannot go on before a write
    std::unique_ptr<TlsSession> m_tls;
    QByteArray m_unsent;
};

} // namespace lintel::grpc

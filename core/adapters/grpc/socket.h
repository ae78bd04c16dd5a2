// Non-blocking stream sockets of the system: addresses, connecting, listening, who is at the other
// end. Functions never block; errors carry the system's reason. Any thread, one at a time.
#pragma once

#include "grpc/grpc_types.h"

#include <sys/socket.h>

namespace lintel::grpc {

/// Owns a file descriptor.
class Socket
{
public:
    Socket() = default;
    explicit Socket(int descriptor) : m_descriptor(descriptor) {}
    Socket(Socket &&other) noexcept : m_descriptor(std::exchange(other.m_descriptor, -1)) {}
    Socket &operator=(Socket &&other) noexcept
    {
        std::swap(m_descriptor, other.m_descriptor);
        return *this;
    }
    Socket(const Socket &) = delete;
    Socket &operator=(const Socket &) = delete;
    ~Socket();

    [[nodiscard]] int descriptor() const { return m_descriptor; }
    [[nodiscard]] bool isOpen() const { return m_descriptor >= 0; }

private:
    int m_descriptor = -1;
};

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;

    /// "192.0.2.7:41234", "[2001:db8::1]:8081"; empty for a Unix socket.
    [[nodiscard]] QString toString() const;
};

/// "host:port", "[v6]:port", "unix:path", "unix:///path".
struct Target {
    QString host; // without brackets; empty for a Unix socket
    quint16 port = 0;
    QString path; // of a Unix socket

    [[nodiscard]] bool isUnix() const { return !path.isEmpty(); }
    [[nodiscard]] static Result<Target> parse(const QString &address);
};

/// Asks the resolver, which may take long; only literals are answered without a wait.
[[nodiscard]] Result<QList<SocketAddress>> resolve(const QString &host, quint16 port, bool literalsOnly);
[[nodiscard]] Result<SocketAddress> unixAddress(const QString &path);

/// Begins to connect; writable means it is decided (connectionError()).
[[nodiscard]] Result<Socket> beginConnect(const SocketAddress &address);
/// 0 when the connection stands.
[[nodiscard]] int connectionError(const Socket &socket);

struct TcpListener {
    Socket socket;
    quint16 port = 0;
};
[[nodiscard]] Result<TcpListener> listenOnTcp(const QString &address, quint16 port);

/// A listening Unix socket with its file, which it removes at its end unless somebody replaced it.
class UnixListener
{
public:
    [[nodiscard]] static Result<UnixListener> open(const QString &path, uint mode);
    UnixListener(UnixListener &&) noexcept = default;
    UnixListener &operator=(UnixListener &&) = delete;
    ~UnixListener();

    [[nodiscard]] const Socket &socket() const { return m_socket; }

private:
    UnixListener() = default;

    Socket m_socket;
    QByteArray m_path;
    quint64 m_device = 0;
    quint64 m_inode = 0;
};

struct Accepted {
    Socket socket;
    QString address;
    QByteArray network; // see Peer::network
    std::optional<UnixPeer> process;
    int error = 0; // errno without a socket
};
/// UnixPeer::startedAt of a process that runs; 0 when there is none.
[[nodiscard]] quint64 processStart(qint64 pid);
[[nodiscard]] Accepted acceptOne(const Socket &listener, bool isUnix);

/// "Permission denied" for an errno, by the system.
[[nodiscard]] QString systemReason(int error);

} // namespace lintel::grpc

#include "grpc/socket.h"

#include <QFile>
#include <QScopeGuard>

#include <cstring>
#include <system_error>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

namespace {

constexpr int kBacklog = 1'024; // a whole building may come back at once

template <class T>
void setOption(int socket, int level, int name, T value)
{
    (void)::setsockopt(socket, level, name, &value, sizeof value);
}

/// A peer that is gone without a word is noticed in about two minutes, by the kernel; HTTP/2 pings
/// would wake both programs, and servers punish clients for them.
void watchPeer(int socket)
{
    setOption(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    setOption(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    setOption(socket, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    setOption(socket, IPPROTO_TCP, TCP_KEEPINTVL, 15);
    setOption(socket, IPPROTO_TCP, TCP_KEEPCNT, 4);
    setOption(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, 30'000U);
}

const sockaddr *generic(const SocketAddress &address)
{
    return reinterpret_cast<const sockaddr *>(&address.storage);
}

Error io(const QString &what, int error)
{
    return {Errc::Io, u"%1: %2."_s.arg(what, systemReason(error))};
}

/// Whether the path is free, after removing what a dead process left there.
Result<void> clearStaleSocket(const SocketAddress &address, const QByteArray &path, const QString &shown)
{
    struct stat info {
    };
    if (::lstat(path.constData(), &info) != 0)
        return {};
    if (!S_ISSOCK(info.st_mode))
        return Error{Errc::Conflict, u"%1 is there and is no socket; remove it or choose another path."_s.arg(shown)};
    const Socket probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!probe.isOpen())
        return io(u"A socket cannot be made"_s, errno);
    if (::connect(probe.descriptor(), generic(address), address.length) == 0 || errno == EAGAIN)
        return Error{Errc::Conflict, u"Another program listens on %1; stop it or choose another path."_s.arg(shown)};
    if (errno != ECONNREFUSED)
        return io(u"The socket %1 cannot be looked at"_s.arg(shown), errno);
    if (::unlink(path.constData()) != 0 && errno != ENOENT)
        return io(u"The old socket %1 cannot be removed"_s.arg(shown), errno);
    return {};
}

} // namespace

Socket::~Socket()
{
    if (m_descriptor >= 0)
        ::close(m_descriptor);
}

QString systemReason(int error)
{
    return QString::fromStdString(std::generic_category().message(error));
}

QString SocketAddress::toString() const
{
    char text[INET6_ADDRSTRLEN] = "";
    if (storage.ss_family == AF_INET) {
        const auto *v4 = reinterpret_cast<const sockaddr_in *>(&storage);
        ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        return u"%1:%2"_s.arg(QString::fromLatin1(text)).arg(ntohs(v4->sin_port));
    }
    if (storage.ss_family == AF_INET6) {
        const auto *v6 = reinterpret_cast<const sockaddr_in6 *>(&storage);
        ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        return u"[%1]:%2"_s.arg(QString::fromLatin1(text)).arg(ntohs(v6->sin6_port));
    }
    return {};
}

Result<Target> Target::parse(const QString &address)
{
    Target target;
    if (address.startsWith("unix:"_L1)) {
        target.path = address.sliced(5);
        if (target.path.startsWith("//"_L1))
            target.path.remove(0, 2);
        if (target.path.isEmpty())
            return Error{Errc::Malformed, u"\"%1\" names no socket; write unix:///path/to/socket."_s.arg(address)};
        return target;
    }
    const qsizetype colon = address.lastIndexOf(u':');
    bool isNumber = false;
    target.port = colon < 0 ? quint16{0} : address.sliced(colon + 1).toUShort(&isNumber);
    target.host = address.first(std::max<qsizetype>(colon, 0));
    const bool bracketed = target.host.startsWith(u'[') && target.host.endsWith(u']');
    if (bracketed)
        target.host = target.host.sliced(1, target.host.size() - 2);
    if (!isNumber || target.port == 0 || target.host.isEmpty() || (!bracketed && target.host.contains(u':')))
        return Error{Errc::Malformed,
                     u"\"%1\" is no address; write host:port, [IPv6]:port or unix:///path."_s.arg(address)};
    return target;
}

Result<QList<SocketAddress>> resolve(const QString &host, quint16 port, bool literalsOnly)
{
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (literalsOnly ? AI_NUMERICHOST : AI_ADDRCONFIG);
    addrinfo *found = nullptr;
    const int error = ::getaddrinfo(host.toUtf8().constData(), QByteArray::number(port).constData(), &hints, &found);
    const auto release = qScopeGuard([&] {
        if (found)
            ::freeaddrinfo(found);
    });
    if (error != 0)
        return Error{
            literalsOnly ? Errc::Malformed : Errc::Unavailable,
            u"The address of %1 cannot be found: %2."_s.arg(host, QString::fromLocal8Bit(::gai_strerror(error)))};
    QList<SocketAddress> addresses;
    for (const addrinfo *entry = found; entry; entry = entry->ai_next) {
        SocketAddress address;
        std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
        address.length = entry->ai_addrlen;
        addresses.append(address);
    }
    return addresses;
}

Result<SocketAddress> unixAddress(const QString &path)
{
    SocketAddress address;
    auto *unixAddress = reinterpret_cast<sockaddr_un *>(&address.storage);
    const QByteArray bytes = QFile::encodeName(path);
    if (bytes.isEmpty() || bytes.contains('\0') || size_t(bytes.size()) >= sizeof unixAddress->sun_path)
        return Error{Errc::OutOfRange,
                     u"The socket path \"%1\" is empty or longer than %2 bytes; choose a shorter one."_s.arg(path).arg(
                         sizeof unixAddress->sun_path - 1)};
    unixAddress->sun_family = AF_UNIX;
    std::memcpy(unixAddress->sun_path, bytes.constData(), size_t(bytes.size()) + 1);
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size_t(bytes.size()) + 1);
    return address;
}

Result<Socket> beginConnect(const SocketAddress &address)
{
    const int family = address.storage.ss_family;
    Socket socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.isOpen())
        return io(u"A socket cannot be made"_s, errno);
    if (family != AF_UNIX)
        watchPeer(socket.descriptor());
    if (::connect(socket.descriptor(), generic(address), address.length) != 0 && errno != EINPROGRESS)
        return Error{Errc::Unavailable, systemReason(errno)};
    return socket;
}

int connectionError(const Socket &socket)
{
    int error = 0;
    socklen_t length = sizeof error;
    return ::getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

Result<TcpListener> listenOnTcp(const QString &address, quint16 port)
{
    const auto addresses = resolve(address, port, true);
    if (!addresses)
        return Error{Errc::Malformed, u"\"%1\" is no IP address to listen on."_s.arg(address)};
    const SocketAddress &where = addresses->first();
    const QString shown = where.toString();
    TcpListener listener{Socket(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), 0};
    const int descriptor = listener.socket.descriptor();
    if (!listener.socket.isOpen())
        return io(u"A socket cannot be made"_s, errno);
    setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    if (::bind(descriptor, generic(where), where.length) != 0 || ::listen(descriptor, kBacklog) != 0) {
        if (errno == EADDRINUSE)
            return Error{Errc::Conflict,
                         u"Another program listens on %1; stop it or choose another port."_s.arg(shown)};
        return io(u"Cannot listen on %1"_s.arg(shown), errno);
    }
    SocketAddress bound;
    bound.length = sizeof bound.storage;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr *>(&bound.storage), &bound.length) != 0)
        return io(u"The port cannot be found out"_s, errno);
    listener.port =
        ntohs(bound.storage.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in *>(&bound.storage)->sin_port
                                                 : reinterpret_cast<const sockaddr_in6 *>(&bound.storage)->sin6_port);
    return listener;
}

Result<UnixListener> UnixListener::open(const QString &path, uint mode)
{
    const auto address = unixAddress(path);
    if (!address)
        return address.error();
    UnixListener listener;
    const QByteArray file = QFile::encodeName(path);
    if (const auto clear = clearStaleSocket(*address, file, path); !clear)
        return clear.error();
    listener.m_socket = Socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int descriptor = listener.m_socket.descriptor();
    if (!listener.m_socket.isOpen())
        return io(u"A socket cannot be made"_s, errno);
    if (::bind(descriptor, generic(*address), address->length) != 0)
        return io(u"The socket %1 cannot be made"_s.arg(path), errno);
    listener.m_path = file;
    // Nobody gets in before listen(), so the mode is right from the first connection on.
    struct stat info {
    };
    if (::chmod(file.constData(), mode) != 0 || ::lstat(file.constData(), &info) != 0
        || ::listen(descriptor, kBacklog) != 0) {
        const int error = errno;
        (void)::unlink(file.constData());
        return io(u"Cannot listen on %1"_s.arg(path), error);
    }
    listener.m_device = info.st_dev;
    listener.m_inode = info.st_ino;
    return listener;
}

UnixListener::~UnixListener()
{
    struct stat info {
    };
    if (m_socket.isOpen() && !m_path.isEmpty() && ::lstat(m_path.constData(), &info) == 0 && info.st_dev == m_device
        && info.st_ino == m_inode)
        (void)::unlink(m_path.constData());
}

namespace {

#ifndef SO_PEERPIDFD
constexpr int SO_PEERPIDFD = 77; // Linux 6.5
#endif

/// 0 when the process that connected has ended, whatever has its pid now.
quint64 startOf(int socket, qint64 pid)
{
    const quint64 start = processStart(pid);
    int descriptor = -1;
    socklen_t length = sizeof descriptor;
    // Older kernels cannot tell; then only a pid that was reused before we accepted goes unseen.
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &descriptor, &length) != 0)
        return start;
    const Socket process(descriptor);
    pollfd ended{process.descriptor(), POLLIN, 0};
    return ::poll(&ended, 1, 0) == 0 ? start : 0;
}

} // namespace

quint64 processStart(qint64 pid)
{
    // Field 22 of proc(5)'s stat; the name in field 2 may hold anything, but nothing after its last ')'.
    QFile file(u"/proc/%1/stat"_s.arg(pid));
    if (!file.open(QIODevice::ReadOnly))
        return 0;
    const QByteArray text = file.readAll();
    return text.mid(text.lastIndexOf(')') + 1).simplified().split(' ').value(19).toULongLong();
}

namespace {

/// Whoever has one address of an IPv6 /64 has them all.
QByteArray networkOf(const SocketAddress &from)
{
    const auto bytes = [](const void *data, qsizetype size) {
        return QByteArray(static_cast<const char *>(data), size);
    };
    if (from.storage.ss_family == AF_INET)
        return bytes(&reinterpret_cast<const sockaddr_in *>(&from.storage)->sin_addr, 4);
    const in6_addr &six = reinterpret_cast<const sockaddr_in6 *>(&from.storage)->sin6_addr;
    return IN6_IS_ADDR_V4MAPPED(&six) ? bytes(&six.s6_addr[12], 4) : bytes(&six, 8);
}

} // namespace

Accepted acceptOne(const Socket &listener, bool isUnix)
{
    SocketAddress from;
    from.length = sizeof from.storage;
    Accepted accepted;
    accepted.socket = Socket(::accept4(listener.descriptor(), reinterpret_cast<sockaddr *>(&from.storage), &from.length,
                                       SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.socket.isOpen()) {
        accepted.error = errno;
        return accepted;
    }
    if (!isUnix) {
        watchPeer(accepted.socket.descriptor());
        accepted.address = from.toString();
        accepted.network = networkOf(from);
        return accepted;
    }
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(accepted.socket.descriptor(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0)
        accepted.process = UnixPeer{credentials.pid, credentials.uid, credentials.gid,
                                    startOf(accepted.socket.descriptor(), credentials.pid)};
    return accepted;
}

} // namespace lintel::grpc

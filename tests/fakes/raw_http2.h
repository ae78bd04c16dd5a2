// Bytes of HTTP/2 as no good client writes them, and a client in clear text that writes what it likes.
#pragma once

#include <QByteArray>
#include <QCoreApplication>
#include <QString>
#include <QTest>
#include <QtEndian>

#include <cerrno>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace lintel::test {

inline constexpr int kRawPatience = 20'000;
inline const QByteArray kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

inline QByteArray frame(quint8 type, quint8 flags, quint32 stream, const QByteArray &payload)
{
    QByteArray head(9, '\0');
    head[0] = static_cast<char>(payload.size() >> 16);
    head[1] = static_cast<char>(payload.size() >> 8);
    head[2] = static_cast<char>(payload.size());
    head[3] = static_cast<char>(type);
    head[4] = static_cast<char>(flags);
    qToBigEndian(stream, head.data() + 5);
    return head + payload;
}

inline constexpr quint8 kData = 0;
inline constexpr quint8 kHeaders = 1;
inline constexpr quint8 kReset = 3;
inline constexpr quint8 kSettings = 4;
inline constexpr quint8 kPing = 6;
inline constexpr quint8 kGoAway = 7;
inline constexpr quint8 kEndStream = 1;
inline constexpr quint8 kEndHeaders = 4;

/// HPACK literals without indexing and without Huffman codes.
inline QByteArray field(const QByteArray &name, const QByteArray &value)
{
    const auto text = [](const QByteArray &bytes) { return char(bytes.size()) + bytes; };
    return QByteArray(1, '\0') + text(name) + text(value);
}

inline QByteArray requestHeaders(const QByteArray &path, const QByteArray &extra = {},
                                 const QByteArray &method = "POST", const QByteArray &type = "application/grpc")
{
    return field(":method", method) + field(":scheme", "http") + field(":path", path) + field(":authority", "x")
           + field("te", "trailers") + field("content-type", type) + extra;
}

/// A client that writes bytes as it likes.
class RawClient
{
public:
    explicit RawClient(const QString &path)
    {
        m_socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        qstrncpy(address.sun_path, path.toLocal8Bit().constData(), sizeof address.sun_path);
        m_isConnected = ::connect(m_socket, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0;
    }
    RawClient(const RawClient &) = delete;
    RawClient &operator=(const RawClient &) = delete;
    ~RawClient() { ::close(m_socket); }

    [[nodiscard]] bool isConnected() const { return m_isConnected; }

    /// Everything, or until the server has had enough.
    void write(QByteArray bytes)
    {
        while (!bytes.isEmpty() && !m_isClosed) {
            const auto sent = ::send(m_socket, bytes.constData(), size_t(bytes.size()), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent > 0)
                bytes.remove(0, sent);
            else if (errno != EAGAIN)
                m_isClosed = true;
            QCoreApplication::processEvents();
            read();
        }
    }
    void read()
    {
        QByteArray buffer(65'536, '\0');
        const auto got = ::recv(m_socket, buffer.data(), size_t(buffer.size()), MSG_DONTWAIT);
        if (got > 0)
            m_received += buffer.first(got);
        else if (got == 0 || errno != EAGAIN)
            m_isClosed = true;
    }
    [[nodiscard]] bool waitClosed()
    {
        return QTest::qWaitFor(
            [this] {
                read();
                return m_isClosed;
            },
            kRawPatience);
    }
    /// The server has ended a stream in order: HEADERS with END_STREAM.
    [[nodiscard]] bool hasTrailers() const { return haveTrailers(m_received); }
    [[nodiscard]] static bool haveTrailers(const QByteArray &received)
    {
        for (qsizetype at = 0; at + 9 <= received.size();) {
            const auto *head = reinterpret_cast<const uchar *>(received.constData() + at);
            if (head[3] == kHeaders && (head[4] & kEndStream))
                return true;
            at += 9 + ((head[0] << 16) | (head[1] << 8) | head[2]);
        }
        return false;
    }
    /// The error of the GOAWAY that came; -1 without one.
    [[nodiscard]] int goAwayError() const
    {
        for (qsizetype at = 0; at + 9 <= m_received.size();) {
            const auto *head = reinterpret_cast<const uchar *>(m_received.constData() + at);
            const qsizetype size = (head[0] << 16) | (head[1] << 8) | head[2];
            if (head[3] == kGoAway && at + 17 <= m_received.size())
                return static_cast<int>(qFromBigEndian<quint32>(head + 13));
            at += 9 + size;
        }
        return -1;
    }
    [[nodiscard]] const QByteArray &received() const { return m_received; }

private:
    int m_socket = -1;
    bool m_isConnected = false;
    bool m_isClosed = false;
    QByteArray m_received;
};

} // namespace lintel::test

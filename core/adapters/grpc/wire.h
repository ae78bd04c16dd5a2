// How gRPC looks on HTTP/2, as in "gRPC over HTTP2": message framing, grpc-timeout, grpc-status,
// grpc-message, "-bin" metadata. Pure functions and values; any thread. What a peer sent wrong is
// a fault that ends its call, never more.
#pragma once

#include "grpc/grpc_types.h"

#include <QByteArrayView>

#include <chrono>
#include <deque>

namespace lintel::grpc {

/// Length-prefixed, not compressed.
[[nodiscard]] QByteArray frameMessage(const QByteArray &message);

/// Cuts a byte stream into messages. Memory grows with the bytes that came, not with the length
/// that a peer claims.
class MessageReader
{
public:
    explicit MessageReader(qsizetype maxMessageBytes) : m_limit(maxMessageBytes) {}

    void append(QByteArrayView bytes);
    [[nodiscard]] bool hasMessage() const { return !m_messages.empty(); }
    [[nodiscard]] QByteArray takeMessage();
    /// What is wrong with the bytes: too long, compressed, an unknown flag. Nothing is read after it.
    [[nodiscard]] const std::optional<Status> &fault() const { return m_fault; }
    /// The stream may not end here.
    [[nodiscard]] bool isInsideMessage() const { return !m_prefix.isEmpty(); }
    /// Memory in use, with an allowance for each message.
    [[nodiscard]] qsizetype heldBytes() const { return m_held; }

private:
    void takePrefix();

    qsizetype m_limit;
    QByteArray m_prefix; // 5 bytes when a message has begun
    QByteArray m_body;
    qsizetype m_wanted = 0;
    std::deque<QByteArray> m_messages;
    qsizetype m_held = 0;
    std::optional<Status> m_fault;
};

/// Bytes that wait for the window of a stream.
class SendQueue
{
public:
    void append(QByteArray chunk);
    void clear();
    [[nodiscard]] qsizetype size() const { return m_size; }
    [[nodiscard]] bool isEmpty() const { return m_size == 0; }
    /// Appends the first `length` bytes to `out`; there are as many.
    void take(qsizetype length, QByteArray &out);

private:
    std::deque<QByteArray> m_chunks;
    qsizetype m_offset = 0; // into the first chunk
    qsizetype m_size = 0;
};

/// "1500m": at most eight digits and a unit.
[[nodiscard]] QByteArray encodeTimeout(std::chrono::milliseconds timeout);
/// Rounded up to a millisecond; nothing when it is malformed.
[[nodiscard]] std::optional<std::chrono::milliseconds> decodeTimeout(QByteArrayView text);

/// grpc-message: UTF-8, percent-encoded outside of printable ASCII.
[[nodiscard]] QByteArray encodeStatusMessage(const QString &message);
/// Never fails: what is broken stays as it is.
[[nodiscard]] QString decodeStatusMessage(QByteArrayView text);

/// Whether a name and a value may travel as metadata: lower-case name that HTTP/2 and gRPC do not
/// use themselves; printable ASCII unless the name ends in "-bin".
[[nodiscard]] bool isMetadata(const QByteArray &name, const QByteArray &value);
/// As it stands in a header: base64 without padding for "-bin".
[[nodiscard]] QByteArray encodeMetadata(const QByteArray &name, const QByteArray &value);
/// Accepts base64 with and without padding; of several values joined by commas the first.
[[nodiscard]] QByteArray decodeMetadata(const QByteArray &name, const QByteArray &value);

/// A response without grpc-status.
[[nodiscard]] StatusCode codeOfHttpStatus(int status);
/// A stream that RST_STREAM ended.
[[nodiscard]] StatusCode codeOfHttp2Error(quint32 error);
/// grpc-status as a number; unknown ones are Unknown.
[[nodiscard]] StatusCode codeFromText(QByteArrayView text);

} // namespace lintel::grpc

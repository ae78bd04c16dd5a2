// The answer of an HTTP/1.1 server to one GET (RFC 9112), piece by piece: head, then a body whose end
// is told by Content-Length or chunks. A body that would only end with the connection is refused,
// since nobody could tell a whole one from one that was cut off.
//
// A value of one exchange; any thread. Limits: head 16 KiB, body 1 MiB.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QByteArrayView>
#include <QList>
#include <QPair>

namespace lintel::grpc {

class Http1Response
{
public:
    /// Whether the response is complete now. Malformed: it is none; Full: it is too long. Bytes behind
    /// its end are ignored, and after an error nothing more may come.
    [[nodiscard]] Result<bool> receive(QByteArrayView bytes);

    [[nodiscard]] int status() const { return m_status; }
    /// The first field of this (lower-case) name; empty without one.
    [[nodiscard]] QByteArray field(QByteArrayView name) const;
    [[nodiscard]] const QByteArray &body() const { return m_body; }

private:
    enum class Part { Head, Sized, ChunkSize, Chunk, ChunkEnd, Trailer, Done };
    enum class Step { More, Next };

    [[nodiscard]] Result<Step> advance();
    [[nodiscard]] Result<void> takeHead(const QByteArray &head);
    [[nodiscard]] Result<void> beginBody();
    [[nodiscard]] Result<void> takeChunkSize(const QByteArray &line);
    /// Moves what is here of the body; whether all of this piece is.
    [[nodiscard]] bool takeBody();

    Part m_part = Part::Head;
    QByteArray m_pending; // not understood yet
    int m_status = 0;
    QList<QPair<QByteArray, QByteArray>> m_fields;
    QByteArray m_body;
    qint64 m_missing = 0; // of the body, or of this chunk
};

} // namespace lintel::grpc

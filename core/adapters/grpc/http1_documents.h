// The few lines of HTTP/1.1 (RFC 9112) that a SPIFFE bundle endpoint needs: one GET or HEAD, one
// answer, then the connection closes. Pure: bytes in, bytes out; any thread.
#pragma once

#include "grpc/grpc_server.h"

#include <QByteArrayView>
#include <QHash>

namespace lintel::grpc {

using DocumentProviders = QHash<QByteArray, std::function<Result<Document>()>>;

class DocumentExchange
{
public:
    /// The whole answer once the request's head is complete or wrong; empty before.
    [[nodiscard]] QByteArray receive(QByteArrayView bytes, const DocumentProviders &documents);

private:
    QByteArray m_head;
    bool m_isAnswered = false;
};

} // namespace lintel::grpc

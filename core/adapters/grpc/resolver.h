// Finds the addresses of a host name on a thread of its own, because the resolver of the system
// blocks, for half a minute when the network is bad.
//
// Belongs to one connection and its thread; the answer comes there. The thread ends by itself, and
// an answer that nobody waits for any more is dropped.
#pragma once

#include "grpc/socket.h"

#include <QObject>

#include <functional>
#include <memory>

namespace lintel::grpc {

class Resolver final : public QObject
{
    Q_OBJECT
public:
    using Answer = std::function<void(Result<QList<SocketAddress>>)>;

    Resolver();
    ~Resolver() override;

    /// Once; `answer` is never called from here.
    void start(const QString &host, quint16 port, const Answer &answer);

private:
    struct Mailbox;
    std::shared_ptr<Mailbox> m_mailbox;
};

} // namespace lintel::grpc

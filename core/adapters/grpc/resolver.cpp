#include "grpc/resolver.h"

#include <QMutex>

#include <system_error>
#include <thread>

namespace lintel::grpc {

using namespace Qt::StringLiterals;

struct Resolver::Mailbox {
    QMutex mutex; // guards the receiver, who may leave while the thread still asks
    QObject *receiver = nullptr;

    void post(const Answer &answer, Result<QList<SocketAddress>> result)
    {
        const QMutexLocker lock(&mutex);
        if (receiver)
            QMetaObject::invokeMethod(
                receiver, [answer, result = std::move(result)] { answer(result); }, Qt::QueuedConnection);
    }
};

Resolver::Resolver() : m_mailbox(std::make_shared<Mailbox>())
{
    m_mailbox->receiver = this;
}

Resolver::~Resolver()
{
    const QMutexLocker lock(&m_mailbox->mutex);
    m_mailbox->receiver = nullptr;
}

void Resolver::start(const QString &host, quint16 port, const Answer &answer)
{
    if (auto literal = resolve(host, port, true))
        return m_mailbox->post(answer, std::move(literal));
    try {
        std::thread([mailbox = m_mailbox, host, port, answer] {
            mailbox->post(answer, resolve(host, port, false));
        }).detach();
    } catch (const std::system_error &) {
        m_mailbox->post(answer, Error{Errc::Unavailable, u"The system has no thread left to resolve %1."_s.arg(host)});
    }
}

} // namespace lintel::grpc

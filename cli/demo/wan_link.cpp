#include "demo/wan_link.h"

#include <QHostAddress>
#include <QPointer>

namespace lintel::demo {

using namespace Qt::StringLiterals;

namespace {

// More than this waiting on one side stops reading the other, so a slow peer slows the sender.
constexpr qint64 kHighWater = 1024 * 1024;

} // namespace

WanLink::WanLink(quint16 targetPort, QObject *parent) : QObject(parent), m_targetPort(targetPort)
{
    connect(&m_server, &QTcpServer::newConnection, this, &WanLink::onConnection);
}

Result<void> WanLink::listen(quint16 port)
{
    if (m_server.listen(QHostAddress::LocalHost, port))
        return {};
    return Error{Errc::Io, u"The link to the cloud cannot listen on 127.0.0.1: %1."_s.arg(m_server.errorString())};
}

void WanLink::cut()
{
    m_isCut = true;
    const auto sockets = std::exchange(m_sockets, {});
    for (QTcpSocket *socket : sockets) {
        socket->disconnect(this);
        socket->abort();
        socket->deleteLater();
    }
}

void WanLink::mend()
{
    m_isCut = false;
}

void WanLink::onConnection()
{
    while (QTcpSocket *near = m_server.nextPendingConnection()) {
        if (m_isCut) {
            near->abort();
            near->deleteLater();
            continue;
        }
        auto *far = new QTcpSocket(this);
        near->setParent(this);
        near->setSocketOption(QAbstractSocket::LowDelayOption, 1);
        m_sockets << near << far;
        near->setReadBufferSize(kHighWater);
        far->setReadBufferSize(kHighWater);
        relay(near, far);
        relay(far, near);
        far->connectToHost(QHostAddress(QHostAddress::LocalHost), m_targetPort);
        far->setSocketOption(QAbstractSocket::LowDelayOption, 1);
    }
}

/// One direction. Either socket may go first, so both are held as pointers that notice.
void WanLink::relay(QTcpSocket *near, QTcpSocket *far)
{
    const QPointer<QTcpSocket> from(near);
    const QPointer<QTcpSocket> to(far);
    const auto forward = [this, from, to] {
        if (!from || !to || to->state() != QAbstractSocket::ConnectedState || to->bytesToWrite() > kHighWater)
            return;
        const QByteArray bytes = from->readAll();
        if (bytes.isEmpty())
            return;
        m_relayedBytes += quint64(bytes.size());
        to->write(bytes);
    };
    connect(near, &QTcpSocket::readyRead, this, forward);
    connect(far, &QTcpSocket::connected, this, forward);
    connect(far, &QTcpSocket::bytesWritten, this, forward);
    const auto end = [this, from, to, forward] {
        forward();
        m_sockets.removeOne(from);
        if (to)
            to->disconnectFromHost();
        if (from)
            from->deleteLater();
    };
    connect(near, &QTcpSocket::disconnected, this, end);
    connect(near, &QTcpSocket::errorOccurred, this, [near, end](QAbstractSocket::SocketError error) {
        if (error == QAbstractSocket::RemoteHostClosedError)
            return; // disconnected() follows
        near->disconnect();
        end();
    });
}

} // namespace lintel::demo

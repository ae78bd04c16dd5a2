// A TCP proxy on loopback that can be told to misbehave: cut its connections, or hold them open
// and pass nothing on, as a dead network path does. Thread: the one that made it, with an event
// loop.
#pragma once

#include <QList>
#include <QPointer>
#include <QTcpServer>
#include <QTcpSocket>

namespace lintel::test {

class TcpProxy : public QObject
{
    Q_OBJECT
public:
    explicit TcpProxy(quint16 target) : m_target(target)
    {
        connect(&m_server, &QTcpServer::newConnection, this, &TcpProxy::onConnection);
        m_server.listen(QHostAddress::LocalHost);
        m_port = m_server.serverPort();
    }

    [[nodiscard]] quint16 port() const { return m_port; }
    [[nodiscard]] int accepted() const { return m_accepted; }

    /// Resets every connection; new ones are welcome.
    void cut()
    {
        const auto sockets = std::exchange(m_sockets, {});
        for (const auto &socket : sockets) {
            if (!socket)
                continue;
            socket->disconnect(this);
            socket->abort();
            socket->deleteLater();
        }
    }
    void setListening(bool listening)
    {
        if (listening)
            m_server.listen(QHostAddress::LocalHost, m_port);
        else
            m_server.close();
    }
    /// Nothing passes any more, in either direction, and nobody is told.
    void setSilent(bool silent) { m_silent = silent; }

private:
    void onConnection()
    {
        while (QTcpSocket *client = m_server.nextPendingConnection()) {
            ++m_accepted;
            auto *broker = new QTcpSocket(this);
            client->setParent(this);
            client->setSocketOption(QAbstractSocket::LowDelayOption, 1);
            broker->setSocketOption(QAbstractSocket::LowDelayOption, 1);
            m_sockets << client << broker;
            join(client, broker);
            join(broker, client);
            broker->connectToHost(QHostAddress::LocalHost, m_target);
        }
    }
    void join(QTcpSocket *from, QTcpSocket *to)
    {
        const auto pass = [this, from, to] {
            if (!m_silent && to->state() == QAbstractSocket::ConnectedState)
                to->write(from->readAll());
        };
        connect(from, &QTcpSocket::readyRead, this, pass);
        connect(to, &QTcpSocket::connected, this, pass);
        connect(from, &QTcpSocket::disconnected, this, [this, from, to] {
            if (m_silent)
                return;
            if (to->state() == QAbstractSocket::ConnectedState) {
                to->write(from->readAll());
                to->disconnectFromHost();
            } else {
                to->abort();
            }
        });
        connect(from, &QTcpSocket::errorOccurred, this, [this, to](QAbstractSocket::SocketError error) {
            if (!m_silent && error != QAbstractSocket::RemoteHostClosedError)
                to->abort();
        });
    }

    quint16 m_target;
    quint16 m_port = 0;
    int m_accepted = 0;
    bool m_silent = false;
    QTcpServer m_server;
    QList<QPointer<QTcpSocket>> m_sockets;
};

} // namespace lintel::test

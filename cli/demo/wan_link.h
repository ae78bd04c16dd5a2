// The line between the building and the cloud, as a TCP relay on loopback that can be cut.
//
// Cut, it drops what is open and refuses what comes, as a router without an uplink does; mended, it
// relays again. It understands nothing of what passes: TLS ends at the brokers. Thread: its owner's.
#pragma once

#include "domain/result.h"

#include <QObject>
#include <QTcpServer>
#include <QTcpSocket>

namespace lintel::demo {

class WanLink : public QObject
{
    Q_OBJECT
public:
    /// Relays to 127.0.0.1:`targetPort`.
    explicit WanLink(quint16 targetPort, QObject *parent = nullptr);

    /// Listens on 127.0.0.1; port 0 takes a free one.
    [[nodiscard]] Result<void> listen(quint16 port = 0);
    [[nodiscard]] quint16 port() const { return m_server.serverPort(); }

    void cut();
    void mend();
    [[nodiscard]] bool isCut() const { return m_isCut; }
    /// Bytes relayed both ways since the start.
    [[nodiscard]] quint64 relayedBytes() const { return m_relayedBytes; }

private:
    void onConnection();
    void relay(QTcpSocket *from, QTcpSocket *to);

    QTcpServer m_server;
    quint16 m_targetPort;
    bool m_isCut = false;
    quint64 m_relayedBytes = 0;
    QList<QTcpSocket *> m_sockets;
};

} // namespace lintel::demo

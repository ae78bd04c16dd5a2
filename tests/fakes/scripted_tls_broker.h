// The beginning of an MQTT broker, in this process, for what a real one does not show or do: which
// certificate a client presented, an old TLS version, a CONNACK that never comes or that says no, a broker
// that acknowledges nothing or refuses subscriptions. Answers CONNECT, SUBSCRIBE and PINGREQ. Thread: the one that made
// it, with an event loop.
#pragma once

#include "ports/identity_source.h"
#include "tls/x509.h"

#include <QSslConfiguration>
#include <QSslKey>
#include <QSslServer>
#include <QSslSocket>

namespace lintel::test {

class ScriptedTlsBroker : public QObject
{
    Q_OBJECT
public:
    ScriptedTlsBroker(const X509Svid &svid, const QList<QByteArray> &clientRoots,
                      QSsl::SslProtocol protocol = QSsl::TlsV1_3)
    {
        QSslConfiguration configuration;
        configuration.setProtocol(protocol);
        QList<QSslCertificate> chain;
        for (const QByteArray &der : svid.chainDer)
            chain += QSslCertificate(der, QSsl::Der);
        configuration.setLocalCertificateChain(chain);
        if (const auto key = tls::privateKeyToPem(*svid.key))
            configuration.setPrivateKey(QSslKey(*key, QSsl::Ec));
        QList<QSslCertificate> roots;
        for (const QByteArray &der : clientRoots)
            roots += QSslCertificate(der, QSsl::Der);
        configuration.setCaCertificates(roots);
        configuration.setPeerVerifyMode(QSslSocket::VerifyPeer);
        m_server.setSslConfiguration(configuration);
        connect(&m_server, &QSslServer::pendingConnectionAvailable, this, &ScriptedTlsBroker::onConnection);
        m_server.listen(QHostAddress::LocalHost);
    }

    [[nodiscard]] quint16 port() const { return m_server.serverPort(); }
    /// Serial numbers, one per completed handshake, upper-case hexadecimal.
    [[nodiscard]] const QStringList &serials() const { return m_serials; }
    [[nodiscard]] int publishes() const { return m_publishes; }

    void setReceiveMaximum(quint16 maximum) { m_receiveMaximum = maximum; }
    void setConnackReason(quint8 reason) { m_reason = reason; }
    void setSubackReason(quint8 reason) { m_subackReason = reason; }
    [[nodiscard]] int subscribes() const { return m_subscribes; }
    void setMute(bool mute) { m_mute = mute; } // the handshake succeeds and nothing follows

private:
    void onConnection()
    {
        while (auto *socket = qobject_cast<QSslSocket *>(m_server.nextPendingConnection())) {
            if (tls::describeCertificate(socket->peerCertificate().toDer()))
                m_serials << tls::describeCertificate(socket->peerCertificate().toDer())->serial;
            connect(socket, &QSslSocket::readyRead, this, [this, socket] { onBytes(socket); });
            connect(socket, &QSslSocket::disconnected, socket, &QObject::deleteLater);
            onBytes(socket);
        }
    }

    void onBytes(QSslSocket *socket)
    {
        if (m_mute)
            return;
        for (;;) { // packets: one byte of type, up to four of length, the rest
            const QByteArray head = socket->peek(5);
            qsizetype length = 0;
            qsizetype at = 1;
            for (int shift = 0; at < head.size(); shift += 7) {
                const auto byte = static_cast<quint8>(head[at++]);
                length |= qsizetype{byte & 0x7f} << shift;
                if (!(byte & 0x80))
                    break;
                if (at == head.size())
                    return;
            }
            if (head.size() < 2 || socket->bytesAvailable() < at + length)
                return;
            const QByteArray packet = socket->read(at + length);
            answer(socket, static_cast<quint8>(head[0]) >> 4, packet.mid(at));
        }
    }

    void answer(QSslSocket *socket, int type, const QByteArray &body)
    {
        if (type == 1) {
            QByteArray connack = QByteArray::fromHex("2006000003210000");
            connack[3] = static_cast<char>(m_reason);
            connack[6] = static_cast<char>(m_receiveMaximum >> 8);
            connack[7] = static_cast<char>(m_receiveMaximum & 0xff);
            socket->write(connack);
        } else if (type == 3) {
            ++m_publishes;
        } else if (type == 8) {
            ++m_subscribes;
            QByteArray suback = QByteArray::fromHex("900400000000");
            suback.replace(2, 2, body.left(2)); // the packet's identifier
            suback[5] = static_cast<char>(m_subackReason);
            socket->write(suback);
        } else if (type == 12) {
            socket->write(QByteArray::fromHex("d000"));
        }
    }

    QSslServer m_server;
    QStringList m_serials;
    int m_publishes = 0;
    quint16 m_receiveMaximum = 100;
    quint8 m_reason = 0;
    quint8 m_subackReason = 1; // granted, QoS 1
    int m_subscribes = 0;
    bool m_mute = false;
};

} // namespace lintel::test

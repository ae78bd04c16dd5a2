// A client of a broker with a certificate, and no manners.
// Thread: the test's, with an event loop.
#pragma once

#include "mqtt/paho_transport.h"
#include "tls/file_identity_source.h"

#include <QSignalSpy>
#include <QTest>

namespace lintel::test {

using namespace Qt::StringLiterals;

class RudeClient
{
public:
    RudeClient(const IdentitySource &identity, const QString &clientId, quint16 port, QLatin1StringView brokerId)
        : transport(endpoint(port, brokerId), identity), failed(&transport, &MqttTransport::connectFailed),
          connected(&transport, &MqttTransport::connected)
    {
        transport.start([clientId] {
            MqttConnect packet;
            packet.clientId = clientId;
            return packet;
        });
    }
    void publish(const QString &topic, const QByteArray &payload)
    {
        QVERIFY(transport.publish({topic, payload, 1, false}));
    }

    PahoTransport transport;
    QSignalSpy failed;
    QSignalSpy connected;

private:
    static MqttEndpoint endpoint(quint16 port, QLatin1StringView brokerId)
    {
        MqttEndpoint endpoint;
        endpoint.host = u"127.0.0.1"_s;
        endpoint.port = port;
        endpoint.broker = *SpiffeId::parse(QString(brokerId));
        return endpoint;
    }
};

} // namespace lintel::test

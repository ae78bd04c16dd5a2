#include "broker_connection.h"

#include "mqtt/paho_transport.h"
#include "tls/file_identity_source.h"

#include <QEventLoop>
#include <QTimer>

namespace lintel::cli {

namespace {

constexpr std::chrono::milliseconds kCloseTimeout{2'500};

} // namespace

Result<std::unique_ptr<BrokerConnection>> BrokerConnection::open(const mqtt::BrokerOptions &options)
{
    auto identity = std::make_unique<tls::FileIdentitySource>(options.identityDir);
    const auto current = identity->current();
    if (!current)
        return Error{current.error().code,
                     current.error().message
                         + QStringLiteral(" Name with --identity a folder that `lintelctl pki issue` has written.")};
    const Principal self((*current)->svid.id);

    auto connection = std::unique_ptr<BrokerConnection>(new BrokerConnection);
    connection->m_transport = std::make_unique<PahoTransport>(options.endpoint(), *identity);
    connection->m_identity = std::move(identity);
    connection->m_client = std::make_unique<CallClient>(self, connection->m_clock, *connection->m_transport);

    BrokerConnection *raw = connection.get();
    connect(raw->m_transport.get(), &MqttTransport::connected, raw, [raw] { raw->m_wasConnected = true; });
    connect(raw->m_transport.get(), &MqttTransport::connectFailed, raw,
            [raw](const Error &why) { raw->m_lastFailure = why; });
    connect(raw->m_transport.get(), &MqttTransport::disconnected, raw,
            [raw](const Error &why) { raw->m_lastFailure = why; });
    connect(raw->m_identity.get(), &IdentitySource::svidChanged, raw, [raw] { raw->m_transport->reconnect(); });
    raw->m_transport->start([self] {
        MqttConnect packet;
        packet.clientId = self.toString();
        return packet;
    });
    return connection;
}

BrokerConnection::~BrokerConnection()
{
    m_client.reset(); // before the transport that it listens to
    m_transport.reset();
}

void BrokerConnection::close()
{
    if (!isConnected()) {
        m_transport->stop();
        return;
    }
    QEventLoop loop;
    connect(m_transport.get(), &MqttTransport::disconnected, &loop, &QEventLoop::quit);
    QTimer::singleShot(kCloseTimeout, &loop, &QEventLoop::quit);
    m_transport->stop();
    loop.exec();
}

} // namespace lintel::cli

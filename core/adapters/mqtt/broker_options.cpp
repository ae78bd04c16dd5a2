#include "mqtt/broker_options.h"

#include <QRegularExpression>

namespace lintel::mqtt {

using namespace Qt::StringLiterals;

MqttEndpoint BrokerOptions::endpoint() const
{
    MqttEndpoint endpoint;
    endpoint.host = host;
    endpoint.port = port;
    endpoint.broker = brokerId;
    endpoint.backoff.max = std::chrono::seconds{5}; // a person waits before it
    return endpoint;
}

QList<QCommandLineOption> brokerOptions()
{
    return {
        {u"broker"_s, u"The MQTT broker (port 8883 unless said)."_s, u"HOST:PORT"_s},
        {u"broker-id"_s, u"Who that broker must be."_s, u"SPIFFE-ID"_s},
        {u"identity"_s, u"Folder with the caller's certificate, key and trust bundles."_s, u"DIR"_s},
    };
}

Result<std::pair<QString, quint16>> parseHostPort(const QString &text)
{
    static const QRegularExpression pattern(u"^(?:\\[([0-9A-Fa-f:.%]+)\\]|([^:\\[\\]\\s/]+))(?::([0-9]{1,5}))?$"_s);
    const auto match = pattern.match(text);
    const QString host = match.captured(1).isEmpty() ? match.captured(2) : match.captured(1);
    const uint port = match.captured(3).isEmpty() ? BrokerOptions{}.port : match.captured(3).toUInt();
    if (!match.hasMatch() || port == 0 || port > 65535)
        return Error{Errc::Malformed, u"\"%1\" is not HOST:PORT."_s.arg(text)};
    return std::pair{host, quint16(port)};
}

Result<SpiffeId> parseSpiffeOption(const QString &option, const QString &value)
{
    auto id = SpiffeId::parse(value);
    if (!id)
        return Error{Errc::Malformed, u"--%1: %2"_s.arg(option, id.error().message)};
    return id;
}

Result<void> readBroker(const QString &address, const QString &brokerId, const QString &identityDir, BrokerOptions &out)
{
    if (!address.isEmpty()) {
        const auto hostPort = parseHostPort(address);
        if (!hostPort)
            return Error{Errc::Malformed,
                         u"--broker: %1 Expected for example gateway.local:8883."_s.arg(hostPort.error().message)};
        out.host = hostPort->first;
        out.port = hostPort->second;
    }
    if (!brokerId.isEmpty()) {
        const auto id = parseSpiffeOption(u"broker-id"_s, brokerId);
        if (!id)
            return id.error();
        out.brokerId = *id;
    }
    if (!identityDir.isEmpty())
        out.identityDir = identityDir;
    return {};
}

} // namespace lintel::mqtt

// Which broker, who it must be, and where our identity lies, as a command line names them: the same
// three options in every program that a person starts. Values only; any thread.
#pragma once

#include "domain/result.h"
#include "mqtt/mqtt_endpoint.h"

#include <QCommandLineOption>
#include <QList>

#include <utility>

namespace lintel::mqtt {

struct BrokerOptions {
    QString host = QStringLiteral("localhost");
    quint16 port = 8883;
    SpiffeId brokerId;   // whom to expect at the other end
    QString identityDir; // certificate, key and trust bundles, as "lintelctl pki issue" writes them

    [[nodiscard]] MqttEndpoint endpoint() const;
};

/// --broker, --broker-id and --identity.
[[nodiscard]] QList<QCommandLineOption> brokerOptions();

/// Takes over what is not empty; `address` is --broker's value and so on. Malformed names the option.
[[nodiscard]] Result<void> readBroker(const QString &address, const QString &brokerId, const QString &identityDir,
                                      BrokerOptions &out);

/// "host:port" or "[::1]:port"; the port is 8883 unless said.
[[nodiscard]] Result<std::pair<QString, quint16>> parseHostPort(const QString &text);

/// The SPIFFE ID that stands behind an option; Malformed names it.
[[nodiscard]] Result<SpiffeId> parseSpiffeOption(const QString &option, const QString &value);

} // namespace lintel::mqtt

// The arguments of `lintelctl call`. Values only.
#pragma once

#include "domain/principal.h"
#include "domain/timestamp.h"

#include <QCborMap>
#include <QStringList>

namespace lintel::cli {

struct BrokerOptions {
    QString host;
    quint16 port = 8883;
    SpiffeId brokerId;
    QString identityDir;
};

struct CallOptions {
    Principal target;
    QString method;
    QCborMap args;
    Millis timeout{10'000};
    BrokerOptions broker;
    bool json = false;
    bool help = false;
};

/// Refuses unknown options, a target that is no SPIFFE ID, data that is no JSON object. With
/// --config the broker and the identity come from a file; options on the line win.
[[nodiscard]] Result<CallOptions> parseCallOptions(const QStringList &arguments);
[[nodiscard]] QString callHelp();
/// "10s", "500ms", "2m" or plain seconds.
[[nodiscard]] Result<Millis> parseDuration(const QString &text);
/// "host:port" or "[::1]:port"; the port is 8883 unless said.
[[nodiscard]] Result<std::pair<QString, quint16>> parseHostPort(const QString &text);

} // namespace lintel::cli

// The arguments of `lintelctl call`. Values only.
#pragma once

#include "domain/principal.h"
#include "domain/timestamp.h"
#include "mqtt/broker_options.h"

#include <QCborMap>
#include <QStringList>

namespace lintel::cli {

struct CallOptions {
    Principal target;
    QString method;
    QCborMap args;
    Millis timeout{10'000};
    mqtt::BrokerOptions broker;
    bool text = false; // for people, in place of JSON
    bool help = false;
};

/// Refuses unknown options, a target that is no SPIFFE ID, data that is no JSON object. With
/// --config the broker and the identity come from a YAML file; options on the line win.
[[nodiscard]] Result<CallOptions> parseCallOptions(const QStringList &arguments);
[[nodiscard]] QString callHelp();
/// "10s", "500ms", "2m", "1h", "30d" or plain seconds.
[[nodiscard]] Result<Millis> parseDuration(const QString &text);

} // namespace lintel::cli

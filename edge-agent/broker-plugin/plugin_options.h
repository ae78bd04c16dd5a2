// What stands behind plugin_opt_… in mosquitto.conf. Values and pure functions; any thread.
#pragma once

#include "domain/result.h"

#include <QList>
#include <QString>

#include <utility>

namespace lintel::broker {

struct PluginOptions {
    QString bundlesDir;      // "bundles": <trust domain>.json (SPIFFE bundle) or .pem for each domain
    QString rolesFile;       // "roles"
    QString denyListsDir;    // "deny_lists": <trust domain>.jws; empty: nobody is ever denied
    QString stateDir;        // "state": keeps the deny lists that were accepted; empty: nowhere
    QString statusFile;      // "status": best on a RAM disk; empty: none is written
    QString certificateFile; // "certificate" and "key": the broker's own SVID, taken over whenever
    QString keyFile;         // the files change; empty: on SIGHUP only, by Mosquitto
};

/// Malformed for an unknown key, and when a needed one is missing.
[[nodiscard]] Result<PluginOptions> parsePluginOptions(const QList<std::pair<QString, QString>> &options);

} // namespace lintel::broker

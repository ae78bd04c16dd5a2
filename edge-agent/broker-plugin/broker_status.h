// What the plugin tells the gateway of its broker: counters, sessions and when each principal's
// last message was accepted, as a small JSON file. The plugin writes, the gateway reads. Values and
// pure functions; any thread.
#pragma once

#include "broker-plugin/broker_guard.h"

#include <QMap>

namespace lintel::broker {

struct BrokerStatus {
    Timestamp writtenAt{};
    BrokerCounters counters;
    quint64 sessions = 0;
    std::optional<Timestamp> firstExpiry;     // the next session that ends with its SVID
    QMap<QString, quint64> denyLists;         // sequence in use, by trust domain
    QMap<QString, PrincipalFacts> principals; // by SPIFFE ID
    QList<RefusedClient> refusals;            // the latest, last first; none of a plugin that did not tell yet
    friend bool operator==(const BrokerStatus &, const BrokerStatus &) = default;
};

[[nodiscard]] BrokerStatus statusOf(const BrokerGuard &guard, Timestamp now);
[[nodiscard]] QByteArray printStatus(const BrokerStatus &status);
/// Malformed for what printStatus() would not write. At most 16 MiB.
[[nodiscard]] Result<BrokerStatus> parseStatus(const QByteArray &json);

} // namespace lintel::broker

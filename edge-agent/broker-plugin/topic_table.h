// The table of docs/architecture.md, "who may say what": from an identity and the broker's roles to
// the filters in which it may publish and subscribe. What the table does not name is refused. Wills
// and deliveries follow the same filters. Values and pure functions; any thread.
#pragma once

#include "mqtt/broker_roles.h"

#include <QString>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lintel::broker {

struct TopicGrants {
    QString role; // for people: "sensor hvac-001 of building-1"
    std::vector<std::string> publish;
    std::vector<std::string> subscribe;
    /// What says that this client is gone; still taken from the will of a client that was revoked.
    std::vector<std::string> lastWords;
};

/// Nothing when the identity has no role on this broker.
[[nodiscard]] std::optional<TopicGrants> grantsFor(const SpiffeId &id, const BrokerRoles &roles);

[[nodiscard]] bool mayPublish(const TopicGrants &grants, std::string_view topic);
/// A delivery to this client.
[[nodiscard]] bool mayReceive(const TopicGrants &grants, std::string_view topic);
/// The filter as a whole must lie inside one granted filter.
[[nodiscard]] bool maySubscribe(const TopicGrants &grants, std::string_view filter);
/// Whether the broker is to keep what is published there: a host's STATE and nothing else (Sparkplug 3.0,
/// tck-id-payloads-ndata-retain and its like), so that no client can fill the broker's memory for good.
[[nodiscard]] bool mayRetain(std::string_view topic);
[[nodiscard]] bool isLastWord(const TopicGrants &grants, std::string_view topic);

} // namespace lintel::broker

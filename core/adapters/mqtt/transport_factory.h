// The one place that chooses an MQTT library: what a main calls. Thread: the caller's, to which the
// transport then belongs.
#pragma once

#include "mqtt/mqtt_endpoint.h"
#include "ports/identity_source.h"
#include "ports/mqtt_transport.h"

#include <memory>

namespace lintel {

/// For agents: Paho. Target Lintel::MqttPaho. `identity` outlives the transport.
[[nodiscard]] std::unique_ptr<MqttTransport> makeTransport(const MqttEndpoint &endpoint, const IdentitySource &identity,
                                                           QObject *parent = nullptr);

/// For the console: Qt MQTT or Paho, as LINTEL_MQTT_BACKEND chose when it was built. Target
/// Lintel::MqttConsole. `identity` outlives the transport.
[[nodiscard]] std::unique_ptr<MqttTransport> makeConsoleTransport(const MqttEndpoint &endpoint,
                                                                  const IdentitySource &identity,
                                                                  QObject *parent = nullptr);

} // namespace lintel

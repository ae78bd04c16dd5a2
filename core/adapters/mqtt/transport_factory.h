// The one place that chooses an MQTT library: what a main calls. Thread: the caller's, to which the
// transport then belongs.
#pragma once

#include "mqtt/mqtt_endpoint.h"
#include "ports/identity_source.h"
#include "ports/mqtt_transport.h"

#include <memory>

namespace lintel {

/// Agents get Paho. The console gets what LINTEL_MQTT_BACKEND chose when it was built. `identity`
/// outlives the transport.
[[nodiscard]] std::unique_ptr<MqttTransport> makeTransport(const MqttEndpoint &endpoint, const IdentitySource &identity,
                                                           QObject *parent = nullptr);

} // namespace lintel

#include "mqtt/paho_transport.h"
#include "mqtt/transport_factory.h"

namespace lintel {

std::unique_ptr<MqttTransport> makeTransport(const MqttEndpoint &endpoint, const IdentitySource &identity,
                                             QObject *parent)
{
    return std::make_unique<PahoTransport>(endpoint, identity, parent);
}

} // namespace lintel

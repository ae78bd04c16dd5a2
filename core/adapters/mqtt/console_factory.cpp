#include "mqtt/transport_factory.h"

#ifdef LINTEL_MQTT_QT
#include "mqtt/qt_mqtt_transport.h"
#else
#include "mqtt/paho_transport.h"
#endif

namespace lintel {

std::unique_ptr<MqttTransport> makeConsoleTransport(const MqttEndpoint &endpoint, const IdentitySource &identity,
                                                    QObject *parent)
{
#ifdef LINTEL_MQTT_QT
    return std::make_unique<QtMqttTransport>(endpoint, identity, parent);
#else
    return std::make_unique<PahoTransport>(endpoint, identity, parent);
#endif
}

} // namespace lintel

#include "contract/mqtt_tls_contract.h"
#include "mqtt/qt_mqtt_transport.h"

using namespace lintel;
using namespace lintel::test;

class TestQtMqttTransport final : public MqttTlsContract
{
    Q_OBJECT

    std::unique_ptr<MqttTransport> makeTransport(const MqttEndpoint &endpoint, const IdentitySource &identity) override
    {
        return std::make_unique<QtMqttTransport>(endpoint, identity);
    }
};

QTEST_GUILESS_MAIN(TestQtMqttTransport)
#include "tst_qt_mqtt_transport.moc"

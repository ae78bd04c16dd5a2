#include "contract/mqtt_tls_contract.h"
#include "mqtt/paho_transport.h"
#include "ports/system_clock.h"

using namespace lintel;
using namespace lintel::test;

class TestPahoTransport final : public MqttTlsContract
{
    Q_OBJECT

    std::unique_ptr<MqttTransport> makeTransport(const MqttEndpoint &endpoint, const IdentitySource &identity) override
    {
        return std::make_unique<PahoTransport>(endpoint, identity);
    }

private Q_SLOTS:
    void unknownHost_isSaid()
    {
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.host = QStringLiteral("no-such-host.invalid");
        Attempt attempt(makeTransport(endpoint, identity));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(!attempt.failed.isEmpty(), kWait);
        QVERIFY(attempt.firstFailure().message.contains(endpoint.host) || attempt.firstFailure().code == Errc::Timeout);
    }

    void hostName_findsABrokerOnAnyOfItsAddresses()
    {
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.host = QStringLiteral("localhost"); // may name ::1 first, where nobody listens
        Attempt attempt(makeTransport(endpoint, identity));
        attempt.start();
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
    }
};

QTEST_GUILESS_MAIN(TestPahoTransport)
#include "tst_paho_transport.moc"

// Messages that are none, from somebody whose certificate is good: counted, said with measure, and nobody else
// is disturbed. Running gateway and backend.
#include "integration/live_building.h"
#include "integration/rude_client.h"

using namespace lintel;
using namespace lintel::test;

class TestBadMessagesLive : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void malformedMessages_areCountedAndSaid_data()
    {
        QTest::addColumn<QString>("service");
        QTest::addRow("gateway") << u"gateway"_s;
        QTest::addRow("backend") << u"backend"_s;
    }

    void malformedMessages_areCountedAndSaid()
    {
        QFETCH(QString, service);
        const bool atGateway = service == u"gateway";
        RunningBuilding running(planWith({u"hvac-001"_s, u"intruder-001"_s}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        running.kill(u"intruder-001"_s); // its certificate is used by somebody else now
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);
        const auto status = [&] { return atGateway ? running.gateway(u"status"_s) : running.backend(u"status"_s); };
        const auto malformed = [&] { return status().value("host"_L1).toMap().value("malformed"_L1).toInteger(-1); };
        const qint64 before = malformed();
        QVERIFY(before >= 0);

        const demo::DemoPlan &plan = running.building->plan();
        const tls::FileIdentitySource identity(plan.identityDir(u"intruder-001"_s));
        const QString self = Principal(*SpiffeId::parse(demo::ids::sensor(u"intruder-001"_s))).toString();
        RudeClient client(identity, self, atGateway ? plan.ports.gatewayBroker : plan.ports.cloudBroker,
                          atGateway ? demo::ids::kGatewayBroker : demo::ids::kCloudBroker);
        QTRY_VERIFY_WITH_TIMEOUT(!client.connected.isEmpty(), kPatience);

        const QByteArray garbage = QByteArray::fromHex("ffffffffffffffff0a");
        const QStringList topics{
            u"spBv1.0/building-1/NDATA/intruder-001"_s,       // garbage in it
            u"spBv1.0/building-1/NBIRTH/intruder-001"_s,      // garbage in it
            u"spBv1.0/building-1/NONSENSE/intruder-001"_s,    // no such verb
            u"spBv1.0/building-1/NDATA/intruder-001/extra"_s, // a device where none may stand
            u"spBv1.0/building-1/DDATA/intruder-001"_s,       // no device where one must stand
        };
        for (const QString &topic : topics)
            client.publish(topic, garbage);
        QTRY_COMPARE_WITH_TIMEOUT(malformed(), before + topics.size(), kPatience);
        for (const QString &topic : topics)
            QVERIFY2(running.log(service).contains(topic), qPrintable(topic + u'\n' + running.log(service)));

        // The same a thousand times is counted each time, and not said each time.
        for (int i = 0; i < 1'000; ++i)
            client.publish(topics[0], garbage);
        QTRY_COMPARE_WITH_TIMEOUT(malformed(), before + topics.size() + 1'000, kPatience);
        QVERIFY2(running.log(service).count(topics[0] + u')') < 50, qPrintable(running.log(service).right(4'000)));

        // A request that is none; the next one is answered.
        const auto callee = *SpiffeId::parse(QString(atGateway ? demo::ids::kGateway : demo::ids::kBackend));
        client.publish(u"lintel/v1/req/%1/%2/status"_s.arg(Principal(callee).toString(), self), garbage);
        QVERIFY(!status().isEmpty());

        const qint64 stored = running.storedInCloud();
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > stored + 10, kPatience);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
    }
};

QTEST_GUILESS_MAIN(TestBadMessagesLive)
#include "tst_bad_messages_live.moc"

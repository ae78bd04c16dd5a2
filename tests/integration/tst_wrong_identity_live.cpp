// Certificates of somebody else, at a broker, of a broker, and in the place of one's own: refused with a
// sentence, nobody else is disturbed, and nothing that was accepted is lost.
#include "fakes/mosquitto_broker.h"
#include "integration/live_building.h"
#include "integration/rude_client.h"
#include "ports/system_clock.h"
#include "tls/pki.h"

using namespace lintel;
using namespace lintel::test;

class TestWrongIdentityLive : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void foreignCertificate_isRefusedByTheBroker_data()
    {
        QTest::addColumn<QString>("domain");
        QTest::addColumn<QString>("id");
        QTest::addRow("another trust domain") << u"evil.example"_s << u"spiffe://evil.example/agent/hvac-001"_s;
        QTest::addRow("our names, another root")
            << u"building-1.smart.local"_s << u"spiffe://building-1.smart.local/agent/gateway"_s;
    }

    void foreignCertificate_isRefusedByTheBroker()
    {
        QFETCH(QString, domain);
        QFETCH(QString, id);
        RunningBuilding running(planWith({u"hvac-001"_s}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);

        const demo::DemoPlan &plan = running.building->plan();
        const tls::FileIdentitySource ours(plan.identityDir(u"hvac-001"_s));
        const auto pki = tls::Pki::create(*TrustDomain::parse(domain), SystemClock().now());
        QVERIFY(pki);
        const auto spiffeId = *SpiffeId::parse(id);
        const auto svid = pki->issue(spiffeId, 1h, SystemClock().now());
        QVERIFY(svid);
        // It trusts the broker; the broker must not trust it.
        const MemoryIdentitySource foreign(IdentitySnapshot{*svid, (*ours.current())->bundles});
        RudeClient client(foreign, Principal(spiffeId).toString(), plan.ports.gatewayBroker, demo::ids::kGatewayBroker);
        QTRY_VERIFY_WITH_TIMEOUT(client.failed.size() >= 2, kPatience);
        QVERIFY(client.connected.isEmpty());
        QVERIFY(!client.failed.first().first().value<Error>().message.isEmpty());
        client.transport.stop();

        // Nobody else was disturbed; the gateway, whose name it may have used, least of all.
        const qint64 stored = running.storedInCloud();
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > stored + 10, kPatience);
        QVERIFY2(!running.log(u"gateway"_s).contains(u"broker is gone"_s), qPrintable(running.log(u"gateway"_s)));
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
    }

    void foreignBroker_isRefusedByASensor()
    {
        MosquittoBroker::Options options;
        options.brokerId = u"spiffe://evil.example/broker"_s;
        options.domains = QStringList{u"evil.example"_s};
        options.verbose = true;
        MosquittoBroker evil(options);
        const auto started = evil.start();
        QVERIFY2(started, started ? "" : qPrintable(started.error().message));
        RunningBuilding running(planWith({u"hvac-001"_s}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);

        const demo::DemoPlan &plan = running.building->plan();
        const QString config = plan.configFile(u"hvac-001.yaml"_s);
        QFile file(config);
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QByteArray right = file.readAll();
        file.close();
        QByteArray wrong = right;
        wrong.replace("port: " + QByteArray::number(plan.ports.gatewayBroker),
                      "port: " + QByteArray::number(evil.port()));
        QVERIFY(wrong != right);
        QVERIFY(writeFile(config, wrong));
        running.killAndRestart(u"hvac-001"_s);
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(u"hvac-001"_s).contains(u"no connection; readings stay in the spool"_s),
                                  qPrintable(running.log(u"hvac-001"_s)), kPatience);
        QVERIFY2(running.log(u"hvac-001"_s).contains(u"evil.example"_s), qPrintable(running.log(u"hvac-001"_s)));
        QVERIFY2(!evil.log().contains("CONNECT"), evil.log().constData());
        QVERIFY(running.building->child(u"hvac-001"_s)->isRunning());

        QVERIFY(writeFile(config, right));
        running.killAndRestart(u"hvac-001"_s);
        checkNothingIsLost(running, u"hvac-001"_s);
    }

    void anothersCertificate_keepsOfflineUntilTheOwnIsBack_data()
    {
        QTest::addColumn<QString>("process");
        QTest::addColumn<QString>("identity");
        QTest::newRow("sensor") << u"hvac-001"_s << u"hvac-001"_s;
        QTest::newRow("gateway") << u"gateway"_s << u"gateway"_s;
        QTest::newRow("backend") << u"backend"_s << u"ingestion"_s;
    }

    void anothersCertificate_keepsOfflineUntilTheOwnIsBack()
    {
        QFETCH(QString, process);
        QFETCH(QString, identity);
        RunningBuilding running(planWith({u"hvac-001"_s}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);
        const demo::DemoPlan &plan = running.building->plan();
        QHash<QString, QByteArray> own;
        for (const QString &name : {u"/svid.key"_s, u"/svid.pem"_s}) {
            QFile file(plan.identityDir(identity) + name);
            QVERIFY(file.open(QIODevice::ReadOnly));
            own[name] = file.readAll();
            QFile other(plan.identityDir(u"shell"_s) + name);
            QVERIFY(other.open(QIODevice::ReadOnly));
            QVERIFY(writeFile(file.fileName(), other.readAll()));
        }
        const QString sentence = u"belongs to %1, but this agent is"_s.arg(demo::ids::kShell);
        // Once when it is found, and as the reason why there is no connection.
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(process).count(sentence) >= 2, qPrintable(running.log(process)),
                                  kPatience);
        if (process == u"backend") {
            QVERIFY(running.backend(u"status"_s).isEmpty());
        } else { // what was under way arrives, and then nothing does
            const auto isStill = [&running] {
                const qint64 before = running.storedInCloud();
                QTest::qWait(3'000); // thirty samples
                return running.storedInCloud() == before;
            };
            QTRY_VERIFY_WITH_TIMEOUT(isStill(), kPatience);
        }
        QVERIFY2(running.building->child(process)->isRunning(), qPrintable(running.deaths.join(u'\n')));

        for (auto it = own.cbegin(); it != own.cend(); ++it)
            QVERIFY(writeFile(plan.identityDir(identity) + it.key(), it.value()));
        checkNothingIsLost(running, u"hvac-001"_s);
    }
};

QTEST_GUILESS_MAIN(TestWrongIdentityLive)
#include "tst_wrong_identity_live.moc"

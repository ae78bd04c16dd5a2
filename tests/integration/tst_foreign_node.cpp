// A node that we did not write, npm sparkplug-client over mutual TLS, publishes to our gateway and
// shows up there and in the cloud: through the broker's plugin, which lets an agent be only the node
// that its certificate names, and among devices that attest.
#include "fakes/needs.h"
#include "integration/running_building.h"
#include "tls/bundle_document.h"
#include "tls/pki.h"

#include <QCborArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QStandardPaths>
#include <QTest>

#include <csignal>
#include <sys/prctl.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {

const QString kNode = u"foreign-001"_s;

/// A machine without a TPM: the authority's operator gives it a certificate.
Result<void> mint(const demo::DemoPlan &plan, const QString &dir)
{
    demo::AuthorityDesk desk(plan.authoritySocket(u"building-authority"_s), demo::ids::kBuildingDomain);
    const auto bundle = desk.bundle();
    if (!bundle)
        return bundle.error();
    const QByteArray id = demo::ids::sensor(kNode).toLatin1();
    const TrustBundles bundles{{*TrustDomain::parse(QString(demo::ids::kBuildingDomain)), bundle->x509Authorities}};
    const auto svid = desk.mint(QLatin1StringView(id), std::chrono::hours{1});
    return svid ? tls::writeIdentity(dir, *svid, bundles) : Result<void>(svid.error());
}

} // namespace

class TestForeignNode : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void sparkplugClient_showsUpAtGatewayAndCloud()
    {
        const QString folder = QStringLiteral(LINTEL_SOURCE_DIR "/tests/foreign");
        const QString node = QStandardPaths::findExecutable(u"node"_s);
        if (node.isEmpty() || !QDir(folder + u"/node_modules/sparkplug-client"_s).exists())
            LINTEL_SKIP("npm sparkplug-client is not installed; run scripts/bootstrap --test.");

        if (QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap --test.");

        demo::DemoPlan plan;
        plan.identity = demo::IdentityKind::Tpm;
        demo::SensorPlan ours;
        ours.name = u"hvac-001"_s;
        plan.sensors.append(ours);
        RunningBuilding running(plan);
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const QString identity = running.path(u"foreign"_s);
        const auto minted = mint(running.building->plan(), identity);
        QVERIFY2(minted, minted ? "" : qPrintable(minted.error().message));

        const QJsonObject options{
            {u"url"_s, u"mqtts://127.0.0.1:%1"_s.arg(running.building->plan().ports.gatewayBroker)},
            {u"ca"_s, identity + u"/building-1.smart.local.pem"_s},
            {u"cert"_s, identity + u"/svid.pem"_s},
            {u"key"_s, identity + u"/svid.key"_s},
            {u"clientId"_s, Principal(*SpiffeId::parse(demo::ids::sensor(kNode))).toString()},
            {u"group"_s, u"building-1"_s},
            {u"node"_s, kNode},
        };
        QProcess foreign;
        foreign.setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
        foreign.setProcessChannelMode(QProcess::MergedChannels);
        const auto start = [&](QProcess &process) {
            process.start(node, {folder + u"/sparkplug_node.js"_s,
                                 QString::fromUtf8(QJsonDocument(options).toJson(QJsonDocument::Compact))});
        };
        start(foreign);
        QVERIFY(foreign.waitForStarted());

        const auto sensor = [&running] {
            return running.gateway(u"aggregate_sensors"_s).value("sensors"_L1).toMap().value(kNode).toMap();
        };
        const auto isLive = [&sensor] {
            const QCborMap shown = sensor();
            return shown.value("status"_L1).toString() == u"online"
                   && shown.value("readings_received"_L1).toInteger() > 4;
        };
        const bool seen = QTest::qWaitFor(isLive, 40'000);
        const QByteArray words = foreign.readAll();
        QVERIFY2(seen, words.isEmpty() ? qPrintable(running.lastError.message) : words.constData());
        QCOMPARE(sensor().value("readings"_L1).toMap().size(), 2);

        // Plain Sparkplug: no receipts towards the node, full custody from the gateway on.
        const auto inCloud = [&running] {
            const QCborArray values = running.backend(u"last_values"_s).value("values"_L1).toArray();
            return std::any_of(values.begin(), values.end(), [](const QCborValue &value) {
                return value.toMap().value("device"_L1).toString() == kNode;
            });
        };
        QTRY_VERIFY_WITH_TIMEOUT(inCloud(), 30'000);

        // It dies without a word: the broker publishes its will.
        foreign.kill();
        QVERIFY(foreign.waitForFinished(10'000));
        QTRY_COMPARE_WITH_TIMEOUT(sensor().value("status"_L1).toString(), u"offline"_s, 60'000);

        // It leaves with its library's stop(): no NDEATH, and a DISCONNECT that takes the will away.
        running.kill(u"gateway"_s);
        QFile config(running.building->plan().configFile(u"gateway.yaml"_s));
        QVERIFY(config.open(QIODevice::ReadOnly));
        const QByteArray patient = config.readAll();
        config.close();
        QVERIFY(patient.contains("\nbuilding:\n"));
        QVERIFY(config.open(QIODevice::WriteOnly));
        config.write(QByteArray(patient).replace("\nbuilding:\n", "\nbuilding:\n  node_silence: 3s\n"));
        config.close();
        running.restart(u"gateway"_s);
        start(foreign);
        QVERIFY(foreign.waitForStarted());
        QVERIFY2(QTest::qWaitFor(isLive, 40'000), foreign.readAll().constData());
        foreign.terminate();
        QVERIFY(foreign.waitForFinished(10'000));
        QCOMPARE(foreign.exitStatus(), QProcess::NormalExit);
        QTRY_COMPARE_WITH_TIMEOUT(sensor().value("status"_L1).toString(), u"offline"_s, 60'000);
    }
};

QTEST_GUILESS_MAIN(TestForeignNode)
#include "tst_foreign_node.moc"

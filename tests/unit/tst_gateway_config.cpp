// The gateway's own sections: what is read, and what is refused with the place where it stands.
#include "gateway/gateway_config.h"

#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

const QByteArray kMinimal = "agent: {name: gateway, trust_domain: b.example}\n"
                            "building: {host_id: g-1, groups: [b-1], broker: {}}\n"
                            "cloud: {broker: {broker_id: \"spiffe://cloud.example/broker\"}}\n"
                            "storage: {directory: /tmp/g}\n";
const QByteArray kEmbedded = "identity: {provider: embedded, authority: \"a:8081\", bootstrap_bundle: /b.pem}\n";
const QByteArray kFiles = "identity: {provider: files, directory: /tmp/i}\n";

Result<GatewayConfig> read(const QByteArray &yaml)
{
    QTemporaryDir dir;
    QFile file(dir.filePath(u"gateway.yaml"_s));
    if (!file.open(QIODevice::WriteOnly) || file.write(yaml) != yaml.size())
        return Error{Errc::Io, u"no file"_s};
    file.close();
    return readGatewayConfig(file.fileName());
}

} // namespace

class TestGatewayConfig : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void workloadApi_isOffUnlessItsSectionIsThere()
    {
        const auto off = read(kMinimal + kEmbedded);
        QVERIFY2(off, off ? "" : qPrintable(off.error().message));
        QVERIFY(off->workloadApi.socket.isEmpty());
        const auto on = read(kMinimal + kEmbedded + "workload_api: {mode: \"0660\", group: programs}\n");
        QVERIFY2(on, on ? "" : qPrintable(on.error().message));
        QCOMPARE(on->workloadApi.socket, u"/run/lintel-workload/agent.sock"_s);
        QCOMPARE(on->workloadApi.mode, 0660U);
        QCOMPARE(on->workloadApi.group, u"programs"_s);
    }

    void workloadApi_refuses_data()
    {
        QTest::addColumn<QByteArray>("yaml");
        QTest::addColumn<QString>("says");
        QTest::newRow("unknown key") << kEmbedded + "workload_api: {sockets: /run/a}\n" << u"sockets"_s;
        QTest::newRow("relative path") << kEmbedded + "workload_api: {socket: agent.sock}\n" << u"socket"_s;
        QTest::newRow("path that no socket can have")
            << kEmbedded + "workload_api: {socket: /" + QByteArray(110, 'a') + "}\n"
            << u"socket"_s;
        QTest::newRow("mode without us") << kEmbedded + "workload_api: {mode: \"0066\"}\n" << u"mode"_s;
        QTest::newRow("identity from files") << kFiles + "workload_api: {}\n" << u"embedded"_s;
    }
    void workloadApi_refuses()
    {
        QFETCH(const QByteArray, yaml);
        QFETCH(const QString, says);
        const auto config = read(kMinimal + yaml);
        QVERIFY(!config);
        QVERIFY2(config.error().message.contains(says), qPrintable(config.error().message));
    }
};

QTEST_APPLESS_MAIN(TestGatewayConfig)
#include "tst_gateway_config.moc"

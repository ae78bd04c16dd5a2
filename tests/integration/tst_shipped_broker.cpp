// The broker configuration that is shipped is one that Mosquitto starts with.
#include "fakes/mosquitto_broker.h"
#include "mqtt/mosquitto_config.h"

#include <QFile>
#include <QStandardPaths>
#include <QTcpSocket>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

QByteArray contents(const QString &path)
{
    QFile file(path);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

QString shipped(const QString &name)
{
    return QStringLiteral(LINTEL_SOURCE_DIR "/resources/config/") + name;
}

} // namespace

class TestShippedBroker : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void accessRules_areThoseThatTestsAndDemoUse()
    {
        QCOMPARE(contents(shipped(u"mosquitto.acl"_s)), mqtt::mosquittoAclText());
    }

    void configurationWithThePlugin_readsTheFilesThatTheGatewayKeeps()
    {
        const QByteArray folder = "/var/lib/lintel/broker";
        const QByteArray gateway = contents(shipped(u"gateway.yaml"_s));
        const QByteArray key = "#  directory: " + folder + '\n';
        QVERIFY(gateway.contains("\n#broker:"));
        QVERIFY2(gateway.contains(key), key);
        const QByteArray broker = contents(shipped(u"mosquitto-plugin.conf"_s));
        const QByteArrayList settings{"plugin_opt_bundles " + folder + "/bundles",
                                      "plugin_opt_deny_lists " + folder + "/deny-lists",
                                      "plugin_opt_certificate " + folder + "/broker.pem",
                                      "plugin_opt_key " + folder + "/broker.pem",
                                      "plugin_opt_status " + folder + "/status.json",
                                      "certfile " + folder + "/broker.pem",
                                      "keyfile " + folder + "/broker.pem"};
        for (const QByteArray &setting : settings) {
            const QByteArray line = '\n' + setting + '\n';
            QVERIFY2(broker.contains(line), setting);
        }
    }

    void configuration_startsABrokerThatListens()
    {
        test::MosquittoBroker pki; // only its certificates are used
        const QString dir = pki.identityDir(u"spiffe://building-1.smart.local/broker"_s);
        const quint16 port = test::freePort();
        QByteArray text = contents(shipped(u"mosquitto.conf"_s));
        const auto replace = [&text](const QByteArray &was, const QString &is) {
            QVERIFY2(text.contains(was), was);
            text.replace(was, is.toUtf8());
        };
        replace("/etc/lintel/broker/roots.pem", dir + u"/building-1.smart.local.pem"_s);
        replace("/etc/lintel/broker/mosquitto.acl", shipped(u"mosquitto.acl"_s));
        replace("/etc/lintel/broker", dir);
        replace("listener 8883", u"listener %1 127.0.0.1"_s.arg(port));
        const QString user = mqtt::mosquittoUserOfThisProcess();
        replace("\nuser mosquitto\n", user.isEmpty() ? u"\n"_s : u"\nuser %1\n"_s.arg(user));

        const QTemporaryDir folder;
        QFile config(folder.filePath(u"mosquitto.conf"_s));
        QVERIFY(config.open(QIODevice::WriteOnly));
        config.write(text);
        config.close();

        const QString program = QStandardPaths::findExecutable(
            u"mosquitto"_s, {u"/usr/sbin"_s, u"/usr/local/sbin"_s, u"/usr/bin"_s, u"/usr/local/bin"_s});
        QVERIFY(!program.isEmpty());
        QProcess broker;
        broker.setProcessChannelMode(QProcess::MergedChannels);
        broker.start(program, {u"-c"_s, config.fileName()});
        const auto listens = [port] {
            QTcpSocket probe;
            probe.connectToHost(u"127.0.0.1"_s, port);
            return probe.waitForConnected(500);
        };
        bool isListening = false;
        for (int i = 0; i < 100 && !isListening && broker.state() != QProcess::NotRunning; ++i) {
            isListening = listens();
            QTest::qWait(50);
        }
        broker.terminate();
        if (!broker.waitForFinished(10'000))
            broker.kill();
        QVERIFY2(isListening, broker.readAll());
    }
};

QTEST_GUILESS_MAIN(TestShippedBroker)
#include "tst_shipped_broker.moc"

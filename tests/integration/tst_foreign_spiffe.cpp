// Software that we did not write, go-spiffe and Paho for Go, takes our certificates, our broker
// settings and our identities for what the SPIFFE standards say, and refuses what it must refuse.
#include "domain/principal.h"
#include "fakes/mosquitto_broker.h"
#include "fakes/needs.h"
#include "mqtt/paho_transport.h"

#include <QFile>
#include <QProcess>
#include <QProcessEnvironment>
#include <QSignalSpy>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>

#include <memory>

using namespace Qt::StringLiterals;
using namespace lintel;

namespace {

constexpr int kPatience = 60'000;
const QString kDomain = u"building-1.smart.local"_s;
const QString kBroker = u"spiffe://building-1.smart.local/broker"_s;
const QString kPanel = u"spiffe://building-1.smart.local/operator/panel"_s;
const QString kSensor = u"spiffe://building-1.smart.local/agent/hvac-001"_s;

/// Exit codes of tests/foreign/go/main.go.
enum ExitCode { Received = 0, BadFiles = 3, NoConnection = 4 };

/// Go as scripts/bootstrap --test installed it, or as the machine has it.
QString findGo()
{
    const QString cache = QStandardPaths::writableLocation(QStandardPaths::GenericCacheLocation);
    const QString pinned = QStandardPaths::findExecutable(u"go"_s, {cache + "/lintel/tools/bin"_L1});
    return pinned.isEmpty() ? QStandardPaths::findExecutable(u"go"_s) : pinned;
}

struct Outcome {
    int exitCode = -1;
    QString output;
};

Outcome run(const QString &program, const QStringList &arguments, const QString &folder)
{
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert(u"GOTOOLCHAIN"_s, u"local"_s);
    environment.insert(u"GOFLAGS"_s, u"-mod=readonly"_s);
    environment.insert(u"CGO_ENABLED"_s, u"0"_s);
    process.setProcessEnvironment(environment);
    process.setWorkingDirectory(folder);
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(program, arguments);
    const bool ended = process.waitForFinished(10 * kPatience);
    const bool normal = ended && process.exitStatus() == QProcess::NormalExit;
    return {normal ? process.exitCode() : -1, QString::fromUtf8(process.readAll())};
}

} // namespace

class ForeignSpiffe : public QObject
{
    Q_OBJECT

private:
    /// Arguments with which the client gets one message as the panel, unless a test changes them.
    QStringList arguments(const QString &identity, const QString &expected) const
    {
        const auto principal = Principal(*SpiffeId::parse(kPanel)).toString();
        return {u"-broker"_s,    u"127.0.0.1:%1"_s.arg(m_broker->port()),
                u"-cert"_s,      identity + "/svid.pem"_L1,
                u"-key"_s,       identity + "/svid.key"_L1,
                u"-bundle"_s,    kDomain + u'=' + identity + u'/' + kDomain + ".pem"_L1,
                u"-expect"_s,    expected,
                u"-client-id"_s, principal,
                u"-subscribe"_s, u"spBv1.0/building-1/#"_s,
                u"-count"_s,     u"1"_s,
                u"-timeout"_s,   u"30s"_s};
    }

    QString m_client;
    std::unique_ptr<test::MosquittoBroker> m_broker;

private Q_SLOTS:
    void initTestCase()
    {
        const QString go = findGo();
        if (go.isEmpty())
            LINTEL_SKIP("There is no Go compiler; scripts/bootstrap --test installs one.");
        const QString source = QStringLiteral(LINTEL_SOURCE_DIR "/tests/foreign/go");
        if (const Outcome modules = run(go, {u"list"_s, u"-deps"_s, u"./..."_s}, source); modules.exitCode != 0)
            LINTEL_SKIP(qPrintable("The pinned Go modules cannot be had here: "_L1 + modules.output.right(500)));
        m_client = QCoreApplication::applicationDirPath() + "/foreign-spiffe-client"_L1;
        const Outcome built = run(go, {u"build"_s, u"-o"_s, m_client, u"."_s}, source);
        QVERIFY2(built.exitCode == 0, qPrintable(built.output));

        m_broker = std::make_unique<test::MosquittoBroker>();
        const auto started = m_broker->start();
        QVERIFY2(started, qPrintable(started.error().message));
    }

    void cleanupTestCase() { m_broker.reset(); }

    void client_loadsOurFilesAndReceivesWhatOurTransportPublishes()
    {
        QProcess client;
        client.setProcessChannelMode(QProcess::MergedChannels);
        client.start(m_client, arguments(m_broker->identityDir(kPanel), kBroker));
        QString output;
        QTRY_VERIFY2_WITH_TIMEOUT((output += QString::fromUtf8(client.readAll())).contains("subscribed"_L1)
                                      || client.state() == QProcess::NotRunning,
                                  "The client neither subscribed nor ended.", kPatience);
        QVERIFY2(output.contains("loaded "_L1 + kPanel), qPrintable(output));
        QVERIFY2(output.contains("subscribed"_L1), qPrintable(output));

        const test::MemoryIdentitySource identity(m_broker->identity(kSensor));
        PahoTransport transport(m_broker->endpoint(), identity);
        QSignalSpy connected(&transport, &MqttTransport::connected);
        transport.start([] {
            MqttConnect packet;
            packet.clientId = Principal(*SpiffeId::parse(kSensor)).toString();
            return packet;
        });
        QTRY_VERIFY_WITH_TIMEOUT(connected.count() > 0, kPatience);
        const auto published =
            transport.publish({u"spBv1.0/building-1/NDATA/hvac-001"_s, "\x01\xff reading"_ba, 1, false});
        QVERIFY2(published, qPrintable(published.error().message));

        QTRY_VERIFY_WITH_TIMEOUT(client.state() == QProcess::NotRunning, kPatience);
        output += QString::fromUtf8(client.readAll());
        QVERIFY2(client.exitCode() == Received, qPrintable(output));
        QVERIFY2(output.contains("spBv1.0/building-1/NDATA/hvac-001 01ff2072656164696e67"_L1), qPrintable(output));
    }

    /// Not as the tests make their files, but as a person does.
    void client_loadsWhatLintelctlPkiWrites()
    {
        const QTemporaryDir dir;
        const QString roots = dir.filePath(u"pki"_s);
        const QString issued = dir.filePath(u"issued"_s);
        const QString lintelctl = QStringLiteral(LINTEL_BIN_DIR "/lintelctl");
        const QStringList init{u"pki"_s,  u"init"_s, u"--dir"_s, roots,
                               u"--id"_s, kPanel,    u"--out"_s, dir.filePath(u"made"_s)};
        const QStringList issue{u"pki"_s, u"issue"_s, u"--dir"_s, roots, u"--id"_s, kSensor, u"--out"_s, issued};
        for (const QStringList &command : {init, issue}) {
            const Outcome made = run(lintelctl, command, dir.path());
            QVERIFY2(made.exitCode == 0, qPrintable(made.output));
        }
        for (const auto &[id, folder] :
             {std::pair(kPanel, dir.filePath(u"made/"_s + kPanel.mid(9))), std::pair(kSensor, issued)}) {
            QStringList loading = arguments(folder, kBroker);
            loading[loading.indexOf(u"-broker"_s) + 1] = u"127.0.0.1:1"_s; // the files are what it is about
            const Outcome outcome = run(m_client, loading, u"/"_s);
            QVERIFY2(outcome.exitCode == NoConnection, qPrintable(outcome.output));
            QVERIFY2(outcome.output.contains("loaded "_L1 + id), qPrintable(outcome.output));
        }
    }

    void client_refusesABrokerWithAnotherSpiffeId()
    {
        const Outcome outcome =
            run(m_client, arguments(m_broker->identityDir(kPanel), u"spiffe://building-1.smart.local/other"_s), u"/"_s);
        QVERIFY2(outcome.exitCode == NoConnection, qPrintable(outcome.output));
        QVERIFY2(outcome.output.contains("unexpected ID"_L1), qPrintable(outcome.output));
    }

    void broker_refusesAClientOfAnotherRootOfTheSameDomain()
    {
        test::MosquittoBroker stranger;
        const QString identity = stranger.identityDir(kPanel);
        // The client trusts both roots, so that it finds nothing wrong; our broker trusts one.
        QByteArray roots;
        for (const QString &folder : {identity, m_broker->identityDir(kPanel)}) {
            QFile file(folder + u'/' + kDomain + ".pem"_L1);
            QVERIFY2(file.open(QIODevice::ReadOnly), qPrintable(file.errorString()));
            roots += file.readAll();
        }
        const QString both = identity + "/both.pem"_L1;
        QFile file(both);
        QVERIFY2(file.open(QIODevice::WriteOnly) && file.write(roots) == roots.size(), qPrintable(file.errorString()));
        file.close();
        QStringList trusting = arguments(identity, kBroker);
        trusting[trusting.indexOf(u"-bundle"_s) + 1] = kDomain + u'=' + both;
        const Outcome outcome = run(m_client, trusting, u"/"_s);
        QVERIFY2(outcome.exitCode == NoConnection, qPrintable(outcome.output));
        QVERIFY2(outcome.output.contains("loaded "_L1 + kPanel), qPrintable(outcome.output));
    }

    void client_refusesFilesWhoseCertificateIsOfAnotherDomainThanTheBundle()
    {
        test::MosquittoBroker::Options options;
        options.brokerId = u"spiffe://smart-building.cloud/broker"_s;
        options.domains = QStringList{u"smart-building.cloud"_s};
        test::MosquittoBroker cloud(options);
        const QString identity = cloud.identityDir(u"spiffe://smart-building.cloud/agent/ingestion"_s);
        QStringList wrong = arguments(identity, kBroker);
        wrong[wrong.indexOf(u"-bundle"_s) + 1] =
            kDomain + u'=' + m_broker->identityDir(kPanel) + u'/' + kDomain + ".pem"_L1;
        const Outcome outcome = run(m_client, wrong, u"/"_s);
        QVERIFY2(outcome.exitCode == BadFiles, qPrintable(outcome.output));
    }
};

QTEST_GUILESS_MAIN(ForeignSpiffe)
#include "tst_foreign_spiffe.moc"

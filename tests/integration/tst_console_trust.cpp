// SPDX-License-Identifier: GPL-3.0-only
// The console's Trust page over a running building: authority, gateway, brokers with the plugin and sensors as
// processes, TPMs in software. What the page says comes the whole way, from the authority and the broker
// through the gateway's answer, and is unknown as soon as the gateway does not answer.
#include "integration/live_building.h"
#include "integration/rude_client.h"

#include "fakes/mosquitto_broker.h"
#include "fakes/needs.h"
#include "fakes/software_tpm.h"
#include "feed/building_feed.h"
#include "mqtt/transport_factory.h"
#include "ports/system_clock.h"
#include "shell/app_model.h"
#include "spire/embedded_identity_source.h"
#include "tls/pki.h"
#include "tpm/tpm_attestor.h"

#include <QStandardPaths>

using namespace lintel;
using namespace lintel::test;

namespace {

const auto kAuthority = u"building-authority"_s;

/// The console's own parts, without a window.
struct Console {
    SystemClock clock;
    tls::FileIdentitySource identity;
    std::unique_ptr<MqttTransport> transport;
    BuildingStore store{clock};
    BuildingFeed feed;
    AppModel app{store, {}};

    explicit Console(const demo::DemoPlan &plan)
        : identity(plan.identityDir(u"operator"_s)), transport(makeConsoleTransport(endpoint(plan), identity)),
          feed(config(), clock, *transport, &identity, store)
    {
        feed.start();
        app.run();
    }
    ~Console() { feed.stop(); }

    static MqttEndpoint endpoint(const demo::DemoPlan &plan)
    {
        MqttEndpoint endpoint;
        endpoint.host = u"127.0.0.1"_s;
        endpoint.port = plan.ports.gatewayBroker;
        endpoint.broker = *SpiffeId::parse(QString(demo::ids::kGatewayBroker));
        return endpoint;
    }
    static FeedConfig config()
    {
        FeedConfig config;
        config.self = Principal(*SpiffeId::parse(QString(demo::ids::kOperator)));
        config.host = Principal(*SpiffeId::parse(QString(demo::ids::kGateway)));
        config.sites = QStringList{QString(demo::ids::kSite)};
        config.broker = u"gateway"_s;
        return config;
    }

    /// The row with that title, or an empty one.
    static QVariantMap rowIn(const QVariantList &rows, const QString &title)
    {
        const auto found = std::ranges::find_if(
            rows, [&title](const QVariant &row) { return row.toMap().value(u"title"_s).toString() == title; });
        return found == rows.end() ? QVariantMap() : found->toMap();
    }
    [[nodiscard]] QVariantMap broken(const QString &title) { return rowIn(app.trust()->broken(), title); }
    [[nodiscard]] QVariantMap refused(const QString &title) { return rowIn(app.trust()->refused(), title); }
    [[nodiscard]] QVariantMap waiting(const QString &ekHash)
    {
        const QVariantList rows = app.trust()->waiting();
        const auto found = std::ranges::find_if(
            rows, [&ekHash](const QVariant &row) { return row.toMap().value(u"hash"_s).toString() == ekHash; });
        return found == rows.end() ? QVariantMap() : found->toMap();
    }
};

QString textOf(const QVariantMap &row, const char *key)
{
    return row.value(QString::fromLatin1(key)).toString();
}

/// A new device at the building's authority, which nobody has enrolled.
struct NewDevice {
    SystemClock clock;
    SoftwareTpm tpm;
    QTemporaryDir dir;
    QString ekHash;
    std::unique_ptr<lintel::spire::EmbeddedIdentitySource> identity;

    explicit NewDevice(const demo::DemoPlan &plan)
    {
        const TpmOptions chip{tpm.tcti(), tpm.stateDir(), EndorsementChoice::Automatic};
        const auto device = TpmDevice::open(chip);
        if (const auto endorsement = device ? (*device)->endorsement() : Result<TpmEndorsement>(device.error()))
            ekHash = endorsement->hash;
        lintel::spire::EmbeddedIdentityOptions options;
        options.authority = u"127.0.0.1:%1"_s.arg(plan.ports.buildingAuthority);
        options.authorityId = *SpiffeId::parse(u"spiffe://building-1.smart.local/spire/server"_s);
        options.self = *SpiffeId::parse(demo::ids::sensor(u"hvac-009"_s));
        options.stateDir = dir.filePath(u"identity"_s);
        options.bootstrapBundle = plan.bootstrapBundle(demo::ids::kBuildingDomain);
        options.renewal.retryMax = Millis{2'000};
        options.makeAttestor = [chip]() -> Result<std::unique_ptr<Attestor>> {
            auto opened = TpmDevice::open(chip);
            if (!opened)
                return opened.error();
            return std::unique_ptr<Attestor>(std::make_unique<TpmAttestor>(*std::move(opened), TpmAttestor::Options{}));
        };
        identity = std::make_unique<lintel::spire::EmbeddedIdentitySource>(std::move(options), clock);
    }
};

} // namespace

class TestConsoleTrust : public QObject
{
    Q_OBJECT

    std::unique_ptr<RunningBuilding> m_running;
    std::unique_ptr<Console> m_console;

    /// lintelctl at the building's authority; what it says when it fails, else nothing.
    QString lintelctl(const QStringList &arguments)
    {
        QProcess program;
        program.start(QStringLiteral(LINTEL_BIN_DIR "/lintelctl"),
                      arguments + QStringList{u"--socket"_s, m_running->building->plan().authoritySocket(kAuthority)});
        const bool ended = QTest::qWaitFor([&program] { return program.state() == QProcess::NotRunning; }, kPatience);
        if (ended && program.exitStatus() == QProcess::NormalExit && program.exitCode() == 0)
            return {};
        return u"lintelctl: "_s + QString::fromUtf8(program.readAllStandardError());
    }

    /// The demo's authority turns strangers away; this building has a queue for them.
    void letStrangersQueue()
    {
        const QString path = m_running->building->plan().configFile(kAuthority + u".yaml"_s);
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QByteArray before = file.readAll();
        file.close();
        const QByteArray after = QByteArray(before).replace("first_seen: refuse", "first_seen: queue");
        QVERIFY(after != before);
        QVERIFY(writeFile(path, after));
        m_running->killAndRestart(kAuthority);
    }

private Q_SLOTS:
    void initTestCase()
    {
        if (QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap");
        demo::DemoPlan plan = planWith({u"hvac-001"_s, u"hvac-002"_s});
        plan.identity = demo::IdentityKind::Tpm;
        plan.sensorPeriod = 1s;
        m_running = std::make_unique<RunningBuilding>(std::move(plan));
        const QString problem = m_running->start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        letStrangersQueue();
        m_console = std::make_unique<Console>(m_running->building->plan());
        const TrustPageModel &page = *m_console->app.trust();
        QTRY_COMPARE_WITH_TIMEOUT(page.brokenNote(), u"The certificates of all 2 devices are in order."_s, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(page.waitingNote(), u"Nobody waits."_s, kPatience);
        QVERIFY(page.waiting().isEmpty() && page.broken().isEmpty());
    }
    void cleanupTestCase()
    {
        m_console.reset();
        m_running.reset();
    }

    void newDevice_isShownUntilSomebodyApprovesIt()
    {
        const NewDevice device(m_running->building->plan());
        QCOMPARE(device.ekHash.size(), 64);
        QTRY_VERIFY_WITH_TIMEOUT(!m_console->waiting(device.ekHash).isEmpty(), kPatience);
        const QVariantMap row = m_console->waiting(device.ekHash);
        QCOMPARE(textOf(row, "title"), u"A device with a TPM of unknown make"_s);
        QVERIFY2(textOf(row, "detail").contains(u"first seen "_s)
                     && textOf(row, "detail").endsWith(u"from 127.0.0.1"_s),
                 qPrintable(textOf(row, "detail")));
        QCOMPARE(row.value(u"priority"_s).toInt(), 0);
        const QString command = textOf(row, "command");
        QVERIFY2(command.startsWith(u"lintelctl device approve "_s + device.ekHash.first(16)), qPrintable(command));
        // It comes again and again.
        QTRY_VERIFY_WITH_TIMEOUT(textOf(m_console->waiting(device.ekHash), "detail").contains(u" attempts"_s),
                                 kPatience);

        // What stands there is what works.
        QStringList words = command.split(u' ').sliced(1);
        words.replaceInStrings(u"NAME"_s, u"hvac-009"_s);
        words.replaceInStrings(u"KIND"_s, u"hvac"_s);
        words.replaceInStrings(u"SITE"_s, QString(demo::ids::kSite));
        const QString problem = lintelctl(words);
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(device.identity->current(), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(m_console->waiting(device.ekHash).isEmpty(), kPatience);
    }

    void revokedDevice_isShownWithTheReasonAndWhenItKnocksAgain()
    {
        const QString problem =
            lintelctl({u"device"_s, u"revoke"_s, u"hvac-002"_s, u"--reason"_s, u"stolen from the roof"_s});
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(!m_console->broken(u"hvac-002"_s).isEmpty(), kPatience);
        const QVariantMap row = m_console->broken(u"hvac-002"_s);
        QVERIFY2(textOf(row, "stateText").startsWith(u"revoked since "_s), qPrintable(textOf(row, "stateText")));
        QCOMPARE(textOf(row, "note"), u"Stolen from the roof. Only a new enrolment brings it back."_s);
        QVERIFY(row.value(u"priority"_s).toInt() > 0);
        QVERIFY(m_console->broken(u"hvac-001"_s).isEmpty());

        // Its certificate still says who it is: the broker knows whom it refuses.
        const QString id = demo::ids::sensor(u"hvac-002"_s);
        QTRY_VERIFY_WITH_TIMEOUT(!m_console->refused(id).isEmpty(), kPatience);
        const QString why = textOf(m_console->refused(id), "note");
        QVERIFY2(why.startsWith(u"Was revoked at "_s) && why.contains(u"stolen from the roof"_s), qPrintable(why));
    }

    void refusedCertificate_isShownAsAClaim()
    {
        const demo::DemoPlan &plan = m_running->building->plan();
        const QString id(demo::ids::kGateway);
        const auto pki =
            tls::Pki::create(*TrustDomain::parse(QString(demo::ids::kBuildingDomain)), SystemClock().now());
        QVERIFY(pki);
        const auto svid = pki->issue(*SpiffeId::parse(id), 1h, SystemClock().now());
        QVERIFY(svid);
        // It trusts the broker; the broker must not trust it.
        const MemoryIdentitySource foreign(IdentitySnapshot{*svid, (*m_console->identity.current())->bundles});
        RudeClient client(foreign, Principal(svid->id).toString(), plan.ports.gatewayBroker, demo::ids::kGatewayBroker);
        QTRY_VERIFY_WITH_TIMEOUT(!client.failed.isEmpty(), kPatience);
        const QString title = u"Claims to be "_s + id;
        QTRY_VERIFY_WITH_TIMEOUT(!m_console->refused(title).isEmpty(), kPatience);
        client.transport.stop();
        const QVariantMap row = m_console->refused(title);
        QVERIFY2(textOf(row, "detail").endsWith(u"from 127.0.0.1"_s), qPrintable(textOf(row, "detail")));
        QVERIFY(!textOf(row, "note").isEmpty());
        QCOMPARE(row.value(u"priority"_s).toInt(), 3); // a moment ago
        QVERIFY(m_console->app.trust()->attention() > 0);
        QVERIFY(m_console->refused(id).isEmpty()); // the gateway itself is none of it
    }

    /// The broker goes on; who waits and who is refused nobody tells any more.
    void gateway_thatDoesNotAnswerLeavesNoOldAnswers()
    {
        QVERIFY(!m_console->app.trust()->refused().isEmpty());
        m_running->kill(u"gateway"_s);
        const TrustPageModel &page = *m_console->app.trust();
        QTRY_COMPARE_WITH_TIMEOUT(page.waitingNote(), u"Not known: no gateway tells."_s, kPatience);
        QCOMPARE(page.refusedNote(), u"Not known: no gateway tells."_s);
        QVERIFY(page.refused().isEmpty());
        m_running->restart(u"gateway"_s);
        QTRY_VERIFY_WITH_TIMEOUT(!page.refused().isEmpty(), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(!m_console->broken(u"hvac-002"_s).isEmpty(), kPatience);
    }
};

QTEST_GUILESS_MAIN(TestConsoleTrust)
#include "tst_console_trust.moc"

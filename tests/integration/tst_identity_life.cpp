// Agents that fetch their identity from a real authority, at a real broker with the plugin, whose
// files a trust keeper keeps: rotation under load, expiry, recovery, revocation, the broker's own
// certificate.
#include "fakes/guarded_broker.h"
#include "fakes/live_authority.h"
#include "fakes/memory_spool.h"
#include "fakes/memory_state_store.h"
#include "mqtt/paho_transport.h"
#include "sparkplug/edge_node_session.h"
#include "sparkplug/host_session.h"
#include "spire/broker_trust_keeper.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QElapsedTimer>
#include <QSignalSpy>
#include <QTest>

#include <algorithm>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using sparkplug::EdgeNodeSession;
using sparkplug::HostSession;

namespace {

constexpr int kPatience = 30'000;

GuardedBroker::Options brokerOptions()
{
    GuardedBroker::Options options;
    const auto domain = *TrustDomain::parse(u"building-1.smart.local");
    const auto gateway = *SpiffeId::parse(u"spiffe://building-1.smart.local/agent/gateway");
    options.roles.sensors = {{domain, u"building-1"_s, {u"gateway-1"_s}}};
    options.roles.hosts = {{gateway, u"gateway-1"_s, {false, {u"building-1"_s}}}};
    options.trustIsKept = true;
    return options;
}

/// A building whose authority gives SVIDs of `svidLife`, with everything that has one.
struct Building {
    SoftwareTpm gatewayTpm;
    SoftwareTpm sensorTpm;
    LiveAuthority authority;
    GuardedBroker broker{brokerOptions()};
    std::unique_ptr<spire::EmbeddedIdentitySource> gatewayIdentity;
    std::unique_ptr<spire::BrokerTrustKeeper> trust;
    QStringList troubles;

    explicit Building(std::chrono::seconds svidLife) : authority(svidLife) {}

    [[nodiscard]] spire::BrokerTrustOptions trustOptions() const
    {
        spire::BrokerTrustOptions options;
        options.authority = authority.address();
        options.authorityId = authority.serverId();
        options.broker = authority.id(u"/broker"_s);
        options.bundlesDir = broker.path(u"bundles"_s);
        options.denyListsDir = broker.path(u"deny"_s);
        options.identityFile = broker.identityFile();
        options.renewal.retryMax = Millis{2'000};
        return options;
    }
    void keepTrust()
    {
        trust = std::make_unique<spire::BrokerTrustKeeper>(
            trustOptions(), *gatewayIdentity,
            [this]() -> Result<QMap<QString, spire::BrokerPrincipal>> {
                const auto status = broker.status();
                if (!status)
                    return status.error();
                QMap<QString, spire::BrokerPrincipal> principals;
                for (auto it = status->principals.cbegin(); it != status->principals.cend(); ++it)
                    principals.insert(it.key(), {it->serial, it->lastAccepted.value_or(Timestamp{})});
                return principals;
            },
            authority.clock);
        QObject::connect(trust.get(), &spire::BrokerTrustKeeper::trouble, trust.get(), [this](const Error &what) {
            qInfo("%s", qPrintable(what.message));
            troubles << what.message;
        });
        trust->start();
    }
    /// Empty, or what went wrong.
    [[nodiscard]] QString start()
    {
        if (const auto opened = authority.open(); !opened)
            return opened.error().message;
        gatewayIdentity = authority.agent(u"gateway"_s, u"gateway"_s, gatewayTpm);
        if (!gatewayIdentity)
            return u"the gateway's TPM cannot be enrolled"_s;
        keepTrust();
        const bool isKept = QTest::qWaitFor(
            [this] { return trust->status().certificate == SvidKeeper::State::Valid && trust->status().isWatching; },
            kPatience);
        if (!isKept)
            return u"the broker's files did not come: "_s + troubles.join(u' ');
        const auto started = broker.start();
        return started ? QString() : started.error().message;
    }
    [[nodiscard]] MqttEndpoint endpoint() const
    {
        MqttEndpoint endpoint;
        endpoint.host = u"127.0.0.1"_s;
        endpoint.port = broker.port();
        endpoint.broker = broker.id();
        return endpoint;
    }
};

/// A sensor that appends a numbered reading every 50 ms.
struct Sensor {
    std::unique_ptr<spire::EmbeddedIdentitySource> identity;
    SystemClock clock;
    MemorySpool spool;
    MemoryStateStore state;
    PahoTransport transport;
    EdgeNodeSession session;
    QTimer ticks;
    QTimer load;
    int appended = 0;

    Sensor(Building &building, double renewAt)
        : identity(building.authority.agent(u"hvac-001"_s, u"sensor"_s, building.sensorTpm, renewAt)),
          transport(building.endpoint(), *identity), session(config(building), clock, transport, spool, state)
    {
        Point point;
        point.id = u"n"_s;
        point.name = u"Number"_s;
        session.setNodePoints({point});
        QObject::connect(identity.get(), &IdentitySource::svidChanged, &session, &EdgeNodeSession::reconnect);
        QObject::connect(&ticks, &QTimer::timeout, &session, &EdgeNodeSession::tick);
        QObject::connect(&load, &QTimer::timeout, &session, [this] { append(); });
        ticks.start(100);
    }
    static sparkplug::EdgeNodeConfig config(const Building &building)
    {
        sparkplug::EdgeNodeConfig config;
        config.group = u"building-1"_s;
        config.node = u"hvac-001"_s;
        config.self = Principal(building.authority.id(u"/agent/hvac-001"_s));
        config.primaryHost = u"gateway-1"_s;
        return config;
    }
    void append()
    {
        Reading reading;
        reading.point = u"n"_s;
        reading.value = double(++appended);
        reading.deviceTime = clock.now();
        const IncomingBatch incoming{{u"hvac-001"_s, {reading}, {}}, std::nullopt};
        QVERIFY(spool.append({&incoming, 1}));
        session.pump();
    }
    [[nodiscard]] bool isSending() const { return session.status().phase == EdgeNodeSession::Phase::Custody; }
};

/// A gateway that takes everything, and writes down when.
struct Gateway {
    SystemClock clock;
    PahoTransport transport;
    HostSession host;
    QTimer ticks;
    QMap<Msn, Millis> delays; // by number of the batch: how late its reading came, the first time
    Msn contiguous = 0;
    int deaths = 0;

    explicit Gateway(Building &building)
        : transport(building.endpoint(), *building.gatewayIdentity), host(config(building), clock, transport)
    {
        QObject::connect(building.gatewayIdentity.get(), &IdentitySource::svidChanged, &host, &HostSession::reconnect);
        QObject::connect(&ticks, &QTimer::timeout, &host, &HostSession::tick);
        QObject::connect(&host, &HostSession::born, &host, [this](const sparkplug::Participant &who) {
            if (who.spool)
                host.acknowledge(who.node, who.spool->stream, contiguous);
        });
        QObject::connect(&host, &HostSession::died, &host, [this] { ++deaths; });
        QObject::connect(&host, &HostSession::batchReceived, &host, [this](const sparkplug::HostBatch &batch) {
            if (!batch.receipt)
                return;
            if (!delays.contains(batch.receipt->msn))
                delays.insert(batch.receipt->msn, clock.now() - batch.batch.readings.value(0).deviceTime);
            while (delays.contains(contiguous + 1))
                ++contiguous;
            host.acknowledge(batch.node, batch.receipt->stream, contiguous);
        });
        ticks.start(100);
    }
    static sparkplug::HostConfig config(const Building &building)
    {
        sparkplug::HostConfig config;
        config.hostId = u"gateway-1"_s;
        config.self = Principal(building.authority.id(u"/agent/gateway"_s));
        config.groups = {u"building-1"_s};
        return config;
    }
};

} // namespace

class TestIdentityLife : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void rotation_underLoadLosesAndDelaysNothing();
    void expiry_buffersUntilTheAuthorityIsBack();
    void brokersCertificate_isRenewedWithoutDroppingSessions();
    void revocation_endsTheSessionAndIsReported();
    void denyList_thatTheDiskDoesNotTakeIsWrittenLater();
    void kept_certificateOfAnotherAuthorityIsReplaced();
    void kept_bundleOfAnEndedFederationGoes();
    void filesOfABrokerThatIsNotConfiguredAnewAreTold();
};

void TestIdentityLife::rotation_underLoadLosesAndDelaysNothing()
{
    Building building(20s);
    const QString started = building.start();
    QVERIFY2(started.isEmpty(), qPrintable(started));
    Gateway gateway(building);
    gateway.host.start();
    Sensor sensor(building, 0.2);
    sensor.session.start();
    QTRY_VERIFY_WITH_TIMEOUT(sensor.isSending(), kPatience);

    const quint64 before = sensor.identity->status().rotations;
    const quint64 gatewayBefore = building.gatewayIdentity->status().rotations;
    sensor.load.start(50);
    // Both ends rotate while readings flow.
    QTRY_VERIFY_WITH_TIMEOUT(sensor.identity->status().rotations >= before + 2
                                 && building.gatewayIdentity->status().rotations > gatewayBefore,
                             kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(sensor.isSending(), kPatience);
    sensor.load.stop();
    QTRY_COMPARE_WITH_TIMEOUT(gateway.contiguous, Msn(sensor.appended), kPatience);
    QCOMPARE(gateway.deaths, 0);
    const Millis worst = *std::max_element(gateway.delays.cbegin(), gateway.delays.cend());
    qInfo("%d readings, %lld ms the latest", sensor.appended, static_cast<long long>(worst.count()));
    QVERIFY2(worst < 3s, qPrintable(QString::number(worst.count())));
}

void TestIdentityLife::expiry_buffersUntilTheAuthorityIsBack()
{
    Building building(10s);
    const QString started = building.start();
    QVERIFY2(started.isEmpty(), qPrintable(started));
    Gateway gateway(building);
    gateway.host.start();
    Sensor sensor(building, 0.5);
    sensor.session.start();
    QSignalSpy problems(sensor.identity.get(), &spire::EmbeddedIdentitySource::problemFound);
    QSignalSpy solved(sensor.identity.get(), &spire::EmbeddedIdentitySource::problemSolved);
    QTRY_VERIFY_WITH_TIMEOUT(sensor.isSending(), kPatience);
    sensor.load.start(50);

    building.authority.close();
    QTRY_COMPARE_WITH_TIMEOUT(sensor.identity->status().state, IdentityStatus::State::Expired, kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(!sensor.identity->current(), kPatience);
    QVERIFY2(sensor.identity->current().error().message.startsWith(u"identity expired, buffering"_s),
             qPrintable(sensor.identity->current().error().message));
    QTRY_COMPARE_WITH_TIMEOUT(sensor.session.status().phase, EdgeNodeSession::Phase::Offline, kPatience);
    const Msn reached = gateway.contiguous;
    QTRY_VERIFY_WITH_TIMEOUT(sensor.appended > int(reached) + 40, kPatience);
    QVERIFY(gateway.contiguous < Msn(sensor.appended)); // nothing is sent with an SVID that has ended
    QVERIFY(!problems.isEmpty());

    QElapsedTimer recovery;
    QVERIFY(building.authority.open());
    recovery.start();
    QTRY_VERIFY_WITH_TIMEOUT(sensor.isSending(), kPatience);
    qInfo("sending again %lld ms after the authority was back", static_cast<long long>(recovery.elapsed()));
    sensor.load.stop();
    QTRY_COMPARE_WITH_TIMEOUT(gateway.contiguous, Msn(sensor.appended), kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(!solved.isEmpty(), kPatience);
}

void TestIdentityLife::brokersCertificate_isRenewedWithoutDroppingSessions()
{
    Building building(20s);
    const QString started = building.start();
    QVERIFY2(started.isEmpty(), qPrintable(started));
    // A client that does not rotate itself meanwhile: it keeps the SVID that it has now.
    Sensor sensor(building, 0.8);
    QTRY_VERIFY_WITH_TIMEOUT(bool(sensor.identity->current()), kPatience);
    QSignalSpy gone(&sensor.transport, &MqttTransport::disconnected);
    sensor.session.start();
    QTRY_COMPARE_WITH_TIMEOUT(sensor.transport.state(), MqttTransport::State::Connected, kPatience);
    const quint64 rotations = building.trust->status().rotations;
    QTRY_VERIFY_WITH_TIMEOUT(building.trust->status().rotations > rotations, kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(building.broker.log().contains("The broker's certificate was renewed"), kPatience);
    QCOMPARE(sensor.transport.state(), MqttTransport::State::Connected);
    QCOMPARE(gone.size(), 0);
    // And it proves the broker to whoever comes now.
    sensor.session.reconnect();
    QTRY_COMPARE_WITH_TIMEOUT(gone.size(), 1, kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(sensor.transport.state(), MqttTransport::State::Connected, kPatience);
    QCOMPARE(building.troubles, QStringList());
}

void TestIdentityLife::revocation_endsTheSessionAndIsReported()
{
    Building building(60s);
    const QString started = building.start();
    QVERIFY2(started.isEmpty(), qPrintable(started));
    Gateway gateway(building);
    gateway.host.start();
    Sensor sensor(building, 0.5);
    sensor.session.start();
    QTRY_VERIFY_WITH_TIMEOUT(sensor.isSending(), kPatience);
    sensor.load.start(50);
    QTRY_VERIFY_WITH_TIMEOUT(gateway.contiguous > 20, kPatience);
    // Its last message is told once a second.
    const QString id = building.authority.id(u"/agent/hvac-001"_s).toString();
    QTRY_VERIFY_WITH_TIMEOUT(
        building.broker.status() && building.broker.status()->principals.value(id).lastAccepted.has_value(), kPatience);

    QSignalSpy gone(&sensor.transport, &MqttTransport::disconnected);
    QElapsedTimer kick;
    qint64 kickedAfter = -1;
    connect(&sensor.transport, &MqttTransport::disconnected, this, [&] {
        if (kickedAfter < 0)
            kickedAfter = kick.elapsed();
    });
    kick.start();
    const auto revoked = building.authority.authority->revoke(u"hvac-001"_s, u"stolen"_s, building.authority.actor);
    QVERIFY2(revoked, revoked ? "" : qPrintable(revoked.error().message));
    QTRY_VERIFY_WITH_TIMEOUT(!gone.isEmpty(), kPatience);
    qInfo("the session ended %lld ms after the revocation", static_cast<long long>(kickedAfter));
    QVERIFY2(kickedAfter < 2'000, "a revoked device must be out within two seconds");
    QVERIFY2(QFile::exists(building.broker.path(u"deny/building-1.smart.local.jws"_s)), "no deny list");
    QTRY_VERIFY_WITH_TIMEOUT(building.trust->status().denied > 0, kPatience);
    // The authority knows what was last accepted of it.
    const auto lastAccepted = [&building] {
        const auto device = building.authority.authority->device(u"hvac-001"_s);
        return device ? device->lastAcceptedAt : Timestamp{};
    };
    QTRY_VERIFY_WITH_TIMEOUT(building.trust->status().reported > 0, kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(lastAccepted() > Timestamp{}, kPatience);
    // It does not come back.
    const Msn last = gateway.contiguous;
    QTRY_VERIFY_WITH_TIMEOUT(sensor.appended > int(last) + 60, kPatience);
    QCOMPARE(gateway.contiguous, last);
}

/// For as long as the file is old, the broker lets a revoked device in.
void TestIdentityLife::denyList_thatTheDiskDoesNotTakeIsWrittenLater()
{
    Building building(60s);
    QVERIFY(building.authority.open());
    building.gatewayIdentity = building.authority.agent(u"gateway"_s, u"gateway"_s, building.gatewayTpm);
    authority::DeviceFacts facts;
    facts.name = u"hvac-001"_s;
    QVERIFY(building.authority.authority->enroll(QString(64, u'a'), facts, building.authority.actor));
    QVERIFY(building.authority.authority->revoke(u"hvac-001"_s, u"stolen"_s, building.authority.actor));
    const QString file = building.broker.path(u"deny/building-1.smart.local.jws"_s);
    QDir(building.broker.path({})).mkpath(u"broker"_s);
    QVERIFY(QDir().mkpath(file)); // a folder in its place, which also root cannot write over
    building.keepTrust();
    QTRY_VERIFY_WITH_TIMEOUT(building.trust->status().problem.contains(u"building-1.smart.local.jws"_s), kPatience);
    QVERIFY(QFileInfo(file).isDir());
    QVERIFY(QDir().rmdir(file));
    // Without another word from the authority.
    QTRY_VERIFY_WITH_TIMEOUT(QFileInfo(file).isFile(), kPatience);
    QCOMPARE(*tls::readWholeFile(file), *building.authority.authority->denyListJws());
    QTRY_VERIFY_WITH_TIMEOUT(!building.trust->status().problem.contains(u"building-1.smart.local.jws"_s), kPatience);
    QCOMPARE(building.troubles.filter(u"building-1.smart.local.jws"_s).size(), 1);
}

void TestIdentityLife::kept_certificateOfAnotherAuthorityIsReplaced()
{
    Building building(60s);
    QVERIFY(building.authority.open());
    building.gatewayIdentity = building.authority.agent(u"gateway"_s, u"gateway"_s, building.gatewayTpm);
    building.broker.writeBrokerIdentity(); // by the fixture's own PKI
    const auto before = tls::readWholeFile(building.broker.identityFile());
    QVERIFY(before);
    building.keepTrust();
    QTRY_VERIFY_WITH_TIMEOUT(*tls::readWholeFile(building.broker.identityFile()) != *before, kPatience);
    const auto pem = tls::readWholeFile(building.broker.identityFile());
    const auto chain = tls::certificatesFromPem(*pem);
    QVERIFY(chain);
    const TrustBundles roots{
        {building.authority.config.domain, building.authority.authority->bundle()->x509Authorities}};
    const auto verified =
        tls::verifyPeer(*chain, building.broker.id(), roots, tls::PeerRole::Server, building.authority.clock.now());
    QVERIFY2(verified, verified ? "" : qPrintable(verified.error().message));
    QCOMPARE(QFile::permissions(building.broker.identityFile())
                 & (QFile::ReadGroup | QFile::ReadOther | QFile::WriteGroup | QFile::WriteOther),
             QFile::Permissions());
    // Key and certificate are one file: nothing that ends the machine between two writes can part them. With the
    // authority away the broker starts from it.
    const auto key = tls::privateKeyFromPem(*pem);
    QVERIFY(key && tls::makeSvid(*chain, *key));
    const QDir folder = QFileInfo(building.broker.identityFile()).dir();
    QCOMPARE(folder.entryList({u"*.key"_s}, QDir::Files), QStringList());
    building.trust.reset();
    building.authority.close();
    const auto started = building.broker.start();
    QVERIFY2(started, started ? "" : qPrintable(started.error().message));
}

void TestIdentityLife::kept_bundleOfAnEndedFederationGoes()
{
    Building building(60s);
    QVERIFY(building.authority.open());
    building.gatewayIdentity = building.authority.agent(u"gateway"_s, u"gateway"_s, building.gatewayTpm);
    building.broker.writeBundle(u"smart-building.cloud"_s, {building.broker.pki(u"smart-building.cloud"_s).rootDer()},
                                1);
    const QString foreign = building.broker.path(u"bundles/smart-building.cloud.json"_s);
    QVERIFY(QFile::exists(foreign));
    QDir(building.broker.path({})).mkpath(u"broker"_s);
    building.keepTrust();
    QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(building.broker.path(u"bundles/building-1.smart.local.json"_s)), kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(!QFile::exists(foreign), kPatience);
}

void TestIdentityLife::filesOfABrokerThatIsNotConfiguredAnewAreTold()
{
    Building building(1h);
    const QString old = building.broker.path(tls::svidFileName());
    const auto tellings = [&] { return building.troubles.filter(u"in mosquitto.conf"_s); };
    QVERIFY(tls::writePublicFile(old, "whatever it was"));
    const QString started = building.start();
    QVERIFY2(started.isEmpty(), qPrintable(started));
    QCOMPARE(tellings().size(), 1);
    QVERIFY2(tellings().first().contains(u"name broker.pem as certfile, keyfile"_s), qPrintable(tellings().first()));
    QVERIFY(building.trust->status().problem.contains(old));
    QCOMPARE(*tls::readWholeFile(old), QByteArray("whatever it was"));
    // A gateway that was configured anew is left in peace.
    building.troubles.clear();
    QVERIFY(QFile::remove(old));
    building.keepTrust();
    QVERIFY(tellings().isEmpty());
}

QTEST_GUILESS_MAIN(TestIdentityLife)
#include "tst_identity_life.moc"

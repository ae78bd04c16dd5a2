// Whom a building revokes the cloud's broker must not let in: the deny list goes from the building's
// authority to the cloud's, from there to the agent beside the cloud's broker, and to its plugin. All of
// them real, and what an attacker in between could try.
#include "authority/federation_client.h"
#include "authority/partner_deny_lists.h"
#include "domain/principal.h"
#include "fakes/guarded_broker.h"
#include "fakes/live_authority.h"
#include "fakes/mosquitto_client.h"
#include "grpc/grpc_channel.h"
#include "grpc/grpc_server.h"
#include "spire/broker_trust_keeper.h"
#include "spire/server_methods.h"
#include "spire/wire.h"
#include "tls/certificate_writer.h"
#include "tls/x509.h"

#include "lintel_authority.pb.h"

#include <QDir>
#include <QElapsedTimer>
#include <QJsonDocument>
#include <QJsonObject>
#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = lintel::spire::method;
namespace wire = ::lintel::authority::v1;

namespace {

constexpr int kPatience = 40'000;
constexpr int kRefused = 0x80; // reason codes from here on (MQTT 5.0 section 2.4)
constexpr auto kBuilding = "building-1.smart.local"_L1;
constexpr auto kCloud = "smart-building.cloud"_L1;
const QString kStolen(64, u'a'); // hash of a chip

Result<X509Svid> mint(const LiveAuthority &by, const QString &path)
{
    const auto key = tls::newSoftwareKey();
    const auto signer = key ? tls::signingKeyFrom(*key) : Result<std::shared_ptr<SigningKey>>(key.error());
    if (!signer)
        return signer.error();
    const auto csr = tls::makeCsr(**signer, by.id(path));
    if (!csr)
        return csr.error();
    const auto issued = by.authority->mintX509(*csr, 1h, by.actor);
    return issued ? tls::makeSvid(issued->chainDer, *key) : Result<X509Svid>(issued.error());
}

/// A federation of two authorities, each with its client.
struct Federation {
    LiveAuthority building{1h, kBuilding};
    LiveAuthority cloud{1h, kCloud};
    std::unique_ptr<authority::FederationClient> buildingClient;
    std::unique_ptr<authority::FederationClient> cloudClient;
    QStringList troubles; // of the cloud's

    static authority::FederationPace pace()
    {
        authority::FederationPace pace;
        pace.firstRetry = 200ms;
        pace.latestRetry = 1s;
        return pace;
    }
    static void introduce(LiveAuthority &to, const LiveAuthority &partner)
    {
        QVERIFY(to.authority->setFederatedBundle(partner.config.domain, *partner.authority->bundle(), to.actor));
        authority::FederationRelationship relationship;
        relationship.domain = partner.config.domain;
        relationship.url = u"https://127.0.0.1:%1/"_s.arg(partner.bundlePort);
        relationship.endpointId = partner.serverId();
        QVERIFY(to.authority->setRelationship(relationship, to.actor));
    }
    void open()
    {
        for (LiveAuthority *each : {&building, &cloud}) {
            each->servesBundles = true;
            const auto opened = each->open();
            QVERIFY2(opened, opened ? "" : qPrintable(opened.error().message));
        }
        introduce(building, cloud);
        introduce(cloud, building);
    }
    void watch()
    {
        cloudClient = std::make_unique<authority::FederationClient>(*cloud.authority, cloud.clock, pace());
        QObject::connect(cloudClient.get(), &authority::FederationClient::trouble, cloudClient.get(),
                         [this](const Error &what) { troubles << what.message; });
        cloudClient->start();
        buildingClient = std::make_unique<authority::FederationClient>(*building.authority, building.clock, pace());
        buildingClient->start();
    }
    [[nodiscard]] QByteArray listAtTheCloud() const
    {
        return cloud.authority->federatedDenyLists().value(building.config.domain);
    }
    ~Federation()
    {
        cloudClient.reset();
        buildingClient.reset();
    }
};

/// Says it is the building's authority, and has the SVID to prove it: a stolen one, or the real one
/// with an old state.
struct FakePartner {
    grpc::Server server;
    quint16 port = 0;
    QList<QByteArray> lists;
    std::shared_ptr<grpc::ServerCall> watcher;

    explicit FakePartner(const LiveAuthority &real)
    {
        server.handleStream(method::trust("WatchDenyList"), [this](const std::shared_ptr<grpc::ServerCall> &call) {
            watcher = call;
            for (const QByteArray &list : std::as_const(lists))
                say(list);
        });
        const auto identity = *real.authority->identity().current();
        const auto bound = server.listenTcp(u"127.0.0.1"_s, 0, [identity] {
            return Result<grpc::ServerTls>(grpc::ServerTls{identity->svid, identity->bundles, {}});
        });
        if (bound)
            port = *bound;
    }
    void say(const QByteArray &jws, const QString &domain = {})
    {
        wire::DenyListDocument document;
        document.set_jws(jws.toStdString());
        document.set_trust_domain(domain.toStdString());
        watcher->send(lintel::spire::serialize(document));
    }
};

/// How a call of WatchDenyList as `own` ends, or Ok when a list comes.
grpc::Status watchAs(const X509Svid &own, const LiveAuthority &at, const LiveAuthority &home)
{
    const TrustBundles bundles{{at.config.domain, at.authority->bundle()->x509Authorities},
                               {home.config.domain, home.authority->bundle()->x509Authorities}};
    grpc::Channel channel({at.address(), [&]() -> Result<grpc::ClientTls> {
                               return grpc::ClientTls{own, at.serverId(), bundles, {}};
                           }});
    std::optional<grpc::Status> outcome;
    QObject context;
    auto *call = channel.start(method::trust("WatchDenyList"));
    QObject::connect(call, &grpc::ClientCall::messageReceived, &context, [&] { outcome = grpc::Status{}; });
    QObject::connect(call, &grpc::ClientCall::finished, &context, [&](const grpc::Status &status) {
        if (!outcome)
            outcome = status;
    });
    call->send({});
    call->closeSending();
    (void)QTest::qWaitFor([&] { return outcome.has_value(); }, kPatience);
    return outcome.value_or(grpc::Status{grpc::StatusCode::Unknown, u"no answer"_s, {}});
}

} // namespace

class TestPartnerDenyLists : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void revokedGateway_isOffTheCloudsBrokerWithinTwoSeconds();
    void list_ofAnotherDomainDeniesNobodyHere();
    void list_thatItsDomainDidNotSignIsRefused();
    void list_withALowerNumberIsRefused();
    void list_isKeptOverARestart();
    void list_isOnlyForAuthoritiesThatFederate();
    void list_ofAFormerPartnerIsForgotten();
    void bundle_withALowerSequenceIsRefused();
};

void TestPartnerDenyLists::revokedGateway_isOffTheCloudsBrokerWithinTwoSeconds()
{
    Federation federation;
    federation.open();
    authority::DeviceFacts facts;
    facts.name = u"gateway"_s;
    facts.kind = u"gateway"_s;
    QVERIFY(federation.building.authority->enroll(kStolen, facts, federation.building.actor));
    const SpiffeId gateway = federation.building.id(u"/agent/gateway"_s);

    GuardedBroker::Options options;
    options.brokerId = u"spiffe://smart-building.cloud/broker"_s;
    options.roles.edgeNodes = {{gateway, u"building-1"_s, u"gateway"_s, {u"lintel-cloud"_s}}};
    options.trustIsKept = true;
    GuardedBroker broker(options);
    const auto ingestion = federation.cloud.joiner(u"ingestion"_s, u"gateway"_s);
    QVERIFY(ingestion);
    lintel::spire::BrokerTrustOptions trustOptions;
    trustOptions.authority = federation.cloud.address();
    trustOptions.authorityId = federation.cloud.serverId();
    trustOptions.broker = broker.id();
    trustOptions.bundlesDir = broker.path(u"bundles"_s);
    trustOptions.denyListsDir = broker.path(u"deny"_s);
    trustOptions.identityFile = broker.identityFile();
    lintel::spire::BrokerTrustKeeper trust(trustOptions, *ingestion, {}, federation.cloud.clock);
    trust.start();
    QTRY_VERIFY2_WITH_TIMEOUT(trust.status().certificate == SvidKeeper::State::Valid && trust.status().isWatching,
                              qPrintable(trust.status().problem), kPatience);
    federation.watch();
    QTRY_VERIFY2_WITH_TIMEOUT(!federation.listAtTheCloud().isEmpty(), qPrintable(federation.troubles.join(u' ')),
                              kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(trust.status().denyLists, 2, kPatience);
    const auto started = broker.start();
    QVERIFY2(started, started ? "" : qPrintable(started.error().message));

    const auto svid = mint(federation.building, u"/agent/gateway"_s);
    QVERIFY2(svid, svid ? "" : qPrintable(svid.error().message));
    const QString identityDir = broker.path(u"gateway"_s);
    QVERIFY(tls::writeIdentity(identityDir, *svid, {}));
    const QString roots = broker.path(u"cloud.pem"_s);
    QVERIFY(tls::writePublicFile(roots, tls::certificatesToPem(federation.cloud.authority->bundle()->x509Authorities)));
    // What Mosquitto itself asks of a chain is that it leads to somebody whom it knows.
    const MosquittoClient::Options asGateway{
        broker.port(), identityDir, roots, Principal(gateway).toString().toUtf8(), {}};
    MosquittoClient client(asGateway);
    QCOMPARE(client.connect(), 0);

    QElapsedTimer timer;
    timer.start();
    QVERIFY(federation.building.authority->revoke(u"gateway"_s, u"stolen"_s, federation.building.actor));
    // The authorities live in this thread, and the client blocks: turns for both.
    while (client.isConnected() && timer.elapsed() < kPatience) {
        QTest::qWait(1);
        client.turn(10);
    }
    const qint64 took = timer.elapsed();
    QVERIFY(!client.isConnected());
    qInfo("off the cloud's broker %lld ms after the building revoked it", static_cast<long long>(took));
    QVERIFY2(took < 2'000, qPrintable(QString::number(took)));
    MosquittoClient again(asGateway);
    QVERIFY(again.connect() != 0);
    QVERIFY2(broker.log().contains("was revoked"), broker.log().right(600).constData());
}

/// Signed by the building, as it should be, and yet about somebody of the cloud.
void TestPartnerDenyLists::list_ofAnotherDomainDeniesNobodyHere()
{
    const QString operatorId = u"spiffe://smart-building.cloud/operator/demo"_s;
    GuardedBroker::Options options;
    options.roles.readers = {{*SpiffeId::parse(operatorId), false, {false, {u"building-1"_s}}}};
    GuardedBroker broker(options);
    QVERIFY(broker.start());
    MosquittoClient client({broker.port(),
                            broker.identityDir(operatorId),
                            broker.trustFile(),
                            Principal(*SpiffeId::parse(operatorId)).toString().toUtf8(),
                            {}});
    QCOMPARE(client.connect(), 0);
    tls::DenyEntry entry;
    entry.id = *SpiffeId::parse(operatorId);
    entry.revokedAt = SystemClock().now();
    broker.writeDenyList(kBuilding, 7, {entry});
    QTRY_VERIFY_WITH_TIMEOUT(broker.log().contains("Deny list 7 of building-1.smart.local is in use"), kPatience);
    QVERIFY(client.subscribe("spBv1.0/building-1/#") < kRefused); // still there, and served
    QVERIFY(client.isConnected());
    broker.writeDenyList(kCloud, 8, {entry}); // its own domain may
    QVERIFY(client.waitForEnd());
}

void TestPartnerDenyLists::list_thatItsDomainDidNotSignIsRefused()
{
    Federation federation;
    federation.open();
    FakePartner partner(federation.building);
    const auto thief = *tls::signingKeyFrom(*tls::newSoftwareKey());
    // The key's name is the right one; the key is not.
    const QString keyId = federation.building.authority->bundle()->jwtAuthorities.first().keyId;
    const tls::DenyList forged{federation.building.config.domain, 4'000'000'000, SystemClock().now(), {}};
    partner.lists = {*tls::signDenyList(forged, keyId, *thief), *federation.cloud.authority->denyListJws()};
    authority::PartnerDenyLists lists(*federation.cloud.authority, federation.cloud.clock);
    QSignalSpy trouble(&lists, &authority::PartnerDenyLists::trouble);
    QSignalSpy wanted(&lists, &authority::PartnerDenyLists::newerBundleWanted);
    lists.watch(federation.building.config.domain, u"127.0.0.1:%1"_s.arg(partner.port));
    QTRY_COMPARE_WITH_TIMEOUT(wanted.size(), 2, kPatience); // a forged one, and one of ours
    QVERIFY(!trouble.isEmpty());
    QVERIFY(federation.listAtTheCloud().isEmpty());
    // A bundle was fetched for each; when it knows no more keys, asking on and on would help nobody.
    lists.watch(federation.building.config.domain, u"127.0.0.1:%1"_s.arg(partner.port));
    lists.watch(federation.building.config.domain, u"127.0.0.1:%1"_s.arg(partner.port));
    partner.say(*federation.cloud.authority->denyListJws());
    // What it says about a third domain is not even looked at.
    partner.say(*federation.building.authority->denyListJws(), u"third.example"_s);
    partner.say(*federation.building.authority->denyListJws());
    QTRY_VERIFY_WITH_TIMEOUT(!federation.listAtTheCloud().isEmpty(), kPatience);
    QCOMPARE(federation.cloud.authority->federatedDenyLists().size(), 1);
    QCOMPARE(wanted.size(), 2);
}

void TestPartnerDenyLists::list_withALowerNumberIsRefused()
{
    Federation federation;
    federation.open();
    authority::DeviceFacts facts;
    facts.name = u"hvac-001"_s;
    QVERIFY(federation.building.authority->enroll(kStolen, facts, federation.building.actor));
    const QByteArray before = *federation.building.authority->denyListJws();
    QVERIFY(federation.building.authority->revoke(u"hvac-001"_s, u"stolen"_s, federation.building.actor));
    const QByteArray after = *federation.building.authority->denyListJws();
    QVERIFY(before != after);
    FakePartner partner(federation.building);
    partner.lists = {after, before}; // the second would bring the thief back
    authority::PartnerDenyLists lists(*federation.cloud.authority, federation.cloud.clock);
    QSignalSpy trouble(&lists, &authority::PartnerDenyLists::trouble);
    lists.watch(federation.building.config.domain, u"127.0.0.1:%1"_s.arg(partner.port));
    QTRY_VERIFY_WITH_TIMEOUT(!trouble.isEmpty(), kPatience);
    QVERIFY(trouble.first().first().value<Error>().message.contains(u"number"_s));
    QCOMPARE(federation.listAtTheCloud(), after);
}

void TestPartnerDenyLists::list_isKeptOverARestart()
{
    Federation federation;
    federation.open();
    federation.watch();
    QTRY_VERIFY_WITH_TIMEOUT(!federation.listAtTheCloud().isEmpty(), kPatience);
    const QByteArray list = federation.listAtTheCloud();
    federation.cloudClient.reset();
    federation.cloud.close();
    QVERIFY(federation.cloud.open());
    QCOMPARE(federation.listAtTheCloud(), list);
}

void TestPartnerDenyLists::list_isOnlyForAuthoritiesThatFederate()
{
    Federation federation;
    federation.open();
    const auto server = *federation.cloud.authority->identity().current();
    QVERIFY(watchAs(server->svid, federation.building, federation.cloud).isOk());
    // A member of the partner's domain is not its authority.
    const auto member = mint(federation.cloud, u"/operator/demo"_s);
    QVERIFY(member);
    QCOMPARE(watchAs(*member, federation.building, federation.cloud).code, grpc::StatusCode::PermissionDenied);
    // Nor is an authority whose bundle is here, and with whom nobody agreed on anything.
    QVERIFY(
        federation.building.authority->deleteRelationship(federation.cloud.config.domain, federation.building.actor));
    QCOMPARE(watchAs(server->svid, federation.building, federation.cloud).code, grpc::StatusCode::PermissionDenied);
}

void TestPartnerDenyLists::list_ofAFormerPartnerIsForgotten()
{
    Federation federation;
    federation.open();
    federation.watch();
    QTRY_VERIFY_WITH_TIMEOUT(!federation.listAtTheCloud().isEmpty(), kPatience);
    const TrustDomain &domain = federation.building.config.domain;
    QVERIFY(federation.cloud.authority->deleteRelationship(domain, federation.cloud.actor));
    QVERIFY(federation.cloud.authority->deleteFederatedBundle(domain, federation.cloud.actor, true));
    QVERIFY(federation.listAtTheCloud().isEmpty());
    const auto set = federation.cloud.authority->setFederatedDenyList(
        domain, *federation.building.authority->denyListJws(), federation.cloud.actor);
    QVERIFY(!set);
    QCOMPARE(set.error().code, Errc::Denied);
}

/// An endpoint that is put back to an older state, or was taken over together with its SVID.
void TestPartnerDenyLists::bundle_withALowerSequenceIsRefused()
{
    Federation federation;
    federation.open();
    const TrustDomain &domain = federation.building.config.domain;
    tls::BundleDocument served = *federation.building.authority->bundle();
    const quint64 genuine = *served.sequence;
    grpc::Server endpoint;
    endpoint.serveDocument("/",
                           [&served]() -> Result<grpc::Document> { return grpc::Document{*tls::printBundle(served)}; });
    const auto identity = *federation.building.authority->identity().current();
    const auto port = endpoint.listenHttps(u"127.0.0.1"_s, 0, [identity] {
        return Result<grpc::ServerTls>(grpc::ServerTls{identity->svid, identity->bundles, {}});
    });
    QVERIFY(port);
    authority::FederationRelationship relationship;
    relationship.domain = domain;
    relationship.url = u"https://127.0.0.1:%1/"_s.arg(*port);
    relationship.endpointId = federation.building.serverId();
    QVERIFY(federation.cloud.authority->setRelationship(relationship, federation.cloud.actor));
    authority::FederationClient client(*federation.cloud.authority, federation.cloud.clock, Federation::pace());
    QSignalSpy trouble(&client, &authority::FederationClient::trouble);
    const auto known = [&] { return (*federation.cloud.authority->federatedBundle(domain))->sequence; };

    served.sequence = genuine + 2;
    client.refresh(domain);
    QTRY_COMPARE_WITH_TIMEOUT(known(), genuine + 2, kPatience);
    served.sequence = genuine + 1;
    client.refresh(domain);
    QTRY_VERIFY_WITH_TIMEOUT(!trouble.isEmpty(), kPatience);
    QVERIFY2(trouble.first().first().value<Error>().message.contains(u"sequence"_s),
             qPrintable(trouble.first().first().value<Error>().message));
    QCOMPARE(known(), genuine + 2);
}

QTEST_GUILESS_MAIN(TestPartnerDenyLists)
#include "tst_partner_deny_lists.moc"

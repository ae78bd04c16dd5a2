#include "broker-plugin/broker_guard.h"
#include "broker-plugin/broker_status.h"
#include "broker-plugin/plugin_service.h"
#include "fakes/fake_clock.h"
#include "tls/file_key_store.h"
#include "tls/identity_files.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QtTest>

using namespace lintel;
using namespace lintel::broker;
using namespace Qt::StringLiterals;

namespace {
const auto kSensor = u"spiffe://building-1.smart.local/agent/hvac-001"_s;
const auto kSensorClient = "building-1~smart~local:agent:hvac-001";
const auto kData = "spBv1.0/building-1/NDATA/hvac-001";
const auto kDeath = "spBv1.0/building-1/NDEATH/hvac-001";

TrustDomain domain(QStringView name)
{
    return *TrustDomain::parse(name);
}
} // namespace

class TestBrokerGuard : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void chain_mustBelongToItsOwnDomain();
    void chain_isRefusedWhenEnded();
    void connect_bindsTheClientId();
    void connect_needsAVerifiedCertificateAndARole();
    void session_endsWithItsSvid();
    void denied_byIdSerialOrDateButNotByAnotherDomain();
    void denied_isHeardOnceMoreWithItsLastWord();
    void stranger_actsInNobodysName();
    void root_takenOutEndsItsSessions();
    void retained_isAHostsStateOnly();
    void roles_changeLiveSessions();
    void denials_areLoggedOnceAMinute();
    void status_printsAndParses();
    void status_ofAPluginThatToldNoRefusalsIsRead();
    void refusals_sayWhoAndWhyAndHowOften();
    void refusals_ofStrangersPushOutNobodyWhoIsKnown();
    void refusals_showWhatAStrangerWroteOnOneShortLine();
    void files_bundleWithALowerSequenceIsRefused();
    void files_denyListIsKeptOverARestart();
    void service_startsOnlyWithRoles();

private:
    static BrokerRoles roles()
    {
        BrokerRoles all;
        all.sensors = {{domain(u"building-1.smart.local"), u"building-1"_s, {u"gateway-1"_s}}};
        return all;
    }
    Peer peer(const QString &id = kSensor) const
    {
        return {*SpiffeId::parse(id), u"0A"_s, m_clock.now() - std::chrono::minutes{1},
                m_clock.now() + std::chrono::hours{1}};
    }
    Moment at() const { return at(m_clock.now()); }
    /// The wall clock alone moves.
    Moment at(Timestamp time) const { return {time, std::chrono::floor<Millis>(m_clock.monotonic())}; }
    void makeGuard(BrokerGuard &guard) const
    {
        guard.setRoles(roles());
        guard.setBundles({{domain(u"building-1.smart.local"), {m_pki.rootDer()}}});
    }
    static tls::DenyList listOf(const QString &issuer, const tls::DenyEntry &entry, quint64 sequence = 1)
    {
        return {domain(issuer), sequence, {}, {entry}};
    }

    FakeClock m_clock;
    tls::Pki m_pki = *tls::Pki::create(domain(u"building-1.smart.local"), FakeClock().now());
    QStringList m_lines;
    BrokerGuard::Log m_log = [this](const QString &line) { m_lines.append(line); };
    int m_client = 0; // its address stands for the broker's client
};

void TestBrokerGuard::chain_mustBelongToItsOwnDomain()
{
    BrokerGuard guard(m_log);
    const auto cloud = *tls::Pki::create(domain(u"smart-building.cloud"), m_clock.now());
    const auto impostor = *tls::Pki::create(domain(u"building-1.smart.local"), m_clock.now());
    guard.setRoles(roles());
    guard.setBundles(
        {{domain(u"building-1.smart.local"), {m_pki.rootDer()}}, {domain(u"smart-building.cloud"), {cloud.rootDer()}}});
    const auto good = *m_pki.issue(*SpiffeId::parse(kSensor), tls::Pki::kMinTtl, m_clock.now());
    const auto verified = guard.verifyChain(good.chainDer, u"test"_s, m_clock.now());
    QVERIFY(verified);
    QCOMPARE(verified->id.toString(), kSensor);
    QCOMPARE(verified->notAfter, good.notAfter);

    // Another root of the same name, and a domain that nobody federated with.
    const auto forged = *impostor.issue(*SpiffeId::parse(kSensor), tls::Pki::kMinTtl, m_clock.now());
    QVERIFY(!guard.verifyChain(forged.chainDer, u"test"_s, m_clock.now()));
    guard.setBundles({{domain(u"smart-building.cloud"), {m_pki.rootDer()}}}); // a trusted root, of another domain
    QVERIFY(!guard.verifyChain(good.chainDer, u"test"_s, m_clock.now()));
    QVERIFY(!guard.verifyChain({m_pki.rootDer()}, u"test"_s, m_clock.now()));
    QVERIFY(!guard.verifyChain({}, u"test"_s, m_clock.now()));
    const auto &refused = guard.counters().refused;
    QCOMPARE(refused[size_t(Refusal::NotTrusted)], 1u);
    QCOMPARE(refused[size_t(Refusal::ForeignDomain)], 1u);
    QCOMPARE(refused[size_t(Refusal::BadCertificate)], 1u);
    QCOMPARE(refused[size_t(Refusal::NoCertificate)], 1u);
    QCOMPARE(m_lines.size(), 4);
    m_lines.clear();
}

void TestBrokerGuard::chain_isRefusedWhenEnded()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    const auto svid = *m_pki.issue(*SpiffeId::parse(kSensor), tls::Pki::kMinTtl, m_clock.now());
    QVERIFY(guard.verifyChain(svid.chainDer, u"test"_s, svid.notAfter - std::chrono::seconds{1}));
    QVERIFY(!guard.verifyChain(svid.chainDer, u"test"_s, svid.notAfter));
    QVERIFY(!guard.verifyChain(svid.chainDer, u"test"_s, svid.notBefore - std::chrono::seconds{1}));
    QCOMPARE(guard.counters().refused[size_t(Refusal::Expired)], 1u);
    m_lines.clear();
}

void TestBrokerGuard::connect_bindsTheClientId()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    for (const char *forged : {"", "hvac-001", "building-1~smart~local:agent:hvac-002",
                               "building-1.smart.local/agent/hvac-001", "building-1~smart~local:agent:hvac-001 "}) {
        QVERIFY2(!guard.connect(&m_client, peer(), forged, u"10.0.0.7"_s, at()), forged);
        QVERIFY(!guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, kData, at()));
    }
    QCOMPARE(guard.counters().refused[size_t(Refusal::ClientId)], 5u);
    QVERIFY(m_lines.last().contains(u"10.0.0.7"_s) && m_lines.last().contains(QLatin1StringView(kSensorClient)));
    QVERIFY(guard.connect(&m_client, peer(), kSensorClient, u"10.0.0.7"_s, at()));
    QVERIFY(guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, kData, at()));
    QCOMPARE(guard.sessionCount(), 1);
    guard.disconnected(&m_client);
    guard.disconnected(&m_client);
    QCOMPARE(guard.sessionCount(), 0);
    m_lines.clear();
}

void TestBrokerGuard::connect_needsAVerifiedCertificateAndARole()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    QVERIFY(!guard.connect(&m_client, std::nullopt, kSensorClient, u"x"_s, at()));
    const auto broker = u"spiffe://building-1.smart.local/broker"_s;
    QVERIFY(!guard.connect(&m_client, peer(broker), "building-1~smart~local:broker", u"x"_s, at()));
    QCOMPARE(guard.counters().refused[size_t(Refusal::NoCertificate)], 1u);
    QCOMPARE(guard.counters().refused[size_t(Refusal::NoRole)], 1u);
    QVERIFY(guard.due(at()).isEmpty());
    m_lines.clear();
}

void TestBrokerGuard::session_endsWithItsSvid()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    const Peer sensor = peer();
    QVERIFY(guard.connect(&m_client, sensor, kSensorClient, u"x"_s, at()));
    QCOMPARE(guard.firstExpiry(), sensor.notAfter);
    QVERIFY(guard.due(at()).isEmpty());
    QVERIFY(guard.due(at(sensor.notAfter - Millis{1})).isEmpty());
    const auto kicks = guard.due(at(sensor.notAfter));
    QCOMPARE(kicks.size(), 1);
    QCOMPARE(kicks.first().reason, KickReason::Expired);
    QCOMPARE(kicks.first().clientId, std::string(kSensorClient));
    QVERIFY(!guard.connect(&m_client, sensor, kSensorClient, u"x"_s, at(sensor.notAfter)));
    m_lines.clear();
}

void TestBrokerGuard::denied_byIdSerialOrDateButNotByAnotherDomain()
{
    const Peer sensor = peer();
    tls::DenyEntry byId;
    byId.id = sensor.id;
    tls::DenyEntry bySerial;
    bySerial.serial = sensor.serial;
    tls::DenyEntry otherSerial;
    otherSerial.serial = u"0B"_s;
    tls::DenyEntry older = byId;
    older.issuedBefore = sensor.notBefore;
    tls::DenyEntry younger = byId;
    younger.issuedBefore = sensor.notBefore + std::chrono::seconds{1};
    struct Case {
        QString issuer;
        tls::DenyEntry entry;
        bool denied;
    };
    const auto here = u"building-1.smart.local"_s;
    const QList<Case> cases{{here, byId, true},
                            {here, bySerial, true},
                            {here, otherSerial, false},
                            {here, older, false},
                            {here, younger, true},
                            {u"smart-building.cloud"_s, byId, false},
                            {u"smart-building.cloud"_s, bySerial, false}};
    for (const Case &one : cases) {
        BrokerGuard guard(m_log);
        makeGuard(guard);
        QVERIFY(guard.connect(&m_client, sensor, kSensorClient, u"x"_s, at()));
        QVERIFY(guard.due(at()).isEmpty());
        guard.setDenyList(listOf(one.issuer, one.entry));
        const auto kicks = guard.due(at());
        QCOMPARE(kicks.size(), one.denied ? 1 : 0);
        if (one.denied)
            QCOMPARE(kicks.first().reason, KickReason::Denied);
        guard.disconnected(&m_client);
        QCOMPARE(bool(guard.connect(&m_client, sensor, kSensorClient, u"x"_s, at())), !one.denied);
    }
    m_lines.clear();
}

void TestBrokerGuard::denied_isHeardOnceMoreWithItsLastWord()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    const Peer sensor = peer();
    const QByteArray name = kSensor.toUtf8();
    QVERIFY(guard.connect(&m_client, sensor, kSensorClient, u"x"_s, at()));
    QVERIFY(guard.mayAct(&m_client, name, Action::Publish, kData, at()));
    const Timestamp last = m_clock.now();
    m_clock.advance(std::chrono::seconds{5});
    tls::DenyEntry entry;
    entry.id = sensor.id;
    entry.revokedAt = m_clock.now();
    entry.reason = u"lost"_s;
    guard.setDenyList(listOf(u"building-1.smart.local"_s, entry));
    const auto kicks = guard.due(at());
    QCOMPARE(kicks.size(), 1);
    QVERIFY(kicks.first().why.contains(toIso8601(last)) && kicks.first().why.contains(u"lost"_s));
    // From now on, even before the broker has closed the connection.
    QVERIFY(!guard.mayAct(&m_client, name, Action::Publish, kData, at()));
    QVERIFY(!guard.mayAct(&m_client, name, Action::Receive, "spBv1.0/STATE/gateway-1", at()));
    guard.kicked(kicks.first());
    guard.disconnected(&m_client);
    // Mosquitto now asks for the will, and later for the sources of retained messages.
    QVERIFY(guard.mayAct(&m_client, name, Action::Publish, kDeath, at()));
    QVERIFY(!guard.mayAct(&m_client, name, Action::Publish, kData, at()));
    QVERIFY(!guard.mayAct(&m_client, name, Action::Receive, "spBv1.0/STATE/gateway-1", at()));
    QVERIFY(!guard.mayAct(&m_client, name, Action::Subscribe, "spBv1.0/STATE/gateway-1", at()));
    QCOMPARE(guard.principals().value(kSensor).lastAccepted, last); // a will is no message of its own
    QVERIFY(!guard.principals().value(kSensor).connected);
    QCOMPARE(guard.counters().kicked[size_t(KickReason::Denied)], 1u);
    QCOMPARE(guard.counters().published, 1u);
    m_lines.clear();
}

void TestBrokerGuard::stranger_actsInNobodysName()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    int other = 0;
    QVERIFY(!guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, kData, at()));
    QVERIFY(!guard.mayAct(&m_client, nullptr, Action::Publish, kData, at()));
    QVERIFY(guard.connect(&m_client, peer(), kSensorClient, u"x"_s, at()));
    QVERIFY(!guard.mayAct(&m_client, nullptr, Action::Publish, kData, at()));
    QVERIFY(!guard.mayAct(&m_client, "spiffe://building-1.smart.local/agent/hvac-002", Action::Publish, kData,
                          at())); // a session that goes by another name than its own
    // Mosquitto asks with a made-up client object for the source of a retained message.
    QVERIFY(guard.mayAct(&other, qPrintable(kSensor), Action::Publish, kData, at()));
    QCOMPARE(guard.counters().published, 0u);
    QVERIFY(!guard.mayAct(&other, "spiffe://building-1.smart.local/agent/hvac-002", Action::Publish,
                          "spBv1.0/building-1/NDATA/hvac-002", at()));
    m_lines.clear();
}

void TestBrokerGuard::root_takenOutEndsItsSessions()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    const auto site = domain(u"building-1.smart.local");
    const auto next = *tls::Pki::create(site, m_clock.now());
    const auto issued = [&](const tls::Pki &pki, const QString &id) {
        return guard.verifyChain(pki.issue(*SpiffeId::parse(id), std::chrono::hours{1}, m_clock.now())->chainDer,
                                 u"test"_s, m_clock.now());
    };
    const auto other = u"spiffe://building-1.smart.local/agent/hvac-002"_s;
    guard.setBundles({{site, {m_pki.rootDer(), next.rootDer()}}});
    const auto byOld = issued(m_pki, kSensor);
    const auto byNew = issued(next, other);
    QVERIFY(byOld && byNew);
    int otherClient = 0;
    QVERIFY(guard.connect(&m_client, *byOld, kSensorClient, u"x"_s, at()));
    QVERIFY(guard.connect(&otherClient, *byNew, "building-1~smart~local:agent:hvac-002", u"x"_s, at()));

    guard.setBundles({{site, {m_pki.rootDer(), next.rootDer(), m_pki.rootDer()}}}); // nothing is gone
    QVERIFY(guard.due(at()).isEmpty());
    guard.setBundles({{site, {next.rootDer()}}});
    const auto kicks = guard.due(at());
    QCOMPARE(kicks.size(), 1);
    QCOMPARE(kicks.first().reason, KickReason::RootRemoved);
    QCOMPARE(kicks.first().clientId, std::string(kSensorClient));
    QVERIFY(guard.mayAct(&otherClient, qPrintable(other), Action::Publish, "spBv1.0/building-1/NDATA/hvac-002", at()));
    // Whose handshake was before and whose CONNECT comes now.
    const auto late = guard.connect(&m_client, *byOld, kSensorClient, u"x"_s, at());
    QVERIFY(!late && late.error().message.contains(u"taken out"_s));
    QVERIFY(guard.connect(&otherClient, *byNew, "building-1~smart~local:agent:hvac-002", u"x"_s, at()));
    m_lines.clear();
}

void TestBrokerGuard::retained_isAHostsStateOnly()
{
    BrokerGuard guard(m_log);
    BrokerRoles all = roles();
    all.hosts = {{*SpiffeId::parse(u"spiffe://building-1.smart.local/agent/gateway"),
                  u"gateway-1"_s,
                  {false, {u"building-1"_s}}}};
    makeGuard(guard);
    guard.setRoles(all);
    const auto gateway = u"spiffe://building-1.smart.local/agent/gateway"_s;
    int host = 0;
    QVERIFY(guard.connect(&m_client, peer(), kSensorClient, u"x"_s, at()));
    QVERIFY(guard.connect(&host, peer(gateway), "building-1~smart~local:agent:gateway", u"x"_s, at()));
    const auto state = "spBv1.0/STATE/gateway-1";
    QVERIFY(guard.mayAct(&host, qPrintable(gateway), Action::Publish, state, at(), true));
    QVERIFY(guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, kData, at(), false));
    QVERIFY(!guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, kData, at(), true));
    QVERIFY(!guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish,
                          "lintel/v1/req/building-1~smart~local:agent:gateway/building-1~smart~local:agent:hvac-001/1",
                          at(), true));
    QVERIFY(!guard.mayAct(&host, qPrintable(gateway), Action::Publish, "spBv1.0/building-1/NCMD/hvac-001", at(), true));
    // What somebody receives may well have been kept.
    QVERIFY(guard.mayAct(&m_client, qPrintable(kSensor), Action::Receive, state, at(), true));
    // The source of a retained message, asked of a made-up client.
    int madeUp = 0;
    QVERIFY(guard.mayAct(&madeUp, qPrintable(gateway), Action::Publish, state, at(), true));
    QVERIFY(!guard.mayAct(&madeUp, qPrintable(kSensor), Action::Publish, kData, at(), true));
    m_lines.clear();
}

void TestBrokerGuard::roles_changeLiveSessions()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    QVERIFY(guard.connect(&m_client, peer(), kSensorClient, u"x"_s, at()));
    QVERIFY(guard.due(at()).isEmpty());
    BrokerRoles moved = roles();
    moved.sensors.first().site = u"annex"_s;
    guard.setRoles(moved);
    QVERIFY(guard.due(at()).isEmpty());
    QVERIFY(!guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, kData, at()));
    QVERIFY(guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, "spBv1.0/annex/NDATA/hvac-001", at()));
    guard.setRoles({});
    QCOMPARE(guard.due(at()).value(0).reason, KickReason::NoRole);
    guard.setRoles(roles());
    guard.setBundles({});
    QCOMPARE(guard.due(at()).value(0).reason, KickReason::DomainRemoved);
    m_lines.clear();
}

void TestBrokerGuard::denials_areLoggedOnceAMinute()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    QVERIFY(guard.connect(&m_client, peer(), kSensorClient, u"x"_s, at()));
    const auto tryOnce = [&] {
        return guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, "spBv1.0/STATE/gateway-1", at());
    };
    m_lines.clear();
    for (int i = 0; i < 100; ++i)
        QVERIFY(!tryOnce());
    QCOMPARE(m_lines.size(), 1);
    m_clock.advance(std::chrono::minutes{1});
    QVERIFY(!tryOnce());
    QCOMPARE(m_lines.size(), 2);
    QVERIFY(m_lines.last().contains(u"101"_s));
    QCOMPARE(guard.counters().denied[size_t(Action::Publish)], 101u);
    m_lines.clear();
}

void TestBrokerGuard::status_printsAndParses()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    QVERIFY(guard.connect(&m_client, peer(), kSensorClient, u"x"_s, at()));
    QVERIFY(guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, kData, at()));
    QVERIFY(!guard.connect(nullptr, std::nullopt, "", u"x"_s, at()));
    guard.setDenyList({domain(u"building-1.smart.local"), 7, {}, {}});
    const BrokerStatus status = statusOf(guard, m_clock.now());
    const auto parsed = parseStatus(printStatus(status));
    QVERIFY(parsed);
    QVERIFY(*parsed == status);
    QCOMPARE(parsed->denyLists.value(u"building-1.smart.local"_s), 7u);
    QCOMPARE(parsed->principals.value(kSensor).lastAccepted, m_clock.now());
    QCOMPARE(parsed->sessions, 1u);
    QVERIFY(!parseStatus("{}"));
    QVERIFY(!parseStatus(printStatus(status).replace("\"published\":1", "\"published\":-1")));
    QVERIFY(!parseStatus(printStatus(status).replace("\"client_id\"", "\"klient_id\"")));
    m_lines.clear();
}

void TestBrokerGuard::status_ofAPluginThatToldNoRefusalsIsRead()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    QVERIFY(!guard.connect(nullptr, std::nullopt, "client-7", u"192.0.2.7"_s, at()));
    const QByteArray now = printStatus(statusOf(guard, m_clock.now()));
    const auto parsed = parseStatus(now);
    QVERIFY(parsed);
    QCOMPARE(parsed->refusals.size(), 1);
    QJsonObject before = QJsonDocument::fromJson(now).object();
    before.remove(u"refusals"_s);
    const auto old = parseStatus(QJsonDocument(before).toJson());
    QVERIFY(old);
    QVERIFY(old->refusals.isEmpty());
    QCOMPARE(old->counters.refused[size_t(Refusal::NoCertificate)], 1u);
    QJsonObject kicked = before.value(u"kicked"_s).toObject();
    QVERIFY(kicked.contains(u"root_removed"_s));
    kicked.remove(u"root_removed"_s); // it knew of no such reason
    before.insert(u"kicked"_s, kicked);
    QVERIFY(parseStatus(QJsonDocument(before).toJson()));
    kicked.remove(u"denied"_s);
    before.insert(u"kicked"_s, kicked);
    QVERIFY(!parseStatus(QJsonDocument(before).toJson()));
    before = QJsonDocument::fromJson(now).object();

    QVERIFY(!parseStatus(QByteArray(now).replace("\"cause\":\"no_certificate\"", "\"cause\":\"mood\"")));
    QVERIFY(!parseStatus(QByteArray(now).replace("\"count\":1", "\"count\":\"often\"")));
    QJsonArray many;
    for (int i = 0; i <= RefusalList::kMost; ++i)
        many.append(QJsonDocument::fromJson(now).object().value(u"refusals"_s).toArray().first());
    before.insert(u"refusals"_s, many);
    QVERIFY(!parseStatus(QJsonDocument(before).toJson()));
    m_lines.clear();
}

void TestBrokerGuard::refusals_sayWhoAndWhyAndHowOften()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    const auto impostor = *tls::Pki::create(domain(u"building-1.smart.local"), m_clock.now());
    const auto forged = *impostor.issue(*SpiffeId::parse(kSensor), tls::Pki::kMinTtl, m_clock.now());
    const Timestamp first = m_clock.now();
    for (int i = 0; i < 3; ++i) {
        QVERIFY(!guard.verifyChain(forged.chainDer, u"192.0.2.%1"_s.arg(i), m_clock.now()));
        m_clock.advance(std::chrono::seconds{5});
    }
    QVERIFY(!guard.connect(nullptr, peer(), "another", u"192.0.2.9"_s, at()));
    const QList<RefusedClient> refused = guard.latestRefusals();
    QCOMPARE(refused.size(), 2);
    // The certificate is good, the name is not: that one is known to be who it is.
    QCOMPARE(refused[0].who, kSensor);
    QCOMPARE(refused[0].cause, Refusal::ClientId);
    QVERIFY(refused[0].isProved);
    QVERIFY2(refused[0].why.contains(u"\"another\""_s), qPrintable(refused[0].why));
    QCOMPARE(refused[1].who, kSensor);
    QCOMPARE(refused[1].cause, Refusal::NotTrusted);
    QVERIFY(!refused[1].isProved);
    QCOMPARE(refused[1].count, 3u);
    QCOMPARE(refused[1].firstAt, first);
    QCOMPARE(refused[1].lastAt, first + std::chrono::seconds{10});
    QCOMPARE(refused[1].from, u"192.0.2.2"_s);
    m_lines.clear();
}

void TestBrokerGuard::refusals_ofStrangersPushOutNobodyWhoIsKnown()
{
    RefusalList list;
    const auto add = [&list](const QString &who, const QString &from, bool isProved, int second) {
        list.add({Refusal::Denied, who, isProved, from, u"why"_s, {}, Timestamp{} + std::chrono::seconds{second}, 0});
    };
    add(u"known"_s, u"192.0.2.1"_s, true, 0);
    add(u"a stranger elsewhere"_s, u"192.0.2.2"_s, false, 1);
    for (int i = 0; i < 500; ++i)
        add(u"flood %1"_s.arg(i), u"192.0.2.66"_s, false, 10 + i);
    QList<RefusedClient> latest = list.latest();
    QCOMPARE(latest.size(), RefusalList::kMost);
    const auto has = [&latest](const QString &who) {
        return std::ranges::any_of(latest, [&who](const RefusedClient &one) { return one.who == who; });
    };
    QVERIFY(has(u"known"_s));
    QVERIFY(has(u"a stranger elsewhere"_s));
    QVERIFY(has(u"flood 499"_s));
    QVERIFY(!has(u"flood 0"_s));
    // Only those who are known: then the oldest goes.
    RefusalList known;
    list = known;
    for (int i = 0; i <= RefusalList::kMost; ++i)
        add(u"known %1"_s.arg(i), u"192.0.2.%1"_s.arg(i), true, i);
    latest = list.latest();
    QCOMPARE(latest.size(), RefusalList::kMost);
    QVERIFY(!has(u"known 0"_s) && has(u"known 1"_s));
}

void TestBrokerGuard::refusals_showWhatAStrangerWroteOnOneShortLine()
{
    RefusalList list;
    list.add({Refusal::BadCertificate,
              u"a\nb"_s + QString(5'000, u'x'),
              false,
              u"192.0.2.1"_s,
              QString(5'000, u'y') + u"\x1b[31m"_s,
              {},
              Timestamp{},
              0});
    const RefusedClient refused = list.latest().value(0);
    QVERIFY(refused.who.startsWith(u"a?bxxx"_s));
    QVERIFY(refused.who.size() <= RefusalList::kMostWho);
    QVERIFY(refused.why.size() <= RefusalList::kMostWhy && !refused.why.contains(QChar(0x1b)));
}

void TestBrokerGuard::files_bundleWithALowerSequenceIsRefused()
{
    QTemporaryDir dir;
    const auto write = [&](const QList<QByteArray> &roots, quint64 sequence) {
        tls::BundleDocument document;
        document.x509Authorities = roots;
        document.sequence = sequence;
        QVERIFY(tls::writePublicFile(dir.filePath(u"building-1.smart.local.json"_s), *tls::printBundle(document)));
    };
    const auto other = *tls::Pki::create(domain(u"building-1.smart.local"), m_clock.now());
    TrustFiles files(dir.path(), m_log);
    write({m_pki.rootDer(), other.rootDer()}, 5);
    QVERIFY(files.refresh());
    QVERIFY(!files.refresh());
    QCOMPARE(files.bundles().value(m_pki.domain()).size(), 2);
    write({m_pki.rootDer()}, 4);
    QVERIFY(!files.refresh());
    QVERIFY(m_lines.last().contains(u"not used"_s));
    QCOMPARE(files.bundles().value(m_pki.domain()).size(), 2);
    QVERIFY(tls::writePublicFile(dir.filePath(u"building-1.smart.local.json"_s), "broken"));
    QVERIFY(!files.refresh());
    write({other.rootDer()}, 6);
    QVERIFY(files.refresh());
    QCOMPARE(files.bundles().value(m_pki.domain()), QList<QByteArray>{other.rootDer()});
    // Roots alone, for a site whose identities come from files; and what is no bundle.
    QVERIFY(
        tls::writePublicFile(dir.filePath(u"smart-building.cloud.pem"_s), tls::certificatesToPem({m_pki.rootDer()})));
    for (const QString &own : {tls::svidFileName(), u"broker.pem"_s})
        QVERIFY(tls::writePublicFile(dir.filePath(own), tls::certificatesToPem({m_pki.rootDer()})));
    QVERIFY(files.refresh());
    QCOMPARE(files.bundles().size(), 2);
    QVERIFY(QFile::remove(dir.filePath(u"building-1.smart.local.json"_s)));
    QVERIFY(files.refresh());
    QCOMPARE(files.bundles().keys(), QList<TrustDomain>{domain(u"smart-building.cloud")});
    QVERIFY(dir.remove()); // a disk that went away ends no session
    QVERIFY(!files.refresh());
    QVERIFY(!files.refresh());
    QVERIFY(m_lines.last().contains(u"is gone"_s));
    QCOMPARE(files.bundles().size(), 1);
    m_lines.clear();
}

void TestBrokerGuard::files_denyListIsKeptOverARestart()
{
    QTemporaryDir dir;
    QTemporaryDir state;
    const auto here = domain(u"building-1.smart.local");
    const auto key = *tls::signingKeyFrom(*tls::newSoftwareKey());
    const auto stranger = *tls::signingKeyFrom(*tls::newSoftwareKey());
    const tls::JwtBundles keys{{here, {{u"k1"_s, key->publicKeyDer()}}}};
    const auto write = [&](quint64 sequence, const SigningKey &signer, const TrustDomain &issuer) {
        tls::DenyEntry entry;
        entry.id = *SpiffeId::parse(u"spiffe://%1/agent/hvac-001"_s.arg(issuer.name()));
        entry.reason = u"lost"_s;
        const tls::DenyList list{issuer, sequence, m_clock.now(), {entry}};
        const auto bytes = tls::signDenyList(list, u"k1"_s, signer);
        QVERIFY(bytes);
        QVERIFY(tls::writePublicFile(dir.filePath(DenyFiles::fileName(here)), *bytes));
    };
    DenyFiles files(dir.path(), state.path(), m_log);
    QVERIFY(files.refresh(keys, true).isEmpty());
    write(3, *key, here);
    const auto fresh = files.refresh(keys, false);
    QCOMPARE(fresh.size(), 1);
    QCOMPARE(fresh.first().sequence, 3u);
    QVERIFY(files.refresh(keys, false).isEmpty());
    QVERIFY(files.refresh(keys, true).isEmpty()); // judged again, the same
    m_lines.clear();
    write(2, *key, here);
    QVERIFY(files.refresh(keys, false).isEmpty());
    QCOMPARE(m_lines.size(), 1);
    write(4, *stranger, here);
    QVERIFY(files.refresh(keys, false).isEmpty());
    write(5, *key, domain(u"smart-building.cloud"));
    QVERIFY(files.refresh(keys, false).isEmpty());
    QVERIFY(tls::writePublicFile(dir.filePath(DenyFiles::fileName(here)), "not a list"));
    QVERIFY(files.refresh(keys, false).isEmpty());
    QCOMPARE(m_lines.size(), 4);

    // A restart with an older list lying there: the one that was accepted counts.
    write(2, *key, here);
    DenyFiles again(dir.path(), state.path(), m_log);
    const auto remembered = again.refresh(keys, true);
    QCOMPARE(remembered.size(), 1);
    QCOMPARE(remembered.first().sequence, 3u);
    // A list that came before the keys that signed it.
    QTemporaryDir otherState;
    DenyFiles early(dir.path(), otherState.path(), m_log);
    QVERIFY(early.refresh({{here, {}}}, true).isEmpty());
    QCOMPARE(early.refresh(keys, true).size(), 1);
    m_lines.clear();
}

void TestBrokerGuard::service_startsOnlyWithRoles()
{
    QTemporaryDir dir;
    PluginOptions options;
    options.bundlesDir = dir.path();
    options.rolesFile = dir.filePath(u"roles.json"_s);
    options.statusFile = dir.filePath(u"status.json"_s);
    const auto noIdentity = [](const QByteArray &, const QByteArray &) { return Result<void>(); };
    {
        PluginService service(options, m_clock, m_log, noIdentity);
        QVERIFY(!service.start());
        QVERIFY(tls::writePublicFile(options.rolesFile, "{}"));
        QVERIFY(!service.start());
    }
    QVERIFY(tls::writePublicFile(options.rolesFile, printRoles(roles())));
    PluginService service(options, m_clock, m_log, noIdentity);
    QVERIFY(service.start());
    QVERIFY(service.tick().isEmpty());
    QVERIFY(parseStatus(*tls::readWholeFile(options.statusFile)));
    // Roles that are broken later leave the good ones in place.
    QVERIFY(service.guard().connect(&m_client, peer(), kSensorClient, u"x"_s, at()));
    QVERIFY(
        tls::writePublicFile(dir.filePath(u"building-1.smart.local.pem"_s), tls::certificatesToPem({m_pki.rootDer()})));
    QVERIFY(tls::writePublicFile(options.rolesFile, "{broken"));
    m_clock.advance(std::chrono::milliseconds{60});
    QVERIFY(service.tick().isEmpty());
    QVERIFY(service.guard().mayAct(&m_client, qPrintable(kSensor), Action::Publish, kData, at()));
    m_lines.clear();
}

QTEST_GUILESS_MAIN(TestBrokerGuard)
#include "tst_broker_guard.moc"

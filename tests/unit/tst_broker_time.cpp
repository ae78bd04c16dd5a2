// What time the broker's plugin believes it is, and what becomes of sessions, while the wall clock jumps about.
#include "broker-plugin/judging_time.h"
#include "broker-plugin/plugin_service.h"
#include "fakes/fake_clock.h"
#include "tls/file_key_store.h"
#include "tls/identity_files.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include <QTemporaryDir>
#include <QtTest>

using namespace lintel;
using namespace lintel::broker;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {
const auto kSensor = u"spiffe://building-1.smart.local/agent/hvac-001"_s;
const auto kSensorClient = "building-1~smart~local:agent:hvac-001";
const auto kBroker = u"spiffe://building-1.smart.local/broker"_s;
const auto kData = "spBv1.0/building-1/NDATA/hvac-001";
constexpr std::chrono::hours kYear{24 * 365};

TrustDomain domain(QStringView name)
{
    return *TrustDomain::parse(name);
}
} // namespace

class TestBrokerTime : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init()
    {
        m_lines.clear();
        m_clock.setNow(m_begin);
    }

    void time_followsAClockThatIsRight();
    void time_isNeverAheadOfAClockThatIsRight();
    void clockSetBack_isNotBelieved();
    void clockSetBack_isBelievedAfterAnHourWhenNothingSignedTellsBetter();
    void clockSetBack_isToldOnceAndWhenItIsOver();
    void yearAheadForAMinute_isForgottenAtOnce();
    void yearAheadForAMinute_isForgottenWithTheNextCertificate();
    void signedTime_holdsUnderAClockThatWasNeverSet();
    void newCertificate_takesBackWhatAWrongAuthoritySaid();
    void sameCertificate_isNoNews();
    void listOfTheFuture_countsForNothing();
    void listOfTheNearFuture_countsUntilTheCertificateEnds();

    void session_endsWhenItsLifeHasPassedThoughTheClockWentBack();
    void session_endsWhenTheClockSaysSo();
    void session_thatIsOverSaysNothingMoreBeforeItIsEnded();
    void session_mayLastForEver();

    void service_takesTimeFromItsOwnDomainOnly();
    void service_isNotLockedOutByAListOfTheFuture();
    void service_takesTimeFromEachNewCertificate();

private:
    static BrokerRoles roles()
    {
        BrokerRoles all;
        all.sensors = {{domain(u"building-1.smart.local"), u"building-1"_s, {u"gateway-1"_s}}};
        return all;
    }
    Peer peer(Millis left) const
    {
        return {*SpiffeId::parse(kSensor), u"0A"_s, m_clock.now() - 1min, m_clock.now() + left};
    }
    /// The clock alone, with nothing that corrects it.
    Moment raw() const { return {m_clock.now(), std::chrono::floor<Millis>(m_clock.monotonic())}; }
    void makeGuard(BrokerGuard &guard) const
    {
        guard.setRoles(roles());
        guard.setBundles({{domain(u"building-1.smart.local"), {m_pki.rootDer()}}});
    }
    bool publishes(BrokerGuard &guard)
    {
        return guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, kData, raw());
    }

    FakeClock m_clock;
    const Timestamp m_begin = m_clock.now();
    QStringList m_lines;
    std::function<void(const QString &)> m_log = [this](const QString &line) { m_lines.append(line); };
    tls::Pki m_pki = *tls::Pki::create(domain(u"building-1.smart.local"), m_begin);
    int m_client = 0; // its address stands for the broker's client
};

void TestBrokerTime::time_followsAClockThatIsRight()
{
    JudgingTime time(m_clock, m_log);
    QCOMPARE(time.now().time, m_clock.now());
    m_clock.advance(90s);
    QCOMPARE(time.now().time, m_clock.now());
    m_clock.setNow(m_clock.now() + 20min); // set right
    QCOMPARE(time.now().time, m_clock.now());
    QCOMPARE(time.now().running, std::chrono::floor<Millis>(m_clock.monotonic()));
    QVERIFY(m_lines.isEmpty());
}

void TestBrokerTime::time_isNeverAheadOfAClockThatIsRight()
{
    // Two clocks whose milliseconds begin at different moments.
    struct Uneven : Clock {
        std::chrono::nanoseconds passed{0};
        [[nodiscard]] Timestamp now() const override
        {
            return Timestamp{} + std::chrono::floor<Millis>(std::chrono::hours{1} + passed);
        }
        [[nodiscard]] std::chrono::nanoseconds monotonic() const override { return passed + 900us; }
    } clock;
    JudgingTime time(clock, m_log);
    for (int i = 0; i < 1'000; ++i) {
        QCOMPARE(time.now().time, clock.now());
        clock.passed += 130us;
    }
}

void TestBrokerTime::clockSetBack_isNotBelieved()
{
    JudgingTime time(m_clock, m_log);
    const Timestamp before = time.now().time;
    m_clock.setNow(before - 2h);
    QCOMPARE(time.now().time, before);
    m_clock.advance(50min);
    QCOMPARE(time.now().time, before + 50min);
    m_clock.setNow(before - kYear); // and once more
    QCOMPARE(time.now().time, before + 50min);
}

void TestBrokerTime::clockSetBack_isBelievedAfterAnHourWhenNothingSignedTellsBetter()
{
    JudgingTime time(m_clock, m_log);
    const Timestamp before = time.now().time;
    m_clock.setNow(before - 2h);
    (void)time.now();
    m_clock.advance(JudgingTime::kBelieveBefore - 1s);
    QCOMPARE(time.now().time, before + JudgingTime::kBelieveBefore - 1s);
    m_clock.advance(1s);
    QCOMPARE(time.now().time, m_clock.now());

    // Something signed does: it holds for as long as the broker runs.
    JudgingTime knowing(m_clock, m_log);
    knowing.takeCertificate(m_clock.now() - 1min, m_clock.now() + 24h);
    const Timestamp known = knowing.now().time;
    m_clock.setNow(known - 10h);
    (void)knowing.now();
    m_clock.advance(5h);
    QCOMPARE(knowing.now().time, known + 5h - 1min);
}

void TestBrokerTime::clockSetBack_isToldOnceAndWhenItIsOver()
{
    JudgingTime time(m_clock, m_log);
    const Timestamp before = time.now().time;
    m_clock.setNow(before - 2s); // NTP steps a little; nobody wants to read of that
    QCOMPARE(time.now().time, before);
    QVERIFY(m_lines.isEmpty());
    m_clock.setNow(before - 1h);
    (void)time.now();
    (void)time.now();
    QCOMPARE(m_lines.size(), 1);
    QVERIFY2(m_lines.first().contains(u"went back by 3600 s"_s), qPrintable(m_lines.first()));
    m_clock.setNow(before + 1s);
    (void)time.now();
    (void)time.now();
    QCOMPARE(m_lines.size(), 2);
}

void TestBrokerTime::yearAheadForAMinute_isForgottenAtOnce()
{
    JudgingTime time(m_clock, m_log);
    time.takeCertificate(m_begin - 1min, m_begin + 1h);
    (void)time.now();
    m_clock.setNow(m_clock.now() + kYear);
    m_clock.advance(1min);
    QCOMPARE(time.now().time, m_clock.now()); // it could be: refused is the safe side
    m_clock.setNow(m_clock.now() - kYear);
    QCOMPARE(time.now().time, m_clock.now()); // but nobody would believe this broker in a year
    m_clock.advance(1s);
    QCOMPARE(time.now().time, m_clock.now());
}

void TestBrokerTime::yearAheadForAMinute_isForgottenWithTheNextCertificate()
{
    // A broker certificate of many years: whether the year ahead was wrong cannot be told by it.
    JudgingTime time(m_clock, m_log);
    time.takeCertificate(m_begin - 1min, m_begin + 10 * kYear);
    m_clock.setNow(m_clock.now() + kYear);
    (void)time.now();
    m_clock.setNow(m_clock.now() - kYear);
    QVERIFY(time.now().time > m_clock.now() + kYear - 1min);
    m_clock.advance(10s);
    time.takeCertificate(m_clock.now() - 1min, m_clock.now() + 1h);
    QCOMPARE(time.now().time, m_clock.now());
}

void TestBrokerTime::signedTime_holdsUnderAClockThatWasNeverSet()
{
    const Timestamp real = m_clock.now();
    m_clock.setNow(fromEpochMillis(5'000)); // 1970
    JudgingTime time(m_clock, m_log);
    QCOMPARE(time.now().time, fromEpochMillis(5'000));
    time.takeSigned(real - 24h);
    time.takeCertificate(real - 20min, real + 40min);
    QCOMPARE(time.now().time, real - 20min);
    m_clock.advance(10min);
    QCOMPARE(time.now().time, real - 10min);
    time.takeSigned(real - 5min); // someone was revoked
    QCOMPARE(time.now().time, real - 5min);
    time.takeSigned(real - 24h); // an old list, whose key was not here before
    QCOMPARE(time.now().time, real - 5min);
}

void TestBrokerTime::newCertificate_takesBackWhatAWrongAuthoritySaid()
{
    JudgingTime time(m_clock, m_log);
    time.takeCertificate(m_begin - 1min, m_begin + 1h);
    time.takeSigned(m_begin + kYear);
    time.takeCertificate(m_begin + kYear, m_begin + kYear + 1h);
    QVERIFY(time.now().time >= m_begin + kYear);
    m_clock.advance(5min);
    time.takeCertificate(m_clock.now() - 1min, m_clock.now() + 1h);
    QCOMPARE(time.now().time, m_clock.now());
}

void TestBrokerTime::sameCertificate_isNoNews()
{
    JudgingTime time(m_clock, m_log);
    time.takeCertificate(m_begin - 1min, m_begin + 24h);
    const Timestamp before = time.now().time;
    m_clock.setNow(before - 10h);
    (void)time.now();
    m_clock.advance(30min);
    time.takeCertificate(m_begin - 1min, m_begin + 24h); // the file was touched
    QCOMPARE(time.now().time, before + 30min);
}

void TestBrokerTime::session_endsWhenItsLifeHasPassedThoughTheClockWentBack()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    QVERIFY(guard.connect(&m_client, peer(10min), kSensorClient, u"x"_s, raw()));
    m_clock.setNow(m_clock.now() - kYear);
    m_clock.advance(10min - 1ms);
    QVERIFY(guard.due(raw()).isEmpty());
    QVERIFY(publishes(guard));
    m_clock.advance(1ms);
    const auto kicks = guard.due(raw());
    QCOMPARE(kicks.size(), 1);
    QCOMPARE(kicks.first().reason, KickReason::Expired);

    // The second one's end is the first to come.
    int other = 0;
    guard.disconnected(&m_client);
    QVERIFY(guard.connect(&m_client, peer(1h), kSensorClient, u"x"_s, raw()));
    QVERIFY(guard.connect(&other, peer(1min), kSensorClient, u"x"_s, raw()));
    QVERIFY(guard.due(raw()).isEmpty());
    m_clock.setNow(m_clock.now() - kYear);
    m_clock.advance(1min);
    QCOMPARE(guard.due(raw()).size(), 1);
    guard.disconnected(&other);
    QVERIFY(guard.due(raw()).isEmpty());
    m_clock.advance(59min);
    QCOMPARE(guard.due(raw()).size(), 1);

    // And the first one's, when it was there before the second.
    guard.disconnected(&m_client);
    QVERIFY(guard.connect(&other, peer(1min), kSensorClient, u"x"_s, raw()));
    QVERIFY(guard.connect(&m_client, peer(1h), kSensorClient, u"x"_s, raw()));
    m_clock.setNow(m_clock.now() - kYear);
    m_clock.advance(1min);
    QCOMPARE(guard.due(raw()).size(), 1);
}

void TestBrokerTime::session_endsWhenTheClockSaysSo()
{
    // Let in while the clock was behind: its life on the other clock is too long.
    BrokerGuard guard(m_log);
    makeGuard(guard);
    const Peer sensor = peer(1h);
    m_clock.setNow(m_begin - 5h);
    QVERIFY(guard.connect(&m_client, sensor, kSensorClient, u"x"_s, raw()));
    QVERIFY(guard.due(raw()).isEmpty());
    m_clock.setNow(sensor.notAfter);
    QCOMPARE(guard.due(raw()).size(), 1);
}

void TestBrokerTime::session_thatIsOverSaysNothingMoreBeforeItIsEnded()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    QVERIFY(guard.connect(&m_client, peer(10min), kSensorClient, u"x"_s, raw()));
    QVERIFY(publishes(guard));
    m_clock.advance(10min); // suspended: what the client sends next comes before the plugin looks
    QVERIFY(!publishes(guard));
    QVERIFY(!guard.mayAct(&m_client, qPrintable(kSensor), Action::Receive, "spBv1.0/STATE/gateway-1", raw()));
    QCOMPARE(guard.counters().published, 1u);
    QCOMPARE(guard.counters().denied[size_t(Action::Publish)], 1u);
    // Its will is taken once it is gone: the others must see that.
    QCOMPARE(guard.due(raw()).size(), 1);
    guard.disconnected(&m_client);
    QVERIFY(guard.mayAct(&m_client, qPrintable(kSensor), Action::Publish, "spBv1.0/building-1/NDEATH/hvac-001", raw()));
}

void TestBrokerTime::session_mayLastForEver()
{
    BrokerGuard guard(m_log);
    makeGuard(guard);
    Peer sensor = peer(1h);
    sensor.notAfter = fromEpochMillis(253'402'300'799'000); // 9999-12-31: RFC 5280 section 4.1.2.5's "no end"
    QVERIFY(guard.connect(&m_client, sensor, kSensorClient, u"x"_s, raw()));
    m_clock.advance(10 * kYear);
    QVERIFY(guard.due(raw()).isEmpty());
    QVERIFY(publishes(guard));
}

void TestBrokerTime::listOfTheFuture_countsForNothing()
{
    // The authority's clock was days ahead when somebody was revoked.
    JudgingTime time(m_clock, m_log);
    time.takeCertificate(m_begin - 1min, m_begin + 1h);
    time.takeSigned(m_begin + 72h);
    QCOMPARE(time.now().time, m_begin);
    time.takeSigned(m_begin + 10min);
    QCOMPARE(time.now().time, m_begin + 10min);
    time.takeSigned(m_begin + 72h); // and takes nothing from what is known
    QCOMPARE(time.now().time, m_begin + 10min);

    // The list first: the certificate tells what it is worth.
    JudgingTime other(m_clock, m_log);
    other.takeSigned(m_begin + 72h);
    other.takeCertificate(m_begin - 1min, m_begin + 1h);
    QCOMPARE(other.now().time, m_begin);
}

void TestBrokerTime::listOfTheNearFuture_countsUntilTheCertificateEnds()
{
    JudgingTime time(m_clock, m_log);
    time.takeCertificate(m_begin - 1min, m_begin + 1h);
    time.takeSigned(m_begin + 59min);
    QCOMPARE(time.now().time, m_begin + 59min);
    m_clock.advance(1min);
    QCOMPARE(time.now().time, m_clock.now());
    // What the certificate itself tells has no end.
    m_clock.setNow(m_begin - 24h);
    m_clock.advance(3h);
    QCOMPARE(time.now().time, m_begin + 3h);
}

namespace {
struct Files {
    QTemporaryDir dir;
    PluginOptions options;
    std::shared_ptr<SigningKey> key = *tls::signingKeyFrom(*tls::newSoftwareKey());

    explicit Files(const BrokerRoles &roles)
    {
        options.bundlesDir = dir.filePath(u"bundles"_s);
        options.denyListsDir = dir.filePath(u"deny"_s);
        options.rolesFile = dir.filePath(u"roles.json"_s);
        options.certificateFile = dir.filePath(tls::svidFileName());
        options.keyFile = dir.filePath(u"svid.key"_s);
        for (const QString &folder : {options.bundlesDir, options.denyListsDir})
            QDir().mkpath(folder);
        check(tls::writePublicFile(options.rolesFile, printRoles(roles)));
        for (const auto &name : {u"building-1.smart.local"_s, u"smart-building.cloud"_s}) {
            tls::BundleDocument document;
            document.jwtAuthorities = {{u"k1"_s, key->publicKeyDer()}};
            document.sequence = 1;
            check(tls::writePublicFile(u"%1/%2.json"_s.arg(options.bundlesDir, name), *tls::printBundle(document)));
        }
    }
    static void check(const Result<void> &written) { QVERIFY(written); }
    void writeCertificate(const X509Svid &svid) const { check(tls::writeIdentity(dir.path(), svid, TrustBundles())); }
    void writeDenyList(const QString &issuer, Timestamp at) const
    {
        const tls::DenyList list{domain(issuer), 1, at, {}};
        check(tls::writePublicFile(u"%1/%2.jws"_s.arg(options.denyListsDir, issuer),
                                   *tls::signDenyList(list, u"k1"_s, *key)));
    }
};
const auto noIdentity = [](const QByteArray &, const QByteArray &) { return Result<void>(); };
} // namespace

void TestBrokerTime::service_takesTimeFromItsOwnDomainOnly()
{
    Files files(roles());
    files.writeCertificate(*m_pki.issue(*SpiffeId::parse(kBroker), tls::Pki::kMinTtl, m_begin));
    files.writeDenyList(u"smart-building.cloud"_s, m_begin + kYear); // a partner cannot lock out our devices
    PluginService service(files.options, m_clock, m_log, noIdentity);
    QVERIFY(service.start());
    QCOMPARE(service.guard().denyLists().size(), 1);
    QCOMPARE(service.now().time, m_begin);
    files.writeDenyList(u"building-1.smart.local"_s, m_begin + 30min);
    m_clock.advance(60ms);
    QVERIFY(service.tick().isEmpty());
    QCOMPARE(service.guard().denyLists().size(), 2);
    QCOMPARE(service.now().time, m_begin + 30min);
}

void TestBrokerTime::service_isNotLockedOutByAListOfTheFuture()
{
    Files files(roles());
    files.options.stateDir = files.dir.filePath(u"state"_s);
    files.writeCertificate(*m_pki.issue(*SpiffeId::parse(kBroker), tls::Pki::kMinTtl, m_begin));
    files.writeDenyList(u"building-1.smart.local"_s, m_begin + 72h);
    for (int run = 0; run < 2; ++run) { // the second finds it in its state as well
        PluginService service(files.options, m_clock, m_log, noIdentity);
        QVERIFY(service.start());
        QCOMPARE(service.guard().denyLists().size(), 1); // who is in it stays out
        QCOMPARE(service.now().time, m_begin);
    }
}

void TestBrokerTime::service_takesTimeFromEachNewCertificate()
{
    Files files(roles());
    const auto first = *m_pki.issue(*SpiffeId::parse(kBroker), tls::Pki::kMinTtl, m_begin);
    files.writeCertificate(first);
    m_clock.setNow(fromEpochMillis(0));
    bool isUsable = true;
    PluginService service(files.options, m_clock, m_log, [&](const QByteArray &, const QByteArray &) {
        return isUsable ? Result<void>() : Result<void>(Error{Errc::Malformed, u"not this one"_s});
    });
    QVERIFY(service.start());
    QCOMPARE(service.now().time, first.notBefore);
    const auto second = *m_pki.issue(*SpiffeId::parse(kBroker), tls::Pki::kMinTtl, m_begin + 30min);
    isUsable = false;
    files.writeCertificate(second);
    m_clock.advance(60ms);
    QVERIFY(service.tick().isEmpty());
    QCOMPARE(service.now().time, first.notBefore + 60ms);
    isUsable = true;
    files.writeCertificate(second);
    m_clock.advance(60ms);
    QVERIFY(service.tick().isEmpty());
    QCOMPARE(service.now().time, second.notBefore);
}

QTEST_GUILESS_MAIN(TestBrokerTime)
#include "tst_broker_time.moc"

// Lintel's plugin in a real mosquitto whose clock is wrong. The clients' clock is right.
#include "domain/principal.h"
#include "fakes/guarded_broker.h"
#include "fakes/mosquitto_client.h"

#include <QtTest>

using namespace lintel;
using namespace lintel::broker;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {
constexpr int kWait = 40'000;
constexpr int kAdministrative = 0x98; // MQTT 5.0 section 2.4
constexpr std::chrono::hours kYear{24 * 365};

QString sensorId(const QString &name)
{
    return u"spiffe://building-1.smart.local/agent/"_s + name;
}
} // namespace

class TestBrokerClock : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init();

    void clockSetBack_bringsNoCertificateBack();
    void clockOf1970_letsInWhoIsGoodAndNobodyElse();
    void suspend_countsAsLife();
    void yearAheadForAMoment_endsSessionsThatThenComeBack();

private:
    void start()
    {
        const auto started = m_broker->start();
        QVERIFY2(started, started ? "" : qPrintable(started.error().message));
    }
    std::unique_ptr<MosquittoClient> client(const QString &id, const QString &identityDir)
    {
        MosquittoClient::Options options;
        options.port = m_broker->port();
        options.identityDir = identityDir;
        options.trustFile = m_broker->trustFile();
        options.clientId = Principal(*SpiffeId::parse(id)).toString().toUtf8();
        return std::make_unique<MosquittoClient>(std::move(options));
    }
    [[nodiscard]] qsizetype logCount(const QByteArray &text) const { return m_broker->log().count(text); }

    std::unique_ptr<GuardedBroker> m_broker;
};

void TestBrokerClock::init()
{
    GuardedBroker::Options options;
    options.hasOwnClock = true;
    options.roles.sensors = {{*TrustDomain::parse(u"building-1.smart.local"), u"building-1"_s, {u"gateway-1"_s}}};
    m_broker = std::make_unique<GuardedBroker>(options);
}

void TestBrokerClock::clockSetBack_bringsNoCertificateBack()
{
    start();
    const QString id = sensorId(u"hvac-001"_s);
    const QString dir = m_broker->identityDir(id, 15s); // a busy machine connects within that
    const auto one = client(id, dir);
    QCOMPARE(one->connect(), 0);
    m_broker->shiftClock(-30min);
    QTRY_VERIFY_WITH_TIMEOUT(
        logCount("The clock went back by 1800 s") == 1 || logCount("The clock went back by 1799 s") == 1, kWait);
    QVERIFY(one->waitForEnd(kWait));
    QCOMPARE(one->endReason(), kAdministrative);
    QCOMPARE(client(id, dir)->connect(), MosquittoClient::kNoAnswer);
    QVERIFY(logCount("(expired): The certificate of " + id.toUtf8()) > 0);
    const QString good = sensorId(u"hvac-002"_s);
    QCOMPARE(client(good, m_broker->identityDir(good))->connect(), 0);
}

void TestBrokerClock::clockOf1970_letsInWhoIsGoodAndNobodyElse()
{
    m_broker->shiftClock(
        -std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()));
    start();
    const QString id = sensorId(u"hvac-001"_s);
    QCOMPARE(client(id, m_broker->identityDir(id))->connect(), 0);
    const QString old = sensorId(u"hvac-002"_s);
    QCOMPARE(client(old, m_broker->identityDir(old, -10min))->connect(), MosquittoClient::kNoAnswer);
    QVERIFY(logCount("(expired): The certificate of " + old.toUtf8()) > 0);
}

void TestBrokerClock::suspend_countsAsLife()
{
    start();
    const QString id = sensorId(u"hvac-001"_s);
    const auto one = client(id, m_broker->identityDir(id, 40min));
    QCOMPARE(one->connect(), 0);
    // Asleep for longer than its certificate lives, and a clock that stopped meanwhile.
    m_broker->shiftClock(0s, 41min);
    QVERIFY(one->waitForEnd(kWait));
    QCOMPARE(one->endReason(), kAdministrative);
}

void TestBrokerClock::yearAheadForAMoment_endsSessionsThatThenComeBack()
{
    start();
    const QString id = sensorId(u"hvac-001"_s);
    const QString dir = m_broker->identityDir(id);
    const auto one = client(id, dir);
    QCOMPARE(one->connect(), 0);
    m_broker->shiftClock(kYear);
    QVERIFY(one->waitForEnd(kWait));
    QCOMPARE(client(id, dir)->connect(), MosquittoClient::kNoAnswer);
    m_broker->shiftClock(0s);
    QCOMPARE(client(id, dir)->connect(), 0);
}

QTEST_GUILESS_MAIN(TestBrokerClock)
#include "tst_broker_clock.moc"

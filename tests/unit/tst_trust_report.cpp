// What a node tells of its trust: when it is told, how it stands on the wire, what a host makes of it,
// and that none of it is taken for a measurement.
#include "fakes/loopback_edge.h"
#include "gateway/trust_report.h"
#include "sparkplug/host_session.h"

#include <QSignalSpy>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using sparkplug::HostSession;
using sparkplug::TrustState;

namespace {

constexpr int kPatience = 20'000;

TrustState state(std::chrono::seconds runway, const QString &credential = u"SVID"_s)
{
    return {runway, credential, u"trusted"_s};
}

sparkplug::HostConfig hostConfig()
{
    sparkplug::HostConfig config;
    config.hostId = u"lintel-cloud"_s;
    config.self = agent(u"cloud"_s);
    return config;
}

} // namespace

class TestTrustReport : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void report_isToldOnceAMinuteWhileItRunsDown();
    void report_isToldAtOnceWhenSomethingElseIsTrue();
    void report_ofNothingThatEndsIsToldOnce();
    void host_hearsItInTheBirthAndAfterIt();
    void host_takesItForNoMeasurement();
};

void TestTrustReport::report_isToldOnceAMinuteWhileItRunsDown()
{
    FakeClock clock;
    TrustState now = state(1h);
    QList<TrustState> told;
    TrustReport report([&now] { return now; }, [&told](const TrustState &trust) { told.append(trust); }, clock);
    report.tick();
    QCOMPARE(told, QList<TrustState>{now});
    for (int second = 1; second < 60; ++second) {
        clock.advance(1s);
        now.runway = *now.runway - 1s;
        report.tick();
    }
    QCOMPARE(told.size(), 1);
    clock.advance(1s);
    now.runway = *now.runway - 1s;
    report.tick();
    QCOMPARE(told.size(), 2);
    QCOMPARE(told.last().runway, 1h - 60s);
}

void TestTrustReport::report_isToldAtOnceWhenSomethingElseIsTrue()
{
    FakeClock clock;
    TrustState now = state(1h);
    QList<TrustState> told;
    TrustReport report([&now] { return now; }, [&told](const TrustState &trust) { told.append(trust); }, clock);
    const auto isTold = [&](const TrustState &next) {
        const qsizetype before = told.size();
        now = next;
        clock.advance(1s);
        report.tick();
        return told.size() == before + 1 && told.last() == next;
    };
    QVERIFY(isTold(state(1h)));
    QVERIFY(isTold(state(2h)));                 // renewed
    QVERIFY(isTold(state(10min)));              // cut short
    QVERIFY(isTold(state(10min, u"issuer"_s))); // another ends first
    TrustState floor = state(10min, u"issuer"_s);
    floor.clock = u"floor"_s;
    QVERIFY(isTold(floor));
    floor.runway.reset();
    QVERIFY(isTold(floor));
    QVERIFY(!isTold(floor));
}

void TestTrustReport::report_ofNothingThatEndsIsToldOnce()
{
    FakeClock clock;
    int told = 0;
    TrustReport report(
        [] {
            return TrustState{std::nullopt, {}, u"trusted"_s};
        },
        [&told](const TrustState &) { ++told; }, clock);
    for (int i = 0; i < 10; ++i) {
        report.tick();
        clock.advance(1min);
    }
    QCOMPARE(told, 1);
}

void TestTrustReport::host_hearsItInTheBirthAndAfterIt()
{
    FakeClock clock;
    LoopbackBroker broker{clock};
    LoopbackTransport transport{broker};
    HostSession host(hostConfig(), clock, transport);
    QTimer ticks;
    connect(&ticks, &QTimer::timeout, &host, &HostSession::tick);
    ticks.start(10);
    QSignalSpy born(&host, &HostSession::born);
    QSignalSpy changed(&host, &HostSession::trustChanged);
    LoopbackEdge edge(broker, clock, u"gateway"_s, u"lintel-cloud"_s);
    edge.session.setTrust(state(1h, u"SVID of spiffe://b/agent/gateway"_s));
    host.start();
    edge.session.start();
    QTRY_VERIFY_WITH_TIMEOUT(!born.isEmpty(), kPatience);
    const sparkplug::NodeId node{u"building-1"_s, u"gateway"_s};
    QCOMPARE(host.participant(node)->trust, state(1h, u"SVID of spiffe://b/agent/gateway"_s));
    QCOMPARE(changed.size(), 0);

    edge.session.setTrust(state(2h));
    QTRY_COMPARE_WITH_TIMEOUT(changed.size(), 1, kPatience);
    QCOMPARE(host.participant(node)->trust, state(2h));
    TrustState endless;
    endless.clock = u"floor"_s;
    edge.session.setTrust(endless); // a null metric
    QTRY_COMPARE_WITH_TIMEOUT(changed.size(), 2, kPatience);
    QCOMPARE(host.participant(node)->trust, endless);
}

void TestTrustReport::host_takesItForNoMeasurement()
{
    FakeClock clock;
    LoopbackBroker broker{clock};
    LoopbackTransport transport{broker};
    HostSession host(hostConfig(), clock, transport);
    QSignalSpy batches(&host, &HostSession::batchReceived);
    QSignalSpy changed(&host, &HostSession::trustChanged);
    LoopbackEdge edge(broker, clock, u"gateway"_s, u"lintel-cloud"_s);
    edge.session.setTrust(state(1h));
    host.start();
    edge.session.start();
    const sparkplug::NodeId node{u"building-1"_s, u"gateway"_s};
    QTRY_VERIFY_WITH_TIMEOUT(host.participant(node) && host.participant(node)->online, kPatience);
    edge.session.setTrust(state(2h));
    QTRY_COMPARE_WITH_TIMEOUT(changed.size(), 1, kPatience);
    QVERIFY(host.participant(node)->points.isEmpty());
    QVERIFY(batches.isEmpty());
    QCOMPARE(host.counters().unknownAliases, quint64(0));
    QCOMPARE(edge.spool.status().head, Msn(0));
}

QTEST_GUILESS_MAIN(TestTrustReport)
#include "tst_trust_report.moc"

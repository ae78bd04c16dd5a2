// How long a client waits after the line is back: what the shipped configurations mean, on a clock of
// our own.
#include "fakes/fake_clock.h"
#include "gateway/gateway_config.h"
#include "process/service_run.h"

#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kTries = 2'000; // the waits are random

/// From the end of an outage until the next attempt to connect.
Millis waitAfter(Millis outage, const BackoffPolicy &policy)
{
    FakeClock clock;
    const auto end = clock.monotonic() + outage;
    Backoff backoff(policy);
    while (clock.monotonic() < end)
        clock.advance(backoff.next());
    return std::chrono::duration_cast<Millis>(clock.monotonic() - end);
}

} // namespace

class TestReconnection : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void uplink_isTriedSoonAfterAnOutage()
    {
        const auto config = readGatewayConfig(QStringLiteral(LINTEL_SOURCE_DIR "/resources/config/gateway.yaml"));
        QVERIFY2(config, config ? "" : qPrintable(config.error().message));
        for (const MqttConfig &link : {config->cloudBroker, config->buildingBroker}) {
            const BackoffPolicy policy = service::endpointOf(link).backoff;
            QCOMPARE(policy.max, Millis{10s});
            for (int i = 0; i < kTries; ++i) {
                for (const Millis outage : {Millis{20s}, Millis{10min}})
                    QVERIFY(waitAfter(outage, policy) <= 10s);
            }
        }
    }

    void waits_growAndNeverExceedTheLongest()
    {
        const MqttConfig sensor;
        const BackoffPolicy policy = service::endpointOf(sensor).backoff;
        QCOMPARE(policy.max, Millis{30s});
        for (int i = 0; i < kTries; ++i) {
            Backoff backoff(policy);
            for (const Millis nominal : {1s, 2s, 4s, 8s, 16s, 30s, 30s, 30s}) {
                const Millis wait = backoff.next();
                QVERIFY(wait >= nominal / 2 && wait <= std::min(nominal * 3 / 2, policy.max));
            }
            backoff.reset();
            QVERIFY(backoff.next() <= 1'500ms);
        }
    }

    /// A thousand clients that lost one broker together do not come back together, however long it was gone.
    void waits_staySpreadAtTheLongest()
    {
        const BackoffPolicy policy;
        QList<int> perSecond(31);
        for (int i = 0; i < kTries; ++i) {
            Backoff backoff(policy);
            for (int failure = 0; failure < 10; ++failure)
                (void)backoff.next();
            ++perSecond[int(backoff.next() / 1s)];
        }
        for (const int clients : perSecond)
            QVERIFY2(clients < kTries / 5, "a fifth of all come back within one second");
    }
};

QTEST_GUILESS_MAIN(TestReconnection)
#include "tst_reconnection.moc"

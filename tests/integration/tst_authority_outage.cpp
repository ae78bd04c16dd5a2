// The building's authority dies and stays away for three lives of an SVID, while real processes go on
// producing: sensor and gateway say that they buffer, nobody shows a broker an SVID that has ended, the
// sensor measures on, and when the authority is back everything recovers by itself and nothing is missing.
#include "fakes/needs.h"
#include "integration/live_building.h"

#include <QCborArray>
#include <QElapsedTimer>
#include <QRegularExpression>
#include <QStandardPaths>

using namespace lintel;
using namespace lintel::test;

namespace {

constexpr auto kLife = 20s;
constexpr int kRecovery = 60'000; // ms; what is promised is ten seconds, on a machine that is not busy with tests
const QString kSensor = u"hvac-001"_s;
const QString kAuthority = u"building-authority"_s;
const QString kBuffering = u"identity expired, buffering"_s;

} // namespace

class TestAuthorityOutage : public QObject
{
    Q_OBJECT

    static QString identityOf(const QCborMap &status)
    {
        return status.value("identity"_L1).toMap().value("state"_L1).toString();
    }

private Q_SLOTS:
    void threeLives_areSurvivedWithoutALoss()
    {
        if (QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap --test.");
        demo::DemoPlan plan = planWith({kSensor});
        plan.identity = demo::IdentityKind::Tpm;
        plan.svidTtl = kLife;
        RunningBuilding running(std::move(plan));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 50, kPatience);
        QVERIFY(!running.log(kSensor).contains(kBuffering));

        running.kill(kAuthority);
        const SystemClock clock;
        const Timestamp gone = clock.now();
        QElapsedTimer outage;
        outage.start();
        // What was fetched a moment ago lasts for its life; then each of them says it, and lives.
        QTRY_VERIFY_WITH_TIMEOUT(running.log(kSensor).contains(kBuffering), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(running.log(u"gateway"_s).contains(kBuffering), kPatience);
        const Timestamp buffering = clock.now();
        QTRY_VERIFY_WITH_TIMEOUT(std::chrono::milliseconds{outage.elapsed()} >= 3 * kLife, kPatience);
        const Timestamp end = clock.now();
        const qint64 stored = running.storedInCloud(); // the cloud has an authority of its own
        QVERIFY(stored > 50);
        for (const QString &name : {kSensor, u"gateway"_s, u"backend"_s, u"gateway-broker"_s})
            QVERIFY2(running.building->child(name)->isRunning(), qPrintable(name));

        running.restart(kAuthority);
        QElapsedTimer recovery;
        recovery.start();
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > stored, kRecovery);
        qInfo("readings reach the historian again %lld ms after the authority was started", recovery.elapsed());
        QTRY_COMPARE_WITH_TIMEOUT(identityOf(running.sensor(kSensor, u"status"_s)), u"valid"_s, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(identityOf(running.gateway(u"status"_s)), u"valid"_s, kPatience);

        // The brokers would have turned an SVID away that has ended: nobody tried one.
        static const QRegularExpression kShownTooLate(u"Refused .* ended at"_s);
        for (const QString &broker : {u"gateway-broker"_s, u"cloud-broker"_s}) {
            const auto shown = kShownTooLate.match(running.log(broker));
            QVERIFY2(!shown.hasMatch(), qPrintable(shown.captured()));
        }
        checkNothingIsLost(running, kSensor);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
        if (QTest::currentTestFailed())
            return;

        // And it was measured all the while: no hole of more than a few periods.
        const QCborArray points = running.backend(u"last_values"_s).value("values"_L1).toArray();
        QVERIFY(!points.isEmpty());
        const QString point = points.first().toMap().value("point"_L1).toString();
        const QCborArray history = running
                                       .backend(u"query_history"_s, {{"device"_L1, kSensor},
                                                                     {"point"_L1, point},
                                                                     {"from"_L1, toIso8601(gone)},
                                                                     {"to"_L1, toIso8601(end)}})
                                       .value("readings"_L1)
                                       .toArray();
        Millis hole{0};
        Timestamp last = gone;
        for (const auto &one : history) {
            const QCborMap reading = one.toMap();
            const auto time = timestampFromIso8601(reading.value("time"_L1).toString());
            QVERIFY(time);
            hole = std::max(hole, *time - last);
            last = *time;
            if (last > buffering)
                QVERIFY(reading.value("historical"_L1).toBool());
        }
        hole = std::max(hole, end - last);
        qInfo("%lld readings of %s while the authority was away, %lld ms the longest time without one",
              qint64(history.size()), qPrintable(point), qint64(hole.count()));
        QVERIFY(hole < 10s);
    }
};

QTEST_GUILESS_MAIN(TestAuthorityOutage)
#include "tst_authority_outage.moc"

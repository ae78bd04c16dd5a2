// `lintelctl call` as people run it, against agents that live: what it prints and how it ends.
#include "integration/running_building.h"

#include <QElapsedTimer>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>

#include <csignal>
#include <sys/prctl.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {

struct Outcome {
    int exitCode = -1;
    QByteArray output;
    QByteArray errors;
};

} // namespace

class TestLintelctlCall : public QObject
{
    Q_OBJECT

    std::unique_ptr<RunningBuilding> m_running;

    /// The broker and who we are stand in front; `more` says what is asked.
    Outcome call(const QString &target, const QStringList &more)
    {
        const demo::DemoPlan &plan = m_running->building->plan();
        QProcess process;
        process.setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
        process.start(QStringLiteral(LINTEL_BIN_DIR "/lintelctl"),
                      QStringList{u"call"_s, u"--broker"_s, u"127.0.0.1:%1"_s.arg(plan.ports.gatewayBroker),
                                  u"--broker-id"_s, QString(demo::ids::kGatewayBroker), u"--identity"_s,
                                  plan.identityDir(u"operator"_s), u"--target"_s, target}
                          + more);
        Outcome outcome;
        if (!QTest::qWaitFor([&process] { return process.state() == QProcess::NotRunning; }, 60'000))
            return outcome;
        outcome.exitCode = process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1;
        outcome.output = process.readAllStandardOutput();
        outcome.errors = process.readAllStandardError();
        return outcome;
    }

    static QJsonObject objectOf(const QByteArray &json) { return QJsonDocument::fromJson(json).object(); }

private Q_SLOTS:
    void initTestCase()
    {
        demo::DemoPlan plan;
        plan.sensorPeriod = std::chrono::milliseconds{500};
        demo::SensorPlan sensor;
        sensor.name = u"hvac-001"_s;
        sensor.space = u"floor-1/zone-a"_s;
        sensor.equip = u"ahu-1"_s;
        plan.sensors.append(sensor);
        m_running = std::make_unique<RunningBuilding>(std::move(plan));
        const QString problem = m_running->start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const auto online = [this] {
            return m_running->gateway(u"aggregate_sensors"_s).value("online_sensors"_L1).toInteger();
        };
        QTRY_COMPARE_WITH_TIMEOUT(online(), 1, 60'000);
    }
    void cleanupTestCase() { m_running.reset(); }

    void answer_isOneJsonObject()
    {
        const Outcome outcome = call(demo::ids::kGateway, {u"--capability"_s, u"aggregate_sensors"_s});
        QVERIFY2(outcome.exitCode == 0, outcome.output + outcome.errors);
        QCOMPARE(outcome.errors, QByteArray());
        const QJsonObject answer = objectOf(outcome.output);
        QCOMPARE(answer.value(u"total_sensors"_s).toInt(), 1);
        QVERIFY(answer.value(u"sensors"_s).toObject().contains(u"hvac-001"_s));
    }

    void answer_ofASensorIsTextWhenAskedFor()
    {
        const Outcome outcome =
            call(demo::ids::sensor(u"hvac-001"_s), {u"--capability"_s, u"read_sensors"_s, u"--text"_s});
        QVERIFY2(outcome.exitCode == 0, outcome.output + outcome.errors);
        QVERIFY(!outcome.output.isEmpty() && objectOf(outcome.output).isEmpty());
    }

    void errorOfTheCallee_endsWithOne()
    {
        const QStringList question{u"--capability"_s, u"query_history"_s, u"--data"_s, u"{\"device\": 7}"_s};
        const Outcome outcome = call(demo::ids::kGateway, question);
        QVERIFY2(outcome.exitCode == 1, outcome.output + outcome.errors);
        const QJsonObject error = objectOf(outcome.output).value(u"error"_s).toObject();
        QVERIFY2(!error.value(u"message"_s).toString().isEmpty(), outcome.output + outcome.errors);
        QVERIFY(!error.value(u"code"_s).toString().isEmpty());
        const Outcome text = call(demo::ids::kGateway, question + QStringList{u"--text"_s});
        QCOMPARE(text.exitCode, 1);
        QCOMPARE(text.output, QByteArray());
        QVERIFY2(text.errors.contains(error.value(u"message"_s).toString().toUtf8()), text.errors);
    }

    /// An agent that hangs: it is there, and says nothing.
    void silenceOfTheCallee_endsWithThree()
    {
        const qint64 pid = m_running->building->child(u"hvac-001"_s)->pid();
        QVERIFY(pid > 0 && ::kill(pid_t(pid), SIGSTOP) == 0);
        const Outcome outcome =
            call(demo::ids::sensor(u"hvac-001"_s), {u"--capability"_s, u"read_sensors"_s, u"--timeout"_s, u"2s"_s});
        ::kill(pid_t(pid), SIGCONT);
        QVERIFY2(outcome.exitCode == 3, outcome.output + outcome.errors);
        const QJsonObject error = objectOf(outcome.output).value(u"error"_s).toObject();
        QVERIFY2(error.value(u"code"_s).toString() == u"timeout", outcome.output + outcome.errors);
    }

    /// The broker's word that nobody listens does not come through the MQTT library: the time says it.
    void calleeWhoIsNotThere_endsWithThreeWhenTheTimeIsOver()
    {
        const QString nobody = demo::ids::sensor(u"nobody"_s);
        QElapsedTimer running;
        running.start();
        const Outcome outcome = call(nobody, {u"--capability"_s, u"status"_s, u"--timeout"_s, u"1s"_s});
        QVERIFY2(outcome.exitCode == 3, outcome.output + outcome.errors);
        QVERIFY2(running.elapsed() >= 1'000, qPrintable(QString::number(running.elapsed())));
        const QJsonObject error = objectOf(outcome.output).value(u"error"_s).toObject();
        QCOMPARE(error.value(u"code"_s).toString(), u"timeout"_s);
        const QString message = error.value(u"message"_s).toString();
        QVERIFY2(message.contains(nobody) && message.contains(u"connected"), qPrintable(message));
    }

    /// agent.capabilities of gateway and backend. The last: afterwards they answer one call only.
    void calls_areOnlyThoseOfTheConfiguration()
    {
        struct Service {
            QString name;
            QString everything; // what it answers unless restricted
            std::function<QCborMap(const QString &)> call;
        };
        const QList<Service> services{
            {u"gateway"_s,
             u"aggregate_sensors, last_values, list_devices, query_history, read_births, status, sync_to_cloud"_s,
             [this](const QString &method) { return m_running->gateway(method); }},
            {u"backend"_s, u"last_values, list_devices, list_gaps, query_history, read_births, status"_s,
             [this](const QString &method) { return m_running->backend(method); }},
        };
        for (const auto &[name, everything, call] : services) {
            QVERIFY(call(u"self_destruct"_s).isEmpty());
            QCOMPARE(m_running->lastError.code, Errc::NotFound);
            QVERIFY2(m_running->lastError.message.contains(u"there are: %1."_s.arg(everything)),
                     qPrintable(m_running->lastError.message));
            const QString notice = u"observability.metrics is enabled, but lintel-%1 serves no metrics"_s.arg(name);
            QVERIFY(!m_running->log(name).contains(notice));

            QFile config(m_running->building->plan().configFile(name + u".yaml"_s));
            QVERIFY(config.open(QIODevice::ReadOnly));
            QByteArray text = config.readAll();
            config.close();
            QVERIFY(text.contains("agent:\n") && text.contains("observability:\n"));
            text.replace("agent:\n", "agent:\n  capabilities: [{name: list_devices}]\n");
            text.replace("observability:\n", "observability:\n  metrics: {enabled: true}\n");
            QVERIFY(config.open(QIODevice::WriteOnly) && config.write(text) == text.size());
            config.close();
            m_running->killAndRestart(name);

            QTRY_VERIFY_WITH_TIMEOUT(!call(u"list_devices"_s).isEmpty(), 60'000);
            for (const QString &method : everything.split(u", "_s)) {
                if (method == u"list_devices")
                    continue;
                QVERIFY2(call(method).isEmpty(), qPrintable(method));
                QCOMPARE(m_running->lastError.code, Errc::NotFound);
                QVERIFY2(m_running->lastError.message.contains(u"there are: list_devices."_s),
                         qPrintable(m_running->lastError.message));
            }
            QVERIFY2(m_running->log(name).contains(notice), qPrintable(m_running->log(name)));
        }
    }
};

QTEST_GUILESS_MAIN(TestLintelctlCall)
#include "tst_lintelctl_call.moc"

// SPDX-License-Identifier: GPL-3.0-only
// The console as it ships, without a display, on the brokers of a running building: what it reports at
// its end is what it showed.
#include "integration/running_building.h"

#include <QImage>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>

#include <csignal>
#include <sys/prctl.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kPatience = 90'000;

demo::SensorPlan sensor(const QString &name, demo::SensorKind kind)
{
    demo::SensorPlan plan;
    plan.name = name;
    plan.kind = kind;
    plan.space = u"floor-1/zone-a"_s;
    plan.equip = u"ahu-1"_s;
    return plan;
}

} // namespace

class TestConsoleLive : public QObject
{
    Q_OBJECT

    std::unique_ptr<RunningBuilding> m_running;

    /// Runs it for some seconds; its report, or an empty one and its words in `errors`.
    QJsonObject look(const QStringList &broker, const QString &screenshot, QByteArray &errors)
    {
        QProcess console;
        console.setChildProcessModifier([] { prctl(PR_SET_PDEATHSIG, SIGKILL); });
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        environment.insert(u"QT_QPA_PLATFORM"_s, u"offscreen"_s);
        environment.insert(u"QT_QUICK_BACKEND"_s, u"software"_s);
        console.setProcessEnvironment(environment);
        console.start(QStringLiteral(LINTEL_BIN_DIR "/lintel-console"),
                      broker
                          + QStringList{u"--site"_s, QString(demo::ids::kSite), u"--identity"_s,
                                        m_running->building->plan().identityDir(u"operator"_s), u"--screenshot"_s,
                                        screenshot, u"--after"_s, u"12"_s, u"--report"_s, u"-"_s});
        const bool ended = QTest::qWaitFor([&console] { return console.state() == QProcess::NotRunning; }, kPatience);
        errors = console.readAllStandardError();
        if (!ended || console.exitStatus() != QProcess::NormalExit || console.exitCode() != 0)
            return {};
        return QJsonDocument::fromJson(console.readAllStandardOutput()).object();
    }

private Q_SLOTS:
    /// Two sensors that measure, and one that measured and died before anybody looked.
    void initTestCase()
    {
        demo::DemoPlan plan;
        plan.sensorPeriod = 500ms;
        plan.sensors = {sensor(u"hvac-001"_s, demo::SensorKind::Hvac),
                        sensor(u"energy-001"_s, demo::SensorKind::Energy),
                        sensor(u"hvac-002"_s, demo::SensorKind::Hvac)};
        m_running = std::make_unique<RunningBuilding>(std::move(plan));
        const QString problem = m_running->start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const auto hasStored = [this](const QString &device) {
            const auto values = m_running->backend(u"last_values"_s).value("values"_L1).toArray();
            return std::any_of(values.begin(), values.end(), [&device](const QCborValue &value) {
                return value.toMap().value("device"_L1).toString() == device;
            });
        };
        QTRY_VERIFY_WITH_TIMEOUT(hasStored(u"hvac-002"_s), kPatience);
        m_running->kill(u"hvac-002"_s);
        const auto online = [this] {
            return m_running->gateway(u"aggregate_sensors"_s).value("online_sensors"_L1).toInteger();
        };
        QTRY_COMPARE_WITH_TIMEOUT(online(), 2, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(hasStored(u"hvac-001"_s) && hasStored(u"energy-001"_s), kPatience);
    }
    void cleanupTestCase() { m_running.reset(); }

    void console_showsTheBuilding_data()
    {
        QTest::addColumn<quint16>("port");
        QTest::addColumn<QString>("broker");
        QTest::addColumn<QString>("host");
        const demo::Ports &ports = m_running->building->plan().ports;
        QTest::newRow("at the gateway's broker")
            << ports.gatewayBroker << QString(demo::ids::kGatewayBroker) << QString(demo::ids::kGateway);
        QTest::newRow("at the cloud's broker")
            << ports.cloudBroker << QString(demo::ids::kCloudBroker) << QString(demo::ids::kBackend);
    }

    void console_showsTheBuilding()
    {
        QFETCH(quint16, port);
        QFETCH(QString, broker);
        QFETCH(QString, host);
        const QString screenshot = m_running->path(u"console-%1.png"_s.arg(port));
        QByteArray errors;
        const QJsonObject report =
            look({u"--broker"_s, u"127.0.0.1:%1"_s.arg(port), u"--broker-id"_s, broker, u"--host-principal"_s, host},
                 screenshot, errors);
        const QByteArray seen = QJsonDocument(report).toJson() + errors;
        QVERIFY2(report.value(u"connected"_s).toBool(), seen.constData());
        QCOMPARE(report.value(u"state"_s).toString(), u"connected"_s);
        QVERIFY2(report.value(u"devices"_s).toInt() >= 3, seen.constData());
        // Who is dead is known, by name and points, and counts as offline.
        QCOMPARE(report.value(u"devices"_s).toInt() - report.value(u"devices_online"_s).toInt(), 1);
        int points = 0;
        const auto listed = m_running->backend(u"list_devices"_s).value("devices"_L1).toArray();
        for (const auto &device : listed)
            points += int(device.toMap().value("points"_L1).toArray().size());
        QVERIFY(points > 0);
        QCOMPARE(report.value(u"points"_s).toInt(), points);
        QVERIFY2(report.value(u"points_live"_s).toInt() > 0, seen.constData());
        QVERIFY2(report.value(u"points_live"_s).toInt() < points, seen.constData());
        QVERIFY2(report.value(u"readings"_s).toInt() > 10, seen.constData());
        QVERIFY2(report.value(u"lines_drawn"_s).toInt() > 0, seen.constData());
        QCOMPARE(report.value(u"malformed"_s).toInt(), 0);
        const QImage picture(screenshot);
        QVERIFY2(!picture.isNull() && picture.width() >= 900, seen.constData());
    }

    void console_saysWhyItIsNotConnected()
    {
        QByteArray errors;
        const quint16 port = m_running->building->plan().ports.gatewayBroker;
        const QJsonObject report =
            look({u"--broker"_s, u"127.0.0.1:%1"_s.arg(port), u"--broker-id"_s,
                  u"spiffe://building-1.smart.local/other"_s, u"--host-principal"_s, QString(demo::ids::kGateway)},
                 m_running->path(u"console-refused.png"_s), errors);
        QVERIFY2(!report.isEmpty(), errors.constData());
        QVERIFY(!report.value(u"connected"_s).toBool());
        QCOMPARE(report.value(u"state"_s).toString(), u"failed"_s);
        QVERIFY2(report.value(u"why"_s).toString().contains(u"spiffe://building-1.smart.local/broker"_s),
                 qPrintable(report.value(u"why"_s).toString()));
    }
};

QTEST_GUILESS_MAIN(TestConsoleLive)
#include "tst_console_live.moc"

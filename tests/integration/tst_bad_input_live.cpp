// What others do wrong while everything runs: one sentence that says what and what to do, the process
// keeps running, and nothing that was accepted is lost.
//
// Clocks that are wrong: tst_bad_input_clock.
#include "fakes/mosquitto_broker.h"
#include "integration/running_building.h"
#include "mqtt/paho_transport.h"
#include "ports/system_clock.h"
#include "tls/file_identity_source.h"
#include "tls/pki.h"

#include <QCborArray>
#include <QFileInfo>
#include <QProcess>
#include <QScopeGuard>
#include <QSignalSpy>
#include <QTcpServer>
#include <QTest>

#include <cerrno>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kPatience = 90'000;

demo::DemoPlan planWith(const QStringList &sensors)
{
    demo::DemoPlan plan;
    plan.sensorPeriod = 100ms;
    for (const QString &name : sensors) {
        demo::SensorPlan sensor;
        sensor.name = name;
        sensor.space = u"floor-1/zone-a"_s;
        sensor.equip = u"ahu-1"_s;
        plan.sensors.append(sensor);
    }
    return plan;
}

bool writeFile(const QString &path, const QByteArray &text)
{
    QFile file(path);
    return file.open(QIODevice::WriteOnly | QIODevice::Truncate) && file.write(text) == text.size();
}

/// A client with a certificate, and no manners.
class Client
{
public:
    Client(const IdentitySource &identity, const QString &clientId, quint16 port, QLatin1StringView brokerId)
        : transport(endpoint(port, brokerId), identity), failed(&transport, &MqttTransport::connectFailed),
          connected(&transport, &MqttTransport::connected)
    {
        transport.start([clientId] {
            MqttConnect packet;
            packet.clientId = clientId;
            return packet;
        });
    }
    void publish(const QString &topic, const QByteArray &payload)
    {
        QVERIFY(transport.publish({topic, payload, 1, false}));
    }

    PahoTransport transport;
    QSignalSpy failed;
    QSignalSpy connected;

private:
    static MqttEndpoint endpoint(quint16 port, QLatin1StringView brokerId)
    {
        MqttEndpoint endpoint;
        endpoint.host = u"127.0.0.1"_s;
        endpoint.port = port;
        endpoint.broker = *SpiffeId::parse(QString(brokerId));
        return endpoint;
    }
};

qint64 pendingAt(const QCborMap &status)
{
    return status.value("spool"_L1).toMap().value("readings_pending"_L1).toInteger(-1);
}

/// A disk of a few megabytes for one process, which can be full. A file system in memory of its own; where
/// that may not be made (it takes root), the process is told that no file of its may grow.
class SmallDisk
{
public:
    ~SmallDisk()
    {
        if (m_isMounted)
            ::umount2(QFile::encodeName(m_dir.path()).constData(), MNT_DETACH);
    }
    /// Before anybody writes there.
    void mountAt(const QString &folder)
    {
        m_isMounted =
            ::mount("tmpfs", QFile::encodeName(m_dir.path()).constData(), "tmpfs", 0, "size=16m,mode=700") == 0;
        if (!m_isMounted)
            return;
        // By a link, so that what runs there can be removed before the disk is.
        QVERIFY(QDir().mkpath(QFileInfo(folder).absolutePath()));
        QVERIFY(QFile::link(m_dir.path(), folder));
    }
    [[nodiscard]] bool isReal() const { return m_isMounted; }
    [[nodiscard]] bool fill(pid_t process)
    {
        if (!m_isMounted) {
            m_process = process;
            rlimit full{};
            if (::prlimit(m_process, RLIMIT_FSIZE, nullptr, &m_before) != 0)
                return false;
            full = m_before;
            full.rlim_cur = 96 * 1024; // the log file stays far below
            return ::prlimit(m_process, RLIMIT_FSIZE, &full, nullptr) == 0;
        }
        const int file =
            ::open(QFile::encodeName(filler()).constData(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        const QByteArray block(4096, 'x');
        while (file >= 0 && ::write(file, block.constData(), size_t(block.size())) > 0) {
        }
        const bool isFull = file >= 0 && errno == ENOSPC;
        ::close(file);
        return isFull;
    }
    [[nodiscard]] bool free()
    {
        return m_isMounted ? QFile::remove(filler()) : ::prlimit(m_process, RLIMIT_FSIZE, &m_before, nullptr) == 0;
    }

private:
    QString filler() const { return m_dir.filePath(u"filler"_s); }

    QTemporaryDir m_dir;
    bool m_isMounted = false;
    pid_t m_process = 0;
    rlimit m_before{};
};

/// Everything that the sensor ever took is in the historian, once. Ends the sensor.
void checkNothingIsLost(RunningBuilding &running, const QString &sensor)
{
    QTRY_COMPARE_WITH_TIMEOUT(running.sensor(sensor, u"status"_s).value("phase"_L1).toString(), u"Custody"_s,
                              kPatience);
    demo::ChildProcess *child = running.building->child(sensor);
    child->terminate(); // connected, so it hands over what it has
    QTRY_VERIFY_WITH_TIMEOUT(!child->isRunning(), kPatience);
    const auto spool = demo::readSpool(running.building->plan(), sensor);
    QVERIFY2(spool, spool ? "" : qPrintable(spool.error().message));
    QCOMPARE(spool->droppedReadings, 0u);
    QCOMPARE(spool->pendingReadings, 0u);
    QVERIFY(spool->totalReadings > 0);
    QTRY_COMPARE_WITH_TIMEOUT(running.storedInCloud(), qint64(spool->totalReadings), kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(pendingAt(running.gateway(u"status"_s)), 0, kPatience);
    const QCborMap status = running.backend(u"status"_s, {{"exact"_L1, true}});
    QCOMPARE(status.value("readings_stored"_L1).toInteger(), qint64(spool->totalReadings));
    QCOMPARE(status.value("duplicates"_L1).toInteger(-1), 0);
    QCOMPARE(status.value("gaps"_L1).toInteger(-1), 0);
}

} // namespace

class TestBadInputLive : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void malformedMessages_areCountedAndSaid_data()
    {
        QTest::addColumn<QString>("service");
        QTest::addRow("gateway") << u"gateway"_s;
        QTest::addRow("backend") << u"backend"_s;
    }

    void malformedMessages_areCountedAndSaid()
    {
        QFETCH(QString, service);
        const bool atGateway = service == u"gateway";
        RunningBuilding running(planWith({u"hvac-001"_s, u"intruder-001"_s}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        running.kill(u"intruder-001"_s); // its certificate is used by somebody else now
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);
        const auto status = [&] { return atGateway ? running.gateway(u"status"_s) : running.backend(u"status"_s); };
        const auto malformed = [&] { return status().value("host"_L1).toMap().value("malformed"_L1).toInteger(-1); };
        const qint64 before = malformed();
        QVERIFY(before >= 0);

        const demo::DemoPlan &plan = running.building->plan();
        const tls::FileIdentitySource identity(plan.identityDir(u"intruder-001"_s));
        const QString self = Principal(*SpiffeId::parse(demo::ids::sensor(u"intruder-001"_s))).toString();
        Client client(identity, self, atGateway ? plan.ports.gatewayBroker : plan.ports.cloudBroker,
                      atGateway ? demo::ids::kGatewayBroker : demo::ids::kCloudBroker);
        QTRY_VERIFY_WITH_TIMEOUT(!client.connected.isEmpty(), kPatience);

        const QByteArray garbage = QByteArray::fromHex("ffffffffffffffff0a");
        const QStringList topics{
            u"spBv1.0/building-1/NDATA/intruder-001"_s,       // garbage in it
            u"spBv1.0/building-1/NBIRTH/intruder-001"_s,      // garbage in it
            u"spBv1.0/building-1/NONSENSE/intruder-001"_s,    // no such verb
            u"spBv1.0/building-1/NDATA/intruder-001/extra"_s, // a device where none may stand
            u"spBv1.0/building-1/DDATA/intruder-001"_s,       // no device where one must stand
        };
        for (const QString &topic : topics)
            client.publish(topic, garbage);
        QTRY_COMPARE_WITH_TIMEOUT(malformed(), before + topics.size(), kPatience);
        for (const QString &topic : topics)
            QVERIFY2(running.log(service).contains(topic), qPrintable(topic + u'\n' + running.log(service)));

        // The same a thousand times is counted each time, and not said each time.
        for (int i = 0; i < 1'000; ++i)
            client.publish(topics[0], garbage);
        QTRY_COMPARE_WITH_TIMEOUT(malformed(), before + topics.size() + 1'000, kPatience);
        QVERIFY2(running.log(service).count(topics[0] + u')') < 50, qPrintable(running.log(service).right(4'000)));

        // A request that is none; the next one is answered.
        const auto callee = *SpiffeId::parse(QString(atGateway ? demo::ids::kGateway : demo::ids::kBackend));
        client.publish(u"lintel/v1/req/%1/%2/status"_s.arg(Principal(callee).toString(), self), garbage);
        QVERIFY(!status().isEmpty());

        const qint64 stored = running.storedInCloud();
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > stored + 10, kPatience);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
    }

    void foreignCertificate_isRefusedByTheBroker_data()
    {
        QTest::addColumn<QString>("domain");
        QTest::addColumn<QString>("id");
        QTest::addRow("another trust domain") << u"evil.example"_s << u"spiffe://evil.example/agent/hvac-001"_s;
        QTest::addRow("our names, another root")
            << u"building-1.smart.local"_s << u"spiffe://building-1.smart.local/agent/gateway"_s;
    }

    void foreignCertificate_isRefusedByTheBroker()
    {
        QFETCH(QString, domain);
        QFETCH(QString, id);
        RunningBuilding running(planWith({u"hvac-001"_s}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);

        const demo::DemoPlan &plan = running.building->plan();
        const tls::FileIdentitySource ours(plan.identityDir(u"hvac-001"_s));
        const auto pki = tls::Pki::create(*TrustDomain::parse(domain), SystemClock().now());
        QVERIFY(pki);
        const auto spiffeId = *SpiffeId::parse(id);
        const auto svid = pki->issue(spiffeId, 1h, SystemClock().now());
        QVERIFY(svid);
        // It trusts the broker; the broker must not trust it.
        const MemoryIdentitySource foreign(IdentitySnapshot{*svid, (*ours.current())->bundles});
        Client client(foreign, Principal(spiffeId).toString(), plan.ports.gatewayBroker, demo::ids::kGatewayBroker);
        QTRY_VERIFY_WITH_TIMEOUT(client.failed.size() >= 2, kPatience);
        QVERIFY(client.connected.isEmpty());
        QVERIFY(!client.failed.first().first().value<Error>().message.isEmpty());
        client.transport.stop();

        // Nobody else was disturbed; the gateway, whose name it may have used, least of all.
        const qint64 stored = running.storedInCloud();
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > stored + 10, kPatience);
        QVERIFY2(!running.log(u"gateway"_s).contains(u"broker is gone"_s), qPrintable(running.log(u"gateway"_s)));
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
    }

    void foreignBroker_isRefusedByASensor()
    {
        MosquittoBroker::Options options;
        options.brokerId = u"spiffe://evil.example/broker"_s;
        options.domains = QStringList{u"evil.example"_s};
        options.verbose = true;
        MosquittoBroker evil(options);
        const auto started = evil.start();
        QVERIFY2(started, started ? "" : qPrintable(started.error().message));
        RunningBuilding running(planWith({u"hvac-001"_s}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);

        const demo::DemoPlan &plan = running.building->plan();
        const QString config = plan.configFile(u"hvac-001.yaml"_s);
        QFile file(config);
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QByteArray right = file.readAll();
        file.close();
        QByteArray wrong = right;
        wrong.replace("port: " + QByteArray::number(plan.ports.gatewayBroker),
                      "port: " + QByteArray::number(evil.port()));
        QVERIFY(wrong != right);
        QVERIFY(writeFile(config, wrong));
        running.killAndRestart(u"hvac-001"_s);
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(u"hvac-001"_s).contains(u"no connection; readings stay in the spool"_s),
                                  qPrintable(running.log(u"hvac-001"_s)), kPatience);
        QVERIFY2(running.log(u"hvac-001"_s).contains(u"evil.example"_s), qPrintable(running.log(u"hvac-001"_s)));
        QVERIFY2(!evil.log().contains("CONNECT"), evil.log().constData());
        QVERIFY(running.building->child(u"hvac-001"_s)->isRunning());

        QVERIFY(writeFile(config, right));
        running.killAndRestart(u"hvac-001"_s);
        checkNothingIsLost(running, u"hvac-001"_s);
    }

    void csvWithBrokenRows_saysFileAndLineAndKeepsTheOthers()
    {
        constexpr int kRows = 100;
        const QMap<int, QByteArray> broken{
            {11, "2025-01-15 00:00:09,1"},        // a field too few
            {31, "2025-01-15 00:00:29,wet,2"},    // no number
            {51, "the day before yesterday,1,2"}, // no time
        };
        QTemporaryDir dir;
        const QString csv = dir.filePath(u"broken.csv"_s);
        const QString map = dir.filePath(u"map.yaml"_s);
        QByteArray text = "time,a,b\n";
        QStringList times; // of the good rows
        for (int line = 2; line < kRows + 2; ++line) {
            const QString time = toIso8601(fromEpochMillis(1'736'899'200'000 + (line - 2) * 1000LL));
            if (broken.contains(line)) {
                text += broken[line] + '\n';
                continue;
            }
            times << time;
            text += time.left(19).replace(u'T', u' ').toUtf8() + ',' + QByteArray::number(line) + ','
                    + QByteArray::number(1000 + line) + '\n';
        }
        QVERIFY(writeFile(csv, text));
        QVERIFY(writeFile(map, "description: broken\n"
                               "time: {column: time, format: \"yyyy-MM-dd HH:mm:ss\", zone: UTC}\n"
                               "points:\n  - {column: a, id: a}\n  - {column: b, id: b}\n"));
        demo::DemoPlan plan = planWith({u"replay-001"_s});
        plan.sensors.first().driverSection =
            u"driver:\n  type: replay\n  file: \"%1\"\n  map: \"%2\"\n  pace: as_acknowledged\n\n"_s.arg(csv, map);
        RunningBuilding running(plan);
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_COMPARE_WITH_TIMEOUT(running.storedInCloud(), 2 * times.size(), kPatience);
        for (const int line : {11, 31, 51})
            QVERIFY2(running.log(u"replay-001"_s).contains(u"%1:%2:"_s.arg(csv).arg(line)),
                     qPrintable(running.log(u"replay-001"_s)));
        for (const QString &point : {u"a"_s, u"b"_s}) {
            const QCborArray stored = running
                                          .backend(u"query_history"_s, {{"device"_L1, u"replay-001"_s},
                                                                        {"point"_L1, point},
                                                                        {"from"_L1, u"2025-01-01T00:00:00Z"_s}})
                                          .value("readings"_L1)
                                          .toArray();
            QCOMPARE(stored.size(), times.size());
            for (qsizetype i = 0; i < times.size(); ++i)
                QCOMPARE(stored.at(i).toMap().value("time"_L1).toString(), times.at(i));
        }
        QVERIFY(running.building->child(u"replay-001"_s)->isRunning());
        checkNothingIsLost(running, u"replay-001"_s);
    }

    void missingBroker_theSensorSpoolsAndDeliversWhenItAppears()
    {
        RunningBuilding running(planWith({u"hvac-001"_s}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);
        running.kill(u"hvac-001"_s);
        running.kill(u"gateway-broker"_s);
        const Timestamp gone = SystemClock().now();
        running.restart(u"hvac-001"_s); // it starts without a broker
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(u"hvac-001"_s).contains(u"no connection; readings stay in the spool"_s),
                                  qPrintable(running.log(u"hvac-001"_s)), kPatience);
        QTest::qWait(3'000); // thirty samples
        const Timestamp back = SystemClock().now();
        QVERIFY(running.building->child(u"hvac-001"_s)->isRunning());
        running.restart(u"gateway-broker"_s);
        QTRY_VERIFY_WITH_TIMEOUT(running.sensor(u"hvac-001"_s, u"status"_s).value("phase"_L1).toString() == u"Custody",
                                 kPatience);
        checkNothingIsLost(running, u"hvac-001"_s);
        const QCborArray meanwhile = running
                                         .backend(u"query_history"_s, {{"device"_L1, u"hvac-001"_s},
                                                                       {"point"_L1, somePoint(running)},
                                                                       {"from"_L1, toIso8601(gone)},
                                                                       {"to"_L1, toIso8601(back)}})
                                         .value("readings"_L1)
                                         .toArray();
        QVERIFY2(!meanwhile.isEmpty(), "what was measured without a broker did not arrive");
        for (const auto &one : meanwhile)
            QVERIFY(one.toMap().value("historical"_L1).toBool());
    }

    void anothersCertificate_keepsOfflineUntilTheOwnIsBack_data()
    {
        QTest::addColumn<QString>("process");
        QTest::addColumn<QString>("identity");
        QTest::newRow("sensor") << u"hvac-001"_s << u"hvac-001"_s;
        QTest::newRow("gateway") << u"gateway"_s << u"gateway"_s;
        QTest::newRow("backend") << u"backend"_s << u"ingestion"_s;
    }

    void anothersCertificate_keepsOfflineUntilTheOwnIsBack()
    {
        QFETCH(QString, process);
        QFETCH(QString, identity);
        RunningBuilding running(planWith({u"hvac-001"_s}));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 0, kPatience);
        const demo::DemoPlan &plan = running.building->plan();
        QHash<QString, QByteArray> own;
        for (const QString &name : {u"/svid.key"_s, u"/svid.pem"_s}) {
            QFile file(plan.identityDir(identity) + name);
            QVERIFY(file.open(QIODevice::ReadOnly));
            own[name] = file.readAll();
            QFile other(plan.identityDir(u"shell"_s) + name);
            QVERIFY(other.open(QIODevice::ReadOnly));
            QVERIFY(writeFile(file.fileName(), other.readAll()));
        }
        const QString sentence = u"belongs to %1, but this agent is"_s.arg(demo::ids::kShell);
        // Once when it is found, and as the reason why there is no connection.
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(process).count(sentence) >= 2, qPrintable(running.log(process)),
                                  kPatience);
        QTest::qWait(1'000);
        const qint64 stored = process == u"backend" ? 0 : running.storedInCloud();
        QTest::qWait(3'000); // thirty samples
        if (process == u"backend")
            QVERIFY(running.backend(u"status"_s).isEmpty());
        else
            QVERIFY(running.storedInCloud() - stored <= 5); // what was under way
        QVERIFY2(running.building->child(process)->isRunning(), qPrintable(running.deaths.join(u'\n')));

        for (auto it = own.cbegin(); it != own.cend(); ++it)
            QVERIFY(writeFile(plan.identityDir(identity) + it.key(), it.value()));
        checkNothingIsLost(running, u"hvac-001"_s);
    }

    void fullDisk_isSaidAndNothingIsLost_data()
    {
        QTest::addColumn<QString>("process");
        QTest::addColumn<QString>("failing");
        QTest::addColumn<QString>("recovered");
        QTest::newRow("sensor") << u"hvac-001"_s << u"Readings cannot be stored and wait in memory"_s << QString();
        QTest::newRow("gateway") << u"gateway"_s << u"Readings cannot be stored, so sensors keep theirs"_s
                                 << u"Readings are stored again"_s;
        QTest::newRow("backend") << u"backend"_s << u"Readings cannot be stored, so gateways keep theirs"_s
                                 << u"Readings are stored again"_s;
    }

    void fullDisk_isSaidAndNothingIsLost()
    {
        QFETCH(QString, process);
        QFETCH(QString, failing);
        QFETCH(QString, recovered);
        SmallDisk disk; // outlives those who write on it
        RunningBuilding running(planWith({u"hvac-001"_s}));
        const QString state = running.building->plan().stateDir(process);
        disk.mountAt(state);
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() > 20, kPatience);
        const auto pid = pid_t(running.building->child(process)->pid());
        const auto isFailing = [&] {
            if (process == u"hvac-001")
                return running.sensor(process, u"status"_s).value("waiting_batches"_L1).toInteger() > 0;
            const QCborMap status = process == u"gateway" ? running.gateway(u"status"_s) : running.backend(u"status"_s);
            return status.value("storage_failing"_L1).toBool();
        };
        QVERIFY(disk.fill(pid));
        QTRY_VERIFY_WITH_TIMEOUT(isFailing(), kPatience);
        QVERIFY2(running.log(process).contains(failing), qPrintable(running.log(process)));
        if (disk.isReal())
            QVERIFY2(running.log(process).contains(u"disk full"_s), qPrintable(running.log(process)));
        if (process == u"gateway")
            QTRY_VERIFY_WITH_TIMEOUT(pendingAt(running.sensor(u"hvac-001"_s, u"status"_s)) > 20, kPatience);
        else if (process == u"backend")
            QTRY_VERIFY_WITH_TIMEOUT(pendingAt(running.gateway(u"status"_s)) > 20, kPatience);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));

        QVERIFY(disk.free());
        QTRY_VERIFY_WITH_TIMEOUT(!isFailing(), kPatience);
        if (!recovered.isEmpty())
            QTRY_VERIFY_WITH_TIMEOUT(running.log(process).contains(recovered), kPatience);
        QCOMPARE(pid_t(running.building->child(process)->pid()), pid); // no restart was needed
        checkNothingIsLost(running, u"hvac-001"_s);
    }

    void damagedSpool_endsTheSensorAndTheNextStartSetsItAside()
    {
        QTemporaryDir dir;
        const QString csv = dir.filePath(u"long.csv"_s);
        const QString map = dir.filePath(u"map.yaml"_s);
        QByteArray text = "time,a\n";
        for (int row = 0; row < 20'000; ++row)
            text += QByteArray::number(1'736'899'200 + row) + ',' + QByteArray::number(row) + '\n';
        QVERIFY(writeFile(csv, text));
        QVERIFY(writeFile(map, "description: long\ntime: {column: time, format: epoch_s}\n"
                               "points:\n  - {column: a, id: a}\n"));
        demo::DemoPlan plan = planWith({u"replay-001"_s});
        plan.sensors.first().driverSection =
            u"driver:\n  type: replay\n  file: \"%1\"\n  map: \"%2\"\n  pace: accelerated\n  speed: 100000\n\n"_s.arg(
                csv, map);
        RunningBuilding running(plan);
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        running.kill(u"gateway"_s); // the sensor goes on storing
        QTRY_VERIFY2_WITH_TIMEOUT(running.log(u"replay-001"_s).contains(u"the recording is over and stored"_s),
                                  qPrintable(running.log(u"replay-001"_s)), kPatience);

        const QString state = running.building->plan().stateDir(u"replay-001"_s);
        for (const QString &name : {u"/spool.db"_s, u"/spool.db-wal"_s}) {
            QFile file(state + name);
            QVERIFY(file.open(QIODevice::ReadWrite));
            const QByteArray noise(int(file.size() - 4096), '\xa5');
            QVERIFY(file.seek(4096));
            QCOMPARE(file.write(noise), noise.size());
        }
        demo::ChildProcess *child = running.building->child(u"replay-001"_s);
        running.restart(u"gateway"_s); // now the sensor reads what it has stored
        QTRY_VERIFY2_WITH_TIMEOUT(!child->isRunning(), qPrintable(running.log(u"replay-001"_s)), kPatience);
        QCOMPARE(child->howItEnded(), u"ended with exit code 1"_s);
        QCOMPARE(running.log(u"replay-001"_s).count(u"the spool's file is damaged"_s), 1);

        running.restart(u"replay-001"_s);
        const auto setAside = [&state] {
            return !QDir(state).entryList({u"spool.db.damaged-*"_s}, QDir::Files).isEmpty();
        };
        QTRY_VERIFY_WITH_TIMEOUT(setAside(), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(
            running.sensor(u"replay-001"_s, u"status"_s).value("phase"_L1).toString() == u"Custody", kPatience);
    }

    void portInUse_theBuildingTakesAnother()
    {
        // What the broker itself says then.
        QTcpServer occupant;
        QVERIFY(occupant.listen(QHostAddress::LocalHost));
        QTemporaryDir dir;
        const QString config = dir.filePath(u"mosquitto.conf"_s);
        QVERIFY(writeFile(config, "listener " + QByteArray::number(occupant.serverPort()) + " 127.0.0.1\n"));
        QProcess broker;
        broker.setProcessChannelMode(QProcess::MergedChannels);
        const auto mosquitto = demo::findMosquitto();
        QVERIFY(mosquitto);
        broker.start(*mosquitto, {u"-c"_s, config});
        QVERIFY(broker.waitForFinished(30'000));
        QVERIFY(broker.exitCode() != 0);
        const QByteArray words = broker.readAll();
        QVERIFY2(words.contains("in use"), words.constData());

        // A broker that finds its port taken the first time, or every time.
        const QByteArray path = qgetenv("PATH");
        const auto restorePath = qScopeGuard([&path] { qputenv("PATH", path); });
        for (const int failures : {1, 1'000}) {
            const QString starts = dir.filePath(u"starts-%1"_s.arg(failures));
            QVERIFY(
                writeFile(dir.filePath(u"mosquitto"_s),
                          u"#!/bin/sh\necho start >> '%1'\nif [ $(wc -l < '%1') -le %2 ]; then\n"
                          "  echo 'Error: Address already in use' >&2\n  exit 1\nfi\nexec '%3' \"$@\"\n"_s.arg(starts)
                              .arg(failures)
                              .arg(*mosquitto)
                              .toUtf8()));
            QFile::setPermissions(dir.filePath(u"mosquitto"_s), QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
            qputenv("PATH", dir.path().toUtf8() + ':' + path);
            demo::DemoPlan plan = planWith({u"hvac-001"_s});
            QTemporaryDir root;
            plan.root = QDir(root.path());
            demo::Building building(plan);
            QVERIFY(building.makeIdentities());
            const auto started = building.startBrokers();
            QFile counted(starts);
            QVERIFY(counted.open(QIODevice::ReadOnly));
            const auto count = counted.readAll().count('\n');
            if (failures == 1) {
                QVERIFY2(started, started ? "" : qPrintable(started.error().message));
                QCOMPARE(count, 3); // the one in vain, and both brokers
            } else {
                QVERIFY(!started);
                QVERIFY2(started.error().message.contains(u"no free port"_s), qPrintable(started.error().message));
                QCOMPARE(count, 5);
            }
        }
    }

    void consoleWithoutDisplay_saysSo()
    {
        const QString console = QStringLiteral(LINTEL_BIN_DIR "/lintel-console");
        if (!QFile::exists(console))
            QSKIP("lintel-console is not part of this build (LINTEL_BUILD_GUI is off).");
        auto environment = QProcessEnvironment::systemEnvironment();
        for (const QString &name : {u"DISPLAY"_s, u"WAYLAND_DISPLAY"_s, u"QT_QPA_PLATFORM"_s, u"QT_QUICK_BACKEND"_s})
            environment.remove(name);
        QProcess process;
        process.setProcessEnvironment(environment);
        process.start(console, {u"--offline"_s});
        QVERIFY(process.waitForFinished(60'000));
        QCOMPARE(process.exitStatus(), QProcess::NormalExit);
        QCOMPARE(process.exitCode(), 3);
        const QByteArray words = process.readAllStandardError();
        QVERIFY2(words.contains("There is no display"), words.constData());
        QVERIFY2(words.contains("--headless"), words.constData());
    }

private:
    /// A point of the simulated sensor that has moved.
    static QString somePoint(RunningBuilding &running)
    {
        QString best;
        const QCborArray values = running.backend(u"last_values"_s).value("values"_L1).toArray();
        for (const auto &one : values) {
            const QString point = one.toMap().value("point"_L1).toString();
            if (best.isEmpty() || point.contains(u"temp"_s))
                best = point;
        }
        return best;
    }
};

QTEST_GUILESS_MAIN(TestBadInputLive)
#include "tst_bad_input_live.moc"

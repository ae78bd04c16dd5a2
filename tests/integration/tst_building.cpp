// The main promise, with real processes: a recording played as fast as it is acknowledged, the line
// to the cloud cut twice and the gateway killed with -9 once, and the historian holds every row
// exactly once, in the order of the device's clock, with the recorded times. Also with devices that
// attest by TPM, guarded brokers, and certificates so short-lived that everybody renews meanwhile.
#include "fakes/needs.h"
#include "integration/running_building.h"

#include <QCborArray>
#include <QFile>
#include <QRegularExpression>
#include <QStandardPaths>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {

struct Recording {
    QString file;
    QString map;
    QStringList points;
    // What the historian must hold in the end, row by row.
    QList<Timestamp> times;
    QList<QCborArray> values; // one of each point
    // A short window, so that the recording is not over before the cuts come.
    QString pace = u"as_acknowledged\n  window: 8"_s;

    [[nodiscard]] qint64 rows() const { return times.size(); }
};

/// The uplink was cut while the gateway took these rows, [first, end).
struct Outage {
    qint64 first = 0;
    qint64 end = 0;
};

constexpr qint64 kRowsInAnOutage = 40;
constexpr qint64 kRows = 2'500;
/// The shortest that the demo allows: everybody has a new certificate every ten seconds.
constexpr std::chrono::seconds kSvidTtl{20};
constexpr qint64 kFirstMillis = 1'736'899'200'000; // 2025-01-15T00:00:00Z

/// Five points; the text of its file.
QByteArray generate(Recording &recording)
{
    recording.points = QStringList{u"a"_s, u"b"_s, u"c"_s, u"d"_s, u"e"_s};
    QByteArray csv = "time,a,b,c,d,e\n";
    for (qint64 row = 0; row < kRows; ++row) {
        recording.times << fromEpochMillis(kFirstMillis + row * 1000);
        csv += toIso8601(recording.times.last()).left(19).replace(u'T', u' ').toUtf8();
        QCborArray values;
        for (int column = 0; column < 5; ++column) {
            values.append(double(row) * 0.25 + column * 1000);
            csv += ',' + QByteArray::number(values.last().toDouble());
        }
        recording.values << values;
        csv += '\n';
    }
    return csv;
}

/// Reads it by itself, not with the reader of the driver under test: id, time in Mons, Temperature,
/// Humidity, Light, CO2, HumidityRatio, Occupancy.
void readOfficeRoom(Recording &recording)
{
    recording.points = QStringList{u"air_temp"_s, u"air_humidity"_s, u"light"_s, u"co2"_s, u"occupied"_s};
    QFile file(recording.file);
    QVERIFY(file.open(QIODevice::ReadOnly));
    (void)file.readLine(); // the header
    while (!file.atEnd()) {
        const auto cells = QString::fromUtf8(file.readLine()).trimmed().split(u',');
        QCOMPARE(cells.size(), 8);
        const auto inMons = QDateTime::fromString(cells[1].sliced(1, 19), u"yyyy-MM-dd HH:mm:ss"_s);
        constexpr int kWinter = 3'600; // seconds ahead of UTC; February
        recording.times << fromEpochMillis(
            QDateTime(inMons.date(), inMons.time(), Qt::OffsetFromUTC, kWinter).toMSecsSinceEpoch());
        recording.values << QCborArray{cells[2].toDouble(), cells[3].toDouble(), cells[4].toDouble(),
                                       cells[5].toDouble(), cells[7] == u"1"};
    }
}

const char *const kGeneratedMap = "description: generated\n"
                                  "time: {column: time, format: \"yyyy-MM-dd HH:mm:ss\", zone: UTC}\n"
                                  "points:\n"
                                  "  - {column: a, id: a}\n"
                                  "  - {column: b, id: b}\n"
                                  "  - {column: c, id: c}\n"
                                  "  - {column: d, id: d}\n"
                                  "  - {column: e, id: e}\n";

demo::DemoPlan planFor(const Recording &recording, demo::IdentityKind identity)
{
    demo::DemoPlan plan;
    plan.identity = identity;
    plan.svidTtl = kSvidTtl;
    demo::SensorPlan sensor;
    sensor.name = u"replay-001"_s;
    sensor.space = u"floor-1/zone-a"_s;
    sensor.equip = u"room-1"_s;
    sensor.driverSection = u"driver:\n  type: replay\n  file: \"%1\"\n  map: \"%2\"\n  pace: %3\n\n"_s.arg(
        recording.file, recording.map, recording.pace);
    plan.sensors.append(sensor);
    return plan;
}

} // namespace

class TestBuilding : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void replay_everyRowArrivesOnceThroughCutsAndAKill_data()
    {
        QTest::addColumn<demo::IdentityKind>("identity");
        QTest::addRow("files") << demo::IdentityKind::Files;
        QTest::addRow("tpm, plugin and renewals") << demo::IdentityKind::Tpm;
    }

    void replay_everyRowArrivesOnceThroughCutsAndAKill()
    {
        QFETCH(demo::IdentityKind, identity);
        const bool hasTpms = identity == demo::IdentityKind::Tpm;
        if (hasTpms && QStandardPaths::findExecutable(u"swtpm"_s).isEmpty())
            LINTEL_SKIP("swtpm is not installed; run scripts/bootstrap --test.");
        QTemporaryDir dir;
        Recording recording;
        recording.file = dir.filePath(u"generated.csv"_s);
        recording.map = dir.filePath(u"map.yaml"_s);
        QVERIFY(write(recording.file, generate(recording)));
        QVERIFY(write(recording.map, kGeneratedMap));
        if (hasTpms) // twenty seconds, in which everybody renews
            recording.pace = u"accelerated\n  speed: 125"_s;
        play(recording, identity);
    }

    void replay_recordedOfficeRoom()
    {
        QString data = qEnvironmentVariable("LINTEL_SHARED_DATA");
        if (data.isEmpty())
            data = QStringLiteral(LINTEL_SOURCE_DIR "/../shared/data");
        Recording recording;
        recording.file = data + u"/uci-occupancy/datatest.txt"_s;
        if (!QFile::exists(recording.file))
            QSKIP("The recording uci-occupancy/datatest.txt is not here; name its folder in LINTEL_SHARED_DATA.");
        recording.map = QStringLiteral(LINTEL_SOURCE_DIR "/resources/config/replay-uci.yaml");
        readOfficeRoom(recording);
        if (QTest::currentTestFailed())
            return;
        QCOMPARE(recording.rows(), 2'665);
        play(recording, demo::IdentityKind::Files);
    }

    /// A core would hold keys; a host of many devices needs a descriptor for each.
    void processes_leaveNoCoreFileAndMayHaveManyConnections()
    {
        RunningBuilding running(demo::DemoPlan{});
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        for (const auto &process : {u"gateway"_s, u"backend"_s}) {
            const auto limits = [&] {
                QFile file(u"/proc/%1/limits"_s.arg(running.building->child(process)->pid()));
                return file.open(QIODevice::ReadOnly) ? QString::fromLatin1(file.readAll()) : QString();
            };
            const QRegularExpression noCore(u"Max core file size +1 +1 "_s);
            QTRY_VERIFY2_WITH_TIMEOUT(limits().contains(noCore), qPrintable(limits()), 30'000);
            const QRegularExpression files(u"Max open files +(\\d+) +(\\d+) "_s);
            QTRY_VERIFY_WITH_TIMEOUT(files.match(limits()).captured(1) == files.match(limits()).captured(2), 30'000);
        }
    }

    /// What a gateway says of a sensor that does not come back, after a crash of its own.
    void gateway_restartedRemembersASensorThatIsGone()
    {
        demo::DemoPlan plan;
        plan.sensorPeriod = std::chrono::milliseconds{500};
        demo::SensorPlan sensor;
        sensor.name = u"hvac-001"_s;
        sensor.space = u"floor-1/zone-a"_s;
        sensor.equip = u"ahu-1"_s;
        plan.sensors.append(sensor);
        RunningBuilding running(std::move(plan));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const auto known = [&running] {
            const QCborMap sensors = running.gateway(u"aggregate_sensors"_s).value("sensors"_L1).toMap();
            return sensors.value("hvac-001"_L1).toMap();
        };
        const auto received = [&known] { return known().value("readings_received"_L1).toInteger(); };
        QTRY_VERIFY_WITH_TIMEOUT(received() > 20, 60'000);

        // Both at once: nobody saw the sensor go, but its last readings are stored.
        running.kill(u"gateway"_s);
        running.kill(u"hvac-001"_s);
        running.restart(u"gateway"_s);
        QTRY_VERIFY_WITH_TIMEOUT(!known().isEmpty(), 60'000);
        QCborMap before = known();
        QCOMPARE(before.value("status"_L1).toString(), u"offline"_s);
        QVERIFY(!before.value("readings"_L1).toMap().isEmpty());
        QString newest;
        const QCborArray values = running.gateway(u"last_values"_s).value("values"_L1).toArray();
        for (const auto &value : values)
            newest = std::max(newest, value.toMap().value("time"_L1).toString());
        QCOMPARE(values.size(), before.value("readings"_L1).toMap().size());
        QCOMPARE(before.value("since"_L1).toString(), newest);
        QCOMPARE(before.value("last_seen"_L1).toString(), newest);

        // The sensor measures again and dies under the gateway's eyes; then the gateway crashes.
        running.restart(u"hvac-001"_s);
        QTRY_COMPARE_WITH_TIMEOUT(known().value("status"_L1).toString(), u"online"_s, 60'000);
        QTRY_VERIFY_WITH_TIMEOUT(received() > 20, 60'000);
        running.kill(u"hvac-001"_s);
        QTRY_COMPARE_WITH_TIMEOUT(known().value("status"_L1).toString(), u"offline"_s, 60'000);
        before = known();
        const QCborArray lastBefore = running.gateway(u"last_values"_s).value("values"_L1).toArray();
        const QCborArray listBefore = running.gateway(u"list_devices"_s).value("devices"_L1).toArray();
        const qint64 takenBefore = takenByGateway(running);
        running.killAndRestart(u"gateway"_s);
        QTRY_VERIFY_WITH_TIMEOUT(!known().isEmpty(), 60'000);
        QCOMPARE(known(), before);
        QCOMPARE(running.gateway(u"last_values"_s).value("values"_L1).toArray(), lastBefore);
        QCOMPARE(running.gateway(u"list_devices"_s).value("devices"_L1).toArray(), listBefore);
        QCOMPARE(takenByGateway(running), takenBefore);
        const QCborMap all = running.gateway(u"aggregate_sensors"_s);
        QCOMPARE(all.value("total_sensors"_L1).toInteger(), 1);
        QCOMPARE(all.value("online_sensors"_L1).toInteger(), 0);
        QCOMPARE(all.value("readings_received"_L1).toInteger(), received());
    }

private:
    static bool write(const QString &path, const QByteArray &text)
    {
        QFile file(path);
        return file.open(QIODevice::WriteOnly) && file.write(text) == text.size();
    }

    void play(const Recording &recording, demo::IdentityKind identity)
    {
        RunningBuilding running(planFor(recording, identity));
        const QString problem = running.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const qint64 total = recording.rows() * recording.points.size();
        QList<Outage> outages;
        outages.append(cutUplink(running, recording, total / 10));
        if (QTest::currentTestFailed())
            return;
        QTRY_VERIFY_WITH_TIMEOUT(running.storedInCloud() >= outages.last().end * recording.points.size(), 60'000);
        running.killAndRestart(u"gateway"_s);
        outages.append(cutUplink(running, recording, total / 2));
        if (QTest::currentTestFailed())
            return;
        QTRY_COMPARE_WITH_TIMEOUT(running.storedInCloud(), total, 120'000);
        if (identity == demo::IdentityKind::Tpm)
            checkTrust(running);
        if (QTest::currentTestFailed())
            return;

        const QCborMap status = running.backend(u"status"_s, {{"exact"_L1, true}});
        QCOMPARE(status.value("readings_stored"_L1).toInteger(), total);
        QCOMPARE(status.value("duplicates"_L1).toInteger(), 0);
        QCOMPARE(status.value("gaps"_L1).toInteger(), 0);
        // What came live must not say that it is late, or the marks below would mean nothing.
        const qint64 late = status.value("readings_historical"_L1).toInteger(-1);
        qInfo("%lld of %lld readings came late", late, total);
        QVERIFY(late > 0 && late < total);
        QVERIFY2(running.deaths.isEmpty(), qPrintable(running.deaths.join(u'\n')));
        for (const QString &point : recording.points)
            checkHistory(running, recording, point, outages);
        QTRY_COMPARE_WITH_TIMEOUT(
            running.gateway(u"status"_s).value("spool"_L1).toMap().value("readings_pending"_L1).toInteger(), 0, 30'000);
    }

    /// Everybody has attested, has renewed since it started, and so have the brokers beside them.
    static void checkTrust(RunningBuilding &running)
    {
        const auto attested = running.building->attestedDevices();
        QVERIFY2(attested, attested ? "" : qPrintable(attested.error().message));
        QCOMPARE(*attested, std::optional(2)); // the sensor and the gateway
        const auto identityOf = [](const QCborMap &status) { return status.value("identity"_L1).toMap(); };
        const auto asks = {
            std::function([&running] { return running.sensor(u"replay-001"_s, u"status"_s); }),
            std::function([&running] { return running.gateway(u"status"_s); }),
            std::function([&running] { return running.backend(u"status"_s); }),
        };
        for (const auto &ask : asks) {
            QTRY_VERIFY_WITH_TIMEOUT(identityOf(ask()).value("rotations"_L1).toInteger() > 0, 60'000);
            const QCborMap status = ask();
            QCOMPARE(identityOf(status).value("state"_L1).toString(), u"valid"_s);
            if (const QCborMap broker = status.value("broker"_L1).toMap(); !broker.isEmpty())
                QVERIFY(broker.value("certificate_rotations"_L1).toInteger() > 0);
        }
        for (const QString &device : {u"replay-001"_s, u"gateway"_s}) {
            const QCborMap status =
                device == u"gateway" ? running.gateway(u"status"_s) : running.sensor(device, u"status"_s);
            QVERIFY2(identityOf(status).value("bound_to_chip"_L1).toBool(), qPrintable(device));
        }
    }

    static qint64 takenByGateway(RunningBuilding &running)
    {
        return running.gateway(u"status"_s).value("spool"_L1).toMap().value("readings_total"_L1).toInteger(-1);
    }

    /// Cuts the line in the middle of the stream: once the gateway has `after` readings, and until it
    /// has taken some rows that it could not pass on.
    static Outage cutUplink(RunningBuilding &running, const Recording &recording, qint64 after)
    {
        const qint64 points = recording.points.size();
        const qint64 total = recording.rows() * points;
        Outage outage;
        const auto cut = [&] {
            QTRY_VERIFY_WITH_TIMEOUT(takenByGateway(running) >= after, 60'000);
            const auto isUplinkUp = [&] { return running.gateway(u"status"_s).value("cloud_available"_L1).toBool(); };
            QVERIFY(QTest::qWaitFor(isUplinkUp, 60'000)); // asked once: a renewal may follow
            running.building->wan().cut();
            const qint64 before = takenByGateway(running);
            QVERIFY2(before > 0 && before < total, "the cut fell beside the stream, not into it");
            qint64 taken = before;
            QTRY_VERIFY_WITH_TIMEOUT((taken = takenByGateway(running)) >= before + kRowsInAnOutage * points, 60'000);
            QVERIFY(running.storedInCloud() < taken);
            running.building->wan().mend();
            outage = {before / points, taken / points};
            qInfo("cut while the gateway took rows %lld to %lld of %lld", outage.first, outage.end, recording.rows());
        };
        cut();
        return outage;
    }

    void checkHistory(RunningBuilding &running, const Recording &recording, const QString &point,
                      const QList<Outage> &outages)
    {
        const QCborMap answer = running.backend(u"query_history"_s, {
                                                                        {"device"_L1, u"replay-001"_s},
                                                                        {"point"_L1, point},
                                                                        {"from"_L1, u"2010-01-01T00:00:00Z"_s},
                                                                    });
        const QCborArray history = answer.value("readings"_L1).toArray();
        QCOMPARE(history.size(), recording.rows());
        const qsizetype column = recording.points.indexOf(point);
        for (qsizetype row = 0; row < history.size(); ++row) {
            const QCborMap reading = history.at(row).toMap();
            const QString where = u"%1, row %2: "_s.arg(point).arg(row);
            QVERIFY2(reading.value("time"_L1).toString() == toIso8601(recording.times[row]),
                     qPrintable(where + reading.value("time"_L1).toString()));
            const QCborValue value = reading.value("value"_L1);
            const QCborValue expected = recording.values[row].at(column);
            const bool isSame = expected.isBool() ? value == expected : value.toDouble(-1) == expected.toDouble();
            QVERIFY2(isSame, qPrintable(where + value.toDiagnosticNotation()));
        }
        for (const Outage &outage : outages) {
            for (qint64 row = outage.first; row < outage.end; ++row)
                QVERIFY2(history.at(row).toMap().value("historical"_L1).toBool(),
                         qPrintable(u"%1, row %2 came late and does not say so"_s.arg(point).arg(row)));
        }
    }
};

QTEST_GUILESS_MAIN(TestBuilding)
#include "tst_building.moc"

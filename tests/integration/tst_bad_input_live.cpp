// What others do wrong while everything runs: one sentence that says what and what to do, the process
// keeps running, and nothing that was accepted is lost. Wrong certificates: tst_wrong_identity_live; full
// disks: tst_full_disk; messages that are none: tst_bad_messages_live; wrong clocks: tst_bad_input_clock.
#include "integration/live_building.h"
#include "ports/system_clock.h"

#include <QCborArray>
#include <QProcess>
#include <QScopeGuard>
#include <QTcpServer>
#include <QTest>

using namespace lintel;
using namespace lintel::test;

class TestBadInputLive : public QObject
{
    Q_OBJECT

private Q_SLOTS:
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
        QCOMPARE(process.exitCode(), 4);
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

// What the tests of a running building share: small buildings that measure ten times a second, and the check
// that nothing was lost.
// Thread: the test's.
#pragma once

#include "integration/running_building.h"

namespace lintel::test {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

constexpr int kPatience = 90'000; // ms, of a condition that comes at last

inline demo::DemoPlan planWith(const QStringList &sensors)
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

inline bool writeFile(const QString &path, const QByteArray &text)
{
    QFile file(path);
    return file.open(QIODevice::WriteOnly | QIODevice::Truncate) && file.write(text) == text.size();
}

inline qint64 pendingAt(const QCborMap &status)
{
    return status.value("spool"_L1).toMap().value("readings_pending"_L1).toInteger(-1);
}

/// Everything that the sensor ever took is in the historian, once. Ends the sensor.
inline void checkNothingIsLost(RunningBuilding &running, const QString &sensor)
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

} // namespace lintel::test

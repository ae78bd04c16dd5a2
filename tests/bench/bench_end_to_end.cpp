// Readings per second from a sensor over the gateway into the cloud's historian, on loopback with
// mutual TLS and everything durable; and what a gateway with 100 simulated sensors weighs. Prints one
// JSON object. Give "rate" or "memory" to run one of the two.
#include "demo/process_memory.h"
#include "integration/running_building.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QJsonDocument>
#include <QJsonObject>

#include <cstdio>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {

constexpr int kRows = 20'000;
constexpr int kPoints = 5;
constexpr int kSensors = 100;

QJsonObject measureRate()
{
    QTemporaryDir dir;
    QByteArray csv = "time,a,b,c,d,e\n";
    for (int row = 0; row < kRows; ++row) {
        csv += toIso8601(fromEpochMillis(1'736'899'200'000 + row * 1000LL)).left(19).replace(u'T', u' ').toUtf8();
        for (int column = 0; column < kPoints; ++column)
            csv += ',' + QByteArray::number(row * 0.25 + column);
        csv += '\n';
    }
    QFile file(dir.filePath(u"rows.csv"_s));
    QFile map(dir.filePath(u"map.yaml"_s));
    if (!file.open(QIODevice::WriteOnly) || !map.open(QIODevice::WriteOnly))
        return {{u"problem"_s, u"no temporary file"_s}};
    file.write(csv);
    map.write(
        "description: generated\ntime: {column: time, format: \"yyyy-MM-dd HH:mm:ss\", zone: UTC}\npoints:\n"
        "  - {column: a, id: a}\n  - {column: b, id: b}\n  - {column: c, id: c}\n  - {column: d, id: d}\n  - {column: e, id: e}\n");
    file.close();
    map.close();
    demo::DemoPlan plan;
    demo::SensorPlan sensor;
    sensor.name = u"replay-001"_s;
    sensor.space = u"floor-1"_s;
    sensor.equip = u"room-1"_s;
    sensor.driverSection =
        u"driver:\n  type: replay\n  file: \"%1\"\n  map: \"%2\"\n  pace: as_acknowledged\n  window: 1024\n\n"_s.arg(
            file.fileName(), map.fileName());
    plan.sensors.append(sensor);

    RunningBuilding running(plan);
    if (const QString problem = running.start(); !problem.isEmpty())
        return {{u"problem"_s, problem}};
    qint64 stored = 0;
    QElapsedTimer sinceFirst;
    qint64 first = 0;
    QElapsedTimer patience;
    patience.start();
    while (stored < kRows * kPoints && patience.elapsed() < 300'000) {
        stored = running.storedInCloud();
        if (stored > 0 && !sinceFirst.isValid()) {
            sinceFirst.start();
            first = stored;
        }
        QTest::qWait(50);
    }
    const double seconds = double(sinceFirst.elapsed()) / 1000;
    return {
        {u"readings"_s, stored},
        {u"points_per_batch"_s, kPoints},
        {u"seconds"_s, seconds},
        {u"readings_per_second"_s, seconds > 0 ? double(stored - first) / seconds : 0},
    };
}

QJsonObject measureMemory()
{
    demo::DemoOptions options;
    options.sensors = kSensors;
    options.identity = demo::IdentityKind::Files; // a hundred software TPMs would be measured with them
    const auto plan = demo::makePlan(options, QString());
    if (!plan)
        return {{u"problem"_s, plan.error().message}};
    demo::DemoPlan relaxed = *plan;
    relaxed.sensorPeriod = std::chrono::seconds{10};
    RunningBuilding running(relaxed);
    if (const QString problem = running.start(); !problem.isEmpty())
        return {{u"problem"_s, problem}};
    QElapsedTimer patience;
    patience.start();
    qint64 online = 0;
    while (online < kSensors && patience.elapsed() < 180'000) {
        online = running.gateway(u"status"_s).value("sensors_online"_L1).toInteger();
        QTest::qWait(500);
    }
    QTest::qWait(30'000); // three periods of readings
    const auto gateway = demo::sampleMemory(running.building->child(u"gateway"_s)->pid());
    const auto backend = demo::sampleMemory(running.building->child(u"backend"_s)->pid());
    return {
        {u"sensors_online"_s, online},
        {u"gateway_rss_kib"_s, gateway ? gateway->rssKib : 0},
        {u"gateway_pss_kib"_s, gateway ? gateway->pssKib : 0},
        {u"backend_rss_kib"_s, backend ? backend->rssKib : 0},
        {u"backend_pss_kib"_s, backend ? backend->pssKib : 0},
    };
}

/// A figure of a building that did not run is none.
bool measuredAll(const QJsonObject &result)
{
    for (const QJsonValue &part : result) {
        const QJsonObject figures = part.toObject();
        if (figures.contains("problem"_L1))
            return false;
        if (figures.contains("sensors_online"_L1)
            && (figures.value("sensors_online"_L1).toInteger() < kSensors
                || figures.value("gateway_rss_kib"_L1).toInteger() == 0))
            return false;
        if (figures.contains("readings_per_second"_L1) && figures.value("readings_per_second"_L1).toDouble() <= 0)
            return false;
    }
    return true;
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    const QString only = QCoreApplication::arguments().value(1);
    QJsonObject result{{u"bench"_s, u"end_to_end"_s}};
    if (only != u"memory")
        result.insert(u"rate"_s, measureRate());
    if (only != u"rate")
        result.insert(u"memory"_s, measureMemory());
    const QByteArray text = QJsonDocument(result).toJson(QJsonDocument::Compact) + '\n';
    std::fwrite(text.constData(), 1, size_t(text.size()), stdout);
    return measuredAll(result) ? 0 : 1;
}

#include "demo/demo_plan.h"

#include <QFile>
#include <QFileInfo>
#include <QTcpServer>

namespace lintel::demo {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kSensorsPerFloor = 6;

struct KindNames {
    QLatin1StringView prefix;
    QLatin1StringView equip;
};

KindNames namesOf(SensorKind kind)
{
    switch (kind) {
    case SensorKind::Hvac: return {"hvac"_L1, "ahu"_L1};
    case SensorKind::Occupancy: return {"occupancy"_L1, "room"_L1};
    case SensorKind::Energy: return {"energy"_L1, "panel"_L1};
    }
    return {};
}

SensorPlan simulatedSensor(int index)
{
    const auto kind = static_cast<SensorKind>(index % 3);
    const int number = index / 3 + 1;
    const int floor = index / kSensorsPerFloor + 1;
    const QChar zone(u'a' + (index % kSensorsPerFloor) / 3);
    const KindNames names = namesOf(kind);
    SensorPlan sensor;
    sensor.name = u"%1-%2"_s.arg(names.prefix).arg(number, 3, 10, QChar(u'0'));
    sensor.kind = kind;
    sensor.seed = index + 1;
    sensor.space = u"floor-%1/zone-%2"_s.arg(floor).arg(zone);
    sensor.equip = u"%1-%2"_s.arg(names.equip).arg(number);
    return sensor;
}

Result<QList<SensorPlan>> recordings(const QString &folder)
{
    QList<SensorPlan> found;
    const QDir dir(folder);
    const QStringList files = dir.entryList({u"*.csv"_s, u"*.txt"_s}, QDir::Files, QDir::Name);
    for (const QString &name : files) {
        QFile file(dir.absoluteFilePath(name));
        if (!file.open(QIODevice::ReadOnly))
            return Error{Errc::Io, u"\"%1\" cannot be read: %2."_s.arg(file.fileName(), file.errorString())};
        const KnownRecording known = recordingOf(QString::fromUtf8(file.readLine(64 * 1024)).trimmed());
        if (known.columnMap.isEmpty())
            continue;
        SensorPlan sensor;
        sensor.recording = QFileInfo(file).absoluteFilePath();
        sensor.columnMap = known.columnMap;
        sensor.rowInterval = known.rowInterval;
        found.append(sensor);
    }
    if (found.isEmpty())
        return Error{
            Errc::NotFound,
            u"In \"%1\" there is no recording that Lintel knows by its header line; the maps in resources/config say which it knows."_s
                .arg(folder)};
    return found;
}

} // namespace

QString ids::sensor(const QString &name)
{
    return u"spiffe://%1/agent/%2"_s.arg(kBuildingDomain, name);
}

KnownRecording recordingOf(const QString &headerLine)
{
    QString header = headerLine;
    header.remove(u'"');
    struct Known {
        QLatin1StringView start;
        QLatin1StringView map;
        std::chrono::milliseconds rowInterval;
    };
    static constexpr Known kKnown[] = {
        {"date,Temperature,Humidity,Light,CO2,HumidityRatio,Occupancy"_L1, "replay-uci"_L1, 1min},
        {"Datetime,AHU: Supply Air Temperature"_L1, "replay-lbnl-szcav"_L1, 1min},
        {"Day of Week,Date and Time,Total Cooling (kW)"_L1, "replay-nrel-rsf"_L1, 1h},
    };
    for (const Known &known : kKnown) {
        if (header.startsWith(known.start))
            return {known.map, known.rowInterval};
    }
    return {};
}

Result<DemoPlan> makePlan(const DemoOptions &options, const QString &root)
{
    DemoPlan plan;
    plan.root = QDir(root);
    plan.sensorPeriod = options.sensorPeriod;
    QList<SensorPlan> recorded;
    if (!options.replayDir.isEmpty()) {
        auto found = recordings(options.replayDir);
        if (!found)
            return found.error();
        recorded = *std::move(found);
    }
    for (int index = 0; index < options.sensors; ++index) {
        SensorPlan sensor = simulatedSensor(index);
        if (index < recorded.size()) {
            sensor.name = u"replay-%1"_s.arg(index + 1, 3, 10, QChar(u'0'));
            sensor.recording = recorded[index].recording;
            sensor.columnMap = recorded[index].columnMap;
            sensor.rowInterval = recorded[index].rowInterval;
        }
        plan.sensors.append(sensor);
    }
    return plan;
}

Result<quint16> freePort()
{
    QTcpServer probe;
    if (!probe.listen(QHostAddress::LocalHost))
        return Error{Errc::Io, u"There is no free TCP port on 127.0.0.1: %1."_s.arg(probe.errorString())};
    return probe.serverPort();
}

} // namespace lintel::demo

#include "demo/demo_plan.h"

#include "demo/recordings.h"

namespace lintel::demo {

using namespace Qt::StringLiterals;

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

Error noRecordings(const QString &folder, const RecordingSurvey &survey)
{
    const QString why = unusedSentence(survey, 0);
    return {
        Errc::Malformed,
        u"--replay %1: no recording there can be played; it takes CSV files with a header, a column of times and columns of numbers. %2"_s
            .arg(folder, why.isEmpty() ? u"There is no *.csv and no *.txt directly in it."_s : why)};
}

} // namespace

QString ids::sensor(const QString &name)
{
    return u"spiffe://%1/agent/%2"_s.arg(kBuildingDomain, name);
}

Result<DemoPlan> makePlan(const DemoOptions &options, const QString &root)
{
    DemoPlan plan;
    plan.root = QDir(root);
    plan.sensorPeriod = options.sensorPeriod;
    plan.identity = options.identity;
    plan.svidTtl = options.svidTtl;
    RecordingSurvey survey;
    if (!options.replayDir.isEmpty()) {
        auto found = surveyRecordings(options.replayDir);
        if (!found)
            return found.error();
        survey = *std::move(found);
        if (survey.usable.isEmpty())
            return noRecordings(options.replayDir, survey);
        for (const QString &note : {playedSentence(survey, options.sensors), unusedSentence(survey, options.sensors)}) {
            if (!note.isEmpty())
                plan.notes << note;
        }
    }
    for (int index = 0; index < options.sensors; ++index) {
        SensorPlan sensor = simulatedSensor(index);
        if (index < survey.usable.size()) {
            const Recording &recording = survey.usable[index];
            sensor.name = u"replay-%1"_s.arg(index + 1, 3, 10, QChar(u'0'));
            sensor.recording = recording.file;
            sensor.columnMap = recording.mapText.isEmpty() ? recording.columnMap : sensor.name + u"-map"_s;
            sensor.mapText = recording.mapText;
            sensor.rowInterval = recording.rowInterval;
        }
        plan.sensors.append(sensor);
    }
    return plan;
}

} // namespace lintel::demo

// RSS and PSS of a sensor agent that samples once a second, with its identity from files and from a TPM
// with an authority, as one JSON object. Both buildings are the demo's: real brokers, gateway, backend.
//
// bench_memory [SECONDS] (default 60). Exit 1 when a sensor is heavier than the goals, or stored nothing.
#include "demo/process_memory.h"
#include "integration/running_building.h"

#include <QCoreApplication>
#include <QJsonDocument>
#include <QJsonObject>

#include <cstdio>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {

constexpr int kRssGoalKib = 18 * 1024;
constexpr int kPssGoalKib = 12 * 1024;
constexpr int kSensors = 3; // one of each kind

/// Medians of the sensors, after so many seconds.
QJsonObject measure(demo::IdentityKind identity, int seconds)
{
    demo::DemoOptions options;
    options.sensors = kSensors;
    options.identity = identity;
    auto plan = demo::makePlan(options, QString());
    if (!plan)
        return {{u"problem"_s, plan.error().message}};
    const QTemporaryDir sockets;
    plan->runDir = sockets.path();
    RunningBuilding running(*plan);
    if (const QString problem = running.start(); !problem.isEmpty())
        return {{u"problem"_s, problem}};
    QTest::qWait(seconds * 1000);
    QList<demo::MemorySample> samples;
    for (const demo::SensorPlan &sensor : running.building->plan().sensors) {
        if (const auto sample = demo::sampleMemory(running.building->child(sensor.name)->pid()))
            samples << *sample;
    }
    const demo::MemorySample median = demo::median(samples);
    return {
        {u"sensors"_s, samples.size()},
        {u"readings_stored"_s, running.storedInCloud()},
        {u"rss_kib"_s, median.rssKib},
        {u"pss_kib"_s, median.pssKib},
    };
}

bool isWithinGoals(const QJsonObject &figures)
{
    const auto figure = [&](QLatin1StringView key) { return figures.value(key).toInteger(); };
    return figure("sensors"_L1) == kSensors && figure("readings_stored"_L1) > 0 && figure("rss_kib"_L1) > 0
           && figure("rss_kib"_L1) <= kRssGoalKib && figure("pss_kib"_L1) <= kPssGoalKib;
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    const int seconds = argc > 1 ? QByteArray(argv[1]).toInt() : 60;
    const QJsonObject files = measure(demo::IdentityKind::Files, seconds);
    const QJsonObject tpm = measure(demo::IdentityKind::Tpm, seconds);
    const QJsonObject result{
        {u"bench"_s, u"memory"_s},        {u"process"_s, u"lintel-sensor"_s}, {u"seconds"_s, seconds},
        {u"identity_files"_s, files},     {u"identity_tpm"_s, tpm},           {u"rss_goal_kib"_s, kRssGoalKib},
        {u"pss_goal_kib"_s, kPssGoalKib},
    };
    const QByteArray text = QJsonDocument(result).toJson(QJsonDocument::Compact) + '\n';
    std::fwrite(text.constData(), 1, size_t(text.size()), stdout);
    return isWithinGoals(files) && isWithinGoals(tpm) ? 0 : 1;
}

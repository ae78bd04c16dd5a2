// RSS and PSS of a sensor against a real mosquitto with mutual TLS, as one JSON object.
//
// The sensor samples a simulated zone once a second; this process is its gateway and acknowledges
// everything. bench_memory [SECONDS] (default 60). Exit 1 when the sensor did not reach custody.
#include "fakes/mosquitto_broker.h"
#include "mqtt/paho_transport.h"
#include "ports/system_clock.h"
#include "sparkplug/host_session.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QTimer>

#include <cstdio>

using namespace lintel;
using namespace Qt::StringLiterals;

namespace {

constexpr int kRssGoalKib = 18 * 1024;
constexpr int kPssGoalKib = 12 * 1024;

/// KiB of one line of /proc/<pid>/smaps_rollup, or -1.
qint64 memoryOf(qint64 pid, const QByteArray &key)
{
    QFile file(u"/proc/%1/smaps_rollup"_s.arg(pid));
    if (!file.open(QIODevice::ReadOnly))
        return -1;
    for (const QByteArray &line : file.readAll().split('\n')) {
        if (line.startsWith(key + ':'))
            return line.mid(key.size() + 1).simplified().split(' ').value(0).toLongLong();
    }
    return -1;
}

QByteArray sensorYaml(const test::MosquittoBroker &broker, const QString &identity, const QString &folder)
{
    return u"agent: {name: hvac-001, trust_domain: building-1.smart.local}\n"
           "identity: {provider: files, directory: \"%1\"}\n"
           "mqtt: {host: 127.0.0.1, port: %2}\n"
           "sparkplug: {host_id: gateway-1}\n"
           "driver: {type: simulated, kind: hvac, speed: 60}\n"
           "sampling: {period: 1s}\n"
           "spool: {path: \"%3/spool.db\"}\n"_s.arg(identity)
               .arg(broker.port())
               .arg(folder)
               .toUtf8();
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    const int seconds = argc > 1 ? QByteArray(argv[1]).toInt() : 60;
    test::MosquittoBroker broker;
    if (const auto started = broker.start(); !started) {
        std::fprintf(stderr, "bench_memory: %s\n", qPrintable(started.error().message));
        return 1;
    }
    const auto self = SpiffeId::parse(u"spiffe://building-1.smart.local/agent/gateway");
    test::MemoryIdentitySource identity(broker.identity(self->toString()));
    PahoTransport transport(broker.endpoint(), identity);
    sparkplug::HostConfig hostConfig;
    hostConfig.hostId = u"gateway-1"_s;
    hostConfig.self = Principal(*self);
    const SystemClock clock;
    sparkplug::HostSession host(hostConfig, clock, transport);
    quint64 received = 0;
    QObject::connect(&host, &sparkplug::HostSession::batchReceived, &host, [&](const sparkplug::HostBatch &batch) {
        if (!batch.receipt)
            return;
        ++received;
        host.acknowledge(batch.node, batch.receipt->stream, batch.receipt->msn);
    });
    QTimer ticker;
    QObject::connect(&ticker, &QTimer::timeout, &host, [&] { host.tick(); });
    ticker.start(100);
    host.start();

    const QTemporaryDir folder;
    QFile config(folder.filePath(u"sensor.yaml"_s));
    if (!config.open(QIODevice::WriteOnly))
        return 1;
    config.write(
        sensorYaml(broker, broker.identityDir(u"spiffe://building-1.smart.local/agent/hvac-001"_s), folder.path()));
    config.close();
    QProcess sensor;
    sensor.setProcessChannelMode(QProcess::ForwardedErrorChannel);
    sensor.start(QStringLiteral(LINTEL_BIN_DIR "/lintel-sensor"), {u"--config"_s, config.fileName()});
    QTimer::singleShot(seconds * 1000, &app, &QCoreApplication::quit);
    QCoreApplication::exec();

    const qint64 pid = sensor.processId();
    const qint64 rss = memoryOf(pid, "Rss");
    const qint64 pss = memoryOf(pid, "Pss");
    sensor.terminate();
    if (!sensor.waitForFinished(15'000))
        sensor.kill();
    std::printf(
        "{\"process\": \"lintel-sensor\", \"seconds\": %d, \"batches\": %llu, \"rss_kib\": %lld, \"pss_kib\": %lld, "
        "\"rss_goal_kib\": %d, \"pss_goal_kib\": %d}\n",
        seconds, received, rss, pss, kRssGoalKib, kPssGoalKib);
    return received > 0 && rss > 0 && rss <= kRssGoalKib && pss <= kPssGoalKib ? 0 : 1;
}

// A sensor agent on a test's bench: a driver in the test's hand, stores in memory, a loopback broker, and a gateway
// that takes everything. Main thread; time is the bench's clock.
#pragma once

#include "adapters/mqtt/loopback_transport.h"
#include "calls/call_client.h"
#include "fakes/fake_clock.h"
#include "fakes/memory_spool.h"
#include "fakes/memory_state_store.h"
#include "sensor/sensor_agent.h"
#include "sparkplug/host_session.h"

#include <QCoreApplication>
#include <QTimer>

namespace lintel::test {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using sparkplug::EdgeNodeSession;
using sparkplug::HostSession;

inline Principal principal(const QString &name)
{
    return Principal(*SpiffeId::parse(u"spiffe://b.org/agent/"_s + name));
}

/// Hardware that a test holds in its hand.
class ScriptedDriver final : public SensorDriver
{
public:
    DriverInfo info() const override { return {u"scripted"_s, u"for tests"_s, false}; }
    QList<Point> points() const override
    {
        Point point;
        point.id = u"temp"_s;
        point.name = u"Temperature"_s;
        point.unit = Unit::Celsius;
        return {point};
    }
    Result<void> open() override
    {
        if (openFailure)
            return *openFailure;
        return {};
    }
    void read() override
    {
        ++reads;
        if (hangs)
            return;
        QMetaObject::invokeMethod(
            this, [this] { answer(); }, Qt::QueuedConnection);
    }
    void answer()
    {
        if (failure)
            Q_EMIT readFailed(*failure);
        else
            Q_EMIT readFinished({Reading{u"temp"_s, value, Unit::Celsius, {}, Quality::Good, false}});
    }

    std::optional<Error> openFailure;
    std::optional<Error> failure;
    double value = 20;
    int reads = 0;
    bool hangs = false;
};

struct Bench {
    FakeClock clock;
    LoopbackBroker broker;
    LoopbackTransport transport{broker};
    MemorySpool spool;
    MemoryStateStore state;
    ScriptedDriver driver;
    EdgeNodeSession session;
    CallServer calls;
    std::unique_ptr<SensorAgent> agent;

    explicit Bench(Millis sendEvery = {})
        : session(sessionConfig(sendEvery), clock, transport, spool, state), calls(principal(u"s1"_s), clock, transport)
    {
        SensorSettings with = settings();
        with.sendEvery = sendEvery;
        remake(with);
    }
    static SensorSettings settings()
    {
        SensorSettings settings;
        settings.device = u"s1"_s;
        settings.memoryBatches = 5;
        settings.reports.byException = false;
        settings.reports.period = 1s; // shorter than any timeout of the session
        return settings;
    }
    static sparkplug::EdgeNodeConfig sessionConfig(Millis sendEvery)
    {
        sparkplug::EdgeNodeConfig config;
        config.sendEvery = sendEvery;
        config.group = u"b"_s;
        config.node = u"s1"_s;
        config.self = principal(u"s1"_s);
        config.primaryHost = u"g"_s;
        return config;
    }
    void remake(const SensorSettings &with)
    {
        agent = std::make_unique<SensorAgent>(with, driver, clock, spool, session, calls);
    }
    /// One sampling period, with everything that it causes.
    void period()
    {
        clock.advance(1s);
        agent->tick();
        QCoreApplication::processEvents();
    }
};

/// A gateway that takes everything.
struct Gateway {
    LoopbackTransport transport;
    HostSession host;
    CallClient client;
    QList<sparkplug::HostBatch> batches;
    QList<sparkplug::Participant> births;
    QTimer timer;
    bool acknowledges = true;

    Gateway(Bench &bench, bool withAcks = true)
        : transport(bench.broker), host(config(), bench.clock, transport),
          client(principal(u"g"_s), bench.clock, transport), acknowledges(withAcks)
    {
        QObject::connect(&host, &HostSession::born, &host,
                         [this](const sparkplug::Participant &who) { births.append(who); });
        QObject::connect(&host, &HostSession::batchReceived, &host, [this](const sparkplug::HostBatch &batch) {
            if (batch.fromBirth)
                return;
            batches.append(batch);
            if (acknowledges && batch.receipt)
                host.acknowledge(batch.node, batch.receipt->stream, batch.receipt->msn);
        });
        QObject::connect(&timer, &QTimer::timeout, &host, [this] { host.tick(); });
        timer.start(10);
        host.start();
    }
    static sparkplug::HostConfig config()
    {
        sparkplug::HostConfig config;
        config.hostId = u"g"_s;
        config.self = principal(u"g"_s);
        config.groups = {u"b"_s};
        return config;
    }
};

} // namespace lintel::test

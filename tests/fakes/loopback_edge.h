// An edge node with a memory spool on a loopback broker, and a caller of capability calls: the parties
// around a service under test. Thread: the one that made them.
#pragma once

#include "adapters/mqtt/loopback_transport.h"
#include "calls/call_client.h"
#include "fakes/fake_clock.h"
#include "fakes/memory_spool.h"
#include "fakes/memory_state_store.h"
#include "sparkplug/edge_node_session.h"

#include <QTest>
#include <QTimer>

namespace lintel::test {

inline Principal agent(const QString &name)
{
    return Principal(*SpiffeId::parse(QStringLiteral("spiffe://building-1.smart.local/agent/") + name));
}

inline Point temperaturePoint()
{
    Point point;
    point.id = QStringLiteral("air_temp");
    point.name = QStringLiteral("Supply air temperature");
    point.unit = Unit::Celsius;
    return point;
}

/// A sensor, or a gateway towards the cloud when it has devices.
struct LoopbackEdge {
    LoopbackEdge(LoopbackBroker &broker, const Clock &clockToUse, const QString &node, const QString &primaryHost)
        : name(node), clock(clockToUse), transport(broker),
          session(config(node, primaryHost), clock, transport, spool, state)
    {
        QObject::connect(&timer, &QTimer::timeout, &session, &sparkplug::EdgeNodeSession::tick);
        timer.start(10);
    }

    static sparkplug::EdgeNodeConfig config(const QString &node, const QString &primaryHost)
    {
        sparkplug::EdgeNodeConfig config;
        config.group = QStringLiteral("building-1");
        config.node = node;
        config.self = agent(node);
        config.primaryHost = primaryHost;
        return config;
    }

    /// One reading of the temperature at the clock's time, from `device` or from the node itself.
    void measure(double value, const QString &device = {}, const QList<Loss> &losses = {})
    {
        Reading reading;
        reading.point = temperaturePoint().id;
        reading.value = value;
        reading.unit = Unit::Celsius;
        reading.deviceTime = clock.now();
        const IncomingBatch incoming{ReadingBatch{device.isEmpty() ? name : device, {reading}, losses}, std::nullopt};
        QVERIFY(spool.append({&incoming, 1}));
        session.pump();
    }

    QString name;
    const Clock &clock;
    LoopbackTransport transport;
    MemorySpool spool;
    MemoryStateStore state;
    sparkplug::EdgeNodeSession session;
    QTimer timer;
};

struct LoopbackCaller {
    LoopbackCaller(LoopbackBroker &broker, const Clock &clock)
        : transport(broker), client(agent(QStringLiteral("caller")), clock, transport)
    {
        transport.start([] {
            MqttConnect packet;
            packet.clientId = agent(QStringLiteral("caller")).toString();
            return packet;
        });
        if (!QTest::qWaitFor(
                [&broker] { return broker.subscriptions(agent(QStringLiteral("caller")).toString()).size() == 1; },
                20'000))
            qFatal("the caller did not subscribe");
    }

    /// Asks and does not wait.
    std::shared_ptr<std::optional<Result<QCborMap>>> ask(const Principal &whom, const QString &method,
                                                         const QCborMap &args = {})
    {
        auto answer = std::make_shared<std::optional<Result<QCborMap>>>();
        client.call(whom, method, args, Millis{30'000},
                    [answer](Result<QCborMap> result) { *answer = std::move(result); });
        return answer;
    }
    /// Asks and waits; an empty map when there is no answer or an error.
    [[nodiscard]] QCborMap call(const Principal &whom, const QString &method, const QCborMap &args = {})
    {
        const auto answer = ask(whom, method, args);
        const bool answered = QTest::qWaitFor([&answer] { return answer->has_value(); }, 20'000);
        return answered && **answer ? ***answer : QCborMap();
    }

    LoopbackTransport transport;
    CallClient client;
};

} // namespace lintel::test

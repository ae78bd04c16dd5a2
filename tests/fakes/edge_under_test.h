// An edge node with its spool in memory, whose host is the test. The test's thread.
#pragma once

#include "domain/topic.h"
#include "fakes/fake_clock.h"
#include "fakes/memory_spool.h"
#include "fakes/memory_state_store.h"
#include "fakes/scripted_transport.h"
#include "sparkplug/edge_node_session.h"
#include "sparkplug/names.h"
#include "sparkplug/sf_extension.h"
#include "sparkplug/state_message.h"

#include <QUuid>

#include <memory>

namespace lintel::test {

using namespace lintel::sparkplug;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;
using Phase = EdgeNodeSession::Phase;

struct Edge {
    explicit Edge(const QString &primaryHost = {}, SpoolLimits limits = {}) : spool(limits)
    {
        config.group = u"site"_s;
        config.node = u"hvac"_s;
        config.primaryHost = primaryHost;
        make();
    }

    void make()
    {
        session = std::make_unique<EdgeNodeSession>(config, clock, transport, spool, state);
        QObject::connect(session.get(), &EdgeNodeSession::trouble, session.get(),
                         [this](const Error &e) { troubles.append(e.message); });
    }

    void connect()
    {
        if (session->status().phase == Phase::Stopped)
            session->start();
        transport.accept();
    }

    Msn append(double value, const QString &device = u"hvac"_s, const QString &point = u"t"_s)
    {
        Reading reading;
        reading.point = point;
        reading.value = value;
        reading.deviceTime = clock.now();
        const IncomingBatch incoming{{device, {reading}, {}}, std::nullopt};
        const auto appended = spool.append({&incoming, 1});
        session->pump();
        return appended ? appended->last : 0;
    }

    void command(QList<Metric> metrics, const QString &device = {})
    {
        Payload payload;
        payload.timestamp = clock.now();
        payload.metrics = std::move(metrics);
        const SparkplugTopic topic{config.group, device.isEmpty() ? SparkplugVerb::NCmd : SparkplugVerb::DCmd,
                                   config.node, device};
        transport.bring({lintel::toString(topic), encode(payload), 0, false});
    }

    void ack(Msn msn, StreamId stream)
    {
        command({Metric::named(sf::kAck.toString(), DataType::UInt64, quint64(msn)),
                 Metric::named(sf::kAckStream.toString(), DataType::Uuid, stream.toString(QUuid::WithoutBraces))});
    }
    void ack(Msn msn) { ack(msn, spool.status().stream); }
    void rebirth() { command({Metric::named(names::kRebirth.toString(), DataType::Boolean, true)}); }

    void hostState(bool online, Timestamp at)
    {
        transport.bring({lintel::toString(StateTopic{config.primaryHost}), encodeState({online, at}), 1, true});
    }

    void pass(Millis time)
    {
        for (; time > 0ms; time -= 100ms) {
            clock.advance(100ms);
            session->tick();
        }
    }

    /// Verbs (and devices) of what was published since the last look.
    QStringList verbs()
    {
        QStringList all;
        for (const MqttMessage &message : std::as_const(transport.published)) {
            const auto parts = message.topic.split(u'/');
            all.append(parts.size() > 4 ? parts[2] + u' ' + parts[4] : parts[2]);
        }
        return all;
    }
    Payload payload(qsizetype index) const { return *decode(transport.published[index].payload); }

    FakeClock clock;
    ScriptedTransport transport;
    MemorySpool spool;
    MemoryStateStore state;
    EdgeNodeConfig config;
    std::unique_ptr<EdgeNodeSession> session;
    QStringList troubles;
};

inline Point numberPoint(const QString &id)
{
    Point point;
    point.id = id;
    return point;
}

inline quint64 unsignedValue(const Metric *metric)
{
    return metric ? std::get<quint64>(metric->value) : quint64(-1);
}

} // namespace lintel::test

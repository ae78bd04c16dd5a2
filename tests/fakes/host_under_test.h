// A host whose edge nodes are the test. The test's thread.
#pragma once

#include "domain/topic.h"
#include "fakes/fake_clock.h"
#include "fakes/scripted_transport.h"
#include "sparkplug/host_session.h"
#include "sparkplug/names.h"
#include "sparkplug/point_metrics.h"
#include "sparkplug/sf_extension.h"
#include "sparkplug/state_message.h"

#include <QUuid>

#include <memory>

namespace lintel::test {

using namespace lintel::sparkplug;
using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

inline const NodeId kNode{u"site"_s, u"plc"_s};

struct Host {
    explicit Host(HostConfig::Role role = HostConfig::Role::Host)
    {
        config.role = role;
        config.hostId = role == HostConfig::Role::Host ? u"cloud"_s : QString();
        session = std::make_unique<HostSession>(config, clock, transport);
        const auto *s = session.get();
        QObject::connect(s, &HostSession::born, s,
                         [this](const Participant &p) { events.append(u"born "_s + nameOf(p)); });
        QObject::connect(s, &HostSession::died, s,
                         [this](const Participant &p) { events.append(u"died "_s + nameOf(p)); });
        QObject::connect(s, &HostSession::birthMissing, s,
                         [this](const NodeId &n) { events.append(u"missing "_s + n.node); });
        QObject::connect(s, &HostSession::tailMoved, s,
                         [this](const NodeId &, const StreamId &, Msn t) { events.append(u"tail %1"_s.arg(t)); });
        QObject::connect(s, &HostSession::batchReceived, s, [this](const HostBatch &b) { batches.append(b); });
        QObject::connect(s, &HostSession::trouble, s, [this](const Error &e) { troubles.append(e.message); });
        session->start();
        transport.accept();
    }

    static QString nameOf(const Participant &p) { return p.device.isEmpty() ? p.node.node : p.device; }

    void bring(SparkplugVerb verb, Payload payload, const QString &device = {})
    {
        if (!payload.timestamp)
            payload.timestamp = clock.now();
        transport.bring(
            {lintel::toString(SparkplugTopic{kNode.group, verb, kNode.node, device}), encode(payload), 0, false});
    }

    void birth(quint64 bdSeq = 0, bool withSpool = false, quint64 head = 9, quint64 tail = 4)
    {
        Payload payload;
        payload.seq = 0;
        payload.metrics.append(Metric::named(names::kBdSeq.toString(), DataType::UInt64, bdSeq));
        payload.metrics.append(Metric::named(names::kRebirth.toString(), DataType::Boolean, false));
        Metric up = Metric::named(u"Up/time"_s, DataType::Int32, qint64(1));
        up.alias = 1;
        payload.metrics.append(up);
        if (withSpool) {
            payload.metrics.append(Metric::named(sf::kVersionName.toString(), DataType::Int32, qint64(1)));
            payload.metrics.append(
                Metric::named(sf::kStream.toString(), DataType::Uuid, stream.toString(QUuid::WithoutBraces)));
            payload.metrics.append(Metric::named(sf::kHead.toString(), DataType::UInt64, head));
            payload.metrics.append(Metric::named(sf::kTail.toString(), DataType::UInt64, tail));
            Metric msn;
            msn.name = sf::kMsn.toString();
            msn.alias = 50;
            msn.type = DataType::UInt64;
            msn.isNull = true;
            payload.metrics.append(msn);
        }
        bring(SparkplugVerb::NBirth, payload);
    }

    void deviceBirth(quint64 seq, const QString &device = u"ahu"_s)
    {
        Payload payload;
        payload.seq = seq;
        Metric temp = Metric::named(u"temp"_s, DataType::Float, 20.5f);
        temp.alias = 2;
        temp.properties.emplace();
        temp.properties->set(u"engUnit"_s, DataType::String, u"°C"_s);
        payload.metrics.append(temp);
        bring(SparkplugVerb::DBirth, payload, device);
    }

    void data(std::optional<quint64> seq, QList<Metric> metrics, const QString &device = {})
    {
        Payload payload;
        payload.seq = seq;
        payload.metrics = std::move(metrics);
        bring(device.isEmpty() ? SparkplugVerb::NData : SparkplugVerb::DData, payload, device);
    }

    static Metric alias(quint64 number, Scalar value)
    {
        Metric metric;
        metric.alias = number;
        metric.value = std::move(value);
        return metric;
    }

    void death(std::optional<quint64> bdSeq)
    {
        Payload payload;
        if (bdSeq)
            payload.metrics.append(Metric::named(names::kBdSeq.toString(), DataType::UInt64, *bdSeq));
        bring(SparkplugVerb::NDeath, payload);
    }

    void pass(Millis time)
    {
        for (; time > 0ms; time -= 100ms) {
            clock.advance(100ms);
            session->tick();
        }
    }

    qsizetype rebirthRequests() const
    {
        qsizetype count = 0;
        for (const MqttMessage &message : transport.published) {
            const auto payload = decode(message.payload);
            count += message.topic == u"spBv1.0/site/NCMD/plc" && payload && payload->find(names::kRebirth) ? 1 : 0;
        }
        return count;
    }

    QList<double> values() const
    {
        QList<double> all;
        for (const HostBatch &batch : batches) {
            if (batch.fromBirth)
                continue;
            for (const Reading &reading : batch.batch.readings)
                all.append(toDouble(reading.value));
        }
        return all;
    }

    FakeClock clock;
    ScriptedTransport transport;
    HostConfig config;
    std::unique_ptr<HostSession> session;
    StreamId stream = QUuid::createUuid();
    QStringList events;
    QStringList troubles;
    QList<HostBatch> batches;
};

} // namespace lintel::test

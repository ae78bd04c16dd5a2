// Birth and death certificates: what stands in them, and when they are sent.
#include "domain/topic.h"
#include "sparkplug/edge_node_private.h"
#include "sparkplug/names.h"
#include "sparkplug/point_metrics.h"
#include "sparkplug/sf_extension.h"

#include <algorithm>

namespace lintel::sparkplug {
namespace {

Metric stamped(Metric metric, Timestamp at)
{
    metric.timestamp = at;
    return metric;
}

Metric nullMetric(DataType type)
{
    Metric metric;
    metric.type = type;
    metric.isNull = true;
    return metric;
}

/// An empty table; a null data set throws in the common JavaScript decoder.
Metric noLosses()
{
    Metric metric;
    metric.type = DataType::DataSet;
    metric.dataSet = toDataSet({});
    return metric;
}

/// Time stamps do not decrease along a payload (tck-id-operational-behavior-data-publish-nbirth-order),
/// and control metrics come first: they take the time of the oldest value.
Timestamp oldest(const QList<Metric> &metrics, Timestamp now)
{
    for (const Metric &metric : metrics)
        now = std::min(now, metric.timestamp.value_or(now));
    return now;
}

} // namespace

/// The next seq is used up only when the transport took the message.
bool EdgeNodeSession::Private::publish(SparkplugVerb verb, const QString &device, Payload payload)
{
    payload.timestamp = clock.now();
    payload.seq = seq;
    const SparkplugTopic topic{config.group, verb, config.node, device};
    if (!transport.publish({lintel::toString(topic), encode(payload), 0, false})) {
        more = true; // the queue is full: tick() tries again
        return false;
    }
    seq = quint8(seq + 1);
    return true;
}

quint64 EdgeNodeSession::Private::aliasOf(Entity &entity, const QString &metric)
{
    quint64 &alias = entity.aliases[metric];
    if (alias == 0)
        alias = nextAlias++;
    return alias;
}

/// Name and alias as a birth wants them.
void EdgeNodeSession::Private::name(Metric &metric, Entity &entity, QStringView metricName)
{
    metric.name = metricName.toString();
    if (config.useAliases)
        metric.alias = aliasOf(entity, *metric.name);
    else
        metric.alias.reset();
}

QList<Metric> EdgeNodeSession::Private::pointMetrics(Entity &entity, Timestamp now)
{
    QList<Metric> metrics;
    for (const Point &point : std::as_const(entity.device.points)) {
        const auto current = entity.current.constFind(point.id);
        Metric metric = birthMetric(point, 0, current == entity.current.constEnd() ? nullptr : &*current, now);
        name(metric, entity, point.id);
        metrics.append(std::move(metric));
    }
    std::stable_sort(metrics.begin(), metrics.end(),
                     [](const Metric &a, const Metric &b) { return *a.timestamp < *b.timestamp; });
    return metrics;
}

/// The births, and the deaths of devices, that are due; false when the transport takes no more.
bool EdgeNodeSession::Private::sendBirths()
{
    if (!node.born && !sendNodeBirth())
        return false;
    for (auto &[deviceName, entity] : devices) {
        if (entity.born && entity.deathDue && !sendDeviceDeath(entity))
            return false;
        if (entity.device.online && !entity.born && !sendDeviceBirth(entity))
            return false;
    }
    return true;
}

bool EdgeNodeSession::Private::sendNodeBirth()
{
    const SpoolStatus status = spool.status();
    const Timestamp now = clock.now();
    const QList<Metric> points = pointMetrics(node, now);
    const Timestamp at = oldest(points, now);

    Payload payload;
    // Without alias, and before whatever has one (tck-id-operational-behavior-data-commands-rebirth-name-aliases).
    payload.metrics.append(stamped(Metric::named(names::kBdSeq.toString(), DataType::UInt64, quint64(bdSeq)), at));
    payload.metrics.append(stamped(Metric::named(names::kRebirth.toString(), DataType::Boolean, false), at));
    const auto add = [&](QStringView metricName, Metric metric) {
        metric.timestamp = at;
        name(metric, node, metricName);
        payload.metrics.append(std::move(metric));
    };
    const auto number = [](DataType type, quint64 value) { return Metric::named({}, type, value); };
    add(sf::kVersionName, Metric::named({}, DataType::Int32, qint64(sf::kVersion)));
    add(sf::kStream, Metric::named({}, DataType::Uuid, status.stream.toString(QUuid::WithoutBraces)));
    add(sf::kHead, number(DataType::UInt64, status.head));
    add(sf::kTail, number(DataType::UInt64, status.tail));
    add(sf::kDropped, number(DataType::UInt64, status.droppedReadings));
    add(sf::kAck, number(DataType::UInt64, acked));
    add(sf::kAckStream, Metric::named({}, DataType::Uuid, status.stream.toString(QUuid::WithoutBraces)));
    add(sf::kMsn, nullMetric(DataType::UInt64));
    add(sf::kLoss, noLosses());
    if (trust) {
        for (const Metric &metric : trustMetrics(*trust))
            add(*metric.name, metric);
    }
    payload.metrics.append(points);

    seq = 0;
    if (!publish(SparkplugVerb::NBirth, {}, std::move(payload)))
        return false;
    node.born = true;
    trustDue = false;
    history = std::max(history, status.head);
    announcedTail = status.tail;
    if (phase == Phase::WaitingForHost) {
        bornAt = lastProgress = clock.monotonic();
        patience = 1;
        setPhase(Phase::Born);
    }
    return true;
}

/// An NDATA of its own, which has no number and is not acknowledged: the next one says it anew.
bool EdgeNodeSession::Private::sendTrust()
{
    Payload payload;
    const Timestamp now = clock.now();
    for (Metric &metric : trustMetrics(*trust)) {
        metric.timestamp = now;
        if (config.useAliases) {
            metric.alias = aliasOf(node, *metric.name);
            metric.name.reset();
        }
        payload.metrics.append(std::move(metric));
    }
    if (!publish(SparkplugVerb::NData, {}, std::move(payload)))
        return false;
    trustDue = false;
    return true;
}

bool EdgeNodeSession::Private::sendDeviceBirth(Entity &entity)
{
    const Timestamp now = clock.now();
    const QList<Metric> points = pointMetrics(entity, now);
    const Timestamp at = oldest(points, now);
    Payload payload;
    Metric msn = stamped(nullMetric(DataType::UInt64), at);
    name(msn, entity, sf::kMsn);
    Metric loss = stamped(noLosses(), at);
    name(loss, entity, sf::kLoss);
    payload.metrics = {msn, loss};
    payload.metrics.append(points);
    if (!publish(SparkplugVerb::DBirth, entity.device.name, std::move(payload)))
        return false;
    entity.born = true;
    entity.deathDue = false;
    return true;
}

bool EdgeNodeSession::Private::sendDeviceDeath(Entity &entity)
{
    if (!publish(SparkplugVerb::DDeath, entity.device.name, {}))
        return false;
    entity.born = false;
    entity.deathDue = false;
    return true;
}

/// Offline devices whose stored readings are through.
void EdgeNodeSession::Private::endDevices(Msn head)
{
    for (auto &[deviceName, entity] : devices) {
        if (!entity.born || entity.device.online)
            continue;
        const bool drained = cursor >= head && (acked >= entity.lastMsn || !mayWait());
        if (drained && !sendDeviceDeath(entity))
            return;
    }
}

void EdgeNodeSession::Private::forgetBirths()
{
    node.born = false;
    for (auto &[deviceName, entity] : devices) {
        entity.born = false;
        entity.deathDue = false;
    }
}

/// Where a batch belongs. A device that nobody has told us about yet is offline until somebody does;
/// its readings go out all the same.
Entity &EdgeNodeSession::Private::entityFor(const QString &deviceName)
{
    if (deviceName.isEmpty() || deviceName == config.node || !validateSparkplugId(deviceName))
        return node;
    const auto [found, added] = devices.try_emplace(deviceName);
    if (added) {
        found->second.device.name = deviceName;
        found->second.device.online = false;
    }
    return found->second;
}

/// Points that a batch has and the birth has not: they join it, and it is due again. True when
/// there were any.
bool EdgeNodeSession::Private::explain(Entity &entity, const ReadingBatch &batch)
{
    bool added = false;
    for (const Reading &reading : batch.readings) {
        const auto known = [&reading](const Point &point) { return point.id == reading.point; };
        if (std::any_of(entity.device.points.cbegin(), entity.device.points.cend(), known))
            continue;
        entity.device.points.append(inferPoint(reading));
        added = true;
    }
    if (added && entity.isNode)
        forgetBirths(); // an NBIRTH is followed by every DBIRTH
    else if (added)
        entity.born = false;
    return added;
}

} // namespace lintel::sparkplug

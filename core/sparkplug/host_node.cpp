#include "sparkplug/host_node.h"

#include "sparkplug/names.h"
#include "sparkplug/point_metrics.h"
#include "sparkplug/sf_extension.h"

#include <algorithm>

namespace lintel::sparkplug {
namespace {

constexpr size_t kRecent = 32;
constexpr qsizetype kMostMetrics = 20'000; // a node that invents a name a message must not eat the memory

std::optional<quint64> numberOf(const Metric &metric)
{
    const auto value = retype(metric.value, DataType::UInt64);
    if (metric.isNull || !value || !std::holds_alternative<quint64>(*value))
        return std::nullopt;
    return std::get<quint64>(*value);
}

/// One impossible number would make a store refuse the whole group that it comes with.
std::optional<Error> impossible(QStringView metric, std::optional<quint64> number)
{
    if (!number || *number <= sf::kHighestNumber)
        return std::nullopt;
    return Error{Errc::Malformed, QStringLiteral("%1 is %2; numbers end at %3. The sender has to be mended.")
                                      .arg(metric)
                                      .arg(*number)
                                      .arg(sf::kHighestNumber)};
}

/// Present only when the node gave its spool a name: without it an acknowledgement means nothing.
Result<std::optional<SpoolOffer>> offerOf(const Payload &birth)
{
    const Metric *version = birth.find(sf::kVersionName);
    const Metric *stream = birth.find(sf::kStream);
    const auto *text = stream ? std::get_if<QString>(&stream->value) : nullptr;
    if (!version || !text)
        return {std::nullopt};
    SpoolOffer offer;
    offer.stream = QUuid::fromString(*text);
    const auto number = numberOf(*version);
    if (offer.stream.isNull() || number != quint64(sf::kVersion))
        return {std::nullopt};
    const auto find = [&birth](QStringView name) {
        const Metric *metric = birth.find(name);
        return metric ? numberOf(*metric).value_or(0) : 0;
    };
    offer.version = sf::kVersion;
    offer.head = find(sf::kHead);
    offer.tail = find(sf::kTail);
    offer.dropped = find(sf::kDropped);
    for (const auto &[name, value] :
         {std::pair(sf::kHead, offer.head), std::pair(sf::kTail, offer.tail), std::pair(sf::kDropped, offer.dropped)}) {
        if (auto error = impossible(name, value))
            return *std::move(error);
    }
    return {offer};
}

/// What cannot be read is lost once its batch has been acknowledged, so the batch says so itself.
/// Readings of one message make one loss; of a table nobody knows how many it told of (0).
void noteUnreadable(QList<Loss> &losses, const QString &device, Timestamp at, quint64 readings)
{
    const auto same = std::find_if(losses.begin(), losses.end(), [](const Loss &loss) { return loss.readings > 0; });
    if (readings == 0 || same == losses.end()) {
        losses.append(Loss{device, {}, 0, 0, readings, at, at, LossReason::Unreadable});
        return;
    }
    same->readings += readings;
    same->from = std::min(same->from, at);
    same->to = std::max(same->to, at);
}

/// A device's own aliases first, then the node's: some nodes number each device anew.
const MetricDefinition *definitionOf(const HostEntity *entity, const HostNode &node, const Metric &metric,
                                     const HostEntity *&owner)
{
    for (const HostEntity *candidate : {entity, &node.self}) {
        if (!candidate)
            continue;
        const auto found = metric.alias ? candidate->byAlias.constFind(*metric.alias) : candidate->byAlias.constEnd();
        if (found != candidate->byAlias.constEnd()) {
            owner = candidate;
            return &candidate->metrics[*found];
        }
    }
    if (entity && metric.name) {
        if (const auto found = entity->byName.constFind(*metric.name); found != entity->byName.constEnd()) {
            owner = entity;
            return &entity->metrics[*found];
        }
    }
    return nullptr;
}

/// A point that shows itself in DATA only: by name, or declared as null and without a data type.
const MetricDefinition *addFromData(HostEntity &entity, const QString &name, const Metric &metric)
{
    QSet<QString> taken;
    for (const Point &point : std::as_const(entity.who.points))
        taken.insert(point.id);
    Metric named = metric;
    named.name = name;
    auto point = pointOf(named, taken);
    if (!point || entity.metrics.size() >= kMostMetrics)
        return nullptr;
    const MetricDefinition definition{name,
                                      metric.type == DataType::Unknown ? guessDataType(metric.value) : metric.type,
                                      int(entity.who.points.size())};
    entity.who.points.append(*std::move(point));
    if (const auto declared = entity.byName.constFind(name); declared != entity.byName.constEnd()) {
        entity.metrics[*declared] = definition;
        return &entity.metrics[*declared];
    }
    entity.byName.insert(name, int(entity.metrics.size()));
    entity.metrics.append(definition);
    return &entity.metrics.last();
}

} // namespace

HostEntity *HostNode::entity(const QString &device)
{
    if (device.isEmpty())
        return &self;
    const auto found = devices.find(device);
    return found == devices.end() ? nullptr : &found->second;
}

LearnedBirth learn(HostEntity &entity, const Payload &birth, Timestamp now)
{
    LearnedBirth learned;
    QSet<QString> taken;
    entity.who.points.clear();
    entity.metrics.clear();
    entity.byAlias.clear();
    entity.byName.clear();
    entity.who.trust.reset();
    for (const Metric &metric : birth.metrics) {
        if (!metric.name)
            continue;
        MetricDefinition definition{*metric.name, metric.type, -1};
        if (isTrustMetric(*metric.name) && entity.who.device.isEmpty()) {
            TrustState trust = entity.who.trust.value_or(TrustState{});
            readTrustMetric(trust, *metric.name, metric);
            entity.who.trust = std::move(trust);
        }
        if (definition.type == DataType::Unknown)
            definition.type = guessDataType(metric.value);
        if (auto point = pointOf(metric, taken)) {
            taken.insert(point->id);
            definition.point = int(entity.who.points.size());
            if (!metric.isNull) {
                if (auto reading = readingOf(metric, *point, definition.type, birth.timestamp.value_or(now)))
                    learned.values.append(*std::move(reading));
            }
            entity.who.points.append(*std::move(point));
        }
        const int index = int(entity.metrics.size());
        entity.byName.insert(definition.name, index);
        if (metric.alias)
            entity.byAlias.insert(*metric.alias, index);
        entity.metrics.append(std::move(definition));
    }
    entity.who.spool.reset();
    if (entity.who.device.isEmpty()) {
        if (auto offer = offerOf(birth))
            entity.who.spool = *offer;
        else
            learned.error = offer.error();
    }
    entity.birthTime = birth.timestamp;
    entity.birthDue.reset();
    entity.hasBirth = true;
    return learned;
}

bool isNew(HostNode &node, quint8 seq, const QByteArray &bytes)
{
    const std::pair<quint8, size_t> mark{seq, qHash(bytes)};
    for (const auto &seen : node.recent) {
        if (seen == mark)
            return false;
    }
    node.recent.push_back(mark);
    if (node.recent.size() > kRecent)
        node.recent.pop_front();
    return true;
}

DecodedData decodeData(HostNode &node, const QString &device, const Payload &payload, Timestamp now)
{
    DecodedData data;
    data.batch.device = device.isEmpty() ? node.self.who.node.node : device;
    HostEntity *entity = node.entity(device);
    if (entity && entity->birthDue)
        entity = nullptr; // its old aliases died with the old birth of the node
    const Timestamp fallback = payload.timestamp.value_or(now);
    QList<Loss> unreadable;
    for (const Metric &metric : payload.metrics) {
        const HostEntity *owner = entity;
        const MetricDefinition *definition = definitionOf(entity, node, metric, owner);
        const QString name = definition ? definition->name : metric.name.value_or(QString());
        if (name == sf::kMsn) {
            data.msn = numberOf(metric);
            if (auto error = impossible(name, data.msn))
                data.refusal = std::move(error);
            continue;
        }
        if (name == sf::kTail) {
            data.tail = numberOf(metric);
            if (auto error = impossible(name, data.tail))
                data.refusal = std::move(error);
            continue;
        }
        if (name == sf::kLoss && metric.dataSet) {
            if (auto losses = lossesOf(*metric.dataSet)) {
                data.batch.losses.append(*losses);
            } else {
                data.error = losses.error();
                noteUnreadable(unreadable, data.batch.device, metric.timestamp.value_or(fallback), 0);
            }
            continue;
        }
        if (isTrustMetric(name) && device.isEmpty()) {
            TrustState trust = node.self.who.trust.value_or(TrustState{});
            readTrustMetric(trust, name, metric);
            data.trustChanged = data.trustChanged || trust != node.self.who.trust;
            node.self.who.trust = std::move(trust);
            continue;
        }
        if (!definition)
            ++data.unexplained;
        const bool typeless = definition && definition->type == DataType::Unknown && owner == entity;
        if (entity && !name.isEmpty() && (!definition || typeless)) {
            definition = addFromData(*entity, name, metric);
            owner = entity;
        }
        if (!definition || definition->point < 0)
            continue;
        auto reading = readingOf(metric, owner->who.points[definition->point], definition->type, fallback);
        if (reading) {
            data.batch.readings.append(*std::move(reading));
        } else {
            data.error = reading.error();
            noteUnreadable(unreadable, data.batch.device, metric.timestamp.value_or(fallback), 1);
        }
    }
    data.batch.losses.append(unreadable);
    return data;
}

} // namespace lintel::sparkplug

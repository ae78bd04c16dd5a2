// Births, deaths and data as a host takes them: in order of seq, with a rebirth request where
// something is missing.
#include "sparkplug/host_session_private.h"
#include "sparkplug/names.h"
#include "sparkplug/point_metrics.h"
#include "sparkplug/sf_extension.h"

namespace lintel::sparkplug {
namespace {

constexpr size_t kMostHeld = 128;                              // half of the numbers: beyond it, order cannot be told
constexpr qsizetype kMostNodes = 20'000;                       // names are free to invent on an open broker
constexpr int kPatience = 2;                                   // rebirth intervals that a node has to answer a request
constexpr Millis kLongestSilence = std::chrono::hours{24 * 7}; // whatever a birth claims

std::optional<quint64> bdSeqOf(const Payload &payload)
{
    const Metric *metric = payload.find(names::kBdSeq);
    const auto value = metric && !metric->isNull ? retype(metric->value, DataType::UInt64) : Result<Scalar>(Scalar());
    if (!value || !std::holds_alternative<quint64>(*value))
        return std::nullopt;
    return std::get<quint64>(*value);
}

/// The longest time that one of its points may go without a new value.
Millis longestStaleAfter(const HostNode &node)
{
    Millis longest{0};
    const auto look = [&longest](const HostEntity &entity) {
        for (const Point &point : entity.who.points)
            longest = std::max(longest, point.staleAfter);
    };
    look(node.self);
    for (const auto &[name, device] : node.devices) {
        if (device.hasBirth)
            look(device);
    }
    return longest > Millis{0} ? longest : Point{}.staleAfter;
}

} // namespace

/// Null only when there are too many.
HostSession::Private::NodePtr HostSession::Private::nodeFor(const NodeId &id)
{
    const auto found = nodes.constFind(id);
    if (found != nodes.constEnd())
        return *found;
    if (nodes.size() >= kMostNodes) {
        report({Errc::Full,
                QStringLiteral("The node %1 is ignored: %2 nodes are known already.").arg(id.node).arg(nodes.size())});
        return nullptr;
    }
    auto node = std::make_shared<HostNode>();
    node->self.who.node = id;
    nodes.insert(id, node);
    return node;
}

// ---------------------------------------------------------------- life and death of nodes

/// `recorded`: handed over by somebody who saw it; the node's seq has moved on since.
void HostSession::Private::onNodeBirth(HostNode &node, const HeldMessage &message, bool recorded)
{
    giveUpWaiting(node); // what came before belongs to the old birth
    const Timestamp now = clock.now();
    const Nanos due = clock.monotonic() + config.flapGrace;
    node.bdSeq = bdSeqOf(message.payload);
    node.expected.reset();
    if (!recorded && message.payload.seq)
        node.expected = quint8(*message.payload.seq + 1);
    node.recent.clear();
    node.diesAt.reset();
    heard(node);
    node.verifyBy.reset();
    node.asked = false;
    node.rebirthWanted = false;
    LearnedBirth learned = learn(node.self, message.payload, now);
    if (learned.error)
        refuse(*learned.error, message);
    node.self.birth = {message.topic, message.bytes};
    if (!node.self.who.online) {
        node.self.who.online = true;
        node.self.who.since = now;
    }
    for (auto &[name, device] : node.devices)
        device.birthDue = due;
    Q_EMIT q->born(node.self.who);
    emitValues(node.self, std::move(learned.values));
}

/// A certificate of an earlier connection says nothing about this one. A foreign node that forgets
/// its bdSeq is believed: should it live, its next DATA brings a rebirth request.
void HostSession::Private::onNodeDeath(HostNode &node, const Payload &payload)
{
    const auto bdSeq = bdSeqOf(payload);
    if (!node.self.who.online || (bdSeq && node.bdSeq && *bdSeq != *node.bdSeq))
        return;
    giveUpWaiting(node);
    node.rebirthWanted = false;
    if (!node.diesAt)
        node.diesAt = clock.monotonic() + config.flapGrace;
}

void HostSession::Private::markDead(HostNode &node)
{
    const Timestamp now = clock.now();
    node.diesAt.reset();
    node.verifyBy.reset();
    node.isSilent = false;
    node.held.clear();
    node.expected.reset();
    node.rebirthWanted = false;
    for (auto &[name, device] : node.devices)
        markDead(device, now);
    markDead(node.self, now);
}

void HostSession::Private::markDead(HostEntity &entity, Timestamp since)
{
    if (!entity.who.online)
        return;
    entity.who.online = false;
    entity.who.since = since;
    Q_EMIT q->died(entity.who);
}

// ---------------------------------------------------------------- order

void HostSession::Private::onSequenced(HostNode &node, HeldMessage message)
{
    heard(node);
    if (!node.self.hasBirth || !node.self.who.online) {
        wantRebirth(node);
        return;
    }
    if (!message.payload.seq || *message.payload.seq > 255) { // some nodes never heard of it
        node.verifyBy.reset();
        deliver(node, message);
        return;
    }
    const auto seq = quint8(*message.payload.seq);
    if (!isNew(node, seq, message.bytes))
        return;
    if (!node.expected)
        node.expected = seq;
    if (node.verifyBy) {
        // While we were away a birth may have passed that gave the aliases another meaning.
        if (seq != *node.expected) {
            wantRebirth(node);
            return;
        }
        node.verifyBy.reset();
    }
    if (seq != *node.expected) {
        if (node.held.empty())
            node.heldSince = clock.monotonic();
        node.held.insert_or_assign(seq, std::move(message));
        if (node.held.size() >= kMostHeld) {
            wantRebirth(node);
            giveUpWaiting(node);
        }
        return;
    }
    node.expected = quint8(seq + 1);
    deliver(node, message);
    drain(node);
}

/// What had to wait for the message that has just come.
void HostSession::Private::drain(HostNode &node)
{
    while (!node.held.empty() && node.expected) {
        const auto next = node.held.find(*node.expected);
        if (next == node.held.end()) {
            node.heldSince = clock.monotonic(); // another hole, another wait
            return;
        }
        const HeldMessage message = std::move(next->second);
        node.held.erase(next);
        node.expected = quint8(*node.expected + 1);
        ++counters.reordered;
        deliver(node, message);
    }
}

/// Delivers what is there, holes and all.
void HostSession::Private::giveUpWaiting(HostNode &node)
{
    if (node.held.empty())
        return;
    std::map<quint8, HeldMessage> held;
    held.swap(node.held);
    const quint8 first = node.expected.value_or(0);
    for (int step = 0; step < 256; ++step) {
        const auto next = held.find(quint8(first + step));
        if (next == held.end())
            continue;
        node.expected = quint8(next->first + 1);
        deliver(node, next->second);
    }
}

// ---------------------------------------------------------------- content

void HostSession::Private::deliver(HostNode &node, const HeldMessage &message)
{
    switch (message.verb) {
    case SparkplugVerb::DBirth: onDeviceBirth(node, message); break;
    case SparkplugVerb::DDeath: onDeviceDeath(node, message); break;
    case SparkplugVerb::NData:
    case SparkplugVerb::DData: onData(node, message); break;
    default: break;
    }
}

void HostSession::Private::refuse(const Error &why, const HeldMessage &message)
{
    ++counters.malformed;
    report({why.code, QStringLiteral("%1 (topic %2)").arg(why.message, message.topic)});
}

void HostSession::Private::onDeviceBirth(HostNode &node, const HeldMessage &message)
{
    const Timestamp now = clock.now();
    HostEntity &entity = node.devices[message.device];
    entity.who.node = node.self.who.node;
    entity.who.device = message.device;
    LearnedBirth learned = learn(entity, message.payload, now);
    entity.birth = {message.topic, message.bytes};
    if (!entity.who.online) {
        entity.who.online = true;
        entity.who.since = now;
    }
    Q_EMIT q->born(entity.who);
    emitValues(entity, std::move(learned.values));
}

void HostSession::Private::onDeviceDeath(HostNode &node, const HeldMessage &message)
{
    HostEntity *entity = node.entity(message.device);
    if (!entity)
        return;
    const Timestamp said = message.payload.timestamp.value_or(Timestamp{});
    markDead(*entity, isPlausible(said) ? said : clock.now());
}

void HostSession::Private::onData(HostNode &node, const HeldMessage &message)
{
    DecodedData data = decodeData(node, message.device, message.payload, clock.now());
    counters.unknownAliases += quint64(data.unexplained);
    if (data.refusal) {
        refuse(*data.refusal, message);
        return;
    }
    if (data.error)
        report({data.error->code, QStringLiteral("%1 (topic %2)").arg(data.error->message, message.topic)});
    const HostEntity *entity = node.entity(message.device);
    const bool unborn = !entity || !entity->who.online || entity->birthDue.has_value();
    const std::optional<SpoolOffer> spool = node.self.who.spool;
    const NodeId id = node.self.who.node;
    const bool incomplete = data.unexplained > 0;
    if (incomplete || unborn || node.diesAt)
        wantRebirth(node);
    // What is only half understood must not be acknowledged: the rebirth brings it again.
    if (incomplete && spool)
        return;
    if (data.tail && spool)
        Q_EMIT q->tailMoved(id, spool->stream, *data.tail);
    if (data.trustChanged)
        Q_EMIT q->trustChanged(node.self.who);
    HostBatch batch{id, message.device, std::move(data.batch), std::nullopt, false};
    if (data.msn && *data.msn > 0 && spool)
        batch.receipt = Receipt{spool->stream, *data.msn};
    if (batch.receipt || !batch.batch.readings.isEmpty() || !batch.batch.losses.isEmpty())
        Q_EMIT q->batchReceived(batch);
}

void HostSession::Private::emitValues(const HostEntity &entity, QList<Reading> values)
{
    if (values.isEmpty())
        return;
    const QString &device = entity.who.device;
    HostBatch batch{entity.who.node, device, {}, std::nullopt, true};
    batch.batch.device = device.isEmpty() ? entity.who.node.node : device;
    batch.batch.readings = std::move(values);
    Q_EMIT q->batchReceived(batch);
}

// ---------------------------------------------------------------- requests and time

/// At most one in rebirthInterval; what is wanted meanwhile is asked for by check().
void HostSession::Private::wantRebirth(HostNode &node)
{
    const Nanos now = clock.monotonic();
    node.rebirthWanted = true;
    if (!connected || (node.lastRequest && now - *node.lastRequest < config.rebirthInterval))
        return;
    if (isHost()) {
        const auto sent =
            sendMetrics(node.self.who.node, {}, {Metric::named(names::kRebirth.toString(), DataType::Boolean, true)});
        if (!sent)
            return;
        ++counters.rebirthRequests;
    }
    node.lastRequest = now;
    node.rebirthWanted = false;
    if (!isHost())
        Q_EMIT q->birthMissing(node.self.who.node);
}

void HostSession::Private::heard(HostNode &node)
{
    node.lastHeard = clock.monotonic();
    if (node.isSilent)
        node.verifyBy.reset();
    node.isSilent = false;
}

/// A node that left without a death certificate looks like one with nothing to say, until it is asked.
/// Only a host may ask.
void HostSession::Private::listenForSilence(HostNode &node)
{
    if (!isHost() || !node.self.who.online || node.diesAt || node.verifyBy)
        return;
    Millis allowed = config.silence > Millis{0} ? config.silence : longestStaleAfter(node);
    if (node.self.who.spool)
        allowed = std::min(allowed, kLongestSilence) * config.silenceWithSpool;
    if (clock.monotonic() - node.lastHeard < Nanos(std::min(allowed, kLongestSilence)))
        return;
    node.isSilent = true;
    node.asked = false;
    node.verifyBy = clock.monotonic();
}

void HostSession::Private::check(HostNode &node)
{
    const Nanos now = clock.monotonic();
    if (node.diesAt && now >= *node.diesAt)
        markDead(node);
    for (auto &[name, device] : node.devices) {
        if (device.birthDue && now >= *device.birthDue)
            markDead(device, clock.now());
    }
    if (!connected)
        return;
    if (!node.held.empty() && now - node.heldSince >= config.reorderTimeout) {
        wantRebirth(node); // tck-id-operational-behavior-host-reordering-rebirth
        giveUpWaiting(node);
    }
    listenForSilence(node);
    if (node.verifyBy && now >= *node.verifyBy) {
        if (node.asked && isHost()) {
            markDead(node);
            return;
        }
        node.asked = true;
        node.verifyBy = now + kPatience * Nanos(config.rebirthInterval);
        wantRebirth(node);
    }
    if (node.rebirthWanted)
        wantRebirth(node);
}

void HostSession::Private::learnBirth(const RecordedBirth &birth)
{
    const auto topic = parseTopic(birth.topic);
    const auto *sparkplug = topic ? std::get_if<SparkplugTopic>(&*topic) : nullptr;
    auto payload = decode(birth.payload);
    if (!sparkplug || !payload) {
        ++counters.malformed;
        report(payload ? Error{Errc::Malformed,
                               QStringLiteral("A recorded birth has no Sparkplug topic: \"%1\".").arg(birth.topic)}
                       : payload.error());
        return;
    }
    const NodePtr node = nodeFor({sparkplug->group, sparkplug->node});
    if (!node)
        return;
    const HostEntity *known = node->entity(sparkplug->device);
    const Timestamp at = payload->timestamp.value_or(Timestamp{});
    const bool fresh = known && known->hasBirth && known->who.online && !known->birthDue && !node->verifyBy;
    if (fresh && known->birthTime && at <= *known->birthTime)
        return;
    const HeldMessage message{sparkplug->verb, sparkplug->device, *std::move(payload), birth.topic, birth.payload};
    if (sparkplug->verb == SparkplugVerb::NBirth)
        onNodeBirth(*node, message, true);
    else if (sparkplug->verb == SparkplugVerb::DBirth && node->self.hasBirth
             && at >= node->self.birthTime.value_or(Timestamp{}))
        onDeviceBirth(*node, message);
}

} // namespace lintel::sparkplug

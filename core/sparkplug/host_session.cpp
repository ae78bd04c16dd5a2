// The connection of a host: will and STATE, subscriptions, commands.
#include "sparkplug/host_session.h"

#include "sparkplug/host_session_private.h"
#include "sparkplug/names.h"
#include "sparkplug/session_wiring.h"
#include "sparkplug/sf_extension.h"
#include "sparkplug/state_message.h"

#include <QPointer>
#include <QUuid>

namespace lintel::sparkplug {
namespace {

/// No clock of a running host says this; whoever wrote it did not mean milliseconds since 1970.
constexpr Timestamp kBeyondBelief{std::chrono::sys_days{std::chrono::year{2100} / 1 / 1}};

} // namespace

HostSession::HostSession(HostConfig config, const Clock &clock, MqttTransport &transport, QObject *parent)
    : QObject(parent), d(std::make_unique<Private>(this, std::move(config), clock, transport))
{
    listenTo(transport, this, d.get());
}

HostSession::~HostSession() = default;

void HostSession::start()
{
    if (d->running)
        return;
    d->running = true;
    d->stopping = false;
    QPointer<HostSession> self(this);
    d->transport.start([self] { return self ? self->d->connectPacket() : MqttConnect{}; });
}

void HostSession::stop()
{
    if (!d->running || d->stopping)
        return;
    d->stopping = true;
    d->leave();
    d->transport.stop();
    d->onTransportState(d->transport.state());
}

void HostSession::reconnect()
{
    if (!d->running || d->stopping)
        return;
    d->leave();
    d->transport.reconnect();
}

void HostSession::tick()
{
    const auto nodes = d->nodes; // slots may add to the original
    for (const auto &node : nodes)
        d->check(*node);
}

void HostSession::acknowledge(const NodeId &node, const StreamId &stream, Msn msn)
{
    if (!d->isHost() || !d->connected)
        return; // the next birth asks again
    const QString name = stream.toString(QUuid::WithoutBraces);
    // A lost or refused acknowledgement is harmless: the next one counts for it, too.
    (void)d->sendMetrics(node, {},
                         {Metric::named(sf::kAck.toString(), DataType::UInt64, quint64(msn)),
                          Metric::named(sf::kAckStream.toString(), DataType::Uuid, name)});
}

void HostSession::requestRebirth(const NodeId &node)
{
    if (const auto known = d->nodeFor(node))
        d->wantRebirth(*known);
}

Result<void> HostSession::sendCommand(const NodeId &node, const QString &device, const Metric &metric)
{
    if (!d->isHost())
        return Error{Errc::Denied, QStringLiteral("An observer sends no commands; ask the host of the node.")};
    return d->sendMetrics(node, device, {metric});
}

bool HostSession::isConnected() const
{
    return d->connected;
}

QStringList HostSession::refusedSubscriptions() const
{
    return d->refused.values();
}

QList<Participant> HostSession::participants() const
{
    QList<Participant> all;
    for (const auto &node : std::as_const(d->nodes)) {
        if (node->self.hasBirth)
            all.append(node->self.who);
        for (const auto &[name, device] : node->devices) {
            if (device.hasBirth)
                all.append(device.who);
        }
    }
    return all;
}

const Participant *HostSession::participant(const NodeId &node, const QString &device) const
{
    const auto found = d->nodes.constFind(node);
    if (found == d->nodes.constEnd())
        return nullptr;
    const HostEntity *entity = (*found)->entity(device);
    return entity && entity->hasBirth ? &entity->who : nullptr;
}

HostSession::Counters HostSession::counters() const
{
    return d->counters;
}

QList<RecordedBirth> HostSession::births() const
{
    QList<RecordedBirth> all;
    for (const auto &node : std::as_const(d->nodes)) {
        if (!node->self.hasBirth || !node->self.who.online)
            continue;
        all.append(node->self.birth);
        for (const auto &[name, device] : node->devices) {
            if (device.hasBirth && device.who.online && !device.birthDue)
                all.append(device.birth);
        }
    }
    return all;
}

void HostSession::learnBirth(const RecordedBirth &birth)
{
    if (!d->isHost())
        d->learnBirth(birth);
}

// ---------------------------------------------------------------- connection

MqttConnect HostSession::Private::connectPacket()
{
    // Later than all before it, whatever the clock says: nodes ignore what is older than what they have
    // heard (tck-id-operational-behavior-edge-node-termination-host-offline-timestamp).
    stateTime = clock.now();
    if (latestStateTime && stateTime <= *latestStateTime)
        stateTime = *latestStateTime + Millis{1};
    latestStateTime = stateTime;
    MqttConnect packet;
    packet.keepAlive = config.keepAlive;
    if (!config.self.isEmpty())
        packet.clientId = config.self.toString();
    else if (!config.hostId.isEmpty())
        packet.clientId = config.hostId;
    else
        packet.clientId = QStringLiteral("lintel-observer-") + QUuid::createUuid().toString(QUuid::Id128);
    if (isHost())
        packet.will =
            MqttMessage{lintel::toString(StateTopic{config.hostId}), encodeState({false, stateTime}), 1, true};
    return packet;
}

/// Subscriptions first, the own STATE before all, then the birth
/// (tck-id-host-topic-phid-birth-sub-required).
void HostSession::Private::onConnected()
{
    if (!running || stopping)
        return;
    connected = true;
    isCatchUp = std::exchange(catchUpDue, false);
    refused.clear();
    QStringList filters;
    if (isHost())
        filters.append(lintel::toString(StateTopic{config.hostId}));
    if (config.groups.isEmpty())
        filters.append(filter::everything());
    for (const QString &group : std::as_const(config.groups))
        filters.append(filter::group(group));
    for (const QString &wanted : std::as_const(filters)) {
        if (const auto subscribed = transport.subscribe(wanted, 1); !subscribed)
            report(subscribed.error());
    }
    if (isHost()) {
        if (const auto sent = publishState(true, stateTime); !sent)
            report(sent.error());
    }
    // Nobody tells what happened while we were away.
    const Nanos deadline = clock.monotonic() + config.rebirthInterval;
    for (const NodePtr &node : std::as_const(nodes)) {
        if (!node->self.who.online)
            continue;
        node->verifyBy = deadline;
        node->asked = false;
        node->isSilent = false;
    }
    Q_EMIT q->connectionChanged(true);
}

void HostSession::Private::onDisconnected()
{
    if (!connected)
        return;
    connected = false;
    // What is missing will not come on this connection; what is here should not wait for the next one.
    const auto known = nodes;
    for (const NodePtr &node : known)
        giveUpWaiting(*node);
    Q_EMIT q->connectionChanged(false);
}

void HostSession::Private::onTransportState(MqttTransport::State state)
{
    if (!stopping || state != MqttTransport::State::Stopped || !running)
        return;
    onDisconnected();
    stopping = false;
    running = false;
    QMetaObject::invokeMethod(q, &HostSession::stopped, Qt::QueuedConnection);
}

/// tck-id-host-topic-phid-death-payload-timestamp-disconnect-clean
void HostSession::Private::leave()
{
    if (connected && isHost()) {
        latestStateTime = std::max(clock.now(), latestStateTime.value_or(stateTime));
        if (const auto sent = publishState(false, *latestStateTime); !sent)
            report(sent.error());
    }
    onDisconnected();
}

Result<void> HostSession::Private::publishState(bool online, Timestamp at)
{
    return transport.publish({lintel::toString(StateTopic{config.hostId}), encodeState({online, at}), 1, true});
}

Result<void> HostSession::Private::sendMetrics(const NodeId &node, const QString &device, QList<Metric> metrics)
{
    if (!connected)
        return Error{Errc::Unavailable,
                     QStringLiteral("No connection to the broker; the command for %1 was not sent.").arg(node.node)};
    Payload payload;
    payload.timestamp = clock.now();
    for (Metric &metric : metrics) {
        if (!metric.timestamp)
            metric.timestamp = payload.timestamp;
    }
    payload.metrics = std::move(metrics);
    const auto verb = device.isEmpty() ? SparkplugVerb::NCmd : SparkplugVerb::DCmd;
    return transport.publish(
        {lintel::toString(SparkplugTopic{node.group, verb, node.node, device}), encode(payload), 0, false});
}

// ---------------------------------------------------------------- what comes in

void HostSession::Private::onMessage(const MqttMessage &message)
{
    if (!connected)
        return;
    const auto topic = parseTopic(message.topic);
    if (!topic) {
        if (message.topic.startsWith(u"spBv1.0/")) {
            ++counters.malformed;
            report(topic.error());
        }
        return;
    }
    if (const auto *stateTopic = std::get_if<StateTopic>(&*topic)) {
        onState(*stateTopic, message);
        return;
    }
    const auto *sparkplug = std::get_if<SparkplugTopic>(&*topic);
    if (!sparkplug || sparkplug->verb == SparkplugVerb::NCmd || sparkplug->verb == SparkplugVerb::DCmd)
        return;
    ++counters.messages;
    auto payload = decode(message.payload);
    if (!payload) {
        ++counters.malformed;
        report({payload.error().code, QStringLiteral("%1 (topic %2)").arg(payload.error().message, message.topic)});
        return;
    }
    const NodePtr node = nodeFor({sparkplug->group, sparkplug->node});
    if (!node)
        return;
    HeldMessage held{sparkplug->verb, sparkplug->device, *std::move(payload), message.topic, message.payload};
    if (sparkplug->verb == SparkplugVerb::NBirth)
        onNodeBirth(*node, held, false);
    else if (sparkplug->verb == SparkplugVerb::NDeath)
        onNodeDeath(*node, held.payload);
    else
        onSequenced(*node, std::move(held));
}

/// tck-id-message-flow-hid-sparkplug-state-message-delivered: somebody, or our own late will, says
/// that we are offline.
void HostSession::Private::onState(const StateTopic &topic, const MqttMessage &message)
{
    if (!isHost() || stopping || topic.hostId != config.hostId)
        return;
    const auto state = decodeState(message.payload);
    if (!state)
        return;
    // Only what the broker kept tells of our own past; what comes live is another's, and to outbid each
    // other would never end.
    if (message.retain && state->timestamp > stateTime && catchUp(state->timestamp))
        return;
    if (state->online)
        return;
    if (const auto sent = publishState(true, stateTime); !sent)
        report(sent.error());
}

/// An earlier run of this host gave a later time: nodes that heard it ignore the time of this connection.
/// Will and birth must be of one time, so there has to be another connection. Never two in a row.
bool HostSession::Private::catchUp(Timestamp seen)
{
    if (seen >= kBeyondBelief) {
        report({Errc::OutOfRange,
                QStringLiteral("The STATE of the host \"%1\" that the broker kept has the time %2, which cannot be "
                               "right and is ignored; start nodes that do not report again.")
                    .arg(config.hostId, toIso8601(seen))});
        return false;
    }
    if (isCatchUp) {
        report(
            {Errc::Conflict,
             QStringLiteral("Somebody else gives the host \"%1\" times that are later than ours, so nodes may ignore "
                            "us; see that no other program uses this host id.")
                 .arg(config.hostId)});
        return false;
    }
    report({Errc::OutOfRange,
            QStringLiteral("This machine's clock seems to have gone back: it says %1, and the host \"%2\" was seen at "
                           "%3. It connects once more with a later time, so that its nodes listen; if the clock is "
                           "wrong now, set it, for example with timedatectl or NTP.")
                .arg(toIso8601(clock.now()), config.hostId, toIso8601(seen))});
    latestStateTime = seen;
    catchUpDue = true;
    leave();
    transport.reconnect();
    return true;
}

} // namespace lintel::sparkplug

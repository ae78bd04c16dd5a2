// The connection: will and bdSeq, subscriptions, the primary host's STATE, commands.
#include "sparkplug/edge_node_session.h"

#include "domain/topic.h"
#include "sparkplug/edge_node_private.h"
#include "sparkplug/names.h"
#include "sparkplug/session_wiring.h"
#include "sparkplug/sf_extension.h"
#include "sparkplug/state_message.h"

namespace lintel::sparkplug {
namespace {

QString bdSeqKey(const EdgeNodeConfig &config)
{
    return QStringLiteral("sparkplug/bdseq/") + config.group + u'/' + config.node;
}

/// Only the bdSeq metric, no seq (tck-id-topics-ndeath-payload, tck-id-topics-ndeath-seq).
QByteArray nodeDeath(quint8 bdSeq, Timestamp now)
{
    Payload payload;
    payload.timestamp = now;
    Metric metric = Metric::named(names::kBdSeq.toString(), DataType::UInt64, quint64(bdSeq));
    metric.timestamp = now;
    payload.metrics.append(metric);
    return encode(payload);
}

} // namespace

EdgeNodeSession::EdgeNodeSession(EdgeNodeConfig config, const Clock &clock, MqttTransport &transport,
                                 ReadingSpool &spool, StateStore &state, QObject *parent)
    : QObject(parent), d(std::make_unique<Private>(this, std::move(config), clock, transport, spool, state))
{
    d->node.isNode = true;
    d->node.device.name.clear();
    listenTo(transport, this, d.get());
}

EdgeNodeSession::~EdgeNodeSession() = default;

void EdgeNodeSession::setNodePoints(const QList<Point> &points)
{
    if (d->node.device.points == points)
        return;
    d->node.device.points = points;
    d->forgetBirths();
    d->pump();
}

void EdgeNodeSession::setTrust(const TrustState &trust)
{
    if (d->trust == trust)
        return;
    if (!d->trust)
        d->forgetBirths(); // these metrics stand in no birth yet
    d->trust = trust;
    d->trustDue = true;
    d->pump();
}

void EdgeNodeSession::setDevice(const EdgeDevice &device)
{
    if (const auto valid = validateSparkplugId(device.name); !valid) {
        Q_EMIT trouble(valid.error());
        return;
    }
    Entity &entity = d->entityFor(device.name);
    if (entity.device == device)
        return;
    const bool changedPoints = entity.device.points != device.points;
    entity.deathDue = entity.born && !device.online;
    entity.device = device;
    if (changedPoints && device.online)
        entity.born = false;
    d->pump();
}

void EdgeNodeSession::start()
{
    if (d->phase != Phase::Stopped)
        return;
    const SpoolStatus spool = d->spool.status();
    d->stream = spool.stream;
    d->acked = spool.acknowledged;
    d->cursor = d->released = d->acked;
    d->loadTaken();
    d->stopping = false;
    d->offlineSince = d->clock.now();
    d->setPhase(Phase::Offline);
    QPointer<EdgeNodeSession> self(this);
    d->transport.start([self] { return self ? self->d->connectPacket() : MqttConnect{}; });
}

void EdgeNodeSession::stop()
{
    if (d->phase == Phase::Stopped || d->stopping)
        return;
    d->stopping = true;
    d->leave();
    d->transport.stop();
    d->onTransportState(d->transport.state());
}

void EdgeNodeSession::reconnect()
{
    if (d->phase == Phase::Stopped || d->stopping)
        return;
    d->leave();
    d->transport.reconnect();
}

void EdgeNodeSession::pump()
{
    d->pump();
}

void EdgeNodeSession::sendNow()
{
    d->nextSend = {};
    d->pump();
}

void EdgeNodeSession::tick()
{
    d->checkTimeouts();
    if (d->more || d->isSendDue())
        d->pump();
}

EdgeNodeSession::Status EdgeNodeSession::status() const
{
    Status status;
    status.phase = d->phase;
    status.birthSequence = d->bdSeq;
    status.sent = d->sentHere;
    status.acknowledged = d->acked;
    status.resentBatches = d->resent;
    status.lastAck = d->lastAck;
    status.connectedSince = d->connectedSince;
    status.offlineSince = d->offlineSince;
    status.refusedSubscriptions = d->refused.values();
    return status;
}

// ---------------------------------------------------------------- connection

MqttConnect EdgeNodeSession::Private::connectPacket()
{
    bdSeq = takeBirthSequence();
    const SparkplugTopic topic{config.group, SparkplugVerb::NDeath, config.node, {}};
    MqttConnect packet;
    packet.clientId = config.self.isEmpty() ? config.node : config.self.toString();
    packet.will = MqttMessage{lintel::toString(topic), nodeDeath(bdSeq, clock.now()), 1, false};
    packet.keepAlive = config.keepAlive;
    return packet;
}

/// Counts every attempt, restarts included. When the counter cannot be stored the session goes on
/// with the one in memory: telemetry matters more than an exact death certificate.
quint8 EdgeNodeSession::Private::takeBirthSequence()
{
    const QString key = bdSeqKey(config);
    if (!nextBdSeq) {
        const auto stored = state.load(key);
        if (!stored)
            report(stored.error());
        nextBdSeq = stored && *stored ? quint8((*stored)->toUInt() % 256) : quint8(0);
    }
    const quint8 taken = *nextBdSeq;
    nextBdSeq = quint8(taken + 1);
    if (const auto saved = state.save(key, QByteArray::number(uint(*nextBdSeq))); !saved)
        report(saved.error());
    return taken;
}

void EdgeNodeSession::Private::onConnected()
{
    if (phase == Phase::Stopped || stopping)
        return;
    connected = true;
    refused.clear();
    connectedSince = clock.now();
    offlineSince.reset();
    sentHere = 0;
    nextSend = {}; // the radio is awake
    takenTold = false;
    hostStateTime.reset();
    forgetBirths();
    hostOnline = config.primaryHost.isEmpty();
    QStringList filters{filter::nodeCommands(config.group, config.node),
                        filter::deviceCommands(config.group, config.node)};
    if (!hostOnline)
        filters.append(lintel::toString(StateTopic{config.primaryHost}));
    for (const QString &wanted : std::as_const(filters)) {
        if (const auto subscribed = transport.subscribe(wanted, 1); !subscribed)
            report(subscribed.error());
    }
    setPhase(Phase::WaitingForHost);
    pump();
}

void EdgeNodeSession::Private::onDisconnected()
{
    if (!connected && phase == Phase::Offline)
        return;
    connected = false;
    hostOnline = false;
    forgetBirths();
    inFlight.clear();
    cursor = acked;
    connectedSince.reset();
    if (!offlineSince)
        offlineSince = clock.now();
    if (phase != Phase::Stopped)
        setPhase(Phase::Offline);
}

void EdgeNodeSession::Private::onTransportState(MqttTransport::State transportState)
{
    if (!stopping || transportState != MqttTransport::State::Stopped || phase == Phase::Stopped)
        return;
    onDisconnected();
    stopping = false;
    setPhase(Phase::Stopped);
    QMetaObject::invokeMethod(q, &EdgeNodeSession::stopped, Qt::QueuedConnection);
}

/// NDEATH by hand: after a DISCONNECT the broker forgets the will
/// (tck-id-operational-behavior-edge-node-intentional-disconnect-ndeath).
void EdgeNodeSession::Private::leave()
{
    if (connected) {
        const SparkplugTopic topic{config.group, SparkplugVerb::NDeath, config.node, {}};
        if (const auto sent = transport.publish({lintel::toString(topic), nodeDeath(bdSeq, clock.now()), 1, false});
            !sent)
            report(sent.error());
    }
    onDisconnected();
}

void EdgeNodeSession::Private::setPhase(Phase next)
{
    if (phase == next)
        return;
    phase = next;
    Q_EMIT q->phaseChanged(next);
}

// ---------------------------------------------------------------- what comes in

void EdgeNodeSession::Private::onMessage(const MqttMessage &message)
{
    if (!connected)
        return;
    const auto topic = parseTopic(message.topic);
    if (!topic)
        return; // capability calls and others share the connection
    if (const auto *stateTopic = std::get_if<StateTopic>(&*topic)) {
        if (!config.primaryHost.isEmpty() && stateTopic->hostId == config.primaryHost)
            onHostState(message.payload);
        return;
    }
    const auto *sparkplug = std::get_if<SparkplugTopic>(&*topic);
    if (!sparkplug || sparkplug->group != config.group || sparkplug->node != config.node)
        return;
    if (sparkplug->verb == SparkplugVerb::NCmd || sparkplug->verb == SparkplugVerb::DCmd)
        onCommand(sparkplug->device, message.payload);
}

void EdgeNodeSession::Private::onHostState(const QByteArray &payload)
{
    const auto host = decodeState(payload);
    if (!host) {
        report(host.error());
        return;
    }
    // A will that fires late speaks of an earlier connection of the host
    // (tck-id-operational-behavior-edge-node-termination-host-offline-timestamp).
    if (hostStateTime && host->timestamp < *hostStateTime) {
        if (host->online && !hostOnline)
            reportIgnored(host->timestamp);
        return;
    }
    hostStateTime = host->timestamp;
    ignoredState.reset();
    if (host->online) {
        hostOnline = true;
        pump();
    } else if (hostOnline) {
        // tck-id-operational-behavior-edge-node-termination-host-offline and -reconnect
        leave();
        transport.reconnect();
    }
}

/// Sparkplug asks us to ignore it, yet nothing is sent until the host is believed.
void EdgeNodeSession::Private::reportIgnored(Timestamp said)
{
    if (ignoredState == said)
        return;
    ignoredState = said;
    report(
        {Errc::OutOfRange,
         QStringLiteral("The host \"%1\" says that it is online since %2, which is ignored, because it was seen at %3: "
                        "its clock seems to have gone back. A host of Lintel mends that by itself; of any other set "
                        "the clock and start it again.")
             .arg(config.primaryHost, toIso8601(said), toIso8601(*hostStateTime))});
}

void EdgeNodeSession::Private::onCommand(const QString &deviceName, const QByteArray &bytes)
{
    auto payload = decode(bytes);
    if (!payload) {
        report(payload.error());
        return;
    }
    const Entity *entity = &node;
    if (!deviceName.isEmpty()) {
        const auto found = devices.find(deviceName);
        if (found == devices.end()) {
            report(
                {Errc::NotFound, QStringLiteral("A command came for the device \"%1\", which this node does not have.")
                                     .arg(deviceName)});
            return;
        }
        entity = &found->second;
    }
    bool rebirth = false;
    for (Metric &metric : payload->metrics) {
        if (!metric.name && metric.alias)
            metric.name = entity->aliases.key(*metric.alias);
        const QString metricName = metric.name.value_or(QString());
        if (metricName.isEmpty()) {
            report({Errc::NotFound, QStringLiteral("A command names no metric of this node.")});
        } else if (deviceName.isEmpty() && metricName == names::kRebirth) {
            const auto wanted = retype(metric.value, DataType::Boolean);
            rebirth = rebirth || (wanted && *wanted == Scalar(true));
        } else if (deviceName.isEmpty() && (metricName == sf::kAck || metricName == sf::kAckStream)) {
            continue;
        } else {
            Q_EMIT q->commandReceived(deviceName, metric);
        }
    }
    if (deviceName.isEmpty())
        onAck(*payload);
    if (!rebirth || !hostOnline)
        return;
    const Nanos now = clock.monotonic();
    if (lastRebirth && now - *lastRebirth < config.rebirthDebounce)
        return;
    lastRebirth = now;
    forgetBirths();
    sendAgain();
    pump();
}

} // namespace lintel::sparkplug

// Store and forward: the spool is sent in order, at most a window ahead of the acknowledgement, and
// sent again when the host is silent. Nothing leaves the spool but by acknowledgement.
#include "domain/topic.h"
#include "sparkplug/edge_node_private.h"
#include "sparkplug/point_metrics.h"
#include "sparkplug/sf_extension.h"

#include <algorithm>

namespace lintel::sparkplug {
namespace {

constexpr int kChunk = 64;         // batches read from the spool at once
constexpr int kChunksPerPump = 16; // then the event loop gets its turn
constexpr int kMostPatience = 12;  // a silent host is tried again after a minute at the latest

Metric data(DataType type, Scalar value)
{
    Metric metric;
    metric.type = type;
    metric.value = std::move(value);
    return metric;
}

QString takenKey(const EdgeNodeConfig &config)
{
    return QStringLiteral("sparkplug/taken/") + config.group + u'/' + config.node;
}

} // namespace

/// Slots that our signals reach may call pump() again; that becomes one more round, not a recursion.
void EdgeNodeSession::Private::pump()
{
    if (pumping) {
        pumpAgain = true;
        return;
    }
    pumping = true;
    do {
        pumpAgain = false;
        more = false;
        for (int chunk = 0; chunk < kChunksPerPump && pumpOnce(); ++chunk)
            more = chunk + 1 == kChunksPerPump;
    } while (pumpAgain);
    pumping = false;
}

/// One chunk; true when there may be another.
bool EdgeNodeSession::Private::pumpOnce()
{
    if (!connected || !hostOnline || stopping)
        return false;
    const int room = mayWait() ? config.window - int(inFlight.size()) : kChunk;
    QList<StoredBatch> chunk;
    const Msn sendable = release(spool.status().head);
    if (room > 0 && cursor < sendable) {
        auto read = spool.read(cursor, std::min(room, kChunk));
        if (!read) {
            report(read.error());
            return false;
        }
        chunk = *std::move(read);
        while (!chunk.isEmpty() && chunk.last().msn > sendable)
            chunk.removeLast();
    }
    for (const StoredBatch &stored : std::as_const(chunk))
        explain(entityFor(stored.batch.device), stored.batch);
    if (!sendBirths() || (trustDue && trust && !sendTrust()))
        return false;
    if (numbersTaken) {
        tellTaken();
        return false;
    }
    // Reading may have found a spoiled batch, so the tail is asked for afterwards.
    const SpoolStatus status = spool.status();
    if (status.tail > acked + 1 && status.tail > announcedTail && !announceTail())
        return false;
    const bool sent = sendChunk(chunk, status.head);
    noteStall(sendable);
    if (!sent)
        return false;
    endDevices(status.head);
    return chunk.size() == std::min(room, kChunk) && room > 0;
}

bool EdgeNodeSession::Private::sendChunk(const QList<StoredBatch> &chunk, Msn head)
{
    // Held up for so long on a standing connection, readings are as late as after an outage.
    if (!chunk.isEmpty() && stalledSince && clock.monotonic() - *stalledSince >= config.ackTimeout)
        history = std::max(history, head);
    for (const StoredBatch &stored : chunk) {
        // A hole: a batch that could not be read back. The host hears of it as a tail, which would
        // also give up what is still under way, so everything before the hole has to be acknowledged first.
        const Msn expected = std::max(cursor + 1, announcedTail);
        if (stored.msn > expected && acked + 1 < expected && mayWait())
            return false;
        if (!sendBatch(stored))
            return false;
    }
    return true;
}

bool EdgeNodeSession::Private::isSendDue() const
{
    return config.sendEvery > Millis{0} && clock.monotonic() >= nextSend && spool.status().head > released;
}

/// Up to where batches may leave now; each burst wakes a radio that sleeps otherwise.
Msn EdgeNodeSession::Private::release(Msn head)
{
    if (config.sendEvery <= Millis{0})
        return head;
    if (isSendDue()) {
        released = head;
        nextSend = clock.monotonic() + config.sendEvery;
    }
    return released;
}

void EdgeNodeSession::Private::noteStall(Msn head)
{
    if (cursor >= head)
        stalledSince.reset();
    else if (!stalledSince)
        stalledSince = clock.monotonic();
}

bool EdgeNodeSession::Private::sendBatch(const StoredBatch &stored)
{
    Entity &entity = entityFor(stored.batch.device);
    // Slots that our signals reach may have changed the points since the birth: births first, then.
    if (explain(entity, stored.batch) || !node.born) {
        more = true;
        return false;
    }
    if (!entity.born && !sendDeviceBirth(entity))
        return false;
    const bool again = stored.msn <= highestSent;
    const bool historical = again || stored.msn <= history || (!entity.isNode && !entity.device.online);

    QList<Metric> readings;
    Timestamp at = clock.now();
    for (const Reading &reading : stored.batch.readings) {
        const auto point = std::find_if(entity.device.points.cbegin(), entity.device.points.cend(),
                                        [&reading](const Point &p) { return p.id == reading.point; });
        if (point == entity.device.points.cend()) { // changed once more, by a slot of the birth
            more = true;
            return false;
        }
        const auto alias = config.useAliases ? std::optional(aliasOf(entity, reading.point)) : std::nullopt;
        readings.append(dataMetric(*point, alias, reading, historical));
        at = std::min(at, reading.deviceTime);
    }
    // tck-id-operational-behavior-data-publish-nbirth-order
    std::stable_sort(readings.begin(), readings.end(),
                     [](const Metric &a, const Metric &b) { return *a.timestamp < *b.timestamp; });

    Payload payload;
    const auto add = [&](QStringView metricName, Metric metric) {
        metric.timestamp = at;
        if (config.useAliases)
            metric.alias = aliasOf(entity, metricName.toString());
        else
            metric.name = metricName.toString();
        payload.metrics.append(std::move(metric));
    };
    add(sf::kMsn, data(DataType::UInt64, quint64(stored.msn)));
    if (!stored.batch.losses.isEmpty()) {
        Metric loss = data(DataType::DataSet, {});
        loss.dataSet = toDataSet(stored.batch.losses);
        add(sf::kLoss, std::move(loss));
    }
    payload.metrics.append(readings);
    if (!publish(entity.isNode ? SparkplugVerb::NData : SparkplugVerb::DData, entity.device.name, std::move(payload)))
        return false;

    const Nanos now = clock.monotonic();
    if (inFlight.empty())
        lastProgress = now;
    inFlight.push_back({stored.msn, now});
    cursor = sentHere = stored.msn;
    resent += again ? 1 : 0;
    highestSent = std::max(highestSent, stored.msn);
    stalledSince.reset();
    entity.lastMsn = stored.msn;
    for (const Reading &reading : stored.batch.readings) {
        const auto known = entity.current.find(reading.point);
        if (known == entity.current.end() || known->deviceTime <= reading.deviceTime)
            entity.current.insert(reading.point, reading);
    }
    return true;
}

/// An NDATA of its own: whichever device the lost batches were of, the tail is the node's.
bool EdgeNodeSession::Private::announceTail()
{
    const Msn tail = spool.status().tail;
    Metric metric = data(DataType::UInt64, quint64(tail));
    metric.timestamp = clock.now();
    if (config.useAliases)
        metric.alias = aliasOf(node, sf::kTail.toString());
    else
        metric.name = sf::kTail.toString();
    Payload payload;
    payload.metrics.append(metric);
    if (!publish(SparkplugVerb::NData, {}, std::move(payload)))
        return false;
    announcedTail = tail;
    cursor = std::max(cursor, tail - 1);
    if (inFlight.empty())
        lastProgress = clock.monotonic();
    return true;
}

// An older copy of the spool was put back, or its disk forgot what it had promised: the host has
// numbers of this stream that the spool is about to give a second time, and would drop the new
// readings as known. So nothing more is sent from this spool, no acknowledgement deletes from it, and
// that is remembered by the name of the stream: once its head has caught up nobody could tell.

void EdgeNodeSession::Private::loadTaken()
{
    const auto stored = state.load(takenKey(config));
    if (!stored)
        report(stored.error());
    numbersTaken = stored && *stored && QUuid::fromString(QString::fromLatin1(**stored)) == stream;
}

void EdgeNodeSession::Private::onTaken()
{
    if (!numbersTaken) {
        numbersTaken = true;
        inFlight.clear();
        if (const auto saved = state.save(takenKey(config), stream.toString(QUuid::WithoutBraces).toLatin1()); !saved)
            report(saved.error());
    }
    tellTaken();
}

void EdgeNodeSession::Private::tellTaken()
{
    if (takenTold)
        return;
    takenTold = true;
    report({Errc::Conflict,
            QStringLiteral("The host has batches of stream %1 that this spool never numbered; an older copy of the "
                           "spool seems to have been put back. Readings are kept but no longer sent, as the host "
                           "would drop them as known: stop this program, set the spool's file aside and start again.")
                .arg(stream.toString(QUuid::WithoutBraces))});
}

/// From the last acknowledgement on.
void EdgeNodeSession::Private::sendAgain()
{
    cursor = acked;
    announcedTail = 0;
    inFlight.clear();
}

void EdgeNodeSession::Private::onAck(const Payload &command)
{
    const Metric *number = command.find(sf::kAck);
    const Metric *streamName = command.find(sf::kAckStream);
    if (!number || !streamName)
        return;
    const auto value = retype(number->value, DataType::UInt64);
    const auto *text = std::get_if<QString>(&streamName->value);
    if (!value || !std::holds_alternative<quint64>(*value) || !text || QUuid::fromString(*text) != stream)
        return; // meant for a spool that this node no longer has
    const Msn upTo = std::get<quint64>(*value);
    if (numbersTaken || upTo > spool.status().head) {
        onTaken();
        return;
    }
    if (upTo > acked) {
        if (const auto taken = spool.acknowledge(upTo); !taken) {
            report(taken.error());
            return;
        }
        acked = upTo;
        cursor = std::max(cursor, acked);
        patience = 1;
        lastProgress = clock.monotonic();
        while (!inFlight.empty() && inFlight.front().msn <= acked)
            inFlight.pop_front();
    }
    everAcked = true;
    lastAck = clock.now();
    if (phase == Phase::Born || phase == Phase::BestEffort)
        setPhase(Phase::Custody);
    Q_EMIT q->acknowledged(acked);
    pump();
}

void EdgeNodeSession::Private::checkTimeouts()
{
    if (!connected || !node.born || numbersTaken)
        return;
    const Nanos now = clock.monotonic();
    const Nanos replayWindow = 2 * Nanos(config.keepAlive);
    if (phase == Phase::Born && !everAcked && now - bornAt >= replayWindow) {
        setPhase(Phase::BestEffort);
        more = true;
    }
    if (phase == Phase::BestEffort) {
        keepBooksByTime(now);
        return;
    }
    const bool waiting = !inFlight.empty() || announcedTail > acked + 1;
    if (waiting && now - lastProgress >= config.ackTimeout * patience) {
        patience = std::min(patience * 2, kMostPatience);
        lastProgress = now;
        sendAgain();
        more = true;
    }
}

/// Nobody acknowledges: what was sent twice the keep-alive ago on a connection that still stands has
/// arrived as well as plain Sparkplug can say.
void EdgeNodeSession::Private::keepBooksByTime(Nanos now)
{
    const Nanos replayWindow = 2 * Nanos(config.keepAlive);
    Msn upTo = 0;
    while (!inFlight.empty() && now - inFlight.front().sentAt >= replayWindow) {
        upTo = std::max(upTo, inFlight.front().msn);
        inFlight.pop_front();
    }
    if (upTo <= acked)
        return;
    if (const auto taken = spool.acknowledge(upTo); !taken) {
        report(taken.error());
        return;
    }
    acked = upTo;
    more = true;
    Q_EMIT q->acknowledged(acked);
}

} // namespace lintel::sparkplug

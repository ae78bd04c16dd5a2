#include "gateway/gateway_service.h"

#include "custody/answers.h"
#include "custody/history_answers.h"

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;
using sparkplug::EdgeNodeSession;
using sparkplug::HostBatch;
using sparkplug::HostSession;
using sparkplug::Participant;

namespace {

constexpr Millis kTick{100};
constexpr Millis kStopGrace{5'000}; // transports take two seconds at most

QString phaseName(EdgeNodeSession::Phase phase)
{
    switch (phase) {
    case EdgeNodeSession::Phase::Stopped: return u"stopped"_s;
    case EdgeNodeSession::Phase::Offline: return u"offline"_s;
    case EdgeNodeSession::Phase::WaitingForHost: return u"waiting for the cloud's host"_s;
    case EdgeNodeSession::Phase::Born: return u"born"_s;
    case EdgeNodeSession::Phase::Custody: return u"custody"_s;
    case EdgeNodeSession::Phase::BestEffort: return u"best effort"_s;
    }
    return {};
}

QCborMap uplinkAnswer(const EdgeNodeSession::Status &status)
{
    QCborMap map{
        {"phase"_L1, phaseName(status.phase)},
        {"birth_sequence"_L1, qint64(status.birthSequence)},
        {"sent"_L1, qint64(status.sent)},
        {"acknowledged"_L1, qint64(status.acknowledged)},
        {"resent_batches"_L1, qint64(status.resentBatches)},
    };
    if (status.lastAck)
        map.insert("last_ack"_L1, toIso8601(*status.lastAck));
    if (status.connectedSince)
        map.insert("connected_since"_L1, toIso8601(*status.connectedSince));
    if (status.offlineSince)
        map.insert("offline_since"_L1, toIso8601(*status.offlineSince));
    return map;
}

} // namespace

GatewayService::GatewayService(HostSession &host, EdgeNodeSession &uplink, ReadingSpool &spool, DeviceTable &devices,
                               const Clock &clock, GatewayLimits limits, QObject *parent)
    : QObject(parent), m_host(host), m_uplink(uplink), m_spool(spool), m_devices(devices), m_clock(clock),
      m_limits(limits), m_store(spool), m_intake(m_store, clock, limits.intake)
{
    connect(&m_host, &HostSession::born, this, &GatewayService::onBorn);
    connect(&m_host, &HostSession::died, this, &GatewayService::onDied);
    connect(&m_host, &HostSession::batchReceived, this, &GatewayService::onBatch);
    connect(&m_host, &HostSession::trouble, this, &GatewayService::trouble);
    connect(&m_host, &HostSession::tailMoved, &m_intake, &CustodyIntake::tailMoved);
    connect(&m_uplink, &EdgeNodeSession::trouble, this, &GatewayService::trouble);
    connect(&m_uplink, &EdgeNodeSession::acknowledged, this, &GatewayService::settleSyncs);
    connect(&m_uplink, &EdgeNodeSession::phaseChanged, this,
            [this](EdgeNodeSession::Phase phase) { Q_EMIT notice(u"Uplink: %1."_s.arg(phaseName(phase))); });

    connect(&m_intake, &CustodyIntake::acknowledge, &m_host, &HostSession::acknowledge);
    connect(&m_intake, &CustodyIntake::stored, &m_uplink, &EdgeNodeSession::pump);
    connect(&m_intake, &CustodyIntake::trouble, this, &GatewayService::trouble);
    connect(&m_intake, &CustodyIntake::storageFailed, this, [this](const Error &why) {
        Q_EMIT trouble({why.code, u"Readings cannot be stored, so sensors keep theirs until this is mended: %1"_s.arg(
                                      why.message)});
    });
    connect(&m_intake, &CustodyIntake::storageRecovered, this,
            [this] { Q_EMIT notice(u"Readings are stored again; the sensors send what they kept."_s); });

    connect(&m_tick, &QTimer::timeout, this, &GatewayService::onTick);
}

void GatewayService::setTrust(TrustReport::Read read)
{
    m_trust.emplace(
        std::move(read), [this](const sparkplug::TrustState &trust) { m_uplink.setTrust(trust); }, m_clock);
}

void GatewayService::start()
{
    m_startedAt = m_clock.now();
    m_nextSync = m_clock.monotonic() + m_limits.syncInterval;
    for (auto it = m_devices.sensors().keyBegin(); it != m_devices.sensors().keyEnd(); ++it)
        updateUplinkDevice(*it);
    if (m_trust)
        m_trust->tick(); // so that it stands in the first birth
    m_tick.start(kTick);
    m_host.start();
    m_uplink.start();
}

void GatewayService::stop()
{
    if (m_stopping)
        return;
    m_stopping = true;
    Q_EMIT stopping();
    m_stopDeadline = m_clock.monotonic() + kStopGrace;
    m_intake.flush(); // so that what was taken can still be acknowledged
    connect(&m_host, &HostSession::stopped, this, [this] { m_hostStopped = true; });
    connect(&m_uplink, &EdgeNodeSession::stopped, this, [this] { m_uplinkStopped = true; });
    m_host.stop();
    m_intake.flush();
    m_uplink.stop();
}

void GatewayService::finishStopping()
{
    m_tick.stop();
    for (Sync &sync : m_syncs) {
        if (sync.reply)
            sync.reply(Error{Errc::Unavailable, u"The gateway is stopping; ask again when it is back."_s});
    }
    m_syncs.clear();
    if (const auto kept = m_devices.save(); !kept)
        Q_EMIT trouble(kept.error());
    Q_EMIT stopped();
}

void GatewayService::onTick()
{
    m_host.tick();
    m_uplink.tick();
    if (m_trust)
        m_trust->tick();
    settleSyncs();
    if (m_stopping) {
        if ((m_uplinkStopped && m_hostStopped) || m_clock.monotonic() >= m_stopDeadline)
            finishStopping();
        return;
    }
    if (m_clock.monotonic() < m_nextSync)
        return;
    m_nextSync = m_clock.monotonic() + m_limits.syncInterval;
    beginSync({}, {});
}

bool GatewayService::mayUse(const sparkplug::NodeId &node, const QString &name)
{
    const auto allowed = m_devices.mayUse(node, name);
    if (!allowed && m_refusals.isNews(node, name, m_clock.monotonic()))
        Q_EMIT trouble(allowed.error());
    return bool(allowed);
}

bool GatewayService::isStored(const QString &device, const Reading &reading) const
{
    if (!m_history)
        return false;
    const auto found = m_history(device, reading.point, reading.deviceTime, reading.deviceTime + Millis{1}, 1);
    return found && !found->isEmpty(); // in doubt it is stored: twice is better than never
}

void GatewayService::onBorn(const Participant &who)
{
    if (!mayUse(who.node, answers::deviceName(who)))
        return;
    m_intake.nodeBorn(who);
    if (who.points.isEmpty())
        return; // a node that only carries devices
    if (const auto remembered = m_devices.born(who); !remembered)
        Q_EMIT trouble(remembered.error());
    updateUplinkDevice(answers::deviceName(who));
}

void GatewayService::onDied(const Participant &who)
{
    if (const auto remembered = m_devices.died(who); !remembered)
        Q_EMIT trouble(remembered.error());
    if (m_devices.find(answers::deviceName(who)))
        updateUplinkDevice(answers::deviceName(who));
}

void GatewayService::onBatch(const HostBatch &batch)
{
    if (!mayUse(batch.node, batch.batch.device))
        return;
    const Participant *node = m_host.participant(batch.node);
    const bool isPlain = !node || !node->spool;
    if (!batch.fromBirth) {
        m_intake.take(batch);
    } else if (isPlain) {
        // A plain node reports by exception from its birth on, so the birth's values count once.
        HostBatch fresh = batch;
        erase_if(fresh.batch.readings, [this, &device = batch.batch.device](const Reading &reading) {
            return m_devices.knows(device, reading) || isStored(device, reading);
        });
        if (!fresh.batch.readings.isEmpty())
            m_intake.take(fresh);
    } // else: its readings stand in its spool and come numbered
    m_devices.received(batch);
}

void GatewayService::updateUplinkDevice(const QString &name)
{
    m_uplink.setDevice(m_devices.asEdgeDevice(name));
}

quint64 GatewayService::forwardedReadings() const
{
    const SpoolStatus status = m_spool.status();
    return status.totalReadings - status.pendingReadings;
}

bool GatewayService::isCloudAvailable() const
{
    const auto phase = m_uplink.status().phase;
    return phase == EdgeNodeSession::Phase::Custody || phase == EdgeNodeSession::Phase::Born
           || phase == EdgeNodeSession::Phase::BestEffort;
}

void GatewayService::beginSync(CallServer::Reply reply, std::optional<Timestamp> expires)
{
    m_intake.flush();
    m_uplink.pump();
    Millis wait = m_limits.syncTimeout;
    if (expires) // the answer must still reach the caller
        wait = std::clamp(std::chrono::duration_cast<Millis>(*expires - m_clock.now()) * 3 / 4, Millis{0}, wait);
    m_syncs.append({forwardedReadings(), m_spool.status().head, m_clock.monotonic() + wait, std::move(reply)});
    settleSyncs();
}

void GatewayService::settleSyncs()
{
    if (m_syncs.isEmpty())
        return;
    const Msn acknowledged = m_spool.status().acknowledged;
    const auto now = m_clock.monotonic();
    QList<Sync> waiting;
    for (Sync &sync : m_syncs) {
        const bool done = acknowledged >= sync.upTo && isCloudAvailable();
        if (done)
            m_lastSync = m_clock.now();
        if (!done && now < sync.deadline && isCloudAvailable())
            waiting.append(std::move(sync));
        else if (sync.reply)
            sync.reply(syncAnswer(sync));
    }
    m_syncs = std::move(waiting);
}

QCborMap GatewayService::syncAnswer(const Sync &sync) const
{
    const SpoolStatus status = m_spool.status();
    QCborMap map{
        {"synced_readings"_L1, qint64(forwardedReadings() - sync.forwardedBefore)},
        {"pending_readings"_L1, qint64(status.pendingReadings)},
        {"cloud_available"_L1, isCloudAvailable()},
        {"last_sync"_L1, m_lastSync ? QCborValue(toIso8601(*m_lastSync)) : QCborValue(nullptr)},
    };
    if (status.oldestPending)
        map.insert("oldest_pending"_L1, toIso8601(*status.oldestPending));
    return map;
}

QCborMap GatewayService::status() const
{
    const auto intake = m_intake.counters();
    QCborMap map{
        {"started"_L1, toIso8601(m_startedAt)},
        {"sensors"_L1, qint64(m_devices.sensors().size())},
        {"sensors_online"_L1, qint64(m_devices.onlineCount())},
        {"broker_connected"_L1, m_host.isConnected()},
        {"cloud_available"_L1, isCloudAvailable()},
        {"spool"_L1, answers::spool(m_spool.status())},
        {"uplink"_L1, uplinkAnswer(m_uplink.status())},
        {"host"_L1, answers::hostCounters(m_host.counters())},
        {"storage_failing"_L1, m_intake.isFailing()},
        {"held_in_memory"_L1, qint64(m_intake.heldReadings())},
        {"waiting_batches"_L1, qint64(m_intake.heldBatches())},
        {"held_is_noted"_L1, m_intake.isHeldNoted()},
        {"losses"_L1, answers::latestLosses(m_spool)},
        {"readings_lost_in_memory"_L1, qint64(intake.lostReadings)},
        {"readings_received"_L1, qint64(intake.readings)},
        {"duplicate_batches"_L1, qint64(intake.duplicateBatches)},
        {"refused_subscriptions"_L1,
         QCborArray::fromStringList(m_host.refusedSubscriptions() + m_uplink.status().refusedSubscriptions)},
    };
    answers::addSetAside(map, intake.setAsideBatches, intake.setAsideReadings, m_intake.lastSetAside());
    if (m_lastSync)
        map.insert("last_sync"_L1, toIso8601(*m_lastSync));
    for (auto it = m_reports.cbegin(); it != m_reports.cend(); ++it)
        map.insert(it.key(), it.value()());
    return map;
}

void GatewayService::serve(CallServer &server)
{
    using Call = CallServer::Call;
    using Reply = CallServer::Reply;
    server.provide(u"aggregate_sensors"_s, [this](const Call &, const Reply &reply) { reply(m_devices.aggregate()); });
    server.provide(u"last_values"_s, [this](const Call &call, const Reply &reply) {
        const auto site = answers::textArgument(call.args, "site"_L1);
        if (site)
            reply(m_devices.lastValues(*site));
        else
            reply(site.error());
    });
    server.provide(u"list_devices"_s, [this](const Call &, const Reply &reply) { reply(m_devices.list()); });
    server.provide(u"read_births"_s, [this](const Call &, const Reply &reply) { reply(births()); });
    server.provide(u"status"_s, [this](const Call &, const Reply &reply) { reply(status()); });
    server.provide(u"sync_to_cloud"_s,
                   [this](const Call &call, const Reply &reply) { beginSync(reply, call.expires); });
    server.provide(u"query_history"_s,
                   [this](const Call &call, const Reply &reply) { reply(queryHistory(call.args)); });
}

QCborMap GatewayService::births() const
{
    return answers::births(
        answers::accepted(m_host.births(), [this](const sparkplug::NodeId &node, const QString &name) {
            return bool(m_devices.mayUse(node, name));
        }));
}

Result<QCborMap> GatewayService::queryHistory(const QCborMap &args) const
{
    const auto request = answers::historyRequest(args, m_clock.now());
    if (!request)
        return request.error();
    const bool wantsBuckets = request->bucket > std::chrono::seconds{0};
    if (wantsBuckets ? !m_buckets : !m_history)
        return Error{Errc::Unsupported, u"This gateway keeps no history; ask the cloud."_s};
    const auto &[from, to] = request->span;
    if (wantsBuckets) {
        const auto buckets = m_buckets(request->device, request->point, from, to, request->bucket);
        if (!buckets)
            return buckets.error();
        return answers::history(*request, *buckets);
    }
    const auto readings = m_history(request->device, request->point, from, to, request->rows + 1);
    if (!readings)
        return readings.error();
    QCborArray array;
    for (const Reading &reading : *readings)
        array.append(answers::reading(reading));
    return answers::history(*request, array);
}

} // namespace lintel

#include "sensor/sensor_agent.h"

#include "custody/answers.h"

#include <QMetaEnum>

namespace lintel {

using namespace Qt::StringLiterals;
using sparkplug::EdgeNodeSession;

namespace {

constexpr int tickMilliseconds = 100;
constexpr std::chrono::seconds kReconnection{5}; // with a new certificate, back-off included
constexpr qint64 mostBufferedReadings = 1'000;
constexpr qint64 bufferedReadingsUnlessSaid = 100;

QString phaseName(EdgeNodeSession::Phase phase)
{
    return QString::fromLatin1(QMetaEnum::fromType<EdgeNodeSession::Phase>().valueToKey(int(phase)));
}

QCborMap withPoint(const Reading &one)
{
    QCborMap map = answers::reading(one);
    map[u"point"_s] = one.point;
    return map;
}

} // namespace

SensorAgent::SensorAgent(SensorSettings settings, SensorDriver &driver, const Clock &clock, ReadingSpool &spool,
                         EdgeNodeSession &session, CallServer &calls, QObject *parent)
    : QObject(parent), m_settings(std::move(settings)), m_driver(driver), m_clock(clock), m_spool(spool),
      m_session(session), m_calls(calls), m_writer(m_settings.device, m_settings.memoryBatches, clock, spool),
      m_sampler(m_settings.reports, driver, clock, m_writer)
{
    if (RecordedDriver *recording = m_driver.recorded()) {
        m_playback = std::make_unique<Playback>(*recording, clock, spool, m_writer);
        m_writer.setRepeatable();
        connect(m_playback.get(), &Playback::trouble, this, &SensorAgent::trouble);
        connect(m_playback.get(), &Playback::finished, this, &SensorAgent::playbackFinished);
    }
    connect(&m_driver, &SensorDriver::trouble, this, &SensorAgent::trouble);
    connect(&m_sampler, &Sampler::trouble, this, &SensorAgent::trouble);
    connect(&m_writer, &SpoolWriter::trouble, this, &SensorAgent::trouble);
    connect(&m_writer, &SpoolWriter::notice, this, &SensorAgent::notice);
    connect(&m_session, &EdgeNodeSession::trouble, this, &SensorAgent::trouble);
    connect(&m_writer, &SpoolWriter::stored, this, [this] { m_session.pump(); });
    // A recording that goes as fast as acknowledged goes on at once, not with the next tick.
    connect(
        &m_session, &EdgeNodeSession::acknowledged, this,
        [this] {
            if (m_playback && m_state == State::Running)
                m_playback->tick();
        },
        Qt::QueuedConnection);
    connect(&m_session, &EdgeNodeSession::stopped, this, &SensorAgent::stopped);
    m_timer.setInterval(tickMilliseconds);
    connect(&m_timer, &QTimer::timeout, this, &SensorAgent::tick);
}

Result<void> SensorAgent::start()
{
    if (const auto opened = m_driver.open(); !opened)
        return opened;
    QList<Point> points = m_driver.points();
    for (Point &point : points) {
        if (const auto valid = validate(point); !valid)
            return valid;
        point.staleAfter = m_settings.reports.staleAfter(point.id) + m_settings.sendEvery;
    }
    if (!m_playback)
        m_sampler.start();
    provideCalls();
    m_session.setNodePoints(points);
    if (const auto begun = beginWithSpool(); !begun)
        return begun;
    m_state = State::Running;
    m_timer.start();
    tick();
    return {};
}

/// What needs the spool's stream; at the start, or later where the spool could not be opened then.
Result<void> SensorAgent::beginWithSpool()
{
    if (m_hasBegun || m_spool.status().stream.isNull())
        return {};
    m_hasBegun = true;
    Result<void> begun;
    if (m_playback)
        begun = m_playback->start();
    if (begun)
        m_session.start();
    return begun;
}

void SensorAgent::tick()
{
    switch (m_state) {
    case State::Idle: return;
    case State::Running:
        if (m_playback)
            m_playback->tick();
        else
            m_sampler.tick();
        break;
    case State::Draining:
    case State::Stopping: break;
    }
    m_writer.flush();
    if (m_state == State::Running) {
        if (const auto begun = beginWithSpool(); !begun) {
            Q_EMIT trouble(begun.error());
            return stop();
        }
    }
    m_session.tick();
    const bool waits = canDrain();
    if (m_state == State::Draining && (!waits || m_clock.monotonic() >= m_drainUntil))
        endSession();
}

void SensorAgent::stop()
{
    if (m_state == State::Draining)
        return endSession(); // somebody is in a hurry
    if (m_state != State::Running)
        return;
    m_sampler.stop();
    m_writer.flushNow();
    if (m_playback)
        m_playback->stop();
    m_session.sendNow();
    m_state = State::Draining;
    m_drainUntil = m_clock.monotonic() + m_settings.drainTime;
    if (!canDrain())
        endSession();
}

/// Waiting makes sense only where acknowledgements come, or came until a moment ago: a new certificate takes
/// one reconnection. What stays is sent after the next start.
bool SensorAgent::canDrain()
{
    const auto phase = m_session.status().phase;
    const auto now = m_clock.monotonic();
    if (phase == EdgeNodeSession::Phase::Born || phase == EdgeNodeSession::Phase::Custody)
        m_lastAnswered = now;
    const bool isAnswered = m_lastAnswered && now - *m_lastAnswered <= kReconnection;
    return isAnswered && m_spool.status().pendingBatches > 0;
}

void SensorAgent::endSession()
{
    if (m_state == State::Stopping)
        return;
    m_state = State::Stopping;
    m_writer.flushNow();
    if (const quint64 waiting = m_writer.counts().waiting; waiting > 0)
        Q_EMIT trouble(
            {Errc::Full,
             u"%1 batches of readings never reached the disk and end with this process; %2"_s.arg(waiting).arg(
                 m_playback                  ? u"the recording still has them."_s
                 : m_writer.counts().isNoted ? u"their loss is noted, and reported after the next start."_s
                                             : u"their loss could not be noted."_s)});
    if (m_session.status().phase != EdgeNodeSession::Phase::Stopped)
        m_session.stop();
    else // it never started, and would say nothing of its end
        QMetaObject::invokeMethod(this, &SensorAgent::stopped, Qt::QueuedConnection);
}

void SensorAgent::provideCalls()
{
    provide(capability::kReadSensors,
            [this](const CallServer::Call &, const CallServer::Reply &reply) { onReadSensors(reply); });
    provide(capability::kSyncBuffered,
            [this](const CallServer::Call &call, const CallServer::Reply &reply) { onSyncBuffered(call.args, reply); });
    provide(capability::kStatus, [this](const CallServer::Call &, const CallServer::Reply &reply) { reply(status()); });
}

void SensorAgent::provide(QStringView method, CallServer::Handler handler)
{
    const bool isWanted = m_settings.capabilities.isEmpty() || m_settings.capabilities.contains(method);
    if (!isWanted)
        return;
    if (!m_settings.callsNeedPolicy) {
        m_calls.provide(method.toString(), std::move(handler));
        return;
    }
    m_calls.provide(method.toString(), [](const CallServer::Call &, const CallServer::Reply &reply) {
        reply(Error{
            Errc::Denied,
            u"This sensor wants a policy decision for each call (authorization.provider opa), and it has no policy decider; set the provider to none to rely on the broker's rules."_s});
    });
}

void SensorAgent::onReadSensors(const CallServer::Reply &reply)
{
    m_sampler.readNow([device = m_settings.device, reply](const Result<QList<Reading>> &outcome) {
        if (!outcome)
            return reply(outcome.error());
        QCborMap readings;
        for (const Reading &one : *outcome)
            readings[one.point] = answers::reading(one);
        reply(QCborMap{{"device"_L1, device}, {"readings"_L1, readings}});
    });
}

/// Nothing is deleted here: custody moves by acknowledgement alone.
void SensorAgent::onSyncBuffered(const QCborMap &args, const CallServer::Reply &reply)
{
    const auto limit = answers::integerArgument(args, "limit"_L1, bufferedReadingsUnlessSaid);
    if (!limit)
        return reply(limit.error());
    if (*limit < 0 || *limit > mostBufferedReadings)
        return reply(
            Error{Errc::OutOfRange, u"The argument \"limit\" must be from 0 to %1."_s.arg(mostBufferedReadings)});
    m_writer.flush();
    m_session.sendNow();
    const SpoolStatus spool = m_spool.status();
    QCborMap answer{{"device"_L1, m_settings.device},
                    {"count"_L1, qint64(spool.pendingReadings)},
                    {"pending_batches"_L1, qint64(spool.pendingBatches)},
                    {"acknowledged"_L1, qint64(spool.acknowledged)},
                    {"head"_L1, qint64(spool.head)},
                    {"phase"_L1, phaseName(m_session.status().phase)}};
    QCborArray readings;
    if (*limit > 0) {
        const auto batches = m_spool.read(spool.acknowledged, int(*limit));
        if (!batches)
            return reply(batches.error());
        for (const StoredBatch &stored : *batches) {
            for (const Reading &one : stored.batch.readings) {
                if (readings.size() < *limit)
                    readings.append(withPoint(one));
            }
        }
    }
    answer[u"readings"_s] = readings;
    reply(answer);
}

QCborMap SensorAgent::status() const
{
    const DriverInfo driver = m_driver.info();
    const SpoolWriter::Counts counts = m_writer.counts();
    const EdgeNodeSession::Status session = m_session.status();
    QCborMap answer{
        {"device"_L1, m_settings.device},
        {"version"_L1, m_settings.version},
        {"time"_L1, toIso8601(m_clock.now())},
        {"phase"_L1, phaseName(session.phase)},
        {"resent_batches"_L1, qint64(session.resentBatches)},
        {"driver"_L1, QCborMap{{"type"_L1, driver.type},
                               {"description"_L1, driver.description},
                               {"simulated"_L1, driver.isSimulated},
                               {"points"_L1, qint64(m_driver.points().size())}}},
        {"spool"_L1, answers::spool(m_spool.status())},
        {"accepted"_L1, qint64(counts.accepted)},
        {"lost"_L1, qint64(counts.lost)},
        {"waiting_batches"_L1, qint64(counts.waiting)},
        {"held_in_memory"_L1, qint64(counts.held)},
        {"held_is_noted"_L1, counts.isNoted},
        {"not_durable_since"_L1, counts.heldSince ? QCborValue(toIso8601(*counts.heldSince)) : QCborValue(nullptr)},
        {"losses"_L1, answers::latestLosses(m_spool)},
        {"clock_unset"_L1, counts.isClockUnset},
        {"refused_subscriptions"_L1, QCborArray::fromStringList(session.refusedSubscriptions)},
    };
    if (m_identityReport)
        answer[u"identity"_s] = m_identityReport();
    if (m_playback) {
        answer[u"playback"_s] =
            QCborMap{{"state"_L1,
                      QString::fromLatin1(QMetaEnum::fromType<Playback::State>().valueToKey(int(m_playback->state())))},
                     {"rows"_L1, qint64(m_playback->rows())}};
    } else {
        answer[u"samples"_s] = qint64(m_sampler.samples());
    }
    return answer;
}

} // namespace lintel

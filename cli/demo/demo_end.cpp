// How a run of the demo ends: everybody hands over, and what was durable is counted.
#include "demo/demo_run.h"
#include "demo/final_state.h"
#include "output.h"

#include <QCborArray>
#include <QFileInfo>
#include <QSet>
#include <QTimer>

namespace lintel::demo {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using cli::BrokerConnection;

namespace {

constexpr auto kDrainPatience = 60s;   // until nothing waits any more
constexpr auto kReturnPatience = 60s;  // until the cloud sees a building again whose line was cut
constexpr auto kRestartPatience = 10s; // until nobody is about to be started again
constexpr auto kProofPatience = 10s;   // until it can be said that a revoked device stays out
constexpr auto kConsolePatience = 30s; // for the picture
constexpr auto kEndGrace = 10s;
constexpr auto kFinalCallTimeout = 30s;
constexpr double kReconnectSeconds = 3;  // until everybody knows that somebody is back with a new certificate
constexpr double kNoRenewalBefore = 0.4; // of a certificate's life: agents renew at half, give or take a tenth

} // namespace

void DemoRun::settle()
{
    if (m_building && m_clock.isValid() && !m_abort) {
        if (m_building->wan().isCut()) {
            m_building->wan().mend();
            m_report.outages << u"from %1 s to the end"_s.arg(m_cutSince, 0, 'f', 0);
        }
        waitForRestarts();
        waitForReturn();
        waitForCalm();
        proveRevocation();
        finishConsole();
        m_renewTimer.start(kTick);
        stopSensors();
        waitForGateway();
        readFinalStatus();
        readAttestations();
        m_wasSettled = true;
    }
    m_renewTimer.stop();
    if (m_local)
        m_local->close();
    if (m_cloud)
        m_cloud->close();
    if (m_building)
        m_building->endEverything(kEndGrace);
    account();
}

/// Somebody that is just being started again must hand over, too.
void DemoRun::waitForRestarts()
{
    if (m_report.restarts == 0 && !m_building->isRestarting())
        return;
    m_board.say(u"Ending: who was started again comes back …"_s);
    const auto isAborted = [this] { return m_abort; };
    (void)waitFor([this] { return !m_building->isRestarting(); }, kRestartPatience, isAborted);
    // Asked themselves: the cloud may not have noticed yet that one was gone.
    QElapsedTimer waiting;
    waiting.start();
    for (const SensorPlan &sensor : m_building->plan().sensors) {
        const auto handsOver = [this, &sensor] {
            const auto status = callNow(*m_local, ids::sensor(sensor.name), u"status"_s, {});
            return status && status->value("phase"_L1).toString().compare("custody"_L1, Qt::CaseInsensitive) == 0;
        };
        while (!isRefused(sensor.name) && !m_failed && !m_abort && !waiting.hasExpired(Millis{kReturnPatience}.count())
               && !handsOver())
            (void)waitFor(isAborted, kTick);
    }
}

/// A run that was ended early says nothing of a device that was revoked a moment ago.
void DemoRun::proveRevocation()
{
    if (!m_revocation || !m_revocation->isAccepted())
        return;
    (void)waitFor([this] { return m_revocation->isProven(); }, kProofPatience, [this] { return m_abort; });
    if (const auto device = m_building->revokedDevice(m_revocation->sensor()))
        m_revocation->takeAuthoritysWord(*device);
}

bool DemoRun::isRefused(const QString &sensor) const
{
    return m_revocation && m_revocation->isAccepted() && m_revocation->sensor() == sensor;
}

int DemoRun::sensorsExpected() const
{
    return m_state.sensors - (m_revocation && m_revocation->isAccepted() ? 1 : 0);
}

/// When everybody has ended: only now it is known what the gateway took of a sensor that was sent away.
void DemoRun::account()
{
    if (!m_wasSettled)
        return;
    if (m_revocation) {
        m_report.revocation = m_revocation->report();
        for (const QString &sentence : m_revocation->problems())
            problem(sentence);
        if (m_revocation->isAccepted()) {
            const auto held = readingsNobodyElseHas(m_building->plan(), m_revocation->sensor());
            if (held)
                m_report.totals.heldByRefused = *held;
            else
                problem(u"What %1 still holds is unknown: %2"_s.arg(m_revocation->sensor(), held.error().message));
        }
    }
    m_report.totals.lostBySensors = m_production->lostReadings();
    for (const QString &sentence : problemsOf(m_report.totals))
        problem(sentence);
}

/// The console's picture and report are of the cloud's side: after an outage that has only just ended
/// it would still show a building that is gone.
void DemoRun::waitForReturn()
{
    if (!m_headless || m_failed || (m_report.outages.isEmpty() && m_report.restarts == 0))
        return;
    const DemoPlan &plan = m_building->plan();
    const auto isBack = [this, &plan] {
        const auto answer = callNow(*m_cloud, ids::kBackend, u"list_devices"_s, {});
        if (!answer)
            return false;
        QSet<QString> online;
        const QCborArray devices = answer->value("devices"_L1).toArray();
        for (const auto &device : devices) {
            if (device.toMap().value("online"_L1).toBool())
                online.insert(device.toMap().value("device"_L1).toString());
        }
        return std::all_of(plan.sensors.begin(), plan.sensors.end(), [this, &online](const SensorPlan &sensor) {
            return online.contains(sensor.name) || isRefused(sensor.name);
        });
    };
    m_board.say(u"Ending: the devices come back …"_s);
    const auto isAborted = [this] { return m_abort; };
    QElapsedTimer waiting;
    waiting.start();
    while (!isBack() && !m_abort && !waiting.hasExpired(Millis{kReturnPatience}.count()))
        (void)waitFor(isAborted, kTick);
}

/// Whoever has a new certificate connects again with it, and is gone for a second: with certificates
/// that hold for a minute the console's picture would often be of that second. Operators get none from
/// here on until the picture is made.
void DemoRun::waitForCalm()
{
    if (!m_headless || m_failed || m_options.identity != IdentityKind::Tpm)
        return;
    m_renewTimer.stop();
    const double life = double(m_building->identityLife().count());
    const auto isCalm = [life](const Result<QCborMap> &status) {
        if (!status)
            return false;
        const auto sinceEnd = ageOf(status->value("identity"_L1).toMap().value("expires"_L1).toString());
        const double age = life + sinceEnd.value_or(0);
        return sinceEnd && age > kReconnectSeconds && age < kNoRenewalBefore * life - kReconnectSeconds;
    };
    const auto isAborted = [this] { return m_abort; };
    QElapsedTimer waiting;
    waiting.start();
    const auto areCalm = [&] {
        const Millis sinceRenewal = m_wallClock.now() - m_renewedAt;
        return sinceRenewal > Millis{qint64(kReconnectSeconds * 1'000)} && isCalm(statusNow(*m_local, ids::kGateway))
               && isCalm(statusNow(*m_cloud, ids::kBackend));
    };
    while (!areCalm() && !m_abort && !waiting.hasExpired(Millis{kReturnPatience}.count()))
        (void)waitFor(isAborted, kTick);
}

void DemoRun::finishConsole()
{
    ChildProcess *console = m_building->child(u"console"_s);
    if (!console)
        return;
    m_board.say(m_headless ? u"Ending: the console's picture …"_s : u"Ending: the console …"_s);
    console->terminate();
    if (!waitFor([console] { return !console->isRunning(); }, kConsolePatience, [this] { return m_abort; })) {
        problem(u"The console did not end within %1 s after it was asked to."_s.arg(kConsolePatience.count()));
        return;
    }
    if (!m_headless)
        return;
    if (!console->endedWell() && !m_failed)
        problem(console->obituary());
    const QFileInfo picture(screenshotPath(m_options));
    if (picture.exists() && picture.size() > 0)
        m_report.screenshot = picture.absoluteFilePath();
    else
        problem(u"The console wrote no picture to %1."_s.arg(picture.absoluteFilePath()));
    for (const QString &sentence : problemsOfConsole(m_building->consoleReportFile(), sensorsExpected()))
        problem(sentence);
}

void DemoRun::stopSensors()
{
    m_board.say(u"Ending: the sensors hand over what they have …"_s);
    const auto sensors = m_building->sensors();
    for (ChildProcess *sensor : sensors)
        sensor->terminate();
    const auto allEnded = [&sensors] {
        return std::none_of(sensors.begin(), sensors.end(), [](ChildProcess *sensor) { return sensor->isRunning(); });
    };
    if (!waitFor(allEnded, kDrainPatience, [this] { return m_abort; }))
        problem(u"Not every sensor ended within %1 s after it was asked to."_s.arg(kDrainPatience.count()));
    for (ChildProcess *sensor : sensors) {
        if (!sensor->isRunning() && !sensor->endedWell() && !m_failed)
            problem(sensor->obituary());
    }
    readSensorSpools();
}

void DemoRun::readSensorSpools()
{
    for (const SensorPlan &sensor : m_building->plan().sensors) {
        const auto status = readSpool(m_building->plan(), sensor.name);
        if (!status) {
            problem(u"What %1 produced is unknown: %2"_s.arg(sensor.name, status.error().message));
            continue;
        }
        m_report.totals.produced += status->totalReadings;
        m_report.totals.droppedBySensors += status->droppedReadings;
        m_report.totals.waitingBatches += status->pendingBatches;
        if (isRefused(sensor.name))
            m_pendingAtRefused = status->pendingReadings;
        else
            m_report.totals.pendingAtSensors += status->pendingReadings;
    }
}

void DemoRun::waitForGateway()
{
    m_board.say(u"Ending: the gateway hands over what it has …"_s);
    ChildProcess *gateway = m_building->child(u"gateway"_s);
    QTimer poll;
    connect(&poll, &QTimer::timeout, this, [this] {
        askForStatus();
        m_state.produced = m_report.totals.produced;
        m_state.note = m_state.pendingAtGateway
                           ? cli::counted(*m_state.pendingAtGateway, u"reading to go"_s, u"readings to go"_s)
                           : QString();
        m_state.waitingBatches = m_batchesAtGateway;
        showState();
    });
    m_state.pendingAtGateway.reset(); // only what it says from now on counts
    poll.start(kTick);
    const bool drained = waitFor(
        [this] {
            return m_state.pendingAtGateway == 0u
                   && m_state.storedCloud.value_or(0) + m_pendingAtRefused >= m_report.totals.produced;
        },
        kDrainPatience, [this, gateway] { return m_abort || !gateway || !gateway->isRunning(); });
    // One that has ended is a problem that has been told already.
    if (!drained && !m_abort && gateway && gateway->isRunning())
        problem(u"The gateway had not handed everything to the cloud after %1 s."_s.arg(kDrainPatience.count()));
}

Result<QCborMap> DemoRun::callNow(BrokerConnection &connection, const QString &target, const QString &method,
                                  const QCborMap &args)
{
    // Shared: the answer may come when nobody waits for it any more.
    const auto answer = std::make_shared<std::optional<Result<QCborMap>>>();
    connection.client().call(Principal(*SpiffeId::parse(target)), method, args, kFinalCallTimeout,
                             [answer](Result<QCborMap> result) { *answer = std::move(result); });
    // Nobody answers for a process that is dead and stays so.
    const ChildProcess *callee = m_building->child(target == ids::kBackend ? u"backend"_s : target.section(u'/', -1));
    const auto isDead = [this, callee] { return callee && !callee->isRunning() && !m_building->isRestarting(); };
    (void)waitFor([&answer] { return answer->has_value(); }, kFinalCallTimeout + 1s,
                  [&] { return m_abort || isDead(); });
    if (!answer->has_value() && isDead())
        return Error{Errc::Unavailable, u"%1 does not run."_s.arg(callee->spec().name)};
    return answer->value_or(Error{Errc::Timeout, u"No answer."_s});
}

Result<QCborMap> DemoRun::statusNow(BrokerConnection &connection, QLatin1StringView target)
{
    return callNow(connection, target, u"status"_s, {{"exact"_L1, true}}); // counted, not remembered
}

void DemoRun::readFinalStatus()
{
    Totals &totals = m_report.totals;
    if (const auto gateway = statusNow(*m_local, ids::kGateway)) {
        const QCborMap spool = gateway->value("spool"_L1).toMap();
        totals.storedGateway = quint64(spool.value("readings_total"_L1).toInteger());
        totals.pendingAtGateway = quint64(spool.value("readings_pending"_L1).toInteger());
        totals.wireDuplicates += quint64(spool.value("duplicate_batches"_L1).toInteger());
        totals.waitingBatches += quint64(spool.value("batches_pending"_L1).toInteger());
        m_report.svidRotations += rotationsOf(*gateway);
    } else {
        problem(u"The gateway does not answer: %1"_s.arg(gateway.error().message));
    }
    if (const auto backend = statusNow(*m_cloud, ids::kBackend)) {
        takeBackendStatus(*backend);
        m_report.svidRotations += rotationsOf(*backend);
        totals.storedCloud = m_state.storedCloud;
        totals.historical = quint64(backend->value("readings_historical"_L1).toInteger());
        totals.duplicates = quint64(backend->value("duplicates"_L1).toInteger());
        totals.gaps = quint64(backend->value("gaps"_L1).toInteger());
        totals.wireDuplicates += quint64(backend->value("wire_duplicates"_L1).toInteger());
        totals.latencyP50 = m_state.latencyP50;
        totals.latencyP99 = m_state.latencyP99;
    } else {
        problem(u"The backend does not answer: %1"_s.arg(backend.error().message));
    }
}

void DemoRun::readAttestations()
{
    m_report.svidRotations += m_production->svidRotations();
    const auto attested = m_building->attestedDevices();
    if (!attested) {
        problem(u"How many devices are attested is unknown: %1"_s.arg(attested.error().message));
        return;
    }
    m_report.attestedDevices = *attested;
    const int expected = m_state.sensors + 1; // and the gateway
    if (attested->value_or(expected) != expected)
        problem(u"%1 of %2 devices are attested by their TPM."_s.arg(**attested).arg(expected));
}

} // namespace lintel::demo

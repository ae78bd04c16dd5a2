#include "demo/demo_run.h"

#include "demo/building_files.h"
#include "demo/final_state.h"
#include "demo/soft_tpm.h"
#include "exit_codes.h"
#include "output.h"
#include "ports/system_clock.h"

#include <QCborArray>
#include <QFileInfo>
#include <QSet>
#include <QTimer>

namespace lintel::demo {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using cli::BrokerConnection;

namespace {

constexpr auto kStartPatience = 60s;   // until every sensor is online
constexpr auto kDrainPatience = 60s;   // until nothing waits any more
constexpr auto kReturnPatience = 60s;  // until the cloud sees a building again whose line was cut
constexpr auto kConsolePatience = 30s; // for the picture
constexpr auto kEndGrace = 10s;
constexpr auto kCallTimeout = 5s;
constexpr auto kFinalCallTimeout = 30s;
constexpr int kMemoryEveryTicks = 4;
constexpr auto kTick = 500ms;
constexpr double kReconnectSeconds = 3;  // until everybody knows that somebody is back with a new certificate
constexpr double kNoRenewalBefore = 0.4; // of a certificate's life: agents renew at half, give or take a tenth
constexpr auto kRenewRetry = 10min;      // after a failure at most; half of their life is left then

} // namespace

DemoRun::DemoRun(DemoOptions options, QObject *parent)
    : QObject(parent), m_options(std::move(options)), m_board(m_options.json)
{
    // From the first certificate to the last message: with a short life also before and after watch().
    connect(&m_renewTimer, &QTimer::timeout, this, &DemoRun::renewIdentities);
}

DemoRun::~DemoRun() = default;

int DemoRun::run()
{
    m_headless = m_options.headless || !hasDisplay();
    if (const auto prepared = prepare(); !prepared) {
        cli::reportError(prepared.error(), m_options.json);
        return prepared.error().code == Errc::Malformed ? cli::kUsage : cli::kCannotConnect;
    }
    const auto started = startBuilding();
    if (isOver()) {
        if (!m_failed)
            problem(u"The demo was ended before the whole building ran, so there is nothing to account for."_s);
    } else if (!started) {
        problem(started.error().message);
    } else {
        watch();
    }
    settle();
    if (m_abort)
        problem(u"The demo was told twice to end and ended at once, so the account is not complete."_s);
    report();
    return m_report.problems.isEmpty() ? cli::kOk : cli::kFailed;
}

void DemoRun::requestStop(bool again)
{
    m_stopRequested = true;
    m_abort = m_abort || again;
    if (m_building)
        m_building->cancel();
}

Result<void> DemoRun::prepare()
{
    QString root = m_options.keepDir;
    if (root.isEmpty()) {
        m_temporary = std::make_unique<QTemporaryDir>(QDir::temp().absoluteFilePath(u"lintel-demo-XXXXXX"_s));
        if (!m_temporary->isValid())
            return Error{Errc::Io, u"No temporary folder can be made: %1."_s.arg(m_temporary->errorString())};
        root = m_temporary->path();
    } else if (QDir(root).exists(u"state"_s)) {
        return Error{Errc::Malformed,
                     u"\"%1\" holds the state of an earlier run; name another folder or remove that one."_s.arg(root)};
    } else if (!QDir().mkpath(root)) {
        return Error{Errc::Malformed, u"--keep %1: the folder cannot be made; name another."_s.arg(root)};
    } else {
        m_report.stateDir = QDir(root).absolutePath();
    }
    auto plan = makePlan(m_options, root);
    if (!plan)
        return plan.error();
    m_state.sensors = m_report.sensors = int(plan->sensors.size());
    m_report.notes = plan->notes;
    m_report.identity = plan->identity;
    m_production = std::make_unique<ProductionCounter>(plan->sensors);
    m_building = std::make_unique<Building>(*std::move(plan));
    connect(m_building.get(), &Building::processDied, this, [this](const QString &name, const QString &sentence) {
        if (name == u"console" && !m_headless && m_building->child(name)->endedWell()) {
            m_windowClosed = true;
            return;
        }
        if (!m_failed) // one that dies often takes others along; the first says why
            problem(sentence);
        m_failed = true;
    });
    for (const QString &program : {u"lintel-backend"_s, u"lintel-gateway"_s, u"lintel-sensor"_s, u"lintel-console"_s}) {
        if (const auto found = findLintelProgram(program); !found)
            return found.error();
    }
    if (const auto found = findMosquitto(); !found)
        return found.error();
    if (m_options.identity == IdentityKind::Tpm) {
        if (const auto found = findSoftTpm(); !found)
            return found.error();
        if (const auto found = findPlugin(); !found)
            return found.error();
        if (const auto found = findLintelProgram(u"lintel-authority"_s); !found)
            return found.error();
    }
    return {};
}

Result<void> DemoRun::startBuilding()
{
    m_board.say(u"Starting a building with %1 …"_s.arg(sensorCount(m_state.sensors)));
    for (const QString &note : std::as_const(m_report.notes)) {
        if (m_options.json)
            cli::printError(note);
        else
            m_board.say(note);
    }
    if (auto made = m_building->makeIdentities(); !made)
        return made;
    m_renewedAt = SystemClock().now();
    m_renewAt = m_renewedAt + Millis{m_building->identityLife()} / 2;
    m_renewTimer.start(kTick);
    if (auto started = m_building->startBrokers(); !started)
        return started;
    if (auto started = m_building->startAgents(); !started)
        return started;
    const DemoPlan &plan = m_building->plan();
    auto local = BrokerConnection::open(brokerOptions(plan, plan.ports.gatewayBroker, ids::kGatewayBroker));
    if (!local)
        return local.error();
    m_local = *std::move(local);
    auto cloud = BrokerConnection::open(brokerOptions(plan, plan.ports.cloudBroker, ids::kCloudBroker));
    if (!cloud)
        return cloud.error();
    m_cloud = *std::move(cloud);
    // The shortest window: the building has no past yet. Slow sensors need a longer one to draw a line.
    const int windowMinutes = plan.sensorPeriod <= 2s ? 1 : plan.sensorPeriod <= 10s ? 5 : 15;
    if (auto started = m_building->startConsole(m_headless, screenshotPath(m_options), windowMinutes); !started)
        return started;

    QTimer poll;
    connect(&poll, &QTimer::timeout, this, &DemoRun::askForStatus);
    poll.start(kTick);
    const bool complete = waitFor([this] { return m_state.sensorsOnline >= m_state.sensors && m_state.storedCloud; },
                                  kStartPatience, [this] { return isOver(); });
    if (!complete && !isOver()) {
        return Error{Errc::Timeout, u"After %1 s only %2 of %3 sensors are online%4; the logs in %5 say more."_s
                                        .arg(kStartPatience.count())
                                        .arg(m_state.sensorsOnline)
                                        .arg(m_state.sensors)
                                        .arg(m_state.storedCloud ? u""_s : u" and the backend does not answer"_s)
                                        .arg(plan.path(u"logs"_s))};
    }
    return {};
}

bool DemoRun::isOver() const
{
    return m_stopRequested || m_failed || m_windowClosed;
}

double DemoRun::secondsRunning() const
{
    return m_clock.isValid() ? double(m_clock.elapsed()) / 1000 : 0;
}

void DemoRun::watch()
{
    m_clock.start();
    m_board.say(m_headless ? u"The building runs. Ctrl-C ends it."_s
                           : u"The building runs. Closing the console's window or Ctrl-C ends it."_s);
    if (!m_report.stateDir.isEmpty())
        m_board.say(callHint(m_building->plan()));
    QTimer tick;
    connect(&tick, &QTimer::timeout, this, &DemoRun::onTick);
    tick.start(kTick);
    onTick();
    const auto isTimeUp = [this] {
        return m_options.duration && secondsRunning() >= double(m_options.duration->count());
    };
    while (!isTimeUp() && !isOver())
        (void)waitFor([&] { return isTimeUp() || isOver(); }, 1h);
    m_report.seconds = secondsRunning();
}

void DemoRun::onTick()
{
    applyOutages();
    askForStatus();
    static_assert(kMemoryEveryTicks > 0);
    if (++m_ticks % kMemoryEveryTicks == 1)
        m_building->sampleMemory(m_report.processes);
    m_production->ask(*m_local);
    m_state.produced = m_production->readings();
    m_state.seconds = secondsRunning();
    m_state.wanUp = !m_building->wan().isCut();
    m_board.show(m_state);
}

void DemoRun::applyOutages()
{
    bool shouldBeCut = false;
    const double now = secondsRunning();
    for (const WanOutage &outage : std::as_const(m_options.wanOutages)) {
        const double start = double(outage.start.count());
        shouldBeCut = shouldBeCut || (now >= start && now < start + double(outage.length.count()));
    }
    WanLink &wan = m_building->wan();
    if (shouldBeCut == wan.isCut())
        return;
    if (shouldBeCut) {
        wan.cut();
        m_cutSince = now;
    } else {
        wan.mend();
        m_report.outages << u"from %1 s to %2 s"_s.arg(m_cutSince, 0, 'f', 0).arg(now, 0, 'f', 0);
    }
}

/// By the wall clock, so that a laptop that slept in between renews as soon as it is awake.
void DemoRun::renewIdentities()
{
    const Timestamp now = SystemClock().now();
    if (now < m_renewAt)
        return;
    const Millis half = Millis{m_building->identityLife()} / 2;
    m_renewedAt = now;
    m_renewAt = now + half; // the event loop runs while an authority answers
    const auto renewed = m_building->renewIdentities();
    if (!renewed)
        m_renewAt = now + std::min(Millis{kRenewRetry}, half / 10);
    if (!renewed)
        problem(u"The certificates could not be renewed: %1"_s.arg(renewed.error().message));
}

void DemoRun::askForStatus()
{
    const auto ask = [this](BrokerConnection &connection, QLatin1StringView target, bool &isAsked, auto take) {
        if (isAsked || !connection.isConnected())
            return;
        isAsked = true;
        connection.client().call(Principal(*SpiffeId::parse(QString(target))), u"status"_s, {}, kCallTimeout,
                                 [this, &isAsked, take](const Result<QCborMap> &answer) {
                                     isAsked = false;
                                     if (answer)
                                         (this->*take)(*answer);
                                 });
    };
    if (m_local)
        ask(*m_local, ids::kGateway, m_gatewayAsked, &DemoRun::takeGatewayStatus);
    if (m_cloud)
        ask(*m_cloud, ids::kBackend, m_backendAsked, &DemoRun::takeBackendStatus);
}

void DemoRun::takeGatewayStatus(const QCborMap &status)
{
    const QCborMap spool = status.value("spool"_L1).toMap();
    m_state.sensorsOnline = int(status.value("sensors_online"_L1).toInteger());
    m_state.storedGateway = quint64(spool.value("readings_total"_L1).toInteger());
    m_state.pendingAtGateway = quint64(spool.value("readings_pending"_L1).toInteger());
    m_state.oldestUnsentSeconds = ageOf(spool.value("oldest_pending"_L1).toString());
}

void DemoRun::takeBackendStatus(const QCborMap &status)
{
    m_state.storedCloud = quint64(status.value("readings_stored"_L1).toInteger());
    const QCborMap latency = status.value("latency_ms"_L1).toMap();
    if (latency.value("count"_L1).toInteger() == 0)
        return;
    m_state.latencyP50 = latency.value("p50"_L1).toInteger();
    m_state.latencyP99 = latency.value("p99"_L1).toInteger();
}

void DemoRun::settle()
{
    if (m_building && m_clock.isValid() && !m_abort) {
        if (m_building->wan().isCut()) {
            m_building->wan().mend();
            m_report.outages << u"from %1 s to the end"_s.arg(m_cutSince, 0, 'f', 0);
        }
        waitForReturn();
        waitForCalm();
        finishConsole();
        m_renewTimer.start(kTick);
        stopSensors();
        waitForGateway();
        readFinalStatus();
        readAttestations();
    }
    m_renewTimer.stop();
    if (m_local)
        m_local->close();
    if (m_cloud)
        m_cloud->close();
    if (m_building)
        m_building->endEverything(kEndGrace);
}

/// The console's picture and report are of the cloud's side: after an outage that has only just ended
/// it would still show a building that is gone.
void DemoRun::waitForReturn()
{
    if (!m_headless || m_failed || m_report.outages.isEmpty())
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
        return std::all_of(plan.sensors.begin(), plan.sensors.end(),
                           [&online](const SensorPlan &sensor) { return online.contains(sensor.name); });
    };
    m_board.say(u"Ending: the line to the cloud is whole; the devices come back …"_s);
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
        const Millis sinceRenewal = SystemClock().now() - m_renewedAt;
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
        problem(u"The console %1: %2"_s.arg(console->howItEnded(), console->lastWords()));
    const QFileInfo picture(screenshotPath(m_options));
    if (picture.exists() && picture.size() > 0)
        m_report.screenshot = picture.absoluteFilePath();
    else
        problem(u"The console wrote no picture to %1."_s.arg(picture.absoluteFilePath()));
    for (const QString &sentence : problemsOfConsole(m_building->consoleReportFile(), m_state.sensors))
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
            problem(u"%1 %2: %3"_s.arg(sensor->spec().name, sensor->howItEnded(), sensor->lastWords()));
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
        m_state.note = m_state.pendingAtGateway ? u"%1 readings to go"_s.arg(*m_state.pendingAtGateway) : QString();
        m_state.wanUp = true;
        m_state.seconds = secondsRunning();
        m_board.show(m_state);
    });
    m_state.pendingAtGateway.reset(); // only what it says from now on counts
    poll.start(kTick);
    const bool drained = waitFor(
        [this] {
            return m_state.pendingAtGateway == 0u && m_state.storedCloud.value_or(0) >= m_report.totals.produced;
        },
        kDrainPatience, [this, gateway] { return m_abort || !gateway || !gateway->isRunning(); });
    // One that has ended is a problem that has been told already.
    if (!drained && !m_abort && gateway && gateway->isRunning())
        problem(u"The gateway had not handed everything to the cloud after %1 s."_s.arg(kDrainPatience.count()));
}

Result<QCborMap> DemoRun::callNow(BrokerConnection &connection, QLatin1StringView target, const QString &method,
                                  const QCborMap &args)
{
    // Shared: the answer may come when nobody waits for it any more.
    const auto answer = std::make_shared<std::optional<Result<QCborMap>>>();
    connection.client().call(Principal(*SpiffeId::parse(QString(target))), method, args, kFinalCallTimeout,
                             [answer](Result<QCborMap> result) { *answer = std::move(result); });
    (void)waitFor([&answer] { return answer->has_value(); }, kFinalCallTimeout + 1s, [this] { return m_abort; });
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
    for (const QString &sentence : problemsOf(totals))
        problem(sentence);
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

void DemoRun::problem(const QString &sentence)
{
    if (m_report.problems.contains(sentence))
        return;
    m_report.problems << sentence;
    if (m_options.json)
        cli::printError(sentence);
    else
        m_board.say(u"PROBLEM: "_s + sentence);
}

void DemoRun::report()
{
    if (m_options.json)
        cli::printJson(toJson(m_report));
    else
        cli::printOut(toText(m_report));
}

} // namespace lintel::demo

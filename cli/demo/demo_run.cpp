#include "demo/demo_run.h"

#include "demo/building_files.h"
#include "demo/final_state.h"
#include "demo/refusal.h"
#include "demo/soft_tpm.h"
#include "exit_codes.h"
#include "output.h"

#include <QTimer>

namespace lintel::demo {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using cli::BrokerConnection;

namespace {

constexpr auto kStartPatience = 60s; // until every sensor is online
constexpr auto kCallTimeout = 5s;
constexpr auto kGatewaySilence = 3s; // it is asked twice a second
constexpr int kMemoryEveryTicks = 4;
constexpr auto kRenewRetry = 10min; // after a failure at most; half of their life is left then

/// The console knows other options than the demo, so its own advice would mislead.
QString noWindowSentence(const QString &how)
{
    const QString display = qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY") ? qEnvironmentVariable("DISPLAY")
                                                                           : qEnvironmentVariable("WAYLAND_DISPLAY");
    return u"The console could not open its window on the display \"%1\" (it %2); correct DISPLAY, or run without a display: scripts/demo --headless."_s
        .arg(display, how);
}

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
        reportRefusal(prepared.error(), m_options.json);
        return prepared.error().code == Errc::Malformed ? cli::kUsage : cli::kCannotConnect;
    }
    const auto started = startBuilding();
    if (isOver()) {
        if (!m_failed)
            m_refusal =
                Error{Errc::Unavailable,
                      u"The demo was ended before the whole building ran, so there is nothing to account for."_s};
    } else if (!started) {
        m_refusal = started.error();
    } else {
        watch();
    }
    settle();
    if (m_clock.isValid() && m_abort)
        m_refusal =
            Error{Errc::Unavailable, u"The demo was told twice to end and ended at once, so there is no account."_s};
    m_board.clear();
    if (m_refusal) {
        reportRefusal(*m_refusal, m_options.json);
        return cli::kFailed;
    }
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
    const auto root = makeRoot();
    if (!root)
        return root.error();
    auto plan = makePlan(m_options, *root);
    if (!plan)
        return plan.error();
    m_state.sensors = m_report.sensors = int(plan->sensors.size());
    m_report.notes = plan->notes;
    m_report.identity = plan->identity;
    m_production = std::make_unique<ProductionCounter>(plan->sensors);
    m_building = std::make_unique<Building>(*std::move(plan));
    m_building->restartWhoDies();
    connect(m_building.get(), &Building::processDied, this, &DemoRun::onDeath);
    connect(m_building.get(), &Building::processRestarted, this, &DemoRun::onRestart);
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

Result<QString> DemoRun::makeRoot()
{
    QString root = m_options.keepDir;
    if (!root.isEmpty() && QDir(root).exists(u"state"_s))
        return Error{Errc::Malformed,
                     u"\"%1\" holds the state of an earlier run; name another folder or remove that one."_s.arg(root)};
    if (root.isEmpty())
        removeLeftFolders(QDir::temp());
    if (const auto space = checkFreeSpace(root.isEmpty() ? QDir::tempPath() : root); !space)
        return space.error();
    if (root.isEmpty()) {
        auto folder = WorkFolder::make(QDir::temp());
        if (!folder)
            return folder.error();
        m_temporary = *std::move(folder);
        return m_temporary->path();
    }
    if (!QDir().mkpath(root))
        return Error{Errc::Malformed, u"--keep %1: the folder cannot be made; name another."_s.arg(root)};
    m_report.stateDir = QDir(root).absolutePath();
    return root;
}

void DemoRun::onDeath(const QString &name, const QString &sentence)
{
    const bool isWindow = name == u"console" && !m_headless;
    if (isWindow && m_building->child(name)->endedWell()) {
        m_windowClosed = true;
        return;
    }
    if (!m_failed) // one that dies often takes others along; the first says why
        fail(isWindow && !m_clock.isValid() ? noWindowSentence(m_building->child(name)->howItEnded()) : sentence);
    m_failed = true;
}

void DemoRun::onRestart(const QString &name, const QString &sentence)
{
    const QString note = u"%1 Started again: %2."_s.arg(sentence, name);
    m_state.restarts = ++m_report.restarts;
    m_report.notes << note;
    if (m_options.json)
        cli::printError(note);
    else
        m_board.say(note);
}

Result<void> DemoRun::startBuilding()
{
    if (m_headless && !m_options.headless)
        m_report.notes.prepend(
            u"There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so the demo runs as with --headless."_s);
    m_board.say(u"Starting a building with %1 …"_s.arg(sensorCount(m_state.sensors)));
    for (const QString &note : std::as_const(m_report.notes)) {
        if (m_options.json)
            cli::printError(note);
        else
            m_board.say(note);
    }
    if (auto made = m_building->makeIdentities(); !made)
        return made;
    m_renewedAt = m_wallClock.now();
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
    if (m_options.revoke) {
        // The last one: the first are those that the console's picture shows.
        m_revocation = std::make_unique<Revocation>(QString(ids::kSite), plan.sensors.last().name, m_local->transport(),
                                                    m_wallClock);
    }
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
    applyRevocation();
    askForStatus();
    static_assert(kMemoryEveryTicks > 0);
    if (++m_ticks % kMemoryEveryTicks == 1)
        m_building->sampleMemory(m_report.processes);
    m_production->ask(*m_local);
    m_state.produced = m_production->readings();
    m_state.waitingBatches = m_production->waitingBatches() + m_batchesAtGateway;
    showState();
}

void DemoRun::showState()
{
    m_state.seconds = secondsRunning();
    const bool isHeard = m_gatewayHeard.isValid() && !m_gatewayHeard.hasExpired(Millis{kGatewaySilence}.count());
    if (m_building->wan().isCut())
        m_state.line = LineState::Cut;
    else if (!isHeard)
        m_state.line = LineState::Unknown;
    else
        m_state.line = m_isUplinkUp ? LineState::Up : LineState::Reconnecting;
    m_board.show(m_state);
}

void DemoRun::applyRevocation()
{
    if (!m_revocation)
        return;
    const QString &sensor = m_revocation->sensor();
    if (!m_isRevoking && secondsRunning() >= double(m_options.revoke->count())) {
        m_isRevoking = true; // the event loop runs while the authority answers
        const auto revoked = m_building->revoke(sensor);
        if (!revoked)
            problem(u"%1 could not be revoked: %2"_s.arg(sensor, revoked.error().message));
        else if (revoked->revokedAt)
            m_revocation->accepted(*revoked->revokedAt);
    }
    if (!m_revocation->isAccepted())
        return;
    const auto after = m_revocation->closedAfterMs();
    m_state.revoked = after ? u"%1, out after %2 ms"_s.arg(sensor).arg(*after) : u"%1, still connected"_s.arg(sensor);
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
    const Timestamp now = m_wallClock.now();
    if (now < m_renewAt)
        return;
    // A new certificate means a new connection, which would miss how the revoked sensor goes.
    if (m_isRevoking && !m_revocation->isOut() && !m_revocation->isProven())
        return;
    const Millis half = Millis{m_building->identityLife()} / 2;
    m_renewedAt = now;
    m_renewAt = now + half; // the event loop runs while an authority answers
    const auto renewed = m_building->renewIdentities();
    if (renewed) {
        m_renewFailures = 0;
        return;
    }
    m_renewAt = now + std::min(Millis{kRenewRetry}, half / 10);
    if (++m_renewFailures > 1) // an authority that is just started again answers the next time
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
    m_batchesAtGateway = quint64(spool.value("batches_pending"_L1).toInteger());
    m_isUplinkUp = status.value("cloud_available"_L1).toBool();
    m_gatewayHeard.start();
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

/// Before the building runs there is no account that a problem could stand in.
void DemoRun::fail(const QString &sentence)
{
    if (m_clock.isValid())
        problem(sentence);
    else
        m_refusal = Error{Errc::Unavailable, sentence};
}

void DemoRun::problem(const QString &sentence)
{
    if (m_abort || m_report.problems.contains(sentence)) // who wants to leave at once is not told what that cuts short
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

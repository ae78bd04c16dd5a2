#include "demo/building.h"

#include "demo/building_files.h"
#include "process/free_port.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QFileInfo>
#include <QStandardPaths>
#include <QTcpSocket>
#include <QTimer>

#include <algorithm>

namespace lintel::demo {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kPortTries = 5;
constexpr auto kListenPatience = 20s;
constexpr auto kPoll = 20ms;
constexpr auto kRestartPause = 1s;

bool isBroker(const ChildProcess &child)
{
    return child.spec().kind == "mosquitto"_L1;
}

/// Whom systemd would start again. A TPM forgets what it holds when it loses its power, and a console
/// that ends was closed.
bool mayRestart(const ChildProcess &child)
{
    static const QStringList kinds{u"lintel-authority"_s, u"lintel-backend"_s, u"lintel-gateway"_s, u"lintel-sensor"_s,
                                   u"mosquitto"_s};
    return kinds.contains(child.spec().kind);
}

/// Who ends first, who after: agents hand over through brokers, and everybody's keys are in TPMs.
int endsAt(const ChildProcess &child)
{
    if (isBroker(child))
        return 1;
    return child.spec().kind == "swtpm"_L1 || child.spec().kind == "lintel-authority"_L1 ? 2 : 0;
}

} // namespace

bool waitFor(const std::function<bool()> &condition, std::chrono::milliseconds patience,
             const std::function<bool()> &isStopped)
{
    QElapsedTimer elapsed;
    elapsed.start();
    QEventLoop loop;
    QTimer poll;
    QObject::connect(&poll, &QTimer::timeout, &loop, [&] {
        if (condition() || (isStopped && isStopped()) || std::chrono::milliseconds(elapsed.elapsed()) >= patience)
            loop.quit();
    });
    if (condition())
        return true;
    poll.start(kPoll);
    loop.exec();
    return condition();
}

Result<QString> findLintelProgram(const QString &name)
{
    const QFileInfo beside(QDir(QCoreApplication::applicationDirPath()).absoluteFilePath(name));
    if (beside.isExecutable())
        return beside.absoluteFilePath();
    const QString found = QStandardPaths::findExecutable(name);
    if (!found.isEmpty())
        return found;
    return Error{
        Errc::NotFound,
        u"%1 is neither beside lintelctl nor on the PATH; build it with `cmake --build --preset release`."_s.arg(name)};
}

Result<QString> findMosquitto()
{
    const QString found = QStandardPaths::findExecutable(u"mosquitto"_s);
    if (!found.isEmpty())
        return found;
    const QString elsewhere = QStandardPaths::findExecutable(u"mosquitto"_s, {u"/usr/sbin"_s, u"/usr/local/sbin"_s});
    if (!elsewhere.isEmpty())
        return elsewhere;
    return Error{Errc::NotFound,
                 u"The MQTT broker mosquitto is not installed; run scripts/bootstrap, or `apt install mosquitto`."_s};
}

Result<QString> findPlugin()
{
    const auto gateway = findLintelProgram(u"lintel-gateway"_s);
    if (!gateway)
        return gateway.error();
    const QDir prefix(QFileInfo(QFileInfo(*gateway).absolutePath()).absolutePath());
    for (const QString &folder : {u"lib"_s, QStringLiteral(LINTEL_LIBDIR)}) {
        const QFileInfo plugin(prefix.absoluteFilePath(folder + u"/liblintel_mosquitto.so"_s));
        if (plugin.exists())
            return plugin.absoluteFilePath();
    }
    return Error{Errc::NotFound, u"The broker's plugin liblintel_mosquitto.so is not in \"%1\"; build it with `cmake "
                                 "--build --preset release`."_s.arg(prefix.absoluteFilePath(u"lib"_s))};
}

bool hasDisplay()
{
    return !qEnvironmentVariableIsEmpty("DISPLAY") || !qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY");
}

Building::Building(DemoPlan plan, QObject *parent) : QObject(parent), m_plan(std::move(plan)) {}

Building::~Building()
{
    endEverything(3s);
}

Result<void> Building::makeIdentities()
{
    for (const QString &folder : {u"config"_s, u"logs"_s, u"state"_s, u"identity"_s}) {
        if (!m_plan.root.mkpath(folder))
            return Error{Errc::Io,
                         u"The folder \"%1\" cannot be made; choose another with --keep."_s.arg(m_plan.path(folder))};
    }
    return m_plan.hasTpms() ? makeTrust() : demo::makeIdentities(m_plan);
}

std::chrono::seconds Building::identityLife() const
{
    return m_plan.hasTpms() ? m_plan.svidTtl : kIdentityLife;
}

Result<void> Building::renewIdentities()
{
    if (m_plan.hasTpms())
        return mintOperators();
    if (auto renewed = demo::makeIdentities(m_plan); !renewed)
        return renewed;
    for (const auto &child : m_children) {
        if (isBroker(*child))
            child->hangUp();
    }
    return {};
}

Result<void> Building::startBrokers()
{
    if (auto started = startBroker(u"cloud-broker"_s, &m_plan.ports.cloudBroker); !started)
        return started;
    m_wan = std::make_unique<WanLink>(m_plan.ports.cloudBroker);
    if (auto listening = m_wan->listen(); !listening)
        return listening;
    m_plan.ports.wanLink = m_wan->port();
    return startBroker(u"gateway-broker"_s, &m_plan.ports.gatewayBroker);
}

Result<void> Building::startBroker(const QString &name, quint16 *port)
{
    const auto program = findMosquitto();
    if (!program)
        return program.error();
    for (int attempt = 0; attempt < kPortTries; ++attempt) {
        const auto free = freeLoopbackPort();
        if (!free)
            return free.error();
        *port = *free;
        if (auto written = writeBrokerConfig(m_plan, name); !written)
            return written;
        const auto started = startListening(
            {name, u"mosquitto"_s, *program, {u"-c"_s, m_plan.configFile(name + u".conf"_s)}, m_plan.logFile(name), {}},
            [port](const ChildProcess &) {
                QTcpSocket probe;
                probe.connectToHost(QHostAddress(QHostAddress::LocalHost), *port);
                return probe.waitForConnected(200);
            });
        if (started)
            return {};
        if (!started.error().message.contains("in use"_L1))
            return started.error();
    }
    return Error{Errc::Unavailable,
                 u"The broker %1 found no free port in %2 attempts; try again."_s.arg(name).arg(kPortTries)};
}

/// A process that did not come to listen is gone again; the error has its last words.
Result<ChildProcess *> Building::startListening(const ChildSpec &spec,
                                                const std::function<bool(ChildProcess &)> &listens)
{
    auto started = start(spec);
    if (!started)
        return started;
    ChildProcess *child = *started;
    const bool isUp =
        waitFor([&] { return !child->isRunning() || listens(*child); }, kListenPatience) && child->isRunning();
    if (isUp) {
        watch(child);
        return child;
    }
    QString words = child->lastWords();
    if (words.isEmpty())
        words = whyNothingWasSaid(spec.logFile);
    std::erase_if(m_children, [child](const auto &one) { return one.get() == child; });
    return Error{Errc::Unavailable, u"%1 did not start: %2"_s.arg(spec.name, words)};
}

Result<ChildProcess *> Building::start(ChildSpec spec)
{
    auto child = std::make_unique<ChildProcess>(std::move(spec));
    if (const auto started = child->start(); !started)
        return started.error();
    m_children.push_back(std::move(child));
    return m_children.back().get();
}

Result<void> Building::startWatched(const ChildSpec &spec)
{
    auto started = start(spec);
    if (!started)
        return started.error();
    watch(*started);
    return {};
}

void Building::watch(ChildProcess *child)
{
    connect(child, &ChildProcess::endedUnexpectedly, this, [this, child] { onDeath(child); });
}

void Building::onDeath(ChildProcess *child)
{
    const QString name = child->spec().name;
    const QString obituary = child->obituary();
    if (!m_restarts || !mayRestart(*child)) {
        Q_EMIT processDied(name, obituary);
        return;
    }
    const auto now = std::chrono::steady_clock::now();
    auto &deaths = m_deaths[name];
    deaths.removeIf([now](const auto &at) { return now - at > kDeathSpan; });
    deaths.append(now);
    if (deaths.size() >= kManyDeaths) {
        Q_EMIT processDied(name, u"%1 died %2 times within %3 s and is not started again. The last time, %4"_s.arg(name)
                                     .arg(deaths.size())
                                     .arg(kDeathSpan.count())
                                     .arg(obituary));
        return;
    }
    ++m_restarting;
    QTimer::singleShot(kRestartPause, this, [this, child, obituary] { startAgain(child, obituary); });
}

void Building::startAgain(ChildProcess *child, const QString &obituary)
{
    --m_restarting;
    if (child->isEndExpected() || child->isRunning())
        return; // the demo ends
    if (const auto started = child->start(); !started)
        Q_EMIT processDied(child->spec().name, started.error().message);
    else
        Q_EMIT processRestarted(child->spec().name, obituary);
}

Result<void> Building::startAgents()
{
    if (auto written = writeAgentConfigs(m_plan); !written)
        return written;
    struct Agent {
        QString name;
        QString program;
    };
    QList<Agent> agents{{u"backend"_s, u"lintel-backend"_s}, {u"gateway"_s, u"lintel-gateway"_s}};
    for (const SensorPlan &sensor : std::as_const(m_plan.sensors))
        agents.append({sensor.name, u"lintel-sensor"_s});
    for (const Agent &agent : std::as_const(agents)) {
        const auto program = findLintelProgram(agent.program);
        if (!program)
            return program.error();
        if (auto started = startWatched({agent.name,
                                         agent.program,
                                         *program,
                                         {u"--config"_s, m_plan.configFile(agent.name + u".yaml"_s)},
                                         m_plan.logFile(agent.name),
                                         {}});
            !started)
            return started;
    }
    return {};
}

Result<void> Building::startConsole(bool headless, const QString &screenshot, int windowMinutes)
{
    const auto program = findLintelProgram(u"lintel-console"_s);
    if (!program)
        return program.error();
    ChildSpec spec{u"console"_s,
                   u"lintel-console"_s,
                   *program,
                   consoleArguments(m_plan, windowMinutes),
                   m_plan.logFile(u"console"_s),
                   {}};
    if (headless) {
        spec.arguments << u"--screenshot"_s << screenshot << u"--report"_s << consoleReportFile();
        spec.environment << u"QT_QPA_PLATFORM=offscreen"_s << u"QT_QUICK_BACKEND=software"_s;
    }
    return startWatched(spec);
}

QList<ChildProcess *> Building::processes() const
{
    QList<ChildProcess *> all;
    for (const auto &child : m_children)
        all.append(child.get());
    return all;
}

QList<ChildProcess *> Building::sensors() const
{
    QList<ChildProcess *> found = processes();
    found.removeIf([](const ChildProcess *child) { return child->spec().kind != "lintel-sensor"_L1; });
    return found;
}

ChildProcess *Building::child(const QString &name) const
{
    const auto found = std::find_if(m_children.begin(), m_children.end(),
                                    [&name](const auto &child) { return child->spec().name == name; });
    return found == m_children.end() ? nullptr : found->get();
}

void Building::sampleMemory(QMap<QString, ProcessUse> &uses) const
{
    QMap<QString, int> counts;
    for (const auto &child : m_children) {
        if (!child->isRunning())
            continue;
        const auto sample = demo::sampleMemory(child->pid());
        if (!sample)
            continue;
        ++counts[child->spec().kind];
        uses[child->spec().kind].samples.append(*sample);
    }
    for (auto it = counts.cbegin(); it != counts.cend(); ++it)
        uses[it.key()].count = std::max(uses[it.key()].count, it.value());
}

void Building::endEverything(std::chrono::milliseconds grace)
{
    for (const int turn : {0, 1, 2}) {
        QList<ChildProcess *> group;
        for (const auto &child : m_children) {
            if (endsAt(*child) == turn && child->isRunning())
                group.append(child.get());
        }
        for (ChildProcess *child : std::as_const(group))
            child->terminate();
        const auto allEnded = [&group] {
            return std::none_of(group.begin(), group.end(), [](ChildProcess *child) { return child->isRunning(); });
        };
        if (waitFor(allEnded, grace))
            continue;
        for (ChildProcess *child : std::as_const(group))
            child->kill();
        (void)waitFor(allEnded, grace);
    }
}

} // namespace lintel::demo

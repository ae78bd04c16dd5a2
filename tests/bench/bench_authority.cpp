// What lintel-authority does, as a process on loopback: SVIDs and attestations a second, its memory
// idle and with 1,000 connected agents, how soon 1,000 agents behind one address are back after a cold
// start under the limits that it has by default, and how long an attestation with a TPM takes. One JSON
// object.
//
// Beside it in the same run, with the same client and the same calls: the spire-server that
// LINTEL_SPIRE_SERVER names (a program that this project does not bring), with its limits of rates
// switched off. Both sign with P-256. Without it, the signatures that OpenSSL makes here are the measure.
//
// bench_authority [core] [svids] [attestations] [memory] [tpm] (all without arguments). Exit 1 when something
// failed, or the goals for idle memory and for the cold start are missed; the rest depends on the machine and
// its libraries and is told beside its goal.
#include "bench/authority_core.h"
#include "bench/authority_load.h"
#include "demo/process_memory.h"
#include "fakes/authority_under_test.h"
#include "fakes/software_tpm.h"
#include "fakes/spire_programs.h"
#include "ports/system_clock.h"
#include "spire/embedded_identity_source.h"
#include "spire/join_token_attestor.h"
#include "tls/identity_files.h"
#include "tpm/tpm_attestor.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QStandardPaths>

#include <algorithm>
#include <cstdio>

#include <sys/resource.h>
#include <unistd.h>

using namespace lintel;
using namespace lintel::bench;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

const QString kDomain = u"building-1.smart.local"_s;
// What one agent may ask for is bounded; here one agent asks for as much as the authority can do.
const QString kNoLimits = u"limits: {signatures_per_agent: 1000000, writes_per_agent: 1000000}\n"_s;
constexpr int kEntries = 500;
constexpr int kRounds = 3; // turn and turn about; medians
constexpr auto kMeasure = 2s;
constexpr int kTokens = 180; // what the limits let through at once from one address
constexpr int kAgents = 1'000;
constexpr int kIdleGoalKib = 25 * 1024;
constexpr int kConnectedGoalKib = 40 * 1024;
constexpr int kColdStartGoalS = 300;
constexpr double kGoalRatio = 3;

double median(QList<double> values)
{
    std::sort(values.begin(), values.end());
    return values.isEmpty() ? 0 : values.at(values.size() / 2);
}

QJsonObject problem(const QString &words)
{
    return {{u"problem"_s, words}};
}

QJsonObject memoryOf(qint64 pid)
{
    const auto sample = demo::sampleMemory(pid);
    return sample ? QJsonObject{{u"rss_kib"_s, sample->rssKib}, {u"pss_kib"_s, sample->pssKib}} : QJsonObject();
}

/// Also lets the connections to it see that they are gone.
bool restart(AuthorityUnderTest &authority)
{
    const bool started = authority.start();
    (void)waitFor([] { return false; }, 200ms);
    return started;
}

TrustDomain domain()
{
    return *TrustDomain::parse(kDomain);
}

/// The real server beside ours, where the environment names it.
std::unique_ptr<SpireServer> startPeer()
{
    if (SpirePrograms::fromEnvironment().server.isEmpty())
        return nullptr;
    auto server = std::make_unique<SpireServer>(kDomain, 600, QStringList(), SpireServer::Use::Measurement);
    return server->start() ? std::move(server) : nullptr;
}

// --- SVIDs and attestations a second -------------------------------------------------------------

struct Rate {
    double perSecond = 0;
    double processorUs = 0; // of the server, for each
    double clientUs = 0;    // of this program, for each
};

/// What no server can do without, by the rates of OpenSSL alone.
struct Floor {
    int signatures = 0;
    int verifications = 0;
    [[nodiscard]] double microseconds(const RawRates &raw) const
    {
        return signatures * 1e6 / raw.signaturesPerSecond + verifications * 1e6 / raw.verificationsPerSecond;
    }
};
constexpr Floor kSvid{1, 1};          // of the certificate, and of the request
constexpr Floor kNewConnection{2, 1}; // and of the handshake

/// Processor time that a process has used so far, all its threads.
double processorSeconds(qint64 pid)
{
    QFile file(u"/proc/%1/stat"_s.arg(pid));
    if (!file.open(QIODevice::ReadOnly))
        return 0;
    const QByteArray text = file.readAll();
    const QList<QByteArray> fields = text.mid(text.lastIndexOf(')') + 2).split(' '); // from "state", the third
    return (fields.value(11).toDouble() + fields.value(12).toDouble()) / double(::sysconf(_SC_CLK_TCK));
}

/// Processor time of the server and of this program for `count` pieces of work, at `perSecond`.
class ProcessorTimes
{
public:
    explicit ProcessorTimes(qint64 server)
        : m_server(server), m_serverBefore(processorSeconds(server)), m_ownBefore(processorSeconds(::getpid()))
    {}
    [[nodiscard]] Rate rate(double perSecond, double count) const
    {
        return {perSecond, (processorSeconds(m_server) - m_serverBefore) / count * 1e6,
                (processorSeconds(::getpid()) - m_ownBefore) / count * 1e6};
    }

private:
    qint64 m_server;
    double m_serverBefore;
    double m_ownBefore;
};

/// The clients share the processors with the server, so its own time says what it could do beside them, and
/// `ratio_at_floor` what the ratio were if the server did nothing but what OpenSSL needs.
QJsonObject compared(Rate ours, Rate theirs, const RawRates &raw, Floor floor)
{
    QJsonObject figures{{u"per_second"_s, ours.perSecond},
                        {u"server_processor_us"_s, ours.processorUs},
                        {u"client_processor_us"_s, ours.clientUs},
                        {u"floor_us"_s, floor.microseconds(raw)},
                        {u"of_raw_signatures"_s, ours.perSecond / raw.signaturesPerSecond}};
    if (theirs.perSecond > 0) {
        figures.insert(u"spire_server_per_second"_s, theirs.perSecond);
        figures.insert(u"spire_server_processor_us"_s, theirs.processorUs);
        figures.insert(u"ratio"_s, ours.perSecond / theirs.perSecond);
        figures.insert(u"processor_ratio"_s, theirs.processorUs / ours.processorUs);
        figures.insert(u"ratio_at_floor"_s,
                       (theirs.processorUs + theirs.clientUs) / (floor.microseconds(raw) + ours.clientUs));
    }
    return figures;
}

/// Ours, and SPIRE's where the environment names it.
struct Contest {
    AuthorityUnderTest authority{kDomain, kNoLimits};
    std::unique_ptr<AuthorityLoad> ours;
    std::unique_ptr<SpireServer> peer;
    std::unique_ptr<AuthorityLoad> theirs;

    [[nodiscard]] Result<void> start(int entries)
    {
        if (!authority.start())
            return Error{Errc::Unavailable, authority.log()};
        ours = std::make_unique<AuthorityLoad>(authority.address(), authority.socket(), domain());
        if (const auto prepared = ours->prepare(entries); !prepared)
            return prepared;
        peer = startPeer();
        if (!peer)
            return {};
        theirs = std::make_unique<AuthorityLoad>(peer->address(), peer->socket(), domain());
        return theirs->prepare(entries);
    }
    [[nodiscard]] qint64 pidOf(const AuthorityLoad &load) const
    {
        return &load == ours.get() ? authority.pid() : peer->pid();
    }
    /// Medians of `measure` on each, turn and turn about; theirs is zero without it.
    struct Medians {
        Rate ours;
        Rate theirs;
    };
    [[nodiscard]] Result<Medians> medians(const std::function<Result<Rate>(AuthorityLoad &)> &measure) const
    {
        struct Samples {
            QList<double> rates;
            QList<double> times;
            QList<double> clientTimes;
            [[nodiscard]] Rate medians() const { return {median(rates), median(times), median(clientTimes)}; }
        };
        Samples ofOurs;
        Samples ofTheirs;
        for (int round = 0; round < kRounds; ++round) {
            for (AuthorityLoad *load : {ours.get(), theirs.get()}) {
                if (!load)
                    continue;
                const auto rate = measure(*load);
                if (!rate)
                    return Error{rate.error().code, (load == ours.get() ? u"lintel-authority: "_s : u"spire-server: "_s)
                                                        + rate.error().message};
                Samples &samples = load == ours.get() ? ofOurs : ofTheirs;
                samples.rates.append(rate->perSecond);
                samples.times.append(rate->processorUs);
                samples.clientTimes.append(rate->clientUs);
            }
        }
        return Medians{ofOurs.medians(), ofTheirs.medians()};
    }
    [[nodiscard]] QJsonObject keys() const
    {
        QJsonObject types{{u"csr_key"_s, u"P-256"_s}};
        const auto add = [&types](const QString &name, const AuthorityLoad &load) {
            const auto type = load.issuerKeyType();
            types.insert(name, type ? *type : type.error().message);
        };
        add(u"issuer_key"_s, *ours);
        if (theirs)
            add(u"spire_server_issuer_key"_s, *theirs);
        return types;
    }
};

QJsonObject measureSvids(const RawRates &raw)
{
    Contest contest;
    if (const auto started = contest.start(kEntries); !started)
        return problem(started.error().message);
    QJsonObject result = contest.keys();
    QJsonArray rates;
    for (const int clients : {1, 4}) {
        for (const int batch : {1, 50, 500}) {
            const auto rate = contest.medians([&](AuthorityLoad &load) -> Result<Rate> {
                const ProcessorTimes times(contest.pidOf(load));
                const auto perSecond = load.svidsPerSecond(clients, batch, kMeasure);
                if (!perSecond)
                    return perSecond.error();
                const double count = *perSecond * double(kMeasure.count()) + clients * batch; // with each one's first
                return times.rate(*perSecond, count);
            });
            if (!rate)
                return problem(rate.error().message);
            QJsonObject figures = compared(rate->ours, rate->theirs, raw, kSvid);
            figures.insert(u"clients"_s, clients);
            figures.insert(u"batch"_s, batch);
            rates.append(figures);
        }
    }
    result.insert(u"rates"_s, rates);
    return result;
}

QJsonObject measureAttestations(const RawRates &raw)
{
    Contest contest;
    if (const auto started = contest.start(1); !started)
        return problem(started.error().message);
    QJsonObject result = contest.keys();
    QJsonArray rates;
    for (const int atOnce : {1, 4}) {
        const auto rate = contest.medians([&](AuthorityLoad &load) -> Result<Rate> {
            if (&load == contest.ours.get() && !restart(contest.authority)) // its limits begin anew
                return Error{Errc::Unavailable, contest.authority.log()};
            const auto tokens = load.makeTokens(kTokens);
            if (!tokens)
                return tokens.error();
            const ProcessorTimes times(contest.pidOf(load));
            const auto perSecond = load.attestationsPerSecond(*tokens, atOnce);
            if (!perSecond)
                return perSecond.error();
            return times.rate(*perSecond, kTokens);
        });
        if (!rate)
            return problem(rate.error().message);
        QJsonObject figures = compared(rate->ours, rate->theirs, raw, kNewConnection);
        figures.insert(u"at_once"_s, atOnce);
        rates.append(figures);
    }
    result.insert(u"rates"_s, rates);
    return result;
}

// --- A building comes back -----------------------------------------------------------------------

/// Whole agents as devices run them, each with its thread and its back-off.
class Building
{
public:
    Building(const AuthorityUnderTest &authority, const QStringList &tokens)
    {
        for (qsizetype i = 0; i < tokens.size(); ++i) {
            lintel::spire::EmbeddedIdentityOptions options;
            options.authority = authority.address();
            options.authorityId = *SpiffeId::parse(u"spiffe://%1/spire/server"_s.arg(kDomain));
            options.self = idOf(i);
            options.stateDir = m_dir.filePath(QString::number(i));
            options.bootstrapBundle = m_dir.filePath(u"bundle.json"_s);
            options.seed = quint32(i);
            const QString file = m_dir.filePath(u"%1.token"_s.arg(i));
            (void)bool(tls::writePrivateFile(file, tokens.at(i).toUtf8()));
            options.makeAttestor = [file]() -> Result<std::unique_ptr<Attestor>> {
                return std::unique_ptr<Attestor>(std::make_unique<lintel::spire::JoinTokenAttestor>(file));
            };
            m_options.push_back(std::move(options));
        }
        (void)authority.ctl({u"bundle"_s, u"show"_s, u"--out"_s, m_dir.filePath(u"bundle.json"_s)});
    }
    static SpiffeId idOf(qsizetype number)
    {
        return *SpiffeId::parse(u"spiffe://%1/agent/device-%2"_s.arg(kDomain).arg(number));
    }
    void powerOn()
    {
        for (const auto &options : m_options)
            m_sources.push_back(std::make_unique<lintel::spire::EmbeddedIdentitySource>(options, m_clock));
    }
    [[nodiscard]] qsizetype withSvid() const
    {
        return std::count_if(m_sources.begin(), m_sources.end(),
                             [](const auto &source) { return bool(source->current()); });
    }
    [[nodiscard]] QList<X509Svid> agents() const
    {
        QList<X509Svid> all;
        for (const auto &source : m_sources)
            if (const auto svid = source->agentSvid())
                all.append(*svid);
        return all;
    }

private:
    QTemporaryDir m_dir;
    SystemClock m_clock;
    std::vector<lintel::spire::EmbeddedIdentityOptions> m_options;
    std::vector<std::unique_ptr<lintel::spire::EmbeddedIdentitySource>> m_sources;
};

QJsonObject measurePeerMemory()
{
    const auto peer = startPeer();
    if (!peer)
        return problem(u"spire-server did not start"_s);
    AuthorityLoad load(peer->address(), peer->socket(), domain());
    const QJsonObject idle = memoryOf(peer->pid());
    if (const auto prepared = load.prepare(1); !prepared)
        return problem(prepared.error().message);
    const auto tokens = load.makeTokens(kAgents);
    if (!tokens)
        return problem(tokens.error().message);
    if (const auto connected = load.connectAgents(*tokens); !connected)
        return problem(connected.error().message);
    (void)waitFor([] { return false; }, 2s);
    return {{u"idle"_s, idle}, {u"with_1000_agents"_s, memoryOf(peer->pid())}};
}

QJsonObject measureMemory()
{
    AuthorityUnderTest authority(kDomain, kNoLimits);
    if (!authority.start())
        return problem(authority.log());
    (void)waitFor([] { return false; }, 2s);
    QJsonObject result{{u"idle"_s, memoryOf(authority.pid())}};
    AuthorityLoad load(authority.address(), authority.socket(), domain());
    if (const auto prepared = load.prepare(1); !prepared)
        return problem(prepared.error().message);
    QStringList tokens;
    for (int i = 0; i < kAgents; ++i) {
        const auto token = load.makeToken(Building::idOf(i));
        if (!token)
            return problem(token.error().message);
        tokens.append(*token);
    }
    Building building(authority, tokens);
    if (!restart(authority)) // the power comes back
        return problem(authority.log());
    QElapsedTimer timer;
    timer.start();
    building.powerOn();
    const bool allBack =
        waitFor([&] { return building.withSvid() == kAgents; }, std::chrono::seconds{2 * kColdStartGoalS});
    result.insert(u"cold_start"_s, QJsonObject{{u"agents"_s, building.withSvid()},
                                               {u"seconds"_s, double(timer.elapsed()) / 1e3},
                                               {u"goal_s"_s, kColdStartGoalS}});
    if (!allBack)
        return result;
    result.insert(u"after_cold_start"_s, memoryOf(authority.pid()));
    if (const auto connected = load.connect(building.agents()); !connected)
        return problem(connected.error().message);
    (void)waitFor([] { return false; }, 5s);
    result.insert(u"with_1000_agents"_s, memoryOf(authority.pid()));
    if (!SpirePrograms::fromEnvironment().server.isEmpty())
        result.insert(u"spire_server"_s, measurePeerMemory());
    return result;
}

// --- A device with a TPM -------------------------------------------------------------------------

/// From "fetch" to the SVID in the device's hands; keys made in the chip, attestation, entry, SVID, bundle, time.
QJsonObject measureTpm(TpmAttestor::Wire wire)
{
    constexpr int kStarts = 3;
    constexpr int kErrands = 5; // what the limits let through at once of one chip
    const TpmVendor vendor;
    const SoftwareTpm chip(&vendor);
    const TpmOptions access{chip.tcti(), chip.stateDir(), EndorsementChoice::Automatic};
    AuthorityUnderTest authority(kDomain, kNoLimits);
    if (!authority.start())
        return problem(authority.log());
    const auto device = TpmDevice::open(access);
    const auto endorsement = device ? (*device)->endorsement() : Result<TpmEndorsement>(device.error());
    if (!endorsement)
        return problem(endorsement.error().message);
    QTemporaryDir dir;
    lintel::spire::EmbeddedIdentityOptions options;
    options.authority = authority.address();
    options.authorityId = *SpiffeId::parse(u"spiffe://%1/spire/server"_s.arg(kDomain));
    options.self = *SpiffeId::parse(u"spiffe://%1/agent/hvac-001"_s.arg(kDomain));
    options.stateDir = dir.filePath(u"identity"_s);
    options.bootstrapBundle = dir.filePath(u"bundle.json"_s);
    options.makeAttestor = [&]() -> Result<std::unique_ptr<Attestor>> {
        return std::unique_ptr<Attestor>(std::make_unique<TpmAttestor>(*device, TpmAttestor::Options{wire, {}}));
    };
    (void)authority.ctl({u"bundle"_s, u"show"_s, u"--out"_s, options.bootstrapBundle});
    (void)authority.ctl({u"enroll"_s, u"--hash"_s, endorsement->hash, u"--name"_s, u"hvac-001"_s});
    const SystemClock clock;
    QList<double> times;
    for (int start = 0; start < kStarts; ++start) {
        if (!authority.start())
            return problem(authority.log());
        QElapsedTimer timer;
        timer.start();
        lintel::spire::EmbeddedIdentitySource source(options, clock);
        if (!waitFor([&] { return bool(source.current()); }, 60s))
            return problem(source.status().sentence);
        for (int errand = 1; errand < kErrands; ++errand) {
            const quint64 before = source.status().rotations;
            qint64 done = 0;
            timer.restart();
            QObject::connect(&source, &IdentitySource::svidChanged, &source, [&] { done = timer.nsecsElapsed(); });
            source.hurry();
            if (!waitFor([&] { return source.status().rotations > before && done > 0; }, 60s))
                return problem(source.status().sentence);
            times.append(double(done) / 1e6);
            source.disconnect();
        }
    }
    std::sort(times.begin(), times.end());
    return {{u"trials"_s, times.size()}, {u"p50_ms"_s, median(times)}, {u"max_ms"_s, times.last()}};
}

bool isWithin(const QJsonObject &memory)
{
    return memory.value("idle"_L1)["rss_kib"_L1].toInteger(1'000'000) <= kIdleGoalKib
           && memory.value("cold_start"_L1)["agents"_L1].toInteger() == kAgents
           && memory.value("cold_start"_L1)["seconds"_L1].toDouble() <= kColdStartGoalS;
}

void raiseFileLimit()
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    raiseFileLimit();
    const QStringList chosen = QCoreApplication::arguments().mid(1);
    const auto wants = [&](const QString &part) { return chosen.isEmpty() || chosen.contains(part); };
    const RawRates raw = measureRawRates();
    QJsonObject result{
        {u"bench"_s, u"authority"_s},
        {u"peer"_s, SpirePrograms::fromEnvironment().server.isEmpty() ? u"none"_s : u"spire-server"_s},
        {u"openssl_p256_signatures_per_second"_s, raw.signaturesPerSecond},
        {u"openssl_p256_verifications_per_second"_s, raw.verificationsPerSecond},
        {u"goal_ratio"_s, kGoalRatio},
    };
    bool good = raw.signaturesPerSecond > 0;
    const auto add = [&](const QString &name, const QJsonObject &figures) {
        result.insert(name, figures);
        good = good && !figures.contains(u"problem"_s);
    };
    if (wants(u"core"_s))
        add(u"core"_s, measureCore());
    if (wants(u"svids"_s))
        add(u"svids"_s, measureSvids(raw));
    if (wants(u"attestations"_s))
        add(u"join_token_attestations_on_new_connections"_s, measureAttestations(raw));
    if (wants(u"tpm"_s) && !QStandardPaths::findExecutable(u"swtpm"_s).isEmpty()) {
        add(u"lintel_tpm_round_trip"_s, measureTpm(TpmAttestor::Wire::LintelTpm));
        add(u"tpm_round_trip"_s, measureTpm(TpmAttestor::Wire::SpireTpm));
    }
    if (wants(u"memory"_s)) {
        const QJsonObject memory = measureMemory();
        add(u"memory"_s, memory);
        result.insert(u"idle_goal_kib"_s, kIdleGoalKib);
        result.insert(u"with_1000_agents_goal_kib"_s, kConnectedGoalKib);
        good = good && isWithin(memory);
    }
    const QByteArray text = QJsonDocument(result).toJson(QJsonDocument::Compact) + '\n';
    std::fwrite(text.constData(), 1, size_t(text.size()), stdout);
    return good ? 0 : 1;
}

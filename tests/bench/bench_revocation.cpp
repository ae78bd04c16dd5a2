// From "revoke" to "out": an operator revokes a program at the authority, and it is measured when its
// session at the broker (a real mosquitto with our plugin) has ended, and when the Workload API has taken
// its identity back. One JSON object with p50, p99 and max of both.
//
// The authority, the agent that keeps the broker's files, and the Workload API run in this process over
// real sockets; its one thread serves all of them and the clients by turns, which costs some milliseconds.
//
// bench_revocation [TRIALS] (default 100). Exit 1 when p99 is above the goal of 2 s, a revoked program was
// let in again, or something failed.
#include "domain/principal.h"
#include "fakes/guarded_broker.h"
#include "fakes/live_authority.h"
#include "fakes/mosquitto_client.h"
#include "spire/broker_trust_keeper.h"
#include "spire/workload_identity_source.h"
#include "tls/certificate_writer.h"
#include "tls/x509.h"
#include "workload-api/workload_service.h"

#include <QCoreApplication>
#include <QDir>
#include <QElapsedTimer>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTest>

#include <algorithm>
#include <cstdio>

#include <unistd.h>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr int kPatienceMs = 30'000;
constexpr double kGoalMs = 2'000;

/// The gateway's half: trust files for the broker, and the Workload API.
struct Host {
    LiveAuthority authority{1h};
    std::unique_ptr<GuardedBroker> broker;
    std::unique_ptr<spire::EmbeddedIdentitySource> gateway;
    std::unique_ptr<spire::BrokerTrustKeeper> trust;
    std::unique_ptr<workloads::WorkloadService> programs;

    [[nodiscard]] QString socket() const { return authority.dir.filePath(u"workload.sock"_s); }

    /// Empty when all stands.
    [[nodiscard]] QString start()
    {
        if (const auto opened = authority.open(); !opened)
            return opened.error().message;
        gateway = authority.joiner(u"gateway"_s, u"gateway"_s);
        if (!gateway || !QTest::qWaitFor([&] { return bool(gateway->current()); }, kPatienceMs))
            return u"the gateway has no identity"_s;
        GuardedBroker::Options options;
        options.roles.readers = {{authority.id(u"/program"_s), true, {false, {u"building-1"_s}}}};
        options.trustIsKept = true;
        broker = std::make_unique<GuardedBroker>(options);
        spire::BrokerTrustOptions files;
        files.authority = authority.address();
        files.authorityId = authority.serverId();
        files.broker = broker->id();
        files.bundlesDir = broker->path(u"bundles"_s);
        files.denyListsDir = broker->path(u"deny"_s);
        files.identityFile = broker->identityFile();
        trust = std::make_unique<spire::BrokerTrustKeeper>(files, *gateway, spire::ReadPrincipals(), authority.clock);
        trust->start();
        const auto isKept = [&] {
            return trust->status().certificate == SvidKeeper::State::Valid && trust->status().isWatching;
        };
        if (!QTest::qWaitFor(isKept, kPatienceMs))
            return u"the broker's files: "_s + trust->status().problem;
        if (const auto started = broker->start(); !started)
            return started.error().message;
        workloads::WorkloadServiceOptions serving;
        serving.socket = socket();
        serving.authority = authority.address();
        serving.authorityId = authority.serverId();
        programs =
            std::make_unique<workloads::WorkloadService>(serving, *gateway, authority.clock, &trust->denyLists());
        const auto listening = programs->start();
        return listening ? QString() : listening.error().message;
    }
    [[nodiscard]] bool addProgram(const SpiffeId &id)
    {
        authority::Entry entry;
        entry.spiffeId = id;
        entry.parentId = gateway->agentSvid()->id;
        entry.selectors = {{u"unix"_s, u"uid:%1"_s.arg(::getuid())}};
        return bool(authority.authority->createEntry(entry, authority.actor));
    }
};

struct Trial {
    double brokerMs = -1;
    double workloadMs = -1;
    bool wasLetInAgain = false;
};

Result<Trial> revoke(Host &host, const SpiffeId &program, const QString &roots)
{
    spire::WorkloadIdentitySource identity(u"unix://"_s + host.socket(), program);
    if (!QTest::qWaitFor([&] { return bool(identity.current()); }, kPatienceMs))
        return Error{Errc::Timeout, u"%1 got no SVID: %2"_s.arg(program.toString(), identity.status().sentence)};
    const QTemporaryDir dir;
    if (const auto written = tls::writeIdentity(dir.path(), (*identity.current())->svid, {}); !written)
        return written.error();
    const MosquittoClient::Options options{
        host.broker->port(), dir.path(), roots, Principal(program).toString().toUtf8(), {}};
    MosquittoClient session(options);
    if (const int reason = session.connect(); reason != 0)
        return Error{Errc::Unavailable, u"%1 was not let in (%2)."_s.arg(program.toString()).arg(reason)};

    Trial trial;
    QElapsedTimer timer;
    const auto now = [&timer] { return double(timer.nsecsElapsed()) / 1e6; };
    QObject::connect(&identity, &IdentitySource::svidChanged, &identity, [&] {
        if (trial.workloadMs < 0 && !identity.current())
            trial.workloadMs = now();
    });
    timer.start();
    const auto revoked = host.authority.authority->revoke(program.toString(), u"measured"_s, host.authority.actor);
    if (!revoked)
        return revoked.error();
    while ((trial.brokerMs < 0 || trial.workloadMs < 0) && timer.elapsed() < kPatienceMs) {
        QCoreApplication::processEvents(QEventLoop::AllEvents, 1);
        if (trial.brokerMs < 0)
            session.turn(1);
        if (trial.brokerMs < 0 && !session.isConnected())
            trial.brokerMs = now();
    }
    if (trial.brokerMs < 0 || trial.workloadMs < 0)
        return Error{Errc::Timeout, u"%1 was revoked and is not out: session %2, Workload API %3."_s.arg(
                                        program.toString(), trial.brokerMs < 0 ? u"open"_s : u"closed"_s,
                                        trial.workloadMs < 0 ? u"serves it"_s : u"does not"_s)};
    MosquittoClient again(options);
    trial.wasLetInAgain = again.connect() == 0;
    return trial;
}

QJsonObject figures(QList<double> ms)
{
    std::sort(ms.begin(), ms.end());
    const auto at = [&](double part) { return ms.at(std::min(ms.size() - 1, qsizetype(part * double(ms.size())))); };
    return {{u"p50"_s, at(0.5)}, {u"p99"_s, at(0.99)}, {u"max"_s, ms.last()}};
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    const int trials = argc > 1 ? std::max(1, QByteArray(argv[1]).toInt()) : 100;
    QJsonObject result{{u"bench"_s, u"revocation"_s}, {u"trials"_s, trials}, {u"goal_ms"_s, kGoalMs}};
    const auto end = [&result](int code) {
        const QByteArray text = QJsonDocument(result).toJson(QJsonDocument::Compact) + '\n';
        std::fwrite(text.constData(), 1, size_t(text.size()), stdout);
        return code;
    };
    const auto failed = [&](const QString &why) {
        result.insert(u"problem"_s, why);
        return end(1);
    };

    Host host;
    if (const QString problem = host.start(); !problem.isEmpty())
        return failed(problem);
    const QString roots = host.broker->path(u"roots.pem"_s);
    if (!tls::writePublicFile(roots, tls::certificatesToPem(host.authority.authority->bundle()->x509Authorities)))
        return failed(u"no temporary file"_s);
    QList<SpiffeId> programs;
    for (int i = 0; i < trials; ++i) {
        programs.append(host.authority.id(u"/program/p%1"_s.arg(i)));
        if (!host.addProgram(programs.last()))
            return failed(u"%1 cannot be registered"_s.arg(programs.last().toString()));
    }
    QList<double> broker;
    QList<double> workload;
    int letInAgain = 0;
    for (const SpiffeId &program : std::as_const(programs)) {
        const auto trial = revoke(host, program, roots);
        if (!trial)
            return failed(trial.error().message);
        broker.append(trial->brokerMs);
        workload.append(trial->workloadMs);
        letInAgain += trial->wasLetInAgain ? 1 : 0;
    }
    result.insert(u"broker_session_ms"_s, figures(broker));
    result.insert(u"workload_api_ms"_s, figures(workload));
    result.insert(u"let_in_again"_s, letInAgain);
    const auto p99 = [&](QLatin1StringView key) { return result.value(key)["p99"_L1].toDouble(); };
    return end(letInAgain == 0 && p99("broker_session_ms"_L1) <= kGoalMs && p99("workload_api_ms"_L1) <= kGoalMs ? 0
                                                                                                                 : 1);
}

// What the broker's plugin costs: one decision, one status file, and from a written deny list to
// the session being gone in a real mosquitto.
#include "broker-plugin/broker_guard.h"
#include "broker-plugin/broker_status.h"
#include "domain/principal.h"
#include "fakes/guarded_broker.h"
#include "fakes/mosquitto_client.h"
#include "ports/boot_clock.h"
#include "ports/system_clock.h"

#include <QElapsedTimer>
#include <QThread>

#include <algorithm>
#include <cstdio>

using namespace lintel;
using namespace lintel::broker;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {
const auto kDomain = u"building-1.smart.local"_s;
constexpr int kSensors = 1'000;

QString sensorId(int i)
{
    return u"spiffe://building-1.smart.local/agent/hvac-%1"_s.arg(i, 4, 10, QChar(u'0'));
}

BrokerRoles roles()
{
    BrokerRoles all;
    all.sensors = {{*TrustDomain::parse(kDomain), u"building-1"_s, {u"gateway-1"_s}}};
    return all;
}

template <class Call>
void measure(const char *what, int rounds, Call call)
{
    QElapsedTimer timer;
    timer.start();
    bool all = true;
    for (int i = 0; i < rounds; ++i)
        all = call(i) && all;
    std::printf("%-52s %8.0f ns%s\n", what, double(timer.nsecsElapsed()) / rounds, all ? "" : "  (refused)");
}

void benchDecisions()
{
    const BootClock clock;
    JudgingTime time(clock, [](const QString &) {});
    const auto moment = [&time] { return time.now(); }; // as the plugin asks, for each decision
    BrokerGuard guard([](const QString &) {});
    guard.setRoles(roles());
    guard.setBundles({{*TrustDomain::parse(kDomain), {}}});
    std::vector<int> clients(kSensors);
    std::vector<QByteArray> names;
    std::vector<std::string> topics;
    for (int i = 0; i < kSensors; ++i) {
        const SpiffeId id = *SpiffeId::parse(sensorId(i));
        const Peer peer{id, u"0A"_s, clock.now(), clock.now() + std::chrono::hours{1}};
        const auto let =
            guard.connect(&clients[size_t(i)], peer, Principal(id).toString().toStdString(), u"x"_s, moment());
        if (!let)
            std::abort();
        names.push_back(sensorId(i).toUtf8());
        topics.push_back("spBv1.0/building-1/NDATA/" + sensorId(i).section(u'/', -1).toStdString());
    }
    const auto act = [&](int i, Action action, std::string_view topic) {
        const auto n = static_cast<size_t>(i % kSensors);
        return guard.mayAct(&clients[n], names[n], action, topic, moment());
    };
    std::printf("decisions, %d sessions\n", kSensors);
    measure("  publish NDATA, allowed", 1'000'000,
            [&](int i) { return act(i, Action::Publish, topics[static_cast<size_t>(i % kSensors)]); });
    measure("  receive NCMD of its own, allowed", 1'000'000, [&](int i) {
        thread_local std::string topic;
        topic = "spBv1.0/building-1/NCMD/";
        topic += std::string_view(topics[static_cast<size_t>(i % kSensors)]).substr(25);
        return act(i, Action::Receive, topic);
    });
    measure("  publish in another's name, refused", 1'000'000,
            [&](int i) { return !act(i, Action::Publish, "spBv1.0/building-1/NCMD/hvac-0001"); });
    measure("  subscribe too widely, refused", 1'000'000,
            [&](int i) { return !act(i, Action::Subscribe, "spBv1.0/building-1/#"); });
    measure("  look for sessions that must end (none)", 1'000'000, [&](int) { return guard.due(moment()).isEmpty(); });
    measure("  print the status", 50, [&](int) { return !printStatus(statusOf(guard, clock.now())).isEmpty(); });
}

int benchRevocation(int trials)
{
    GuardedBroker::Options options;
    options.roles = roles();
    GuardedBroker broker(options);
    if (const auto started = broker.start(); !started) {
        std::fprintf(stderr, "%s\n", qPrintable(started.error().message));
        return 1;
    }
    QList<tls::DenyEntry> entries;
    std::vector<double> millis;
    std::vector<Timestamp> gone;
    for (int i = 0; i < trials; ++i) {
        const SpiffeId id = *SpiffeId::parse(sensorId(i));
        MosquittoClient client({broker.port(),
                                broker.identityDir(sensorId(i)),
                                broker.trustFile(),
                                Principal(id).toString().toUtf8(),
                                {},
                                {}});
        const QByteArray topic = "spBv1.0/building-1/NDATA/" + sensorId(i).section(u'/', -1).toUtf8();
        if (client.connect() != 0 || client.publish(topic) >= 0x80)
            return 1;
        tls::DenyEntry entry;
        entry.id = id;
        entry.revokedAt = SystemClock().now();
        entries.append(entry);
        QElapsedTimer timer;
        timer.start();
        broker.writeDenyList(kDomain, quint64(i + 1), entries);
        while (client.isConnected() && timer.elapsed() < 5'000) // goes on sending all the while
            client.publish(topic);
        millis.push_back(double(timer.nsecsElapsed()) / 1e6);
        gone.push_back(SystemClock().now());
    }
    // The status follows within a second; then it must know of no message after the end.
    std::optional<BrokerStatus> status;
    QElapsedTimer waiting;
    waiting.start();
    while (waiting.elapsed() < 10'000 && !(status && !status->principals.value(sensorId(trials - 1)).connected)) {
        QThread::msleep(100);
        if (const auto read = broker.status())
            status = *read;
    }
    int late = 0;
    for (int i = 0; status && i < trials; ++i)
        late += status->principals.value(sensorId(i)).lastAccepted > gone[size_t(i)];
    std::sort(millis.begin(), millis.end());
    const auto at = [&](double share) { return millis[size_t(share * double(millis.size() - 1))]; };
    std::printf(
        "deny list written to session gone, %d trials: p50 %.0f ms, p99 %.0f ms, max %.0f ms; accepted later: %d\n",
        trials, at(0.5), at(0.99), millis.back(), late);
    return 0;
}
} // namespace

int main()
{
    benchDecisions();
    return benchRevocation(100);
}

// What idle connections cost a server, and how many calls and handshakes one core does.
// The clients live in a second process, so that its memory is not counted.
#include "fakes/grpc_pair.h"
#include "tls/identity_files.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QTimer>

#include <cstdio>
#include <vector>

#include <malloc.h>
#include <sys/resource.h>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::grpc;
using namespace lintel::test;

namespace {

/// QTest::qWaitFor sleeps between looks, which would be measured.
bool wait(const std::function<bool()> &condition, int patience)
{
    QElapsedTimer timer;
    timer.start();
    QTimer tick;
    tick.start(20);
    while (!condition() && timer.elapsed() < patience)
        QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents);
    return condition();
}

qint64 residentKiB()
{
    QFile status(u"/proc/self/status"_s);
    if (!status.open(QIODevice::ReadOnly))
        return 0;
    const QList<QByteArray> lines = status.readAll().split('\n');
    for (const QByteArray &line : lines)
        if (line.startsWith("VmRSS:"))
            return line.mid(6).simplified().split(' ').first().toLongLong();
    return 0;
}

void raiseFileLimit()
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// The other process: opens connections, makes a call on each, and keeps them until its input ends.
int runClients(const QStringList &arguments)
{
    const QString address = arguments.at(2);
    const int count = arguments.at(3).toInt();
    const auto chain = tls::certificatesFromPem(*tls::readWholeFile(arguments.at(4) + "/svid.pem"_L1));
    const auto key = tls::privateKeyFromPem(*tls::readWholeFile(arguments.at(4) + "/svid.key"_L1));
    const auto roots =
        tls::certificatesFromPem(*tls::readWholeFile(arguments.at(4) + "/building-1.smart.local.pem"_L1));
    const ClientTls setup{*tls::makeSvid(*chain, *key),
                          *SpiffeId::parse(arguments.at(5)),
                          {{*TrustDomain::parse(u"building-1.smart.local"), *roots}},
                          {}};
    std::vector<std::unique_ptr<Channel>> channels;
    int answered = 0;
    QElapsedTimer timer;
    timer.start();
    for (int i = 0; i < count; ++i) {
        channels.push_back(
            std::make_unique<Channel>(ChannelTarget{address, [setup] { return Result<ClientTls>(setup); }}));
        channels.back()->unary("/test.Echo/Unary", "x", 60s, channels.back().get(),
                               [&](const Status &status, const QByteArray &) { answered += status.isOk() ? 1 : 0; });
    }
    if (!wait([&] { return answered == count; }, 120'000))
        return 1;
    std::printf("connected %lld ms\n", timer.elapsed());
    std::fflush(stdout);
    int calls = 0;
    timer.restart();
    std::function<void()> next = [&] {
        channels.front()->unary("/test.Echo/Unary", QByteArray(500, 'x'), 10s, channels.front().get(),
                                [&](const Status &, const QByteArray &) {
                                    ++calls;
                                    if (timer.elapsed() < 2'000)
                                        next();
                                });
    };
    next();
    (void)wait([&] { return timer.elapsed() > 2'100; }, 10'000);
    std::printf("calls %d\n", calls / 2);
    std::fflush(stdout);
    QFile input;
    (void)input.open(stdin, QIODevice::ReadOnly);
    (void)input.readAll();
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    raiseFileLimit();
    if (argc > 1)
        return runClients(QCoreApplication::arguments());

    constexpr int kConnections = 1'000;
    const TwoDomains domains;
    const QTemporaryDir dir;
    if (!tls::writeIdentity(dir.path() + "/id"_L1, domains.svid(domains.sensorId), domains.bundles))
        return 1;
    Server server;
    serveEcho(server);
    const ServerTls setup{domains.svid(domains.serverId), domains.bundles, {}};
    const auto port = server.listenTcp(u"127.0.0.1"_s, 0, [&] { return Result<ServerTls>(setup); });
    QProcess clients;
    const auto begin = [&](int count) {
        clients.start(QCoreApplication::applicationFilePath(),
                      {u"clients"_s, u"127.0.0.1:%1"_s.arg(*port), QString::number(count), dir.path() + "/id"_L1,
                       domains.serverId.toString()});
    };
    QByteArray output;
    const auto finish = [&] {
        return wait(
            [&] {
                output += clients.readAllStandardOutput();
                return output.contains("calls") && output.endsWith('\n');
            },
            180'000);
    };
    begin(10); // what the first connections load counts once
    if (!finish())
        return 1;
    clients.closeWriteChannel();
    (void)wait([&] { return server.connectionCount() == 0; }, 10'000);
    clients.waitForFinished();
    output.clear();
    ::malloc_trim(0);
    const qint64 before = residentKiB();
    const auto allocatedBefore = ::mallinfo2().uordblks;
    begin(kConnections);
    if (!finish())
        return 1;
    ::malloc_trim(0);
    const qint64 after = residentKiB();
    std::printf("%s", output.constData());
    std::printf("allocated %.1f KiB each\n", double(::mallinfo2().uordblks - allocatedBefore) / 1024 / kConnections);
    std::printf("%d connections open, %.1f KiB each (resident set %lld KiB, then %lld KiB)\n", server.connectionCount(),
                double(after - before) / kConnections, before, after);
    clients.closeWriteChannel();
    clients.waitForFinished();
    return 0;
}

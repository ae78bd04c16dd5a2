// Calls between our client and our server: over TLS with SPIFFE identities and over Unix sockets.
#include "fakes/grpc_pair.h"

#include <QElapsedTimer>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>

#include <unistd.h>

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::grpc;
using namespace lintel::test;

namespace {

constexpr int kPatience = 20'000;

} // namespace

class TestGrpc : public QObject
{
    Q_OBJECT

    TwoDomains m_domains;
    std::unique_ptr<Server> m_server;
    std::shared_ptr<EchoLog> m_log;
    std::unique_ptr<QTemporaryDir> m_dir;
    quint16 m_port = 0;
    ServerTls m_serverTls;

    QString tcpAddress() const { return u"127.0.0.1:%1"_s.arg(m_port); }
    QString socketPath() const { return m_dir->filePath(u"api.sock"_s); }

    ClientTls clientTls() const
    {
        return {m_domains.svid(m_domains.sensorId), m_domains.serverId, m_domains.bundles, {}};
    }
    std::unique_ptr<Channel> channel(const ClientTls &tls) const
    {
        return std::make_unique<Channel>(ChannelTarget{tcpAddress(), [tls] { return Result<ClientTls>(tls); }});
    }
    std::unique_ptr<Channel> channel() const { return channel(clientTls()); }
    std::unique_ptr<Channel> unixChannel() const
    {
        return std::make_unique<Channel>(ChannelTarget{u"unix://"_s + socketPath(), {}});
    }

    void startServer(ServerLimits limits = {})
    {
        m_server = std::make_unique<Server>(limits);
        m_log = serveEcho(*m_server);
        m_serverTls = {m_domains.svid(m_domains.serverId), m_domains.bundles, {}};
        const auto port = m_server->listenTcp(u"127.0.0.1"_s, 0, [this] { return Result<ServerTls>(m_serverTls); });
        QVERIFY2(port, port ? "" : qPrintable(port.error().message));
        m_port = *port;
        QVERIFY(m_server->listenUnix(socketPath(), 0600));
    }

    struct Answer {
        std::optional<Status> status;
        QByteArray message;
    };
    static std::shared_ptr<Answer> ask(Channel &channel, const QByteArray &method, const QByteArray &request,
                                       const Metadata &metadata = {}, std::chrono::milliseconds deadline = 10s)
    {
        auto answer = std::make_shared<Answer>();
        channel.unary(
            "/test.Echo/" + method, request, deadline, &channel,
            [answer](const Status &status, const QByteArray &message) {
                answer->status = status;
                answer->message = message;
            },
            metadata);
        return answer;
    }

private Q_SLOTS:
    void init()
    {
        m_dir = std::make_unique<QTemporaryDir>();
        startServer();
    }
    void cleanup()
    {
        m_server.reset();
        m_log.reset();
    }

    void unary_overTls()
    {
        const auto client = channel();
        const auto answer = ask(*client, "Unary", "hello", {{"x-suffix", "!"}, {"x-raw-bin", QByteArray("\0\xff", 2)}});
        QVERIFY(!answer->status); // never from inside of the call
        QTRY_VERIFY_WITH_TIMEOUT(answer->status, kPatience);
        QVERIFY2(answer->status->isOk(), qPrintable(answer->status->message));
        QCOMPARE(answer->message, QByteArray("hello!\0\xff", 8));
        const auto who = ask(*client, "Who", "");
        QTRY_VERIFY_WITH_TIMEOUT(who->status, kPatience);
        QCOMPARE(who->message, m_domains.sensorId.toString().toUtf8());
        QCOMPARE(m_server->connectionCount(), 1);
        QCOMPARE(client->serverCertificate(), m_serverTls.own.chainDer.first());
    }

    void unary_overUnixSocketTellsWhoCalls()
    {
        const auto client = unixChannel();
        const auto who = ask(*client, "Who", "");
        QTRY_VERIFY_WITH_TIMEOUT(who->status, kPatience);
        QVERIFY2(who->status->isOk(), qPrintable(who->status->message));
        QCOMPARE(who->message, "pid " + QByteArray::number(::getpid()));
        const auto keys = ask(*client, "Export", "EXPORTER-test");
        QTRY_VERIFY_WITH_TIMEOUT(keys->status, kPatience);
        QCOMPARE(keys->status->code, StatusCode::Unimplemented);
    }

    void status_travelsWithMessageAndDetails()
    {
        const auto client = unixChannel();
        const auto answer = ask(*client, "Fail", "7");
        QTRY_VERIFY_WITH_TIMEOUT(answer->status, kPatience);
        QCOMPARE(answer->status->code, StatusCode::PermissionDenied);
        QCOMPARE(answer->status->message, u"Zu spät: 100 % übel\n"_s);
        QCOMPARE(answer->status->details, QByteArray("\0\1\2\xff", 4));
    }

    void unknownMethod_isUnimplemented()
    {
        const auto client = unixChannel();
        const auto answer = ask(*client, "Nothing", "");
        QTRY_VERIFY_WITH_TIMEOUT(answer->status, kPatience);
        QCOMPARE(answer->status->code, StatusCode::Unimplemented);
        QVERIFY(answer->status->message.contains("/test.Echo/Nothing"_L1));
    }

    void guard_endsCallsBeforeTheirHandler()
    {
        m_server->keepMetadata({"x-secret"});
        m_server->setGuard([](const ServerCall &call) {
            return call.metadata("x-secret") == "mellon" ? Status{} : Status{StatusCode::Unauthenticated, u"no"_s, {}};
        });
        const auto client = unixChannel();
        const auto refused = ask(*client, "Unary", "a");
        const auto taken = ask(*client, "Unary", "b", {{"x-secret", "mellon"}});
        QTRY_VERIFY_WITH_TIMEOUT(refused->status && taken->status, kPatience);
        QCOMPARE(refused->status->code, StatusCode::Unauthenticated);
        QVERIFY(taken->status->isOk());
    }

    void serverStream_deliversAllInOrder()
    {
        const auto client = channel();
        ClientCall *call = client->start("/test.Echo/Count");
        const auto recorded = record(call);
        call->send("1000");
        call->closeSending();
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QVERIFY2(recorded->status->isOk(), qPrintable(recorded->status->message));
        QCOMPARE(recorded->messages.size(), 1000);
        for (int i = 0; i < 1000; ++i)
            QCOMPARE(recorded->messages[i], QByteArray::number(i));
    }

    void clientStream_isCollected()
    {
        const auto client = channel();
        ClientCall *call = client->start("/test.Echo/Collect");
        const auto recorded = record(call);
        for (int i = 0; i < 100; ++i)
            call->send(QByteArray(1'000, 'x'));
        call->closeSending();
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QVERIFY2(recorded->status->isOk(), qPrintable(recorded->status->message));
        QCOMPARE(recorded->messages, QList<QByteArray>{"100000"});
    }

    void bothStreams_pingPong()
    {
        const auto client = channel();
        ClientCall *call = client->start("/test.Echo/Chat");
        const auto recorded = record(call);
        for (int i = 0; i < 20; ++i) {
            call->send(QByteArray::number(i));
            QTRY_COMPARE_WITH_TIMEOUT(recorded->messages.size(), i + 1, kPatience);
        }
        QVERIFY(!recorded->status);
        call->send(""); // an empty message is one
        call->closeSending();
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QVERIFY(recorded->status->isOk());
        QCOMPARE(recorded->messages.size(), 21);
    }

    void bigMessages_passBothWaysAndOverTheLimitAreRefused()
    {
        const auto client = channel();
        QByteArray big(4 * 1024 * 1024 - 64, 'b');
        for (qsizetype i = 0; i < big.size(); i += 997)
            big[i] = static_cast<char>(i);
        const auto answer = ask(*client, "Unary", big);
        const auto refused = ask(*client, "Unary", QByteArray(4 * 1024 * 1024 + 1, 'b'));
        QTRY_VERIFY_WITH_TIMEOUT(answer->status && refused->status, kPatience);
        QVERIFY2(answer->status->isOk(), qPrintable(answer->status->message));
        QVERIFY(answer->message == big);
        QCOMPARE(refused->status->code, StatusCode::ResourceExhausted);
        QCOMPARE(m_server->connectionCount(), 1); // its stream ended, not its connection
    }

    void slowReader_holdsTheServerBack()
    {
        constexpr int kChunk = 64 * 1024;
        int produced = 0;
        m_server->handleStream("/test.Echo/Flood", [&](const std::shared_ptr<ServerCall> &call) {
            const auto produce = [call = std::weak_ptr(call), &produced] {
                const auto alive = call.lock();
                while (alive && produced < 200 && alive->queuedBytes() < kChunk) {
                    alive->send(QByteArray(kChunk, 'f'));
                    if (++produced == 200)
                        alive->finish({});
                }
            };
            QObject::connect(call.get(), &ServerCall::drained, call.get(), produce);
            produce();
        });
        const auto client = channel();
        ClientCall *call = client->start("/test.Echo/Flood");
        const auto recorded = record(call);
        call->pauseReceiving(true);
        call->closeSending();
        QTRY_VERIFY_WITH_TIMEOUT(produced > 0, kPatience);
        const auto after = ask(*client, "Unary", "others go on");
        QTRY_VERIFY_WITH_TIMEOUT(after->status && after->status->isOk(), kPatience);
        QVERIFY(recorded->messages.isEmpty());
        QVERIFY2(produced < 10, qPrintable(QString::number(produced))); // a window and a chunk, not 12 MiB
        call->pauseReceiving(false);
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QVERIFY(recorded->status->isOk());
        QCOMPARE(recorded->messages.size(), 200);
    }

    void slowHandler_holdsTheClientBack()
    {
        std::shared_ptr<ServerCall> held;
        QByteArray received;
        m_server->handleStream("/test.Echo/Sip", [&](const std::shared_ptr<ServerCall> &call) {
            held = call;
            call->pauseReceiving(true);
            QObject::connect(call.get(), &ServerCall::messageReceived, call.get(),
                             [&](const QByteArray &message) { received += message; });
            QObject::connect(call.get(), &ServerCall::halfClosed, call.get(), [&] { held->finish({}); });
        });
        const auto client = channel();
        ClientCall *call = client->start("/test.Echo/Sip");
        const auto recorded = record(call);
        for (int i = 0; i < 64; ++i)
            call->send(QByteArray(32 * 1024, 's'));
        call->closeSending();
        QTRY_VERIFY_WITH_TIMEOUT(held, kPatience);
        const auto after = ask(*client, "Unary", "others go on");
        QTRY_VERIFY_WITH_TIMEOUT(after->status && after->status->isOk(), kPatience);
        QVERIFY(received.isEmpty());
        QVERIFY(call->queuedBytes() > 1024 * 1024);
        held->pauseReceiving(false);
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QVERIFY(recorded->status->isOk());
        QCOMPARE(received.size(), 64 * 32 * 1024);
        held.reset();
    }

    void callerWhoNeverReads_losesItsCallOnly()
    {
        ServerLimits limits;
        limits.maxQueuedBytes = 1024 * 1024;
        m_server.reset();
        startServer(limits);
        int cancelled = 0;
        m_server->handleStream("/test.Echo/Hose", [&](const std::shared_ptr<ServerCall> &call) {
            QObject::connect(call.get(), &ServerCall::cancelled, call.get(), [&] { ++cancelled; });
            for (int i = 0; i < 100; ++i)
                call->send(QByteArray(64 * 1024, 'h'));
        });
        const auto client = channel();
        ClientCall *call = client->start("/test.Echo/Hose");
        const auto recorded = record(call);
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QCOMPARE(recorded->status->code, StatusCode::ResourceExhausted);
        QTRY_COMPARE_WITH_TIMEOUT(cancelled, 1, kPatience);
        const auto after = ask(*client, "Unary", "x");
        QTRY_VERIFY_WITH_TIMEOUT(after->status && after->status->isOk(), kPatience);
    }

    void deadline_endsTheCallOnBothSides()
    {
        const auto client = channel();
        const auto answer = ask(*client, "Wait", "", {}, 150ms);
        QTRY_VERIFY_WITH_TIMEOUT(answer->status, kPatience);
        QCOMPARE(answer->status->code, StatusCode::DeadlineExceeded);
        QTRY_COMPARE_WITH_TIMEOUT(m_log->cancelled, m_log->waiting, kPatience);
    }

    void cancel_reachesTheHandler()
    {
        const auto client = channel();
        ClientCall *call = client->start("/test.Echo/Wait");
        const auto recorded = record(call);
        QTRY_COMPARE_WITH_TIMEOUT(m_log->waiting, 1, kPatience);
        call->cancel();
        QVERIFY(!recorded->status); // never from inside of the call
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QCOMPARE(recorded->status->code, StatusCode::Cancelled);
        QTRY_COMPARE_WITH_TIMEOUT(m_log->cancelled, 1, kPatience);
        m_log->last->send("late"); // does nothing
        m_log->last->finish({});
        QCOMPARE(m_server->connectionCount(), 1);
    }

    void contextThatDied_cancelsItsCall()
    {
        const auto client = channel();
        auto context = std::make_unique<QObject>();
        bool called = false;
        client->unary("/test.Echo/Wait", "", 0ms, context.get(),
                      [&](const Status &, const QByteArray &) { called = true; });
        QTRY_COMPARE_WITH_TIMEOUT(m_log->waiting, 1, kPatience);
        context.reset();
        QTRY_COMPARE_WITH_TIMEOUT(m_log->cancelled, 1, kPatience);
        QVERIFY(!called);
    }

    void channelThatDied_cancelsItsCalls()
    {
        auto client = channel();
        const auto recorded = record(client->start("/test.Echo/Wait"));
        QTRY_COMPARE_WITH_TIMEOUT(m_log->waiting, 1, kPatience);
        client.reset();
        QTRY_COMPARE_WITH_TIMEOUT(m_log->cancelled, 1, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 0, kPatience);
        QVERIFY(!recorded->status);
    }

    void channel_mayEndInsideOfASlot()
    {
        auto client = channel();
        int told = 0;
        for (int i = 0; i < 5; ++i) {
            ClientCall *call = client->start("/test.Echo/Chat");
            connect(call, &ClientCall::messageReceived, this, [&] {
                ++told;
                client.reset();
            });
            call->send("x");
        }
        QTRY_VERIFY_WITH_TIMEOUT(!client, kPatience);
        QCOMPARE(told, 1);
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 0, kPatience);
    }

    void twoHundredConnections_areServedAtOnce()
    {
        ServerLimits limits;
        limits.connectionsPerPeer = 200; // all have the same SVID
        m_server.reset();
        startServer(limits);
        std::vector<std::unique_ptr<Channel>> clients;
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 200; ++i) {
            clients.push_back(i % 2 ? channel() : unixChannel());
            answers.push_back(ask(*clients.back(), "Unary", QByteArray::number(i), {}, 60s));
        }
        for (int i = 0; i < 200; ++i) {
            QTRY_VERIFY_WITH_TIMEOUT(answers[size_t(i)]->status, 60'000);
            QVERIFY2(answers[size_t(i)]->status->isOk(), qPrintable(answers[size_t(i)]->status->message));
            QCOMPARE(answers[size_t(i)]->message, QByteArray::number(i));
        }
        QCOMPARE(m_server->connectionCount(), 200);
    }

    void manyCalls_waitForTheirTurnOnOneConnection()
    {
        const auto client = channel();
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 1000; ++i) // ten times what the server takes at once
            answers.push_back(ask(*client, "Unary", QByteArray::number(i), {}, 60s));
        for (int i = 0; i < 1000; ++i) {
            QTRY_VERIFY_WITH_TIMEOUT(answers[size_t(i)]->status, kPatience);
            QVERIFY2(answers[size_t(i)]->status->isOk(), qPrintable(answers[size_t(i)]->status->message));
        }
        QCOMPARE(m_server->connectionCount(), 1);
    }

    void oldConnection_isReplacedAndNoCallIsLost()
    {
        ServerLimits limits;
        limits.maxConnectionAge = 50ms;
        m_server.reset();
        startServer(limits);
        const auto client = channel();
        QSignalSpy lost(client.get(), &Channel::connectionLost);
        ClientCall *longCall = client->start("/test.Echo/Chat");
        const auto recorded = record(longCall);
        QElapsedTimer timer;
        timer.start();
        int calls = 0;
        while (timer.elapsed() < 2'000) {
            const auto answer = ask(*client, "Unary", "x");
            QTRY_VERIFY_WITH_TIMEOUT(answer->status, kPatience);
            QVERIFY2(answer->status->isOk(), qPrintable(answer->status->message));
            ++calls;
        }
        QVERIFY(calls > 3);
        longCall->send("still here");
        longCall->closeSending();
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QVERIFY2(recorded->status->isOk(), qPrintable(recorded->status->message));
        QCOMPARE(recorded->messages, QList<QByteArray>{"still here"});
        QVERIFY(lost.isEmpty());
    }

    void idleConnection_isClosedInOrder()
    {
        ServerLimits limits;
        limits.idleTimeout = 100ms;
        m_server.reset();
        startServer(limits);
        const auto client = channel();
        QSignalSpy lost(client.get(), &Channel::connectionLost);
        const auto answer = ask(*client, "Unary", "x");
        QTRY_VERIFY_WITH_TIMEOUT(answer->status, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 0, kPatience);
        const auto next = ask(*client, "Unary", "y");
        QTRY_VERIFY_WITH_TIMEOUT(next->status && next->status->isOk(), kPatience);
        QVERIFY(lost.isEmpty());
    }

    void close_letsRunningCallsFinish()
    {
        const auto client = channel();
        ClientCall *call = client->start("/test.Echo/Chat");
        const auto recorded = record(call);
        call->send("a");
        QTRY_COMPARE_WITH_TIMEOUT(recorded->messages.size(), 1, kPatience);
        QSignalSpy closed(m_server.get(), &Server::closed);
        m_server->close(10s);
        QVERIFY(!QFile::exists(socketPath()));
        call->send("b");
        call->closeSending();
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QVERIFY2(recorded->status->isOk(), qPrintable(recorded->status->message));
        QTRY_COMPARE_WITH_TIMEOUT(closed.size(), 1, kPatience);
        const auto late = ask(*client, "Unary", "x");
        QTRY_VERIFY_WITH_TIMEOUT(late->status, kPatience);
        QCOMPARE(late->status->code, StatusCode::Unavailable);
    }

    void close_endsCallsAfterTheGrace()
    {
        const auto client = channel();
        const auto recorded = record(client->start("/test.Echo/Wait"));
        QTRY_COMPARE_WITH_TIMEOUT(m_log->waiting, 1, kPatience);
        QSignalSpy closed(m_server.get(), &Server::closed);
        m_server->close(50ms);
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QVERIFY(!recorded->status->isOk());
        QCOMPARE(m_log->cancelled, 1);
        QTRY_COMPARE_WITH_TIMEOUT(closed.size(), 1, kPatience);
    }

    void serverGone_isUnavailableAndNoticed()
    {
        const auto client = channel();
        QSignalSpy lost(client.get(), &Channel::connectionLost);
        const auto recorded = record(client->start("/test.Echo/Wait"));
        QTRY_COMPARE_WITH_TIMEOUT(m_log->waiting, 1, kPatience);
        m_server.reset();
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QCOMPARE(recorded->status->code, StatusCode::Unavailable);
        QTRY_COMPARE_WITH_TIMEOUT(lost.size(), 1, kPatience);
        const auto late = ask(*client, "Unary", "x");
        QTRY_VERIFY_WITH_TIMEOUT(late->status, kPatience);
        QCOMPARE(late->status->code, StatusCode::Unavailable);
        QVERIFY2(late->status->message.contains(tcpAddress()), qPrintable(late->status->message));
    }

    void disconnectPeer_endsOnlyThatPeer()
    {
        const SpiffeId other = *SpiffeId::parse(u"spiffe://building-1.smart.local/agent/hvac-002");
        const auto first = channel();
        const auto second = channel({m_domains.svid(other), m_domains.serverId, m_domains.bundles, {}});
        const auto a = record(first->start("/test.Echo/Wait"));
        const auto b = record(second->start("/test.Echo/Wait"));
        QTRY_COMPARE_WITH_TIMEOUT(m_log->waiting, 2, kPatience);
        QCOMPARE(m_server->disconnectPeer(other), 1);
        QTRY_VERIFY_WITH_TIMEOUT(b->status, kPatience);
        QCOMPARE(m_log->cancelled, 1);
        QVERIFY(!a->status);
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 1, kPatience);
    }

    void disconnectPeer_worksInsideOfAHandler()
    {
        m_server->handleUnary("/test.Echo/KickMe", [this](const QByteArray &, const ServerCall &call) {
            m_server->disconnectPeer(*call.peer().id);
            return UnaryReply{{}, "too late"};
        });
        const auto client = channel();
        const auto answer = ask(*client, "KickMe", "");
        QTRY_VERIFY_WITH_TIMEOUT(answer->status, kPatience);
        QVERIFY(!answer->status->isOk());
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 0, kPatience);
    }

    void reset_opensANewConnectionWhileOldCallsFinish()
    {
        const auto client = channel();
        ClientCall *call = client->start("/test.Echo/Chat");
        const auto recorded = record(call);
        call->send("a");
        QTRY_COMPARE_WITH_TIMEOUT(recorded->messages.size(), 1, kPatience);
        client->reset();
        const auto answer = ask(*client, "Unary", "x");
        QTRY_VERIFY_WITH_TIMEOUT(answer->status && answer->status->isOk(), kPatience);
        QCOMPARE(m_server->connectionCount(), 2);
        call->send("b");
        call->closeSending();
        QTRY_VERIFY_WITH_TIMEOUT(recorded->status, kPatience);
        QVERIFY(recorded->status->isOk());
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 1, kPatience);
    }

    void reset_whileConnectingKeepsTheCalls()
    {
        const auto client = channel();
        const auto answer = ask(*client, "Unary", "x");
        client->reset();
        QTRY_VERIFY_WITH_TIMEOUT(answer->status, kPatience);
        QVERIFY2(answer->status->isOk(), qPrintable(answer->status->message));
    }

    void hostName_isResolved()
    {
        Channel client({u"localhost:%1"_s.arg(m_port), [this] { return Result<ClientTls>(clientTls()); }});
        const auto answer = ask(client, "Unary", "x");
        QTRY_VERIFY_WITH_TIMEOUT(answer->status, kPatience);
        QVERIFY2(answer->status->isOk(), qPrintable(answer->status->message));
        // The resolver's thread may outlive who asked.
        Channel nowhere({u"no-such-host.invalid:1"_s, [this] { return Result<ClientTls>(clientTls()); }});
        ask(nowhere, "Unary", "x");
    }

    void wrongAddressOrMetadata_isRefusedAtOnce()
    {
        Channel noPort({u"localhost"_s, [this] { return Result<ClientTls>(clientTls()); }});
        Channel clearText({tcpAddress(), {}});
        const auto good = channel();
        const auto a = ask(noPort, "Unary", "x");
        const auto b = ask(clearText, "Unary", "x");
        const auto c = ask(*good, "Unary", "x", {{"Upper", "x"}});
        const auto d = ask(*good, "Unary", "x", {{"x", "a\nb"}});
        QTRY_VERIFY_WITH_TIMEOUT(a->status && b->status && c->status && d->status, kPatience);
        for (const auto &answer : {a, b, c, d})
            QCOMPARE(answer->status->code, StatusCode::InvalidArgument);
    }

    void unixSocket_hasItsModeAndReplacesAStaleFile()
    {
        QCOMPARE(QFile::permissions(socketPath()) & ~(QFile::ReadUser | QFile::WriteUser),
                 QFile::ReadOwner | QFile::WriteOwner);
        Server second;
        const auto taken = second.listenUnix(socketPath(), 0600);
        QVERIFY(!taken);
        QCOMPARE(taken.error().code, Errc::Conflict);
        // A link to the file outlives its listener, as the file of a killed process does.
        const QString stale = m_dir->filePath(u"stale.sock"_s);
        QCOMPARE(::link(QFile::encodeName(socketPath()).constData(), QFile::encodeName(stale).constData()), 0);
        m_server.reset();
        QVERIFY(!QFile::exists(socketPath()));
        QVERIFY(QFile::exists(stale));
        QVERIFY(second.listenUnix(stale, 0660));
        QFile file(m_dir->filePath(u"file"_s));
        QVERIFY(file.open(QIODevice::WriteOnly));
        QCOMPARE(second.listenUnix(file.fileName(), 0600).error().code, Errc::Conflict);
        QVERIFY(file.exists());
        QCOMPARE(second.listenUnix(u"/tmp/"_s + QString(200, u'x'), 0600).error().code, Errc::OutOfRange);
    }

    void takenPort_isAConflict()
    {
        Server second;
        const auto taken = second.listenTcp(u"127.0.0.1"_s, m_port, [this] { return Result<ServerTls>(m_serverTls); });
        QVERIFY(!taken);
        QCOMPARE(taken.error().code, Errc::Conflict);
        QVERIFY(!second.listenTcp(u"not an address"_s, 0, [this] { return Result<ServerTls>(m_serverTls); }));
        QVERIFY(!second.listenTcp(u"127.0.0.1"_s, 0, {}));
    }
};

QTEST_GUILESS_MAIN(TestGrpc)
#include "tst_grpc.moc"

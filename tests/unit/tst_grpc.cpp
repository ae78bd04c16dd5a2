// Calls between our client and our server: over TLS with SPIFFE identities and over Unix sockets.
#include "fakes/grpc_pair.h"

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
};

QTEST_GUILESS_MAIN(TestGrpc)
#include "tst_grpc.moc"

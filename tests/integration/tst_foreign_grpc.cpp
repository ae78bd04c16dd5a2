// grpc-go, go-spiffe, Go's net/http and curl against our server, and our client against grpc-go.
#include "fakes/grpc_pair.h"
#include "fakes/needs.h"
#include "tls/identity_files.h"

#include <QProcess>
#include <QProcessEnvironment>
#include <QSignalSpy>
#include <QStandardPaths>
#include <QTemporaryDir>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::grpc;
using namespace lintel::test;

namespace {

constexpr int kPatience = 120'000;

/// Go as scripts/bootstrap --test installed it, or as the machine has it.
QString findGo()
{
    const QString cache = QStandardPaths::writableLocation(QStandardPaths::GenericCacheLocation);
    const QString pinned = QStandardPaths::findExecutable(u"go"_s, {cache + "/lintel/tools/bin"_L1});
    return pinned.isEmpty() ? QStandardPaths::findExecutable(u"go"_s) : pinned;
}

struct Outcome {
    int exitCode = -1;
    QString output;
};

/// Runs while our event loop serves.
Outcome run(const QString &program, const QStringList &arguments, const QString &folder = {})
{
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert(u"GOTOOLCHAIN"_s, u"local"_s);
    environment.insert(u"GOFLAGS"_s, u"-mod=readonly"_s);
    environment.insert(u"CGO_ENABLED"_s, u"0"_s);
    process.setProcessEnvironment(environment);
    if (!folder.isEmpty())
        process.setWorkingDirectory(folder);
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(program, arguments);
    const bool ended = QTest::qWaitFor([&] { return process.state() == QProcess::NotRunning; }, 5 * kPatience);
    if (!ended)
        process.kill();
    process.waitForFinished(5'000);
    const bool normal = ended && process.exitStatus() == QProcess::NormalExit;
    return {normal ? process.exitCode() : -1, QString::fromUtf8(process.readAll())};
}

} // namespace

class ForeignGrpc : public QObject
{
    Q_OBJECT

    TwoDomains m_domains;
    QTemporaryDir m_dir;
    QString m_peer;
    std::unique_ptr<Server> m_server;
    std::shared_ptr<EchoLog> m_log;
    ServerTls m_serverTls;
    quint16 m_port = 0;
    quint16 m_httpsPort = 0;

    QString path(const QString &name) const { return m_dir.filePath(name); }
    QStringList identity(const SpiffeId &peer) const
    {
        return {u"-cert"_s,   path(u"id/svid.pem"_s),
                u"-key"_s,    path(u"id/svid.key"_s),
                u"-bundle"_s, path(u"id/building-1.smart.local.pem"_s),
                u"-peer"_s,   peer.toString()};
    }

    /// A grpc-go server as long as this lives.
    struct GoServer {
        QProcess process;
        QString address;

        bool start(const QString &program, const QStringList &arguments)
        {
            process.start(program, QStringList{u"server"_s} + arguments);
            QString output;
            const bool listens = QTest::qWaitFor(
                [&] {
                    output += QString::fromUtf8(process.readAll());
                    return output.contains(u'\n');
                },
                kPatience);
            address = output.section(u' ', 1).trimmed();
            return listens && output.startsWith("listening"_L1);
        }
        ~GoServer()
        {
            process.closeWriteChannel();
            if (!process.waitForFinished(10'000))
                process.kill();
            process.waitForFinished(5'000);
        }
    };

    void callEverything(Channel &channel)
    {
        std::optional<Status> status;
        QByteArray answer;
        const auto ask = [&](const QByteArray &method, const QByteArray &request, std::chrono::milliseconds deadline,
                             const Metadata &metadata = {}) {
            status.reset();
            channel.unary(
                "/test.Echo/" + method, request, deadline, &channel,
                [&](const Status &s, const QByteArray &message) {
                    status = s;
                    answer = message;
                },
                metadata);
            return QTest::qWaitFor([&] { return status.has_value(); }, kPatience);
        };
        QVERIFY(ask("Unary", "hello", 60s, {{"x-suffix", "!"}, {"x-raw-bin", QByteArray("\0\xff", 2)}}));
        QVERIFY2(status->isOk(), qPrintable(status->message));
        QCOMPARE(answer, QByteArray("hello!\0\xff", 8));
        const QByteArray big(3 * 1024 * 1024, 'b');
        QVERIFY(ask("Unary", big, 60s));
        QVERIFY2(status->isOk(), qPrintable(status->message));
        QVERIFY(answer == big);
        QVERIFY(ask("Fail", "x", 60s));
        QCOMPARE(status->code, StatusCode::PermissionDenied);
        QCOMPARE(status->message, u"Zu spät: 100 % übel\n"_s);
        QVERIFY(ask("Nothing", "x", 60s));
        QCOMPARE(status->code, StatusCode::Unimplemented);
        QVERIFY(ask("Wait", "x", 200ms));
        QCOMPARE(status->code, StatusCode::DeadlineExceeded);

        ClientCall *count = channel.start("/test.Echo/Count");
        const auto counted = record(count);
        count->send("1000");
        count->closeSending();
        ClientCall *collect = channel.start("/test.Echo/Collect");
        const auto collected = record(collect);
        for (int i = 0; i < 100; ++i)
            collect->send(QByteArray(10'000, 'c'));
        collect->closeSending();
        ClientCall *chat = channel.start("/test.Echo/Chat");
        const auto chatted = record(chat);
        for (int i = 0; i < 50; ++i)
            chat->send(QByteArray::number(i));
        chat->closeSending();
        QTRY_VERIFY_WITH_TIMEOUT(counted->status && collected->status && chatted->status, kPatience);
        QVERIFY2(counted->status->isOk(), qPrintable(counted->status->message));
        QCOMPARE(counted->messages.size(), 1000);
        QCOMPARE(collected->messages, QList<QByteArray>{"1000000"});
        QCOMPARE(chatted->messages.size(), 50);
        for (int i = 0; i < 2'000; ++i) {
            QVERIFY(ask("Unary", QByteArray(2'000, 'm'), 60s));
            QVERIFY2(status->isOk(), qPrintable(status->message));
        }
    }

private Q_SLOTS:
    void initTestCase()
    {
        const QString go = findGo();
        if (go.isEmpty())
            LINTEL_SKIP("There is no Go compiler; scripts/bootstrap --test installs one.");
        const QString source = QStringLiteral(LINTEL_SOURCE_DIR "/tests/foreign/go");
        if (const Outcome modules = run(go, {u"list"_s, u"-deps"_s, u"./grpcpeer"_s}, source); modules.exitCode != 0)
            LINTEL_SKIP(qPrintable("The pinned Go modules cannot be had here: "_L1 + modules.output.right(500)));
        m_peer = QCoreApplication::applicationDirPath() + "/foreign-grpc-peer"_L1;
        const Outcome built = run(go, {u"build"_s, u"-o"_s, m_peer, u"./grpcpeer"_s}, source);
        QVERIFY2(built.exitCode == 0, qPrintable(built.output));
        QVERIFY(tls::writeIdentity(path(u"id"_s), m_domains.svid(m_domains.sensorId), m_domains.bundles));
    }

    void init()
    {
        m_server = std::make_unique<Server>();
        m_log = serveEcho(*m_server);
        m_serverTls = {m_domains.svid(m_domains.serverId), m_domains.bundles, {}};
        m_port = *m_server->listenTcp(u"127.0.0.1"_s, 0, [this] { return Result<ServerTls>(m_serverTls); });
        m_httpsPort = *m_server->listenHttps(u"127.0.0.1"_s, 0, [this] { return Result<ServerTls>(m_serverTls); });
        QVERIFY(m_server->listenUnix(path(u"api.sock"_s), 0600));
        m_server->serveDocument("/bundle.json", [] { return Result<Document>(Document{"{\"keys\":[]}"}); });
        m_server->serveDocument("/broken", [] { return Result<Document>(Error{Errc::Unavailable, {}}); });
    }
    void cleanup() { m_server.reset(); }

    void goClient_overUnixSocket()
    {
        const Outcome outcome = run(m_peer, {u"client"_s, u"-target"_s, u"unix:"_s + path(u"api.sock"_s)});
        QVERIFY2(outcome.exitCode == 0, qPrintable(outcome.output));
        QCOMPARE(outcome.output.count("ok "_L1), 13);
        QTRY_COMPARE_WITH_TIMEOUT(m_log->cancelled, 2, kPatience); // the deadline and the cancellation
    }

    void goClient_overTls()
    {
        const Outcome outcome = run(m_peer, QStringList{u"client"_s, u"-target"_s, u"127.0.0.1:%1"_s.arg(m_port)}
                                                + identity(m_domains.serverId));
        QVERIFY2(outcome.exitCode == 0, qPrintable(outcome.output));
        QCOMPARE(outcome.output.count("ok "_L1), 13);
    }

    void goServer_overUnixSocket()
    {
        GoServer go;
        QVERIFY(go.start(m_peer, {u"-listen"_s, u"unix:"_s + path(u"go.sock"_s)}));
        Channel channel({u"unix://"_s + path(u"go.sock"_s), {}});
        callEverything(channel);
    }

    void goServer_overTlsWithConnectionsThatEnd()
    {
        GoServer go;
        QVERIFY(go.start(m_peer, QStringList{u"-listen"_s, u"127.0.0.1:0"_s, u"-max-age"_s, u"200ms"_s}
                                     + identity(m_domains.serverId)));
        // The Go server shows the sensor's SVID and wants the client to be the server.
        Channel channel({go.address, [this] {
                             return Result<ClientTls>(ClientTls{
                                 m_domains.svid(m_domains.serverId), m_domains.sensorId, m_domains.bundles, {}});
                         }});
        QSignalSpy lost(&channel, &Channel::connectionLost);
        callEverything(channel);
        QVERIFY2(lost.isEmpty(), lost.isEmpty() ? "" : qPrintable(lost.first().first().value<Error>().message));
    }

    void goHttpClient_getsDocuments()
    {
        const auto get = [this](const QString &what) {
            return run(m_peer,
                       QStringList{u"get"_s, u"-target"_s, u"https://127.0.0.1:%1%2"_s.arg(m_httpsPort).arg(what)}
                           + identity(m_domains.serverId));
        };
        const Outcome good = get(u"/bundle.json"_s);
        QCOMPARE(good.output, u"200 application/json {\"keys\":[]}\n"_s);
        QVERIFY(get(u"/nothing"_s).output.startsWith("404 "_L1));
        QVERIFY(get(u"/broken"_s).output.startsWith("503 "_L1));
    }

    void curl_getsDocuments()
    {
        const QString curl = QStandardPaths::findExecutable(u"curl"_s);
        if (curl.isEmpty())
            LINTEL_SKIP("curl is not installed; run scripts/bootstrap --test.");
        const QString url = u"https://127.0.0.1:%1/bundle.json"_s.arg(m_httpsPort);
        const QStringList common{u"-sk"_s, u"-w"_s, u" %{http_code} %{http_version}"_s, url};
        QCOMPARE(run(curl, common).output, u"{\"keys\":[]} 200 1.1"_s);
        QVERIFY(run(curl, common + QStringList{u"-X"_s, u"POST"_s}).output.contains(" 405 "_L1));
        QVERIFY(run(curl, common + QStringList{u"-I"_s}).output.contains("Content-Length: 11"_L1));
        QVERIFY(run(curl, common + QStringList{u"-H"_s, u"Host:"_s}).output.contains(" 400 "_L1));
    }
};

QTEST_GUILESS_MAIN(ForeignGrpc)
#include "tst_foreign_grpc.moc"

// What peers that break HTTP/2, TLS or gRPC do to the server: each harms itself and nobody else.
#include "fakes/grpc_pair.h"
#include "fakes/raw_http2.h"
#include "grpc/wire.h"
#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"
#include "tls/x509.h"

#include <QLocalServer>
#include <QLocalSocket>
#include <QProcess>
#include <QRandomGenerator>
#include <QSslCertificate>
#include <QSslConfiguration>
#include <QSslKey>
#include <QSslServer>
#include <QSslSocket>
#include <QTcpSocket>
#include <QTemporaryDir>
#include <QtEndian>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::grpc;
using namespace lintel::test;

namespace {

constexpr int kPatience = 20'000;
/// A server in clear text that answers each call with an empty message, and sends pings as it likes.
class RawServer
{
public:
    /// `pingsEach`: before each answer. `floodFirst`: so many instead of answers, on the first connection.
    RawServer(const QString &path, int pingsEach, int floodFirst) : m_pingsEach(pingsEach), m_floodFirst(floodFirst)
    {
        QObject::connect(&m_server, &QLocalServer::newConnection, &m_server, [this] {
            QLocalSocket *socket = m_server.nextPendingConnection();
            const bool floods = m_connections++ == 0 && m_floodFirst > 0;
            const auto input = std::make_shared<QByteArray>();
            socket->write(frame(kSettings, 0, 0, {}));
            QObject::connect(socket, &QLocalSocket::readyRead, socket, [this, socket, input, floods] {
                *input += socket->readAll();
                answer(*socket, *input, floods);
            });
        });
        m_isListening = m_server.listen(path);
    }
    [[nodiscard]] bool isListening() const { return m_isListening; }
    [[nodiscard]] int connections() const { return m_connections; }

private:
    void answer(QLocalSocket &socket, QByteArray &input, bool floods) const
    {
        if (input.startsWith("PRI"))
            input.remove(0, std::min(kPreface.size(), input.size()));
        while (input.size() >= 9) {
            const auto *head = reinterpret_cast<const uchar *>(input.constData());
            const qsizetype size = (head[0] << 16) | (head[1] << 8) | head[2];
            const quint8 type = head[3];
            const quint8 flags = head[4];
            const auto stream = qFromBigEndian<quint32>(head + 5);
            if (input.size() < 9 + size)
                return;
            input.remove(0, 9 + size);
            if (type == kSettings && !(flags & 1))
                socket.write(frame(kSettings, 1, 0, {}));
            if (type != kData || !(flags & kEndStream))
                continue;
            const QByteArray ping = frame(kPing, 0, 0, QByteArray(8, 'p'));
            if (floods) {
                socket.write(ping.repeated(m_floodFirst));
                continue;
            }
            socket.write(ping.repeated(m_pingsEach)
                         + frame(kHeaders, kEndHeaders, stream,
                                 field(":status", "200") + field("content-type", "application/grpc"))
                         + frame(kData, 0, stream, QByteArray(5, '\0'))
                         + frame(kHeaders, kEndHeaders | kEndStream, stream, field("grpc-status", "0")));
        }
    }

    QLocalServer m_server;
    int m_pingsEach;
    int m_floodFirst;
    int m_connections = 0;
    bool m_isListening = false;
};

} // namespace

class TestGrpcAbuse : public QObject
{
    Q_OBJECT

    TwoDomains m_domains;
    std::unique_ptr<Server> m_server;
    std::unique_ptr<Channel> m_good;
    std::shared_ptr<EchoLog> m_log;
    std::unique_ptr<QTemporaryDir> m_dir;
    quint16 m_port = 0;

    QString socketPath() const { return m_dir->filePath(u"api.sock"_s); }

    void start(const ServerLimits &limits = {})
    {
        m_good.reset();
        m_server = std::make_unique<Server>(limits);
        m_log = serveEcho(*m_server);
        QVERIFY(m_server->listenUnix(socketPath(), 0600));
        m_port = *m_server->listenTcp(u"127.0.0.1"_s, 0, [this] {
            return Result<ServerTls>(ServerTls{m_domains.svid(m_domains.serverId), m_domains.bundles, {}});
        });
        m_good = std::make_unique<Channel>(ChannelTarget{u"unix:"_s + socketPath(), {}});
        QVERIFY(othersAreServed());
    }
    bool othersAreServed()
    {
        std::optional<Status> outcome;
        m_good->unary("/test.Echo/Unary", "x", 15s, m_good.get(),
                      [&](const Status &status, const QByteArray &) { outcome = status; });
        return QTest::qWaitFor([&] { return outcome.has_value(); }, kPatience) && outcome->isOk()
               && QTest::qWaitFor([&] { return m_server->connectionCount() <= 1; }, kPatience);
    }

private Q_SLOTS:
    void init()
    {
        m_dir = std::make_unique<QTemporaryDir>();
        start();
    }
    void cleanup()
    {
        m_good.reset();
        m_server.reset();
    }

    void garbage_endsItsConnection_data()
    {
        QTest::addColumn<QByteArray>("bytes");
        QTest::newRow("http1") << QByteArray("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        QTest::newRow("zeros") << QByteArray(1'000, '\0');
        QTest::newRow("preface, then zeros") << kPreface + QByteArray(1'000, '\0');
        QTest::newRow("frame too long") << kPreface + QByteArray::fromHex("ffffff040000000000");
        QTest::newRow("headers on stream 0") << kPreface + frame(kSettings, 0, 0, {}) + frame(kHeaders, 5, 0, "x");
        QTest::newRow("data on an idle stream") << kPreface + frame(kSettings, 0, 0, {}) + frame(kData, 0, 1, "x");
        QTest::newRow("broken HPACK") << kPreface + frame(kSettings, 0, 0, {}) + frame(kHeaders, 5, 1, "\xff\xff\xff");
    }
    void garbage_endsItsConnection()
    {
        QFETCH(QByteArray, bytes);
        RawClient raw(socketPath());
        QVERIFY(raw.isConnected());
        raw.write(bytes);
        QVERIFY(raw.waitClosed());
        QVERIFY(othersAreServed());
    }

    void randomBytes_endTheirConnections()
    {
        QRandomGenerator random(4); // the same bytes each time
        for (int i = 0; i < 50; ++i) {
            RawClient raw(socketPath());
            QByteArray bytes(random.bounded(2'000), '\0');
            for (char &c : bytes)
                c = static_cast<char>(random.bounded(256));
            raw.write(i % 2 ? kPreface + frame(kSettings, 0, 0, {}) + bytes : bytes);
        }
        QVERIFY(othersAreServed());
    }

    void settingsAndPings_inFloodsAreStopped_data()
    {
        QTest::addColumn<QByteArray>("one");
        QTest::newRow("ping") << frame(kPing, 0, 0, "12345678");
        QTest::newRow("settings") << frame(kSettings, 0, 0, {});
    }
    void settingsAndPings_inFloodsAreStopped()
    {
        QFETCH(QByteArray, one);
        RawClient raw(socketPath());
        raw.write(kPreface + frame(kSettings, 0, 0, {}));
        raw.write(one.repeated(200)); // a lively peer
        QVERIFY(raw.goAwayError() < 0);
        for (int i = 0; i < 100; ++i)
            raw.write(one.repeated(100));
        QVERIFY(raw.waitClosed());
        QCOMPARE(raw.goAwayError(), 11); // ENHANCE_YOUR_CALM
        QVERIFY(othersAreServed());
    }

    void rapidReset_isStopped()
    {
        RawClient raw(socketPath());
        raw.write(kPreface + frame(kSettings, 0, 0, {}));
        const QByteArray headers = requestHeaders("/test.Echo/Wait");
        for (quint32 stream = 1; stream < 20'000; stream += 2)
            raw.write(frame(kHeaders, kEndHeaders, stream, headers) + frame(kReset, 0, stream, QByteArray(4, '\0')));
        QVERIFY(raw.waitClosed());
        QVERIFY(m_log->waiting < 2'000);
        QVERIFY(othersAreServed());
    }

    void emptyDataFrames_inFloodsAreStopped()
    {
        RawClient raw(socketPath());
        raw.write(kPreface + frame(kSettings, 0, 0, {}));
        raw.write(frame(kHeaders, kEndHeaders, 1, requestHeaders("/test.Echo/Chat")));
        for (int i = 0; i < 100; ++i)
            raw.write(frame(kData, 0, 1, {}).repeated(100));
        QVERIFY(raw.waitClosed());
        QVERIFY(othersAreServed());
    }

    void longHeaderList_isRefused()
    {
        RawClient raw(socketPath());
        raw.write(kPreface + frame(kSettings, 0, 0, {}));
        QByteArray extra;
        for (int i = 0; i < 170; ++i) // more than 16 KiB as RFC 9113 counts
            extra += field("x-filler", QByteArray(100, 'f'));
        const QByteArray all = requestHeaders("/test.Echo/Wait", extra);
        raw.write(frame(kHeaders, 0, 1, all.first(10'000)) + frame(9, kEndHeaders, 1, all.sliced(10'000)));
        QTRY_VERIFY_WITH_TIMEOUT((raw.read(), raw.received().contains(frame(kReset, 0, 1, {}).sliced(3, 6))),
                                 kPatience);
        QCOMPARE(m_log->waiting, 0);
    }

    void notGrpc_isAnsweredInHttp()
    {
        RawClient raw(socketPath());
        raw.write(kPreface + frame(kSettings, 0, 0, {}));
        raw.write(frame(kHeaders, kEndHeaders | kEndStream, 1, requestHeaders("/test.Echo/Wait", {}, "GET")));
        raw.write(
            frame(kHeaders, kEndHeaders | kEndStream, 3, requestHeaders("/test.Echo/Wait", {}, "POST", "text/html")));
        QTRY_VERIFY_WITH_TIMEOUT((raw.read(), raw.received().contains("405") && raw.received().contains("415")),
                                 kPatience);
        QCOMPARE(m_log->waiting, 0);
    }

    void halfMessages_areBounded()
    {
        ServerLimits limits;
        limits.maxBufferedBytes = 1024 * 1024;
        start(limits);
        // Many messages that begin and never end.
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 10; ++i) {
            clients.push_back(std::make_unique<RawClient>(socketPath()));
            RawClient &raw = *clients.back();
            raw.write(kPreface + frame(kSettings, 0, 0, {}));
            raw.write(frame(kHeaders, kEndHeaders, 1, requestHeaders("/test.Echo/Collect")));
            const QByteArray half = frameMessage(QByteArray(1'000'000, 'x')).first(200'000);
            for (qsizetype at = 0; at < half.size(); at += 16'000)
                raw.write(frame(kData, 0, 1, half.mid(at, 16'000)));
        }
        const auto refused = [&] {
            return std::count_if(clients.begin(), clients.end(), [](const auto &raw) {
                raw->read();
                return raw->hasTrailers();
            });
        };
        QTRY_VERIFY_WITH_TIMEOUT(refused() >= 4, kPatience);
        QVERIFY(refused() < 8);
        clients.clear();
        QVERIFY(othersAreServed()); // and the room is free again
    }

    void tooManyConnections_areRefused_data()
    {
        QTest::addColumn<int>("inAll");
        QTest::addColumn<int>("ofOneUser");
        QTest::newRow("in all") << 5 << 1'000;
        QTest::newRow("of one user") << 1'000 << 5;
    }
    void tooManyConnections_areRefused()
    {
        QFETCH(int, inAll);
        QFETCH(int, ofOneUser);
        ServerLimits limits;
        limits.maxConnections = inAll;
        limits.connectionsPerUser = ofOneUser;
        start(limits);
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 10; ++i)
            clients.push_back(std::make_unique<RawClient>(socketPath()));
        QVERIFY(clients.back()->waitClosed());
        QCOMPARE(m_server->connectionCount(), 5);
        clients.clear();
        QVERIFY(othersAreServed());
    }

    /// Over TLS, without a certificate.
    [[nodiscard]] std::unique_ptr<Channel> stranger() const
    {
        ClientTls tls;
        tls.expectedServer = m_domains.serverId;
        tls.bundles = m_domains.bundles;
        return std::make_unique<Channel>(
            ChannelTarget{u"127.0.0.1:%1"_s.arg(m_port), [tls] { return Result<ClientTls>(tls); }});
    }

    /// A call that never ends keeps no stranger's connection open.
    void stranger_isSentAwayInTheMiddleOfItsCall()
    {
        ServerLimits limits;
        limits.strangerLife = 300ms;
        start(limits);
        const auto channel = stranger();
        std::optional<Status> outcome;
        ClientCall *call = channel->start("/test.Echo/Wait", {}, 60s);
        connect(call, &ClientCall::finished, this, [&](const Status &status) { outcome = status; });
        call->send("x");
        QTRY_VERIFY_WITH_TIMEOUT(outcome.has_value(), kPatience);
        QVERIFY(!outcome->isOk());
        QTRY_COMPARE_WITH_TIMEOUT(m_log->cancelled, 1, kPatience);
        QVERIFY(othersAreServed());
    }

    void strangersOfOneNetwork_areBounded()
    {
        ServerLimits limits;
        limits.strangersPerNetwork = 3;
        start(limits);
        std::vector<std::unique_ptr<QTcpSocket>> waiting; // in the handshake
        for (int i = 0; i < 3; ++i) {
            waiting.push_back(std::make_unique<QTcpSocket>());
            waiting.back()->connectToHost(u"127.0.0.1"_s, m_port);
            QVERIFY(waiting.back()->waitForConnected());
        }
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 4, kPatience); // with the good one
        QTcpSocket fourth;
        fourth.connectToHost(u"127.0.0.1"_s, m_port);
        QTRY_COMPARE_WITH_TIMEOUT(fourth.state(), QAbstractSocket::UnconnectedState, kPatience);
        QCOMPARE(m_server->connectionCount(), 4);
        waiting.clear();
        QVERIFY(othersAreServed());
        // Who shows a certificate is counted no longer.
        std::vector<std::unique_ptr<Channel>> known;
        for (int i = 0; i < 5; ++i) {
            ClientTls tls;
            tls.own = m_domains.svid(m_domains.sensorId);
            tls.expectedServer = m_domains.serverId;
            tls.bundles = m_domains.bundles;
            known.push_back(std::make_unique<Channel>(
                ChannelTarget{u"127.0.0.1:%1"_s.arg(m_port), [tls] { return Result<ClientTls>(tls); }}));
            std::optional<Status> outcome;
            known.back()->unary("/test.Echo/Unary", "x", 15s, this,
                                [&](const Status &status, const QByteArray &) { outcome = status; });
            QTRY_VERIFY_WITH_TIMEOUT(outcome.has_value(), kPatience);
            QVERIFY2(outcome->isOk(), qPrintable(outcome->message));
        }
        const auto late = stranger();
        std::optional<Status> outcome;
        late->unary("/test.Echo/Unary", "x", 15s, this,
                    [&](const Status &status, const QByteArray &) { outcome = status; });
        QTRY_VERIFY_WITH_TIMEOUT(outcome.has_value(), kPatience);
        QVERIFY2(outcome->isOk(), qPrintable(outcome->message));
    }

    void strangersMessages_areShorter()
    {
        ServerLimits limits;
        limits.strangerMessageBytes = 1'000;
        start(limits);
        const auto channel = stranger();
        const auto ask = [&](qsizetype size) {
            std::optional<Status> outcome;
            channel->unary("/test.Echo/Unary", QByteArray(size, 'x'), 15s, this,
                           [&](const Status &status, const QByteArray &) { outcome = status; });
            (void)QTest::qWaitFor([&] { return outcome.has_value(); }, kPatience);
            return outcome.value_or(Status{StatusCode::Unknown, {}, {}});
        };
        QVERIFY(ask(1'000).isOk());
        QCOMPARE(ask(1'001).code, StatusCode::ResourceExhausted);
        std::optional<Status> outcome;
        m_good->unary("/test.Echo/Unary", QByteArray(1'001, 'x'), 15s, this,
                      [&](const Status &status, const QByteArray &) { outcome = status; });
        QTRY_VERIFY_WITH_TIMEOUT(outcome.has_value(), kPatience);
        QVERIFY(outcome->isOk());
    }

    /// Its half messages have less room than those of whoever has shown a certificate.
    void strangersHalfMessages_areBoundedByNetwork()
    {
        ServerLimits limits;
        limits.networkBufferedBytes = 100'000;
        start(limits);
        QProcess client;
        client.start(u"openssl"_s,
                     {u"s_client"_s, u"-quiet"_s, u"-alpn"_s, u"h2"_s, u"-connect"_s, u"127.0.0.1:%1"_s.arg(m_port)});
        QVERIFY(client.waitForStarted());
        const QByteArray half = frameMessage(QByteArray(1'000'000, 'x')).first(150'000);
        client.write(kPreface + frame(kSettings, 0, 0, {}));
        client.write(frame(kHeaders, kEndHeaders, 1, requestHeaders("/test.Echo/Collect")));
        for (qsizetype at = 0; at < half.size(); at += 16'000)
            client.write(frame(kData, 0, 1, half.mid(at, 16'000)));
        QByteArray received;
        QTRY_VERIFY_WITH_TIMEOUT((received += client.readAllStandardOutput(), RawClient::haveTrailers(received)),
                                 kPatience);
        client.kill();
        QVERIFY(client.waitForFinished());
        QVERIFY(othersAreServed());
    }

    void silence_doesNotHoldAHandshake()
    {
        ServerLimits limits;
        limits.handshakeTimeout = 100ms;
        start(limits);
        QTcpSocket silent;
        silent.connectToHost(u"127.0.0.1"_s, m_port);
        QVERIFY(silent.waitForConnected());
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 2, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(silent.state(), QAbstractSocket::UnconnectedState, kPatience);
        QVERIFY(othersAreServed());
    }

    /// It may be whose ID we expect, and still speak another protocol.
    void serverWithoutAlpn_isRefused()
    {
        const X509Svid shown = m_domains.svid(m_domains.serverId);
        QSslConfiguration configuration;
        configuration.setLocalCertificateChain(
            QSslCertificate::fromData(tls::certificatesToPem(shown.chainDer), QSsl::Pem));
        configuration.setPrivateKey(QSslKey(*tls::privateKeyToPem(*shown.key), QSsl::Ec));
        configuration.setProtocol(QSsl::TlsV1_3OrLater);
        configuration.setPeerVerifyMode(QSslSocket::VerifyNone);
        QSslServer server;
        server.setSslConfiguration(configuration);
        QVERIFY(server.listen(QHostAddress::LocalHost));
        const ClientTls tls{{}, m_domains.serverId, m_domains.bundles, {}};
        Channel channel({u"127.0.0.1:%1"_s.arg(server.serverPort()), [tls] { return Result<ClientTls>(tls); }});
        std::optional<Status> status;
        channel.unary("/test.Echo/Who", {}, 15s, &channel,
                      [&status](const Status &ended, const QByteArray &) { status = ended; });
        QTRY_VERIFY_WITH_TIMEOUT(status.has_value(), 20'000);
        QCOMPARE(status->code, StatusCode::Unavailable);
        QVERIFY2(status->message.contains("ALPN h2"_L1), qPrintable(status->message));
    }

    void clearTextAndOldTls_areRefusedOnTcp()
    {
        QTcpSocket plain;
        plain.connectToHost(u"127.0.0.1"_s, m_port);
        plain.write(kPreface + frame(kSettings, 0, 0, {}));
        QTRY_COMPARE_WITH_TIMEOUT(plain.state(), QAbstractSocket::UnconnectedState, kPatience);
        QVERIFY(!plain.readAll().contains(frame(kSettings, 1, 0, {})));

        const auto handshake = [this](const QStringList &arguments) {
            QProcess client;
            client.setProcessChannelMode(QProcess::MergedChannels);
            client.start(u"openssl"_s,
                         QStringList{u"s_client"_s, u"-connect"_s, u"127.0.0.1:%1"_s.arg(m_port)} + arguments);
            client.closeWriteChannel();
            (void)QTest::qWaitFor([&] { return client.state() == QProcess::NotRunning; }, kPatience);
            return QString::fromUtf8(client.readAll());
        };
        const QString old = handshake({u"-tls1_2"_s, u"-alpn"_s, u"h2"_s});
        QVERIFY2(old.contains("protocol version"_L1), qPrintable(old));
        const QString noAlpn = handshake({u"-tls1_3"_s, u"-alpn"_s, u"http/1.1"_s});
        QVERIFY2(noAlpn.contains("no application protocol"_L1), qPrintable(noAlpn));
        const QString good = handshake({u"-tls1_3"_s, u"-alpn"_s, u"h2"_s});
        QVERIFY2(good.contains("ALPN protocol: h2"_L1), qPrintable(good));
        QVERIFY2(!good.contains("Post-Handshake New Session Ticket"_L1), qPrintable(good));
        QVERIFY(othersAreServed());
    }

    /// As servers do that measure the connection while they answer.
    void pingsOfABusyServer_areNoFlood()
    {
        constexpr int kCalls = 4'000; // more than a client forgives an idle server
        const QString path = m_dir->filePath(u"raw.sock"_s);
        const RawServer raw(path, 2, 0);
        QVERIFY(raw.isListening());
        Channel channel({u"unix:"_s + path, {}});
        int good = 0;
        int bad = 0;
        std::function<void()> next = [&] {
            channel.unary("/test.Echo/Unary", "x", 60s, &channel, [&](const Status &status, const QByteArray &) {
                ++(status.isOk() ? good : bad);
                if (good + bad < kCalls)
                    next();
            });
        };
        next();
        QTRY_COMPARE_WITH_TIMEOUT(good + bad, kCalls, 120'000);
        QCOMPARE(bad, 0);
        QCOMPARE(raw.connections(), 1);
    }

    void floodOfAServer_endsItsCallsAndTheNextGetsAnotherConnection()
    {
        const QString path = m_dir->filePath(u"raw.sock"_s);
        const RawServer raw(path, 0, 3'000);
        QVERIFY(raw.isListening());
        Channel channel({u"unix:"_s + path, {}});
        QList<Status> ended;
        // The second begins where the first has failed: the connection is no good for it any more.
        channel.unary("/test.Echo/Unary", "x", 60s, &channel, [&](const Status &status, const QByteArray &) {
            ended.append(status);
            channel.unary("/test.Echo/Unary", "x", 60s, &channel,
                          [&](const Status &again, const QByteArray &) { ended.append(again); });
        });
        QTRY_COMPARE_WITH_TIMEOUT(ended.size(), 2, kPatience);
        QCOMPARE(ended.first().code, StatusCode::Unavailable);
        QVERIFY2(ended.last().isOk(), qPrintable(ended.last().message));
        QCOMPARE(raw.connections(), 2);
    }
};

QTEST_GUILESS_MAIN(TestGrpcAbuse)
#include "tst_grpc_abuse.moc"

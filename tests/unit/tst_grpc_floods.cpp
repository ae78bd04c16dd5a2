// Callers that open much and send little: what it costs the server is counted, and ends.
#include "fakes/grpc_pair.h"
#include "fakes/raw_http2.h"
#include "grpc/wire.h"

#include <QProcess>
#include <QTemporaryDir>

#include <algorithm>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::grpc;
using namespace lintel::test;

namespace {

constexpr int kPatience = 20'000;
constexpr quint32 kRefusedStream = 7;

struct Frame {
    quint8 type = 0;
    quint8 flags = 0;
    quint32 stream = 0;
    QByteArray payload;
};

QList<Frame> framesIn(const QByteArray &received)
{
    QList<Frame> frames;
    for (qsizetype at = 0; at + 9 <= received.size();) {
        const auto *head = reinterpret_cast<const uchar *>(received.constData() + at);
        const qsizetype size = (head[0] << 16) | (head[1] << 8) | head[2];
        frames.append({head[3], head[4], qFromBigEndian<quint32>(head + 5), received.mid(at + 9, size)});
        at += 9 + size;
    }
    return frames;
}

qsizetype refusedStreams(const QByteArray &received)
{
    const QList<Frame> frames = framesIn(received);
    return std::count_if(frames.cbegin(), frames.cend(), [](const Frame &one) {
        return one.type == kReset && qFromBigEndian<quint32>(one.payload.constData()) == kRefusedStream;
    });
}

/// Streams that were answered to their end.
qsizetype endedStreams(const QByteArray &received)
{
    const QList<Frame> frames = framesIn(received);
    return std::count_if(frames.cbegin(), frames.cend(),
                         [](const Frame &one) { return one.type == kHeaders && (one.flags & kEndStream); });
}

bool hasEnded(const QByteArray &received, quint32 stream)
{
    const QList<Frame> frames = framesIn(received);
    return std::any_of(frames.cbegin(), frames.cend(), [stream](const Frame &one) {
        return one.type == kHeaders && (one.flags & kEndStream) && one.stream == stream;
    });
}

/// HEADERS of so many calls and nothing else.
QByteArray opened(int calls, const QByteArray &path)
{
    QByteArray bytes = kPreface + frame(kSettings, 0, 0, {});
    for (int i = 0; i < calls; ++i)
        bytes += frame(kHeaders, kEndHeaders, quint32(2 * i + 1), requestHeaders(path));
    return bytes;
}

} // namespace

class TestGrpcFloods : public QObject
{
    Q_OBJECT

    TwoDomains m_domains;
    std::unique_ptr<Server> m_server;
    std::shared_ptr<EchoLog> m_log;
    std::unique_ptr<QTemporaryDir> m_dir;
    quint16 m_port = 0;

    QString socketPath() const { return m_dir->filePath(u"api.sock"_s); }

    void start(const ServerLimits &limits = {})
    {
        m_server = std::make_unique<Server>(limits);
        m_log = serveEcho(*m_server);
        QVERIFY(m_server->listenUnix(socketPath(), 0600));
        m_port = *m_server->listenTcp(u"127.0.0.1"_s, 0, [this] {
            return Result<ServerTls>(ServerTls{m_domains.svid(m_domains.serverId), m_domains.bundles, {}});
        });
    }
    std::unique_ptr<Channel> overTls(const std::optional<X509Svid> &own) const
    {
        ClientTls tls;
        tls.own = own;
        tls.expectedServer = m_domains.serverId;
        tls.bundles = m_domains.bundles;
        return std::make_unique<Channel>(
            ChannelTarget{u"127.0.0.1:%1"_s.arg(m_port), [tls] { return Result<ClientTls>(tls); }});
    }
    Status outcomeOf(Channel &channel, const QByteArray &path, const QByteArray &message, const Metadata &metadata = {},
                     QByteArray *answer = nullptr)
    {
        std::optional<Status> outcome;
        auto *call = channel.start(path, metadata, 15s);
        connect(call, &ClientCall::finished, this, [&](const Status &status) { outcome = status; });
        connect(call, &ClientCall::messageReceived, this, [&](const QByteArray &bytes) {
            if (answer)
                *answer = bytes;
        });
        call->send(message);
        call->closeSending();
        (void)QTest::qWaitFor([&] { return outcome.has_value(); }, kPatience);
        return outcome.value_or(Status{StatusCode::Unknown, u"no end"_s, {}});
    }

private Q_SLOTS:
    void init() { m_dir = std::make_unique<QTemporaryDir>(); }
    void cleanup() { m_server.reset(); }

    void callsWithoutMessages_areAccountedFor_data()
    {
        QTest::addColumn<int>("inAll");
        QTest::addColumn<int>("ofOneUser");
        QTest::newRow("in all") << 16 * 1024 << 1024 * 1024;
        QTest::newRow("of one user") << 1024 * 1024 << 16 * 1024;
    }
    void callsWithoutMessages_areAccountedFor()
    {
        QFETCH(int, inAll);
        QFETCH(int, ofOneUser);
        ServerLimits limits;
        limits.maxBufferedBytes = inAll;
        limits.userBufferedBytes = ofOneUser;
        start(limits);
        auto raw = std::make_unique<RawClient>(socketPath());
        raw->write(opened(12, "/test.Echo/Wait"));
        QTRY_COMPARE_WITH_TIMEOUT((raw->read(), endedStreams(raw->received())), 4, kPatience);
        QCOMPARE(m_log->waiting, 8); // of 2 KiB each
        raw.reset();
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 0, kPatience);
        Channel channel({u"unix:"_s + socketPath(), {}});
        const Status outcome = outcomeOf(channel, "/test.Echo/Unary", "x"); // the room is free again
        QVERIFY2(outcome.isOk(), qPrintable(outcome.message));
    }

    void metadataOfACall_isAccountedFor()
    {
        ServerLimits limits;
        limits.maxBufferedBytes = 6 * 1024;
        start(limits);
        Channel channel({u"unix:"_s + socketPath(), {}});
        QVERIFY(outcomeOf(channel, "/test.Echo/Unary", "x", {{"x-suffix", QByteArray(1'000, 'y')}}).isOk());
        QCOMPARE(outcomeOf(channel, "/test.Echo/Unary", "x", {{"x-suffix", QByteArray(5'000, 'y')}}).code,
                 StatusCode::ResourceExhausted);
        // What is dropped costs nothing.
        QVERIFY(outcomeOf(channel, "/test.Echo/Unary", "x", {{"x-other", QByteArray(5'000, 'y')}}).isOk());
    }

    void metadata_thatNobodyAsksForIsDropped()
    {
        start();
        QByteArray kept;
        QByteArray dropped;
        m_server->setGuard([&](const ServerCall &call) {
            kept = call.metadata("x-suffix");
            dropped = call.metadata("x-other");
            return Status{};
        });
        Channel channel({u"unix:"_s + socketPath(), {}});
        QVERIFY(outcomeOf(channel, "/test.Echo/Unary", "x", {{"x-suffix", "a"}, {"x-other", "b"}}).isOk());
        QCOMPARE(kept, "a");
        QCOMPARE(dropped, "");
    }

    void pathWithoutEnd_isNoMethod()
    {
        start();
        m_server->handleUnary("/" + QByteArray(1'000, 'p'), [](const QByteArray &, const ServerCall &) {
            return UnaryReply{{}, {}};
        });
        Channel channel({u"unix:"_s + socketPath(), {}});
        const Status outcome = outcomeOf(channel, "/" + QByteArray(10'000, 'p'), "x");
        QCOMPARE(outcome.code, StatusCode::Unimplemented);
        QVERIFY(outcome.message.size() < 600);
    }

    void callWithoutItsRequest_ends_data()
    {
        QTest::addColumn<QByteArray>("path");
        QTest::addColumn<QByteArray>("message");
        QTest::addColumn<bool>("ends");
        const QByteArray whole = frameMessage("x");
        QTest::newRow("unary, nothing") << QByteArray("/test.Echo/Unary") << QByteArray() << true;
        QTest::newRow("unary, half of a message") << QByteArray("/test.Echo/Unary") << whole.first(3) << true;
        QTest::newRow("unary, never ended") << QByteArray("/test.Echo/Unary") << whole << true;
        QTest::newRow("stream, nothing") << QByteArray("/test.Echo/Wait") << QByteArray() << true;
        QTest::newRow("stream, half of a message") << QByteArray("/test.Echo/Wait") << whole.first(3) << true;
        QTest::newRow("stream, a message") << QByteArray("/test.Echo/Wait") << whole << false;
    }
    void callWithoutItsRequest_ends()
    {
        QFETCH(QByteArray, path);
        QFETCH(QByteArray, message);
        QFETCH(bool, ends);
        ServerLimits limits;
        limits.firstMessageTimeout = 50ms;
        start(limits);
        RawClient raw(socketPath());
        raw.write(opened(1, path));
        if (!message.isEmpty())
            raw.write(frame(kData, 0, 1, message));
        // Calls beside it that nobody ends, to see that the time has passed: one byte makes it that of a slow one.
        const auto besides = [&](quint32 stream) {
            raw.write(frame(kHeaders, kEndHeaders, stream, requestHeaders("/test.Echo/Unary"))
                      + frame(kData, 0, stream, QByteArray(1, '\0')));
            QTRY_VERIFY_WITH_TIMEOUT((raw.read(), hasEnded(raw.received(), stream)), kPatience);
        };
        besides(3);
        besides(5); // begun when the time of the others was over
        QTRY_COMPARE_WITH_TIMEOUT((raw.read(), hasEnded(raw.received(), 1)), ends, kPatience);
        if (path.endsWith("Wait"))
            QTRY_COMPARE_WITH_TIMEOUT(m_log->cancelled, ends ? 1 : 0, kPatience);
        // And their streams are closed, so that others take their places.
        const QList<Frame> frames = framesIn(raw.received());
        const auto resets = std::count_if(frames.cbegin(), frames.cend(), [](const Frame &one) {
            return one.type == kReset && qFromBigEndian<quint32>(one.payload.constData()) == 0;
        });
        QCOMPARE(resets, ends ? 3 : 2);
    }

    /// WatchDenyList does not wait for what its callers need not say.
    void streamThatWasAnswered_mayStaySilent()
    {
        ServerLimits limits;
        limits.firstMessageTimeout = 50ms;
        start(limits);
        m_server->handleStream("/test.Echo/Push", [](const std::shared_ptr<ServerCall> &call) { call->send("news"); });
        RawClient raw(socketPath());
        raw.write(opened(1, "/test.Echo/Push"));
        raw.write(frame(kHeaders, kEndHeaders, 3, requestHeaders("/test.Echo/Unary")));
        QTRY_COMPARE_WITH_TIMEOUT((raw.read(), endedStreams(raw.received())), 1, kPatience);
        QTest::qWait(200);
        raw.read();
        QCOMPARE(endedStreams(raw.received()), 1);
    }

    void messageThatHasBegun_hasMoreTime()
    {
        ServerLimits limits;
        limits.firstMessageTimeout = 2s;
        start(limits);
        RawClient raw(socketPath());
        raw.write(opened(1, "/test.Echo/Unary"));
        raw.write(frame(kData, 0, 1, frameMessage("x").first(3)));
        raw.write(frame(kHeaders, kEndHeaders, 3, requestHeaders("/test.Echo/Unary")));
        QTRY_COMPARE_WITH_TIMEOUT((raw.read(), endedStreams(raw.received())), 1, kPatience);
        raw.write(frame(kData, kEndStream, 1, frameMessage("x").sliced(3)));
        QTRY_COMPARE_WITH_TIMEOUT((raw.read(), endedStreams(raw.received())), 2, kPatience);
        const QList<Frame> frames = framesIn(raw.received());
        QVERIFY(std::any_of(frames.cbegin(), frames.cend(), [](const Frame &one) {
            return one.type == kData && one.stream == 1 && one.payload == frameMessage("x");
        }));
    }

    void streamsOfALocalUser_areBounded()
    {
        start();
        RawClient raw(socketPath());
        raw.write(opened(20, "/test.Echo/Wait"));
        QTRY_COMPARE_WITH_TIMEOUT((raw.read(), refusedStreams(raw.received())), 4, kPatience);
        QCOMPARE(m_log->waiting, 16);
    }

    void streamsOfAStranger_areBounded()
    {
        start();
        QProcess client;
        client.start(u"openssl"_s,
                     {u"s_client"_s, u"-quiet"_s, u"-alpn"_s, u"h2"_s, u"-connect"_s, u"127.0.0.1:%1"_s.arg(m_port)});
        QVERIFY(client.waitForStarted());
        client.write(opened(10, "/test.Echo/Wait"));
        QByteArray received;
        const auto refused = [&] {
            received += client.readAllStandardOutput();
            return refusedStreams(received);
        };
        QTRY_COMPARE_WITH_TIMEOUT(refused(), 6, kPatience);
        QCOMPARE(m_log->waiting, 4);
        client.kill();
        QVERIFY(client.waitForFinished());
    }

    void connectionsOfOnePeer_areBounded()
    {
        ServerLimits limits;
        limits.connectionsPerPeer = 3;
        start(limits);
        const auto ended = std::make_shared<QList<int>>();
        std::vector<std::unique_ptr<Channel>> channels;
        const auto connectAnother = [&](bool isBusy) {
            const int number = int(channels.size());
            channels.push_back(overTls(m_domains.svid(m_domains.sensorId)));
            QVERIFY(outcomeOf(*channels.back(), "/test.Echo/Unary", "x").isOk());
            if (!isBusy)
                return;
            const int before = m_log->waiting;
            ClientCall *call = channels.back()->start("/test.Echo/Wait", {}, 60s);
            connect(call, &ClientCall::finished, this, [ended, number] { ended->append(number); });
            call->send("x");
            QTRY_COMPARE_WITH_TIMEOUT(m_log->waiting, before + 1, kPatience);
        };
        connectAnother(true);
        connectAnother(false);
        connectAnother(false);
        connectAnother(true); // instead of the second, which was idle
        connectAnother(true); // instead of the third
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 3, kPatience);
        QCOMPARE(*ended, QList<int>());
        connectAnother(false); // all are busy: the oldest goes, and nobody is locked out
        QTRY_COMPARE_WITH_TIMEOUT(*ended, QList<int>{0}, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 3, kPatience);
        // Others have places of their own, and who has left makes room.
        const auto other = overTls(m_domains.svid(m_domains.serverId));
        QVERIFY(outcomeOf(*other, "/test.Echo/Unary", "x").isOk());
        QCOMPARE(m_server->connectionCount(), 4);
        channels.clear();
        QTRY_COMPARE_WITH_TIMEOUT(m_server->connectionCount(), 1, kPatience);
        ended->clear();
        connectAnother(true);
        connectAnother(true);
        connectAnother(true);
        QCOMPARE(*ended, QList<int>());
    }

    void streamsOfAKnownPeer_areMore()
    {
        start();
        const auto known = overTls(m_domains.svid(m_domains.sensorId));
        for (int i = 0; i < 30; ++i)
            known->start("/test.Echo/Wait", {}, 60s)->send("x");
        QTRY_COMPARE_WITH_TIMEOUT(m_log->waiting, 30, kPatience);
    }
};

QTEST_GUILESS_MAIN(TestGrpcFloods)
#include "tst_grpc_floods.moc"

// Streams that are opened and reset in a hurry ("rapid reset"), by either side: our own bound, which is half of nghttp2's
// for servers and the only one for clients and with an nghttp2 before 1.57, and what it leaves to honest peers.
#include "fakes/grpc_pair.h"
#include "fakes/raw_http2.h"

#include <QLocalServer>
#include <QLocalSocket>
#include <QTemporaryDir>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::grpc;
using namespace lintel::test;

namespace {
constexpr int kPatience = 20'000;
constexpr int kEnhanceYourCalm = 0xb; // RFC 9113 section 7
constexpr quint32 kBurst = 500;       // of ours; nghttp2's is 1,000

const QByteArray kNoError(4, '\0');
} // namespace

class TestGrpcResets : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init()
    {
        m_dir = std::make_unique<QTemporaryDir>();
        m_server = std::make_unique<Server>();
        m_log = serveEcho(*m_server);
        QVERIFY(m_server->listenUnix(path(u"server"_s), 0600));
    }
    void cleanup() { m_server.reset(); }

    void ofAClient_inABurstEndItsConnectionInWords()
    {
        RawClient raw(path(u"server"_s));
        raw.write(kPreface + frame(kSettings, 0, 0, {}));
        const QByteArray headers = requestHeaders("/test.Echo/Wait");
        for (quint32 i = 0; i < kBurst + 300; ++i)
            raw.write(frame(kHeaders, kEndHeaders, 2 * i + 1, headers) + frame(kReset, 0, 2 * i + 1, kNoError));
        QVERIFY(raw.waitClosed());
        QCOMPARE(raw.goAwayError(), kEnhanceYourCalm);
    }

    /// Whoever resets what the server has answered by then costs nothing.
    void ofAClient_afterTheAnswerAreNoBurst()
    {
        RawClient raw(path(u"server"_s));
        raw.write(kPreface + frame(kSettings, 0, 0, {}));
        const QByteArray headers = requestHeaders("/test.Echo/Unary", {}, "GET"); // answered at once: 405
        constexpr quint32 kAtOnce = 10;
        for (quint32 first = 0; first < kBurst + 300; first += kAtOnce) {
            for (quint32 i = first; i < first + kAtOnce; ++i)
                raw.write(frame(kHeaders, kEndHeaders, 2 * i + 1, headers));
            const qsizetype answers = qsizetype(first) + kAtOnce;
            QTRY_VERIFY_WITH_TIMEOUT((raw.read(), raw.received().count("405") >= answers), kPatience);
            for (quint32 i = first; i < first + kAtOnce; ++i)
                raw.write(frame(kReset, 0, 2 * i + 1, kNoError));
        }
        raw.write(frame(kPing, 0, 0, "the ping"));
        QTRY_VERIFY_WITH_TIMEOUT((raw.read(), raw.received().contains("the ping")), kPatience);
        QCOMPARE(raw.goAwayError(), -1);
    }

    /// nghttp2 counts those of clients only.
    void ofAServer_inABurstEndItsConnection()
    {
        QLocalServer server;
        QVERIFY(server.listen(path(u"raw"_s)));
        QByteArray received;
        bool hasEnded = false;
        connect(&server, &QLocalServer::newConnection, &server, [&] {
            QLocalSocket *socket = server.nextPendingConnection();
            socket->write(frame(kSettings, 0, 0, {}));
            connect(socket, &QLocalSocket::disconnected, &server, [&] { hasEnded = true; });
            connect(socket, &QLocalSocket::readyRead, socket, [&received, socket] {
                const bool isFirst = received.isEmpty();
                received += socket->readAll();
                if (isFirst)
                    socket->write(frame(kReset, 0, 1, kNoError).repeated(kBurst + 300));
            });
        });
        Channel channel({u"unix:"_s + path(u"raw"_s), {}});
        std::optional<Status> outcome;
        channel.unary("/test.Echo/Unary", "x", 15s, &channel,
                      [&](const Status &status, const QByteArray &) { outcome = status; });
        QTRY_VERIFY_WITH_TIMEOUT(outcome.has_value(), kPatience);
        QVERIFY(!outcome->isOk());
        QTRY_VERIFY_WITH_TIMEOUT(hasEnded, kPatience);
        QByteArray calm(4, '\0');
        qToBigEndian(quint32(kEnhanceYourCalm), calm.data());
        QVERIFY(received.contains(calm)); // of the GOAWAY
    }

private:
    [[nodiscard]] QString path(const QString &name) const { return m_dir->filePath(name); }

    std::unique_ptr<QTemporaryDir> m_dir;
    std::unique_ptr<Server> m_server;
    std::shared_ptr<EchoLog> m_log;
};

QTEST_GUILESS_MAIN(TestGrpcResets)
#include "tst_grpc_resets.moc"

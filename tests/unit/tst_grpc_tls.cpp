// Who gets in: every wrong identity at either end of our TLS is refused, and both sides learn why.
#include "fakes/grpc_pair.h"
#include "fakes/odd_certificate.h"

#include <QSignalSpy>
#include <QTemporaryDir>

using namespace std::chrono_literals;
using namespace lintel;
using namespace lintel::grpc;
using namespace lintel::test;

namespace {

constexpr int kPatience = 20'000;

} // namespace

class TestGrpcTls : public QObject
{
    Q_OBJECT

    TwoDomains m_domains;
    std::unique_ptr<Server> m_server;
    std::unique_ptr<QSignalSpy> m_notices;
    Result<ServerTls> m_serverTls = Error{};
    quint16 m_port = 0;

    ClientTls clientTls() const
    {
        return {m_domains.svid(m_domains.sensorId), m_domains.serverId, m_domains.bundles, {}};
    }

    struct Outcome {
        Status status;
        QByteArray message;
    };
    Outcome ask(Channel &channel, const QByteArray &method = "Who", const QByteArray &request = {}) const
    {
        std::optional<Outcome> outcome;
        channel.unary("/test.Echo/" + method, request, 15s, &channel,
                      [&](const Status &status, const QByteArray &message) {
                          outcome = Outcome{status, message};
                      });
        if (!QTest::qWaitFor([&] { return outcome.has_value(); }, kPatience))
            return {{StatusCode::Unknown, u"no answer"_s, {}}, {}};
        return *outcome;
    }
    Outcome askWith(const Result<ClientTls> &tls) const
    {
        Channel channel({u"127.0.0.1:%1"_s.arg(m_port), [tls] { return tls; }});
        return ask(channel);
    }
    QString lastNotice() const
    {
        return m_notices->isEmpty() ? QString() : m_notices->last().first().value<Error>().message;
    }

private Q_SLOTS:
    void init()
    {
        m_server = std::make_unique<Server>();
        serveEcho(*m_server);
        m_notices = std::make_unique<QSignalSpy>(m_server.get(), &Server::noticed);
        m_serverTls = ServerTls{m_domains.svid(m_domains.serverId), m_domains.bundles, {}};
        m_port = *m_server->listenTcp(u"127.0.0.1"_s, 0, [this] { return m_serverTls; });
    }

    void clientWithoutCertificate_isServedAsNobody()
    {
        ClientTls tls = clientTls();
        tls.own.reset();
        const Outcome outcome = askWith(tls);
        QVERIFY2(outcome.status.isOk(), qPrintable(outcome.status.message));
        QCOMPARE(outcome.message, QByteArray("nobody"));
    }

    void foreignClient_isRefused()
    {
        ClientTls tls = clientTls();
        tls.own = m_domains.foreignSvid();
        const Outcome outcome = askWith(tls);
        QCOMPARE(outcome.status.code, StatusCode::Unavailable);
        QVERIFY2(outcome.status.message.contains("bad certificate"_L1), qPrintable(outcome.status.message));
        QTRY_VERIFY2(lastNotice().contains("no trust bundle for elsewhere.example"_L1), qPrintable(lastNotice()));
    }

    void foreignClientWhoseDomainIsTrusted_isServed()
    {
        m_serverTls->bundles.insert(m_domains.stranger.domain(), {m_domains.stranger.rootDer()});
        ClientTls tls = clientTls();
        tls.own = m_domains.foreignSvid();
        const Outcome outcome = askWith(tls);
        QCOMPARE(outcome.message, QByteArray("spiffe://elsewhere.example/agent/hvac-001"));
    }

    void clientOfADomainSignedByAnotherRoot_isRefused()
    {
        // The bundles are both there, but each counts for its own domain only.
        m_serverTls->bundles.insert(m_domains.stranger.domain(), {m_domains.building.rootDer()});
        ClientTls tls = clientTls();
        tls.own = m_domains.foreignSvid();
        QCOMPARE(askWith(tls).status.code, StatusCode::Unavailable);
    }

    void expiredClient_isRefused()
    {
        ClientTls tls = clientTls();
        tls.own = m_domains.svid(m_domains.sensorId, m_domains.now - 2h);
        const Outcome outcome = askWith(tls);
        QCOMPARE(outcome.status.code, StatusCode::Unavailable);
        QVERIFY2(outcome.status.message.contains("certificate expired"_L1), qPrintable(outcome.status.message));
    }

    void rootUsedAsClient_isRefused()
    {
        // A chain whose leaf is the authority itself; it has no path.
        ClientTls tls = clientTls();
        tls.own->chainDer = {m_domains.building.rootDer()};
        QVERIFY(!askWith(tls).status.isOk()); // the key is not its own, so not even our end shows it
    }

    void wrongServerId_isRefused()
    {
        m_serverTls->own = m_domains.svid(m_domains.sensorId);
        const Outcome outcome = askWith(clientTls());
        QCOMPARE(outcome.status.code, StatusCode::Unavailable);
        QVERIFY2(outcome.status.message.contains("spire/server was expected"_L1), qPrintable(outcome.status.message));
    }

    /// Its extended key usage says for which end a certificate is (X509-SVID.md section 4.4).
    void certificateForTheOtherEnd_isRefused()
    {
        const MadeCertificate root = makeCertificate(rootOf("building-1.smart.local"));
        const TrustBundles bundles{{m_domains.building.domain(), {root.der}}};
        const auto svidFor = [&root](const SpiffeId &id, const QByteArray &purpose) {
            OddCertificate wanted;
            wanted.uris = {id.toString().toLatin1()};
            wanted.extendedKeyUsage = purpose;
            const MadeCertificate made = makeCertificate(wanted, &root);
            return *tls::makeSvid({made.der}, made.key);
        };
        ClientTls client = clientTls();
        client.bundles = bundles;
        client.own = svidFor(m_domains.sensorId, "clientAuth");
        m_serverTls = ServerTls{svidFor(m_domains.serverId, "serverAuth"), bundles, {}};
        const Outcome right = askWith(client);
        QVERIFY2(right.status.isOk(), qPrintable(right.status.message));

        m_serverTls->own = svidFor(m_domains.serverId, "clientAuth");
        const Outcome server = askWith(client);
        QCOMPARE(server.status.code, StatusCode::Unavailable);
        QVERIFY2(server.status.message.contains("purpose"_L1), qPrintable(server.status.message));
        m_serverTls->own = svidFor(m_domains.serverId, "serverAuth");
        client.own = svidFor(m_domains.sensorId, "serverAuth");
        QCOMPARE(askWith(client).status.code, StatusCode::Unavailable);
        QTRY_VERIFY2(lastNotice().contains("purpose"_L1), qPrintable(lastNotice()));
    }

    /// A stranger must not make us parse whatever it likes.
    void chainWithoutEnd_isRefused()
    {
        ClientTls client = clientTls();
        const qsizetype few = 3;
        while (client.own->chainDer.size() < few)
            client.own->chainDer.append(m_domains.building.rootDer());
        const Outcome whole = askWith(client);
        QVERIFY2(whole.status.isOk(), qPrintable(whole.status.message));
        qsizetype bytes = 0;
        while (bytes < 40 * 1024) {
            client.own->chainDer.append(m_domains.building.rootDer());
            bytes += m_domains.building.rootDer().size();
        }
        QCOMPARE(askWith(client).status.code, StatusCode::Unavailable);
    }

    void serverOfAnUnknownDomain_isRefused()
    {
        m_serverTls->own = m_domains.foreignSvid();
        QCOMPARE(askWith(clientTls()).status.code, StatusCode::Unavailable);
        ClientTls wanted = clientTls();
        wanted.expectedServer = m_domains.foreignSvid().id;
        const Outcome outcome = askWith(wanted);
        QVERIFY2(outcome.status.message.contains("no trust bundle"_L1), qPrintable(outcome.status.message));
    }

    void expiredServer_isRefused()
    {
        m_serverTls->own = m_domains.svid(m_domains.serverId, m_domains.now - 2h);
        const Outcome outcome = askWith(clientTls());
        QCOMPARE(outcome.status.code, StatusCode::Unavailable);
        QVERIFY2(outcome.status.message.contains("expired"_L1), qPrintable(outcome.status.message));
    }

    void verifyAt_takesTheCallersClock()
    {
        m_serverTls->own = m_domains.svid(m_domains.serverId, m_domains.now - 2h);
        ClientTls tls = clientTls();
        tls.verifyAt = m_domains.now - 90min;
        const Outcome outcome = askWith(tls);
        QVERIFY2(outcome.status.isOk(), qPrintable(outcome.status.message));
    }

    /// A board without a clock believes that it is as late as the authority's own certificate says.
    void mayBeBehind_takesAServerOfTheFuture()
    {
        ClientTls tls = clientTls();
        tls.verifyAt = m_domains.now - 20h;
        QVERIFY(!askWith(tls).status.isOk());
        tls.mayBeBehindBy = 24h;
        const Outcome outcome = askWith(tls);
        QVERIFY2(outcome.status.isOk(), qPrintable(outcome.status.message));
        tls.mayBeBehindBy = 15min; // a clock that is right within reason
        QVERIFY(!askWith(tls).status.isOk());
    }
    void mayBeBehind_takesNoServerOfThePast()
    {
        m_serverTls->own = m_domains.svid(m_domains.serverId, m_domains.now - 2h);
        ClientTls tls = clientTls();
        tls.verifyAt = m_domains.now;
        tls.mayBeBehindBy = 24h;
        const Outcome outcome = askWith(tls);
        QVERIFY2(outcome.status.message.contains("expired"_L1), qPrintable(outcome.status.message));
    }

    void noExpectation_isRefused()
    {
        ClientTls tls = clientTls();
        tls.expectedServer = {};
        QVERIFY(!askWith(tls).status.isOk());
    }

    void noIdentity_saysWhatIsMissing()
    {
        const Outcome outcome = askWith(Error{Errc::NotFound, u"There is no SVID yet."_s});
        QCOMPARE(outcome.status.code, StatusCode::Unavailable);
        QVERIFY(outcome.status.message.contains("There is no SVID yet."_L1));
        m_serverTls = Error{Errc::NotFound, u"The authority has no certificate yet."_s};
        QCOMPARE(askWith(clientTls()).status.code, StatusCode::Unavailable);
        QTRY_VERIFY(lastNotice().contains("The authority has no certificate yet."_L1));
        QCOMPARE(m_server->connectionCount(), 0);
    }

    void rotation_needsNoRestart()
    {
        Channel channel({u"127.0.0.1:%1"_s.arg(m_port), [this] { return Result<ClientTls>(clientTls()); }});
        QVERIFY(ask(channel).status.isOk());
        const QByteArray before = channel.serverCertificate();
        m_serverTls->own = m_domains.svid(m_domains.serverId);
        channel.reset();
        QVERIFY(ask(channel).status.isOk());
        QVERIFY(channel.serverCertificate() != before);
        QCOMPARE(channel.serverCertificate(), m_serverTls->own.chainDer.first());
    }

    void exporter_isEqualAtBothEndsAndDiffersElsewhere()
    {
        const QByteArray label = "EXPORTER-Lintel-Node-Attestation";
        Channel one({u"127.0.0.1:%1"_s.arg(m_port), [this] { return Result<ClientTls>(clientTls()); }});
        Channel other({u"127.0.0.1:%1"_s.arg(m_port), [this] { return Result<ClientTls>(clientTls()); }});
        QVERIFY(!one.exportKeyingMaterial(label, 32)); // no connection yet
        const Outcome theirs = ask(one, "Export", label);
        const auto ours = one.exportKeyingMaterial(label, 32);
        QVERIFY(ours);
        QCOMPARE(*ours, theirs.message);
        QCOMPARE(ours->size(), 32);
        QVERIFY(*one.exportKeyingMaterial("EXPORTER-other", 32) != *ours);
        QVERIFY(ask(other, "Export", label).message != theirs.message);
    }
};

QTEST_GUILESS_MAIN(TestGrpcTls)
#include "tst_grpc_tls.moc"

// The client of bundle endpoints: redirects, how often it asks, and what it verifies the next connection
// with (SPIFFE_Federation.md sections 4.1, 5.2.1.4 and 5.2.2.4).
#include "authority/federation_client.h"
#include "fakes/live_authority.h"
#include "fakes/workload_host.h"

#include <QElapsedTimer>
#include <QScopeGuard>
#include <QSslCertificate>
#include <QSslConfiguration>
#include <QSslKey>
#include <QSslServer>
#include <QSslSocket>
#include <QTest>

using namespace lintel;
using namespace lintel::test;
using namespace std::chrono_literals;

namespace {

constexpr int kPatience = 30'000;

/// Answers every request with what the test says, and shows the certificate that it gives.
struct Endpoint {
    QSslServer server;
    QByteArray answer;
    int asked = 0;

    explicit Endpoint(const X509Svid &shown)
    {
        QSslConfiguration configuration;
        configuration.setLocalCertificateChain(
            QSslCertificate::fromData(tls::certificatesToPem(shown.chainDer), QSsl::Pem));
        configuration.setPrivateKey(QSslKey(*tls::privateKeyToPem(*shown.key), QSsl::Ec));
        configuration.setProtocol(QSsl::TlsV1_3OrLater);
        configuration.setPeerVerifyMode(QSslSocket::VerifyNone);
        server.setSslConfiguration(configuration);
        QObject::connect(&server, &QTcpServer::pendingConnectionAvailable, &server, [this] {
            while (QTcpSocket *socket = server.nextPendingConnection())
                QObject::connect(socket, &QTcpSocket::readyRead, socket, [this, socket] {
                    if (!socket->peek(64 * 1024).contains("\r\n\r\n"))
                        return;
                    (void)socket->readAll();
                    ++asked;
                    socket->write(answer);
                    socket->disconnectFromHost();
                });
        });
        (void)server.listen(QHostAddress::LocalHost);
    }
    [[nodiscard]] QString url(const QString &host = u"127.0.0.1"_s, const QString &path = u"/"_s) const
    {
        return u"https://%1:%2%3"_s.arg(host).arg(server.serverPort()).arg(path);
    }
    void serve(const tls::BundleDocument &bundle)
    {
        const QByteArray body = *tls::printBundle(bundle);
        answer = "HTTP/1.1 200 OK\r\nContent-Length: " + QByteArray::number(body.size()) + "\r\n\r\n" + body;
    }
    void redirect(const QString &location, const QByteArray &status = "307 Temporary Redirect")
    {
        answer = "HTTP/1.1 " + status + "\r\nLocation: " + location.toUtf8() + "\r\nContent-Length: 0\r\n\r\n";
    }
};

/// An authority's side of a federation, without the other side.
struct Client {
    LiveAuthority own{1h};
    WorkloadDomain partner{u"partner.example", SystemClock().now()};
    const SpiffeId endpointId = *SpiffeId::parse(u"spiffe://partner.example/spire/server");
    std::unique_ptr<authority::FederationClient> client;
    QStringList troubles;

    [[nodiscard]] X509Svid svid(const QString &path = u"/spire/server"_s) const
    {
        return partner.svid(*SpiffeId::parse(u"spiffe://partner.example"_s + path), own.clock.now());
    }
    [[nodiscard]] tls::BundleDocument bundle(quint64 number) const
    {
        auto bundle = partner.bundle();
        bundle.sequence = number;
        return bundle;
    }
    [[nodiscard]] std::optional<quint64> held() const
    {
        const auto known = *own.authority->federatedBundle(partner.name);
        return known ? known->sequence : std::nullopt;
    }
    void open(const QString &url, authority::FederationPace pace, bool byId = true)
    {
        QVERIFY(own.open());
        QVERIFY(own.authority->setFederatedBundle(partner.name, bundle(1), own.actor));
        authority::FederationRelationship relationship;
        relationship.domain = partner.name;
        relationship.url = url;
        relationship.profile = byId ? authority::EndpointProfile::HttpsSpiffe : authority::EndpointProfile::HttpsWeb;
        if (byId)
            relationship.endpointId = endpointId;
        const auto set = own.authority->setRelationship(relationship, own.actor);
        QVERIFY2(set, set ? "" : qPrintable(set.error().message));
        client = std::make_unique<authority::FederationClient>(*own.authority, own.clock, pace);
        QObject::connect(client.get(), &authority::FederationClient::trouble, client.get(),
                         [this](const Error &what) { troubles << what.message; });
        client->start();
    }
    [[nodiscard]] QString lastTrouble() const { return troubles.value(troubles.size() - 1); }
    ~Client() { client.reset(); }
};

/// So that only what the test asks for happens.
authority::FederationPace onlyWhenAsked()
{
    authority::FederationPace pace;
    pace.usual = 1h;
    pace.soonest = 1h;
    pace.firstRetry = 1h;
    pace.latestRetry = 1h;
    return pace;
}

} // namespace

class TestBundleEndpoints : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void redirect_isFollowedForOnce_data()
    {
        QTest::addColumn<QByteArray>("status");
        for (const char *status : {"301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect",
                                   "308 Permanent Redirect"})
            QTest::newRow(status) << QByteArray(status);
    }

    void redirect_isFollowedForOnce()
    {
        QFETCH(const QByteArray, status);
        Client here;
        Endpoint known(here.svid());
        Endpoint moved(here.svid());
        known.redirect(moved.url(), status);
        moved.serve(here.bundle(2));
        here.open(known.url(), onlyWhenAsked());
        QTRY_COMPARE_WITH_TIMEOUT(here.held(), std::optional<quint64>(2), kPatience);
        QCOMPARE(here.own.authority->relationships()->first().url, known.url());
        // The next time it begins where it was told to.
        moved.serve(here.bundle(3));
        here.client->refresh(here.partner.name);
        QTRY_COMPARE_WITH_TIMEOUT(here.held(), std::optional<quint64>(3), kPatience);
        QCOMPARE(known.asked, 2);
        QCOMPARE(moved.asked, 2);
        QCOMPARE(here.troubles, QStringList());
    }

    void redirect_toAnotherIdentityIsRefused()
    {
        Client here;
        Endpoint known(here.svid());
        Endpoint other(here.svid(u"/reports"_s)); // of the same domain
        known.redirect(other.url());
        other.serve(here.bundle(2));
        here.open(known.url(), onlyWhenAsked());
        QTRY_COMPARE_WITH_TIMEOUT(here.troubles.size(), 1, kPatience);
        QCOMPARE(other.asked, 0);
        QCOMPARE(here.held(), std::optional<quint64>(1));
    }

    void redirect_toWhatIsNoEndpointIsRefused_data()
    {
        QTest::addColumn<QString>("location");
        QTest::newRow("without TLS") << u"http://127.0.0.1:%1/"_s;
        QTest::newRow("with a user") << u"https://operator@127.0.0.1:%1/"_s;
        QTest::newRow("a file") << u"file:///etc/passwd"_s;
        QTest::newRow("without a host") << u"https:///bundle"_s;
    }

    void redirect_toWhatIsNoEndpointIsRefused()
    {
        QFETCH(const QString, location);
        Client here;
        Endpoint known(here.svid());
        Endpoint moved(here.svid());
        moved.serve(here.bundle(2));
        known.redirect(location.contains(u"%1") ? location.arg(moved.server.serverPort()) : location);
        here.open(known.url(), onlyWhenAsked());
        QTRY_COMPARE_WITH_TIMEOUT(here.troubles.size(), 1, kPatience);
        QCOMPARE(moved.asked, 0);
        QCOMPARE(here.held(), std::optional<quint64>(1));
    }

    void redirect_withoutEndIsGivenUp()
    {
        Client here;
        Endpoint known(here.svid());
        known.redirect(u"/again"_s); // the same host: a relative one is resolved
        here.open(known.url(), onlyWhenAsked());
        QTRY_COMPARE_WITH_TIMEOUT(here.troubles.size(), 1, kPatience);
        QVERIFY2(here.lastTrouble().contains(u"leads from one place to the next"), qPrintable(here.lastTrouble()));
        QCOMPARE(known.asked, 4);
    }

    /// https_web: the new host has to prove its own name, too.
    void redirect_onTheWebIsVerifiedByName()
    {
        const auto rootKey = *tls::signingKeyFrom(*tls::newSoftwareKey());
        tls::AuthorityCertificate root;
        root.domain = *TrustDomain::parse(u"web.example");
        root.commonName = u"Web root"_s;
        root.isLimitedToDomain = false;
        root.publicKeyDer = rootKey->publicKeyDer();
        root.notBefore = SystemClock().now() - 24h;
        root.notAfter = SystemClock().now() + 24h;
        const QByteArray rootDer = tls::writeAuthority(root, nullptr, *rootKey)->der;
        const auto shows = [&](const QString &name) {
            const auto key = *tls::newSoftwareKey();
            tls::LeafCertificate leaf;
            leaf.id = *SpiffeId::parse(u"spiffe://web.example/server");
            leaf.publicKeyDer = (*tls::signingKeyFrom(key))->publicKeyDer();
            leaf.notBefore = SystemClock().now() - 1h;
            leaf.notAfter = SystemClock().now() + 1h;
            leaf.dnsNames = {name};
            return *tls::makeSvid({tls::writeLeaf(leaf, *tls::issuerFacts(rootDer), *rootKey)->der}, key);
        };
        QTemporaryDir dir;
        const QString roots = dir.filePath(u"roots.pem"_s);
        QVERIFY(tls::writePublicFile(roots, tls::certificatesToPem({rootDer})));
        const QByteArray before = qgetenv("SSL_CERT_FILE");
        qputenv("SSL_CERT_FILE", roots.toUtf8());
        const auto restore = qScopeGuard([&before] { qputenv("SSL_CERT_FILE", before); });

        Client here;
        Endpoint known(shows(u"localhost"_s));
        Endpoint good(shows(u"localhost"_s));
        Endpoint bad(shows(u"elsewhere.example"_s));
        good.serve(here.bundle(2));
        bad.serve(here.bundle(3));
        known.redirect(good.url(u"localhost"_s));
        here.open(known.url(u"localhost"_s), onlyWhenAsked(), false);
        QTRY_COMPARE_WITH_TIMEOUT(here.held(), std::optional<quint64>(2), kPatience);
        QCOMPARE(here.troubles, QStringList());
        known.redirect(bad.url(u"localhost"_s));
        here.client->refresh(here.partner.name);
        QTRY_COMPARE_WITH_TIMEOUT(here.troubles.size(), 1, kPatience);
        QCOMPARE(bad.asked, 0);
        QCOMPARE(here.held(), std::optional<quint64>(2));
    }

    void refreshHint_isKept()
    {
        Client here;
        Endpoint known(here.svid());
        auto served = here.bundle(2);
        served.refreshHint = 1s;
        known.serve(served);
        authority::FederationPace pace = onlyWhenAsked();
        pace.soonest = 500ms;
        here.open(known.url(), pace);
        QTRY_VERIFY_WITH_TIMEOUT(known.asked >= 3, kPatience); // nobody asked for more than the first
        // Without a hint there is a pace of its own.
        served = here.bundle(3);
        known.serve(served);
        QTRY_COMPARE_WITH_TIMEOUT(here.held(), std::optional<quint64>(3), kPatience);
        const int asked = known.asked;
        QTest::qWait(2'500); // twice the hint of before; longer can only help
        QCOMPARE(known.asked, asked);
    }

    void refreshHint_thatIsTooShortIsNotBelieved()
    {
        Client here;
        Endpoint known(here.svid());
        auto served = here.bundle(2);
        served.refreshHint = 1s;
        known.serve(served);
        here.open(known.url(), onlyWhenAsked()); // an hour at least
        QTRY_COMPARE_WITH_TIMEOUT(here.held(), std::optional<quint64>(2), kPatience);
        QTest::qWait(2'500);
        QCOMPARE(known.asked, 1);
    }

    void withoutAHint_itAsksAtItsOwnPaceAndAgainAfterAFailure()
    {
        Client here;
        Endpoint known(here.svid());
        known.answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        authority::FederationPace pace = onlyWhenAsked();
        pace.usual = 300ms;
        pace.firstRetry = 100ms;
        pace.latestRetry = 200ms;
        here.open(known.url(), pace);
        QTRY_VERIFY_WITH_TIMEOUT(known.asked >= 3, kPatience);
        QCOMPARE(here.troubles.size(), 1); // said once
        known.serve(here.bundle(2));
        QTRY_COMPARE_WITH_TIMEOUT(here.held(), std::optional<quint64>(2), kPatience);
        const int asked = known.asked;
        QTRY_VERIFY_WITH_TIMEOUT(known.asked >= asked + 2, kPatience);
    }

    /// 6.2 asks for the next interval. Ours comes back sooner, because a key that a partner revoked would be believed
    /// until then, but later each time, and in the end as seldom as without a hint.
    void failure_isTriedAgainLaterAndLater()
    {
        const authority::FederationPace shipped;
        QCOMPARE(shipped.firstRetry, Millis{2s});
        QCOMPARE(shipped.latestRetry, Millis{5min});
        QCOMPARE(shipped.usual, Millis{5min}); // what 4.1 recommends without a hint
        QCOMPARE(shipped.soonest, Millis{1s});

        Client here;
        Endpoint known(here.svid());
        known.answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        authority::FederationPace pace = onlyWhenAsked();
        pace.firstRetry = 100ms;
        QElapsedTimer since;
        since.start();
        here.open(known.url(), pace);
        QTRY_VERIFY_WITH_TIMEOUT(known.asked >= 6, kPatience);
        // At least half of 100, 200, 400, 800 and 1,600 ms; without doubling 750 ms at most on an idle machine.
        QVERIFY2(since.elapsed() >= 1'550, qPrintable(QString::number(since.elapsed())));
    }

    /// 5.2.2.2: the endpoint of a domain may be another's, whose bundle is configured by itself.
    void endpoint_ofAThirdDomain_isVerifiedWithThatDomainsBundle()
    {
        Client here;
        const WorkloadDomain third(u"third.example", here.own.clock.now());
        const SpiffeId publisher = *SpiffeId::parse(u"spiffe://third.example/bundles");
        Endpoint known(third.svid(publisher, here.own.clock.now()));
        known.serve(here.bundle(2));
        here.open(known.url(), onlyWhenAsked());
        QTRY_COMPARE_WITH_TIMEOUT(here.troubles.size(), 1, kPatience); // it shows another ID than was configured
        auto relationship = here.own.authority->relationships()->first();
        relationship.endpointId = publisher;
        QVERIFY(here.own.authority->setRelationship(relationship, here.own.actor));
        here.client->refresh(here.partner.name);
        QTRY_COMPARE_WITH_TIMEOUT(here.troubles.size(), 2, kPatience);
        QVERIFY2(here.lastTrouble().contains(u"There is no bundle of third.example yet"),
                 qPrintable(here.lastTrouble()));
        // The partner's own bundle does not stand in for it, nor does a wrong one.
        QVERIFY(here.own.authority->setFederatedBundle(third.name, here.partner.bundle(), here.own.actor));
        here.client->refresh(here.partner.name);
        QTRY_COMPARE_WITH_TIMEOUT(here.troubles.size(), 3, kPatience);
        QCOMPARE(here.held(), std::optional<quint64>(1));
        QCOMPARE(known.asked, 0);
        QVERIFY(here.own.authority->setFederatedBundle(third.name, third.bundle(), here.own.actor));
        here.client->refresh(here.partner.name);
        QTRY_COMPARE_WITH_TIMEOUT(here.held(), std::optional<quint64>(2), kPatience);
        const auto kept = *here.own.authority->federatedBundle(third.name);
        QCOMPARE(kept->x509Authorities, QList{third.rootDer}); // what came was of the partner alone
    }

    /// What an operator brought once verifies the first connection only.
    void nextConnection_isVerifiedWithTheBundleThatWasFetchedLast()
    {
        Client here;
        const X509Svid old = here.svid();
        Endpoint known(old);
        here.open(known.url(), onlyWhenAsked());
        here.partner.newRoot();
        known.serve(here.bundle(2)); // under the old root still
        here.client->refresh(here.partner.name);
        QTRY_COMPARE_WITH_TIMEOUT(here.held(), std::optional<quint64>(2), kPatience);
        const int asked = known.asked;
        known.serve(here.bundle(3));
        const auto before = here.troubles.size();
        here.client->refresh(here.partner.name); // it shows the old root's SVID, which ended with that bundle
        QTRY_VERIFY_WITH_TIMEOUT(here.troubles.size() > before, kPatience);
        QCOMPARE(known.asked, asked);
        QCOMPARE(here.held(), std::optional<quint64>(2));

        Endpoint renewed(here.svid());
        renewed.serve(here.bundle(3));
        authority::FederationRelationship relationship = here.own.authority->relationships()->first();
        relationship.url = renewed.url();
        QVERIFY(here.own.authority->setRelationship(relationship, here.own.actor));
        here.client->refresh(here.partner.name);
        QTRY_COMPARE_WITH_TIMEOUT(here.held(), std::optional<quint64>(3), kPatience);
    }
};

QTEST_GUILESS_MAIN(TestBundleEndpoints)
#include "tst_bundle_endpoints.moc"

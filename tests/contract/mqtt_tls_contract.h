// What every MqttTransport promises that speaks to a broker over a network: all of
// mqtt_transport_contract.h against a real mosquitto, and mutual TLS 1.3 by SPIFFE identity.
#pragma once

#include "contract/mqtt_transport_contract.h"
#include "fakes/mosquitto_broker.h"
#include "fakes/scripted_tls_broker.h"
#include "fakes/tcp_proxy.h"
#include "ports/system_clock.h"

#include <atomic>
#include <map>

namespace lintel::test {

class MqttTlsContract : public MqttTransportContract
{
    Q_OBJECT

protected:
    virtual std::unique_ptr<MqttTransport> makeTransport(const MqttEndpoint &endpoint,
                                                         const IdentitySource &identity) = 0;

    static QString domain() { return QStringLiteral("building-1.smart.local"); }
    static QString idOf(const QString &name) { return QStringLiteral("spiffe://building-1.smart.local/agent/") + name; }
    static SpiffeId spiffe(const QString &text) { return *SpiffeId::parse(text); }

    std::unique_ptr<MqttTransport> makeClient(const QString &name) override
    {
        auto &identity = m_identities[name];
        if (!identity)
            identity = std::make_unique<MemoryIdentitySource>(m_broker.identity(idOf(name)));
        auto &proxy = m_proxies[name];
        if (!proxy)
            proxy = std::make_unique<TcpProxy>(m_broker.port());
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.port = proxy->port();
        return makeTransport(endpoint, *identity);
    }
    void breakConnection(const QString &name) override { m_proxies[name]->cut(); }
    void setReachable(bool reachable) override
    {
        if (reachable)
            QVERIFY(m_broker.start());
        else
            m_broker.kill();
    }
    void tidyUp() override
    {
        m_proxies.clear();
        m_identities.clear();
        if (!m_broker.isRunning())
            QVERIFY(m_broker.start());
    }

    /// An identity on a machine with a clock of its own.
    class ClockedIdentity final : public IdentitySource
    {
    public:
        explicit ClockedIdentity(IdentitySnapshot snapshot)
            : m_snapshot(std::make_shared<const IdentitySnapshot>(std::move(snapshot)))
        {}
        [[nodiscard]] Result<std::shared_ptr<const IdentitySnapshot>> current() const override { return m_snapshot; }
        [[nodiscard]] Timestamp trustedNow() const override { return m_now.load(); }
        void setNow(Timestamp now) { m_now.store(now); }

    private:
        const std::shared_ptr<const IdentitySnapshot> m_snapshot;
        std::atomic<Timestamp> m_now{};
    };

    struct Attempt {
        explicit Attempt(std::unique_ptr<MqttTransport> t)
            : transport(std::move(t)), connected(transport.get(), &MqttTransport::connected),
              failed(transport.get(), &MqttTransport::connectFailed),
              disconnected(transport.get(), &MqttTransport::disconnected)
        {}
        void start(std::chrono::seconds keepAlive = std::chrono::seconds{30})
        {
            transport->start([keepAlive] {
                MqttConnect connect = packet(QStringLiteral("c1"));
                connect.keepAlive = keepAlive;
                return connect;
            });
        }
        [[nodiscard]] Error firstFailure() const
        {
            return failed.isEmpty() ? Error{} : failed.first().first().value<Error>();
        }

        std::unique_ptr<MqttTransport> transport;
        QSignalSpy connected;
        QSignalSpy failed;
        QSignalSpy disconnected;
    };

    MosquittoBroker m_broker;
    std::map<QString, std::unique_ptr<MemoryIdentitySource>> m_identities;
    std::map<QString, std::unique_ptr<TcpProxy>> m_proxies;

private Q_SLOTS:
    void init()
    {
        if (!m_broker.isRunning()) {
            const auto started = m_broker.start();
            QVERIFY2(started, started ? "" : qPrintable(started.error().message));
        }
    }

    void broker_withAnotherIdIsRefused()
    {
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.broker = spiffe(QStringLiteral("spiffe://building-1.smart.local/other-broker"));
        Attempt attempt(makeTransport(endpoint, identity));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(!attempt.failed.isEmpty(), kWait);
        QCOMPARE(attempt.firstFailure().code, Errc::Denied);
        QVERIFY2(attempt.firstFailure().message.contains(QStringLiteral("/other-broker")),
                 qPrintable(attempt.firstFailure().message));
        QVERIFY(attempt.connected.isEmpty());
    }

    void broker_ofAnotherTrustDomainIsRefused()
    {
        // The same roots under another name: they must not count for building-1.
        auto snapshot = m_broker.identity(idOf(QStringLiteral("c1")));
        const QList<QByteArray> roots = snapshot.bundles.begin().value();
        snapshot.bundles = {{*TrustDomain::parse(u"campus.smart.local"), roots}};
        MemoryIdentitySource identity(snapshot);
        Attempt attempt(makeTransport(m_broker.endpoint(), identity));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(!attempt.failed.isEmpty(), kWait);
        QCOMPARE(attempt.firstFailure().code, Errc::Denied);
        QVERIFY2(attempt.firstFailure().message.contains(QStringLiteral("no trust bundle")),
                 qPrintable(attempt.firstFailure().message));
    }

    void broker_underANewRootIsRefusedUntilTheBundleArrives()
    {
        const auto own = *tls::Pki::create(*TrustDomain::parse(domain()), SystemClock().now());
        const auto brokerSvid = *own.issue(m_broker.id(), std::chrono::hours{1}, SystemClock().now());
        ScriptedTlsBroker broker(brokerSvid, m_broker.bundles().begin().value());
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.port = broker.port();
        Attempt attempt(makeTransport(endpoint, identity));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(attempt.failed.size() >= 2, kWait);
        QCOMPARE(attempt.firstFailure().code, Errc::Denied);
        QVERIFY(attempt.connected.isEmpty());
        identity.setBundles({{own.domain(), {own.rootDer()}}}); // no call to the transport
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
        // And back: an earlier handshake proves nothing for the next one.
        identity.setBundles(m_broker.bundles());
        attempt.failed.clear();
        attempt.transport->reconnect();
        QTRY_VERIFY_WITH_TIMEOUT(!attempt.failed.isEmpty(), kWait);
        QCOMPARE(attempt.connected.size(), 1);
    }

    void newBundle_doesNotDisturbAConnection()
    {
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        Attempt attempt(makeTransport(m_broker.endpoint(), identity));
        attempt.start();
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
        const auto next = *tls::Pki::create(*TrustDomain::parse(domain()), SystemClock().now());
        TrustBundles bundles = m_broker.bundles();
        bundles.begin().value().append(next.rootDer());
        identity.setBundles(bundles);
        QTest::qWait(200);
        QCOMPARE(attempt.transport->state(), State::Connected);
        QVERIFY(attempt.disconnected.isEmpty());
    }

    void certificateChange_isOneReconnectionAndTheBrokerSeesTheNewOne()
    {
        const auto brokerSvid = m_broker.identity(m_broker.id().toString()).svid;
        ScriptedTlsBroker broker(brokerSvid, m_broker.bundles().begin().value());
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.port = broker.port();
        Attempt attempt(makeTransport(endpoint, identity));
        QObject::connect(&identity, &IdentitySource::svidChanged, attempt.transport.get(),
                         [&] { attempt.transport->reconnect(); });
        attempt.start();
        QStringList expected;
        for (int i = 0; i < 3; ++i) {
            if (i > 0)
                identity.set(m_broker.identity(idOf(QStringLiteral("c1"))));
            expected << tls::describeCertificate((*identity.current())->svid.chainDer.first())->serial;
            QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), i + 1, kWait);
        }
        QCOMPARE(broker.serials(), expected); // a resumed TLS session would have shown an old one
        QCOMPARE(attempt.disconnected.size(), 2);
        QVERIFY(attempt.failed.isEmpty());
    }

    void ourCertificate_refusedByTheBrokerIsSaid()
    {
        const auto stranger = *tls::Pki::create(*TrustDomain::parse(domain()), SystemClock().now());
        MemoryIdentitySource identity(
            {*stranger.issue(spiffe(idOf(QStringLiteral("c1"))), std::chrono::hours{1}, SystemClock().now()),
             m_broker.bundles()});
        Attempt attempt(makeTransport(m_broker.endpoint(), identity));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(!attempt.failed.isEmpty(), kWait);
        QCOMPARE(attempt.firstFailure().code, Errc::Denied);
        QVERIFY2(attempt.firstFailure().message.contains(QStringLiteral("certificate")),
                 qPrintable(attempt.firstFailure().message));
        // It recovers by itself when the right one comes.
        identity.set(m_broker.identity(idOf(QStringLiteral("c1"))));
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
    }

    void ourCertificate_missingOrExpiredIsSaid()
    {
        MemoryIdentitySource identity;
        Attempt attempt(makeTransport(m_broker.endpoint(), identity));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(!attempt.failed.isEmpty(), kWait);
        QCOMPARE(attempt.firstFailure().code, Errc::NotFound);
        auto snapshot = m_broker.identity(idOf(QStringLiteral("c1")));
        snapshot.svid.notAfter = SystemClock().now() - std::chrono::seconds{1};
        attempt.failed.clear();
        identity.set(snapshot);
        QTRY_VERIFY_WITH_TIMEOUT(
            !attempt.failed.isEmpty() && attempt.failed.last().first().value<Error>().code == Errc::Denied, kWait);
        QVERIFY(attempt.failed.last().first().value<Error>().message.contains(QStringLiteral("expired")));
        identity.set(m_broker.identity(idOf(QStringLiteral("c1"))));
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
    }

    void ourClock_behindOurCertificateIsSaid()
    {
        ClockedIdentity identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        const Timestamp begin = (*identity.current())->svid.notBefore;
        Attempt attempt(makeTransport(m_broker.endpoint(), identity));
        const auto said = [&attempt](const QString &words) {
            if (attempt.failed.isEmpty())
                return false;
            const auto why = attempt.failed.last().first().value<Error>();
            return why.code == Errc::Denied && why.message.contains(words)
                   && why.message.contains(QStringLiteral("set it, for example with timedatectl or NTP."));
        };
        identity.setNow(fromEpochMillis(300'000));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(said(QStringLiteral("This machine's clock says 1970-01-01, so no ")), kWait);
        identity.setNow(begin - std::chrono::seconds{90});
        QTRY_VERIFY_WITH_TIMEOUT(said(QStringLiteral("is before %1, when our certificate").arg(toIso8601(begin))),
                                 kWait);
        QVERIFY(attempt.connected.isEmpty());
        // It recovers by itself when the clock is set.
        identity.setNow(SystemClock().now());
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
    }

    void tls12_isRefused()
    {
        const auto brokerSvid = m_broker.identity(m_broker.id().toString()).svid;
        ScriptedTlsBroker broker(brokerSvid, m_broker.bundles().begin().value(), QSsl::TlsV1_2);
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.port = broker.port();
        Attempt attempt(makeTransport(endpoint, identity));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(!attempt.failed.isEmpty(), kWait);
        QVERIFY(attempt.connected.isEmpty());
    }

    void connack_thatSaysNoIsSaid()
    {
        const auto brokerSvid = m_broker.identity(m_broker.id().toString()).svid;
        ScriptedTlsBroker broker(brokerSvid, m_broker.bundles().begin().value());
        broker.setConnackReason(0x87);
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.port = broker.port();
        Attempt attempt(makeTransport(endpoint, identity));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(!attempt.failed.isEmpty(), kWait);
        QCOMPARE(attempt.firstFailure().code, Errc::Denied);
        broker.setConnackReason(0);
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
    }

    void suback_thatSaysNoIsSaidAndAskedAgain()
    {
        const auto brokerSvid = m_broker.identity(m_broker.id().toString()).svid;
        ScriptedTlsBroker broker(brokerSvid, m_broker.bundles().begin().value());
        broker.setSubackReason(0x87);
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.port = broker.port();
        Attempt attempt(makeTransport(endpoint, identity));
        QSignalSpy refused(attempt.transport.get(), &MqttTransport::subscriptionRefused);
        const QString filter = QStringLiteral("lintel/v1/req/#");
        QObject::connect(attempt.transport.get(), &MqttTransport::connected, attempt.transport.get(),
                         [&] { QVERIFY(attempt.transport->subscribe(filter, 1)); });
        attempt.start();
        QTRY_COMPARE_WITH_TIMEOUT(refused.size(), 1, kWait);
        QCOMPARE(refused.first().first().toString(), filter);
        const auto why = refused.first().at(1).value<Error>();
        QCOMPARE(why.code, Errc::Denied);
        QVERIFY2(why.message.contains(filter) && why.message.contains(QStringLiteral("access rules")),
                 qPrintable(why.message));
        QCOMPARE(attempt.transport->state(), MqttTransport::State::Connected);
        broker.setSubackReason(1);
        attempt.transport->reconnect();
        QTRY_COMPARE_WITH_TIMEOUT(broker.subscribes(), 2, kWait);
        QCOMPARE(refused.size(), 1);
    }

    void connack_thatNeverComesEndsTheAttempt()
    {
        const auto brokerSvid = m_broker.identity(m_broker.id().toString()).svid;
        ScriptedTlsBroker broker(brokerSvid, m_broker.bundles().begin().value());
        broker.setMute(true);
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.port = broker.port();
        endpoint.connectTimeout = std::chrono::seconds{2};
        Attempt attempt(makeTransport(endpoint, identity));
        attempt.start();
        QTRY_VERIFY_WITH_TIMEOUT(!attempt.failed.isEmpty(), kWait);
        QCOMPARE(attempt.firstFailure().code, Errc::Timeout);
        broker.setMute(false);
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
    }

    void halfOpenConnection_isNoticedWithinTwoKeepAlives_data()
    {
        QTest::addColumn<bool>("withTraffic");
        QTest::newRow("idle") << false;
        QTest::newRow("while publishing") << true;
    }
    void halfOpenConnection_isNoticedWithinTwoKeepAlives()
    {
        QFETCH(bool, withTraffic);
        constexpr std::chrono::seconds kKeepAlive{4};
        TcpProxy proxy(m_broker.port());
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.port = proxy.port();
        Attempt attempt(makeTransport(endpoint, identity));
        attempt.start(kKeepAlive);
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
        proxy.setSilent(true);
        QElapsedTimer timer;
        timer.start();
        while (attempt.disconnected.isEmpty() && timer.elapsed() < kWait) {
            if (withTraffic)
                (void)attempt.transport->publish({QStringLiteral("a"), QByteArray(32 * 1024, 'x'), 0, false});
            QTest::qWait(20);
        }
        QCOMPARE(attempt.disconnected.size(), 1);
        // The last packet may have come just before; the machine may be slow.
        QVERIFY2(timer.elapsed() <= std::chrono::milliseconds(kKeepAlive).count() * 2 + 1'500,
                 qPrintable(QString::number(timer.elapsed())));
        proxy.setSilent(false);
        proxy.cut();
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 2, kWait);
    }

    void publish_isFullAndNeverBlocksWhenNothingIsAcknowledged()
    {
        const auto brokerSvid = m_broker.identity(m_broker.id().toString()).svid;
        ScriptedTlsBroker broker(brokerSvid, m_broker.bundles().begin().value());
        broker.setReceiveMaximum(10);
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        MqttEndpoint endpoint = m_broker.endpoint();
        endpoint.port = broker.port();
        Attempt attempt(makeTransport(endpoint, identity));
        attempt.start();
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
        QElapsedTimer timer;
        timer.start();
        qint64 longest = 0;
        std::optional<Error> full;
        for (int i = 0; i < 20'000 && !full; ++i) {
            const qint64 before = timer.elapsed();
            const auto published = attempt.transport->publish({QStringLiteral("a"), QByteArrayLiteral("x"), 1, false});
            longest = std::max(longest, timer.elapsed() - before);
            if (!published)
                full = published.error();
        }
        QVERIFY(full);
        QCOMPARE(full->code, Errc::Full);
        QVERIFY2(longest < 500, qPrintable(QString::number(longest)));
        QTRY_VERIFY_WITH_TIMEOUT(broker.publishes() >= 9, kWait);
        QVERIFY(broker.publishes() <= 10);
        timer.restart();
        attempt.transport.reset();
        QVERIFY2(timer.elapsed() < 2'500, qPrintable(QString::number(timer.elapsed())));
    }

    void twoConnections_expectTheirOwnPeers()
    {
        // A gateway: its building's broker and the cloud's, other identities, other bundles, at once.
        MosquittoBroker cloud(
            {QStringLiteral("spiffe://smart-building.cloud/broker"), {QStringLiteral("smart-building.cloud")}});
        QVERIFY(cloud.start());
        MemoryIdentitySource here(m_broker.identity(idOf(QStringLiteral("gateway"))));
        MemoryIdentitySource there(cloud.identity(QStringLiteral("spiffe://smart-building.cloud/agent/x")));
        Attempt local(makeTransport(m_broker.endpoint(), here));
        Attempt uplink(makeTransport(cloud.endpoint(), there));
        Attempt crossed(makeTransport(cloud.endpoint(), here));
        Attempt second(makeTransport(m_broker.endpoint(), there)); // same address as `local`
        local.start();
        uplink.transport->start([] { return packet(QStringLiteral("up")); });
        crossed.transport->start([] { return packet(QStringLiteral("crossed")); });
        second.transport->start([] { return packet(QStringLiteral("second")); });
        QTRY_COMPARE_WITH_TIMEOUT(local.connected.size(), 1, kWait);
        QTRY_COMPARE_WITH_TIMEOUT(uplink.connected.size(), 1, kWait);
        QTRY_VERIFY_WITH_TIMEOUT(crossed.failed.size() >= 2 && second.failed.size() >= 2, kWait);
        QVERIFY(crossed.connected.isEmpty() && second.connected.isEmpty());
        QVERIFY(local.disconnected.isEmpty() && uplink.disconnected.isEmpty());
    }

    void otherTlsOfTheProcess_isLeftAlone()
    {
        MemoryIdentitySource identity(m_broker.identity(idOf(QStringLiteral("c1"))));
        Attempt attempt(makeTransport(m_broker.endpoint(), identity));
        attempt.start();
        QTRY_COMPARE_WITH_TIMEOUT(attempt.connected.size(), 1, kWait);
        // A TLS 1.2 server that asks for no certificate, under an authority of its own.
        const auto other = *tls::Pki::create(*TrustDomain::parse(u"example.org"), SystemClock().now());
        const auto svid = *other.issue(spiffe(QStringLiteral("spiffe://example.org/web")), std::chrono::hours{1},
                                       SystemClock().now());
        ScriptedTlsBroker server(svid, {other.rootDer()}, QSsl::TlsV1_2);
        QSslSocket socket;
        QSslConfiguration configuration = QSslConfiguration::defaultConfiguration();
        configuration.setCaCertificates({QSslCertificate(other.rootDer(), QSsl::Der)});
        QList<QSslCertificate> chain{QSslCertificate(svid.chainDer.first(), QSsl::Der)};
        configuration.setLocalCertificateChain(chain);
        configuration.setPrivateKey(QSslKey(*tls::privateKeyToPem(*svid.key), QSsl::Ec));
        socket.setSslConfiguration(configuration);
        QSignalSpy encrypted(&socket, &QSslSocket::encrypted);
        QObject::connect(&socket, &QSslSocket::sslErrors, &socket, [&socket](const QList<QSslError> &errors) {
            QList<QSslError> onlyTheName; // the chain must have been verified by OpenSSL's own rules
            for (const QSslError &error : errors)
                if (error.error() == QSslError::HostNameMismatch)
                    onlyTheName << error;
            socket.ignoreSslErrors(onlyTheName);
        });
        socket.connectToHostEncrypted(QStringLiteral("127.0.0.1"), server.port());
        QTRY_COMPARE_WITH_TIMEOUT(encrypted.size(), 1, kWait);
        QCOMPARE(socket.sessionProtocol(), QSsl::TlsV1_2);
    }
};

} // namespace lintel::test

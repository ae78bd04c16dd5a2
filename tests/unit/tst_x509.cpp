#include "ports/system_clock.h"
#include "tls/openssl_handles.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include <QTest>

using namespace lintel;
using namespace lintel::tls;
using namespace Qt::StringLiterals;

class TestX509 : public QObject
{
    Q_OBJECT

    const Timestamp m_now = SystemClock().now();
    const Pki m_pki = *Pki::create(*TrustDomain::parse(u"building-1.smart.local"), m_now);
    const SpiffeId m_id = *SpiffeId::parse(u"spiffe://building-1.smart.local/broker");
    const X509Svid m_svid = *m_pki.issue(m_id, std::chrono::hours{1}, m_now);
    const TrustBundles m_bundles{{m_pki.domain(), {m_pki.rootDer()}}};

private Q_SLOTS:
    void pem_roundTrips()
    {
        const auto certificates = certificatesFromPem(certificatesToPem({m_svid.chainDer.first(), m_pki.rootDer()}));
        QVERIFY(certificates);
        QCOMPARE(*certificates, (QList{m_svid.chainDer.first(), m_pki.rootDer()}));
        const auto key = privateKeyFromPem(*privateKeyToPem(*m_svid.key));
        QVERIFY(key);
        QVERIFY(makeSvid(m_svid.chainDer, *key));
    }

    void pem_refusesWhatIsNoneOrBroken()
    {
        QCOMPARE(certificatesFromPem("").error().code, Errc::Malformed);
        QCOMPARE(certificatesFromPem("hello").error().code, Errc::Malformed);
        QByteArray broken = certificatesToPem({m_svid.chainDer.first(), m_pki.rootDer()});
        broken.truncate(broken.size() - 200);
        QVERIFY(!certificatesFromPem(broken)); // the first is whole, but half a bundle is no bundle
        QVERIFY(!privateKeyFromPem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
        QVERIFY(!describeCertificate("x"));
        QVERIFY(!spiffeIdOf(m_pki.rootDer() + 'x'));
    }

    void spiffeId_isTheOneUriName()
    {
        QCOMPARE(*spiffeIdOf(m_svid.chainDer.first()), m_id);
        QCOMPARE(*leafSpiffeId(m_svid.chainDer.first()), m_id);
        QCOMPARE(spiffeIdOf(m_pki.rootDer())->toString(), u"spiffe://building-1.smart.local"_s);
        QVERIFY(!leafSpiffeId(m_pki.rootDer())); // an authority is no leaf
    }

    void x509FromDer_keepsTheLastFewAndMixesNoneUp()
    {
        const QByteArray leaf = m_svid.chainDer.first();
        const X509Ptr first = x509FromDer(leaf);
        QVERIFY(first);
        QCOMPARE(x509FromDer(leaf).get(), first.get());
        QByteArray other = leaf;
        other[other.size() - 1] = char(other[other.size() - 1] ^ 1); // in the signature
        const X509Ptr changed = x509FromDer(other);
        QVERIFY(changed && changed.get() != first.get());
        QCOMPARE(derOf(changed.get()), other);
        QVERIFY(!x509FromDer({}));
        QVERIFY(!x509FromDer(leaf + 'x'));

        for (int i = 0; i < 20; ++i)
            QVERIFY(x509FromDer(m_pki.issue(m_id, std::chrono::hours{1}, m_now)->chainDer.first()));
        const X509Ptr again = x509FromDer(leaf);
        QVERIFY(again.get() != first.get()); // 20 others are more than are kept
        QCOMPARE(derOf(again.get()), leaf);

        const auto *bytes = reinterpret_cast<const unsigned char *>(other.constData());
        const X509Ptr own{d2i_X509(nullptr, &bytes, long(other.size()))};
        QCOMPARE(sharedDerOf(own.get()), other);
        QCOMPARE(x509FromDer(other).get(), own.get());
    }

    void makeSvid_refusesAnotherKeyAndARoot()
    {
        const X509Svid other = *m_pki.issue(m_id, std::chrono::hours{1}, m_now);
        QCOMPARE(makeSvid(m_svid.chainDer, other.key).error().code, Errc::Conflict);
        QVERIFY(!makeSvid({m_pki.rootDer()}, m_svid.key));
        QVERIFY(!makeSvid({}, m_svid.key));
    }

    void verifyPeer_acceptsBothRoles()
    {
        QVERIFY(verifyPeer(m_svid.chainDer, m_id, m_bundles, PeerRole::Server, m_now));
        QVERIFY(verifyPeer(m_svid.chainDer, m_id, m_bundles, PeerRole::Client, m_now));
    }

    void verifyPeer_refuses_data()
    {
        const auto domain = m_pki.domain();
        const auto cloud = *TrustDomain::parse(u"smart-building.cloud");
        const Pki impostor = *Pki::create(domain, m_now);
        QTest::addColumn<QList<QByteArray>>("chain");
        QTest::addColumn<QString>("expected");
        QTest::addColumn<TrustBundles>("bundles");
        QTest::addColumn<qint64>("secondsFromNow");
        QTest::addColumn<QString>("sentence");
        const QString id = m_id.toString();
        const QList<QByteArray> chain = m_svid.chainDer;
        QTest::newRow("no certificate") << QList<QByteArray>{} << id << m_bundles << qint64{0} << u"no certificate"_s;
        QTest::newRow("another id") << chain << u"spiffe://building-1.smart.local/agent/x"_s << m_bundles << qint64{0}
                                    << u"was expected"_s;
        QTest::newRow("id of another domain")
            << chain << u"spiffe://smart-building.cloud/broker"_s << m_bundles << qint64{0} << u"was expected"_s;
        QTest::newRow("no bundle") << chain << id << TrustBundles{} << qint64{0} << u"no trust bundle"_s;
        QTest::newRow("root only in another bundle")
            << chain << id << TrustBundles{{cloud, {m_pki.rootDer()}}} << qint64{0} << u"no trust bundle"_s;
        QTest::newRow("right root in another bundle, wrong one in its own")
            << chain << id << TrustBundles{{domain, {impostor.rootDer()}}, {cloud, {m_pki.rootDer()}}} << qint64{0}
            << u"not valid"_s;
        QTest::newRow("impostor") << impostor.issue(m_id, std::chrono::hours{1}, m_now)->chainDer << id << m_bundles
                                  << qint64{0} << u"not valid"_s;
        QTest::newRow("impostor with our root in its chain")
            << (impostor.issue(m_id, std::chrono::hours{1}, m_now)->chainDer + QList{m_pki.rootDer()}) << id
            << m_bundles << qint64{0} << u"not valid"_s;
        QTest::newRow("expired") << chain << id << m_bundles << qint64{3'601} << u"expired"_s;
        QTest::newRow("not yet valid") << chain << id << m_bundles << qint64{-120} << u"not yet valid"_s;
        QTest::newRow("authority as peer") << QList{m_pki.rootDer()} << u"spiffe://building-1.smart.local"_s
                                           << m_bundles << qint64{0} << u"no X.509-SVID"_s;
        QTest::newRow("garbage") << QList{"x"_ba} << id << m_bundles << qint64{0} << u"cannot be read"_s;
    }
    void verifyPeer_refuses()
    {
        QFETCH(QList<QByteArray>, chain);
        QFETCH(QString, expected);
        QFETCH(TrustBundles, bundles);
        QFETCH(qint64, secondsFromNow);
        QFETCH(QString, sentence);
        const auto verified = verifyPeer(chain, *SpiffeId::parse(expected), bundles, PeerRole::Server,
                                         m_now + std::chrono::seconds{secondsFromNow});
        QVERIFY(!verified);
        QCOMPARE(verified.error().code, Errc::Denied);
        QVERIFY2(verified.error().message.contains(sentence), qPrintable(verified.error().message));
    }

    void verifyPeer_acceptsAnOverlapOfTwoRoots()
    {
        const Pki next = *Pki::create(m_pki.domain(), m_now);
        const TrustBundles both{{m_pki.domain(), {m_pki.rootDer(), next.rootDer()}}};
        QVERIFY(verifyPeer(m_svid.chainDer, m_id, both, PeerRole::Server, m_now));
        QVERIFY(
            verifyPeer(next.issue(m_id, std::chrono::hours{1}, m_now)->chainDer, m_id, both, PeerRole::Server, m_now));
    }
};

QTEST_GUILESS_MAIN(TestX509)
#include "tst_x509.moc"

// Our certificates by our own rules, and by the openssl program.
#include "fakes/fake_clock.h"
#include "ports/system_clock.h"
#include "tls/identity_files.h"
#include "tls/pki.h"
#include "tls/x509.h"

#include <QProcess>
#include <QSet>
#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace lintel::tls;
using namespace Qt::StringLiterals;

namespace {
const auto kDomain = u"building-1.smart.local"_s;

Pki makePki(const QString &domain = kDomain)
{
    return *Pki::create(*TrustDomain::parse(domain), SystemClock().now());
}

X509Svid makeOne(const Pki &pki, const QString &path = u"/agent/hvac-001"_s)
{
    return *pki.issue(*SpiffeId::parse(u"spiffe://"_s + pki.domain().name() + path), std::chrono::hours{1},
                      SystemClock().now());
}

QString openssl(const QStringList &arguments)
{
    QProcess process;
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(u"openssl"_s, arguments);
    process.waitForFinished();
    return QString::fromUtf8(process.readAll());
}
} // namespace

class TestPki : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void openssl_acceptsTheChainAndShowsWhatTheStandardAsks()
    {
        const Pki pki = makePki();
        const X509Svid svid = makeOne(pki);
        QTemporaryDir dir;
        QVERIFY(writeIdentity(dir.filePath(u"id"_s), svid, {{pki.domain(), {pki.rootDer()}}}));
        const QString root = dir.filePath(u"id/"_s + bundleFileName(pki.domain()));
        const QString both = dir.filePath(u"both.pem"_s);
        QVERIFY(writeKeyAndChain(both, svid));
        const auto pem = readPrivateFile(both); // nobody else may read it
        QVERIFY(pem);
        QCOMPARE(*certificatesFromPem(*pem), svid.chainDer);
        QCOMPARE(*privateKeyToPem(**privateKeyFromPem(*pem)), *privateKeyToPem(*svid.key));
        const QString leaf = dir.filePath(u"id/svid.pem"_s);
        for (const auto &purpose : {u"sslclient"_s, u"sslserver"_s}) {
            const QString said =
                openssl({u"verify"_s, u"-x509_strict"_s, u"-purpose"_s, purpose, u"-CAfile"_s, root, leaf});
            QVERIFY2(said.endsWith(u": OK\n"), qPrintable(said));
        }
        const QString leafText = openssl({u"x509"_s, u"-in"_s, leaf, u"-noout"_s, u"-text"_s});
        QVERIFY(leafText.contains(u"NIST CURVE: P-256"_s));
        QVERIFY(leafText.contains(u"URI:spiffe://building-1.smart.local/agent/hvac-001"_s));
        QCOMPARE(leafText.count(u"URI:"_s), 1);
        QVERIFY(leafText.contains(u"X509v3 Basic Constraints: critical\n                CA:FALSE"_s));
        QVERIFY(leafText.contains(u"X509v3 Key Usage: critical\n                Digital Signature\n"_s));
        QVERIFY(leafText.contains(u"TLS Web Server Authentication, TLS Web Client Authentication"_s));
        const QString rootText = openssl({u"x509"_s, u"-in"_s, root, u"-noout"_s, u"-text"_s});
        QVERIFY(rootText.contains(u"URI:spiffe://building-1.smart.local\n"_s));
        QVERIFY(rootText.contains(u"X509v3 Basic Constraints: critical\n                CA:TRUE"_s));
        QVERIFY(rootText.contains(u"X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign"_s));
        QVERIFY(rootText.contains(u"X509v3 Name Constraints: critical"_s));
    }

    void nameConstraint_stopsARootFromSpeakingForOthers()
    {
        // A root that lies about its domain: named building-1, it signs for the cloud.
        const Pki pki = makePki();
        QTemporaryDir dir;
        QVERIFY(pki.save(dir.path()));
        const auto other = *TrustDomain::parse(u"smart-building.cloud");
        const auto refused = pki.issue(*SpiffeId::parse(u"spiffe://smart-building.cloud/agent/x"),
                                       std::chrono::hours{1}, SystemClock().now());
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Denied);
        QVERIFY(!Pki::load(dir.path(), other));

        // And when its key is used by hand, the constraint tells.
        const QString base = dir.filePath(kDomain);
        QFile extensions(dir.filePath(u"ext"_s));
        QVERIFY(extensions.open(QIODevice::WriteOnly));
        extensions.write(
            "subjectAltName=URI:spiffe://smart-building.cloud/agent/x\nkeyUsage=critical,digitalSignature\n"
            "basicConstraints=critical,CA:FALSE\n");
        extensions.close();
        openssl({u"req"_s, u"-newkey"_s, u"ec"_s, u"-pkeyopt"_s, u"ec_paramgen_curve:P-256"_s, u"-nodes"_s, u"-subj"_s,
                 u"/CN=x"_s, u"-keyout"_s, dir.filePath(u"k"_s), u"-out"_s, dir.filePath(u"csr"_s)});
        openssl({u"x509"_s, u"-req"_s, u"-in"_s, dir.filePath(u"csr"_s), u"-CA"_s, base + u"/root.pem"_s, u"-CAkey"_s,
                 base + u"/root.key"_s, u"-CAcreateserial"_s, u"-extfile"_s, extensions.fileName(), u"-out"_s,
                 dir.filePath(u"leaf"_s)});
        const auto leaf = certificatesFromPem(*readWholeFile(dir.filePath(u"leaf"_s)));
        QVERIFY(leaf);
        const auto id = *SpiffeId::parse(u"spiffe://smart-building.cloud/agent/x");
        const auto verified = verifyPeer(*leaf, id, {{other, {pki.rootDer()}}}, PeerRole::Client, SystemClock().now());
        QVERIFY(!verified);
        QVERIFY2(verified.error().message.contains(u"subtree"_s), qPrintable(verified.error().message));
    }

    void issue_keepsTheLifetimeBetweenOneHourAndOneDay()
    {
        const Pki pki = makePki();
        const auto id = *SpiffeId::parse(u"spiffe://building-1.smart.local/agent/a");
        for (const qint64 seconds : {qint64{0}, qint64{3'599}, qint64{86'401}})
            QCOMPARE(pki.issue(id, std::chrono::seconds{seconds}, SystemClock().now()).error().code, Errc::OutOfRange);
        const Timestamp now = std::chrono::floor<std::chrono::seconds>(SystemClock().now());
        for (const qint64 seconds : {qint64{3'600}, qint64{86'400}}) {
            const auto svid = pki.issue(id, std::chrono::seconds{seconds}, now);
            QVERIFY(svid);
            QCOMPARE(toEpochMillis(svid->notBefore), toEpochMillis(now - std::chrono::minutes{1}));
            QCOMPARE(toEpochMillis(svid->notAfter), toEpochMillis(now + std::chrono::seconds{seconds}));
        }
        QCOMPARE(
            pki.issue(*SpiffeId::parse(u"spiffe://building-1.smart.local"), std::chrono::hours{1}, now).error().code,
            Errc::Malformed);
    }

    void serials_areRandomAnd128BitsLong()
    {
        const Pki pki = makePki();
        QSet<QString> seen;
        for (int i = 0; i < 50; ++i) {
            const QString serial = describeCertificate(makeOne(pki).chainDer.first())->serial;
            QCOMPARE(serial.size(), 32);
            QVERIFY(!seen.contains(serial));
            seen.insert(serial);
        }
    }

    void save_keepsTheKeyPrivateAndLoadBringsItBack()
    {
        QTemporaryDir dir;
        const Pki pki = makePki();
        QVERIFY(pki.save(dir.path()));
        const auto keyMode = QFile::permissions(dir.filePath(kDomain + u"/root.key"_s));
        QVERIFY(!(keyMode & (QFile::ReadGroup | QFile::ReadOther | QFile::WriteGroup | QFile::WriteOther)));
        QVERIFY(Pki::exists(dir.path(), pki.domain()));
        QCOMPARE(Pki::domainsIn(dir.path()), QList{pki.domain()});
        const auto again = Pki::load(dir.path(), pki.domain());
        QVERIFY(again);
        QCOMPARE(again->rootDer(), pki.rootDer());
        const X509Svid svid = makeOne(*again);
        QVERIFY(verifyPeer(svid.chainDer, svid.id, {{pki.domain(), {pki.rootDer()}}}, PeerRole::Client,
                           SystemClock().now()));
        QCOMPARE(Pki::load(dir.path(), *TrustDomain::parse(u"nobody.example")).error().code, Errc::NotFound);
    }
};

QTEST_GUILESS_MAIN(TestPki)
#include "tst_pki.moc"

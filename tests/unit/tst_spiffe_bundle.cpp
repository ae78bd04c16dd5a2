// What an authority of ours publishes, signs and takes out again, by the letter of SPIFFE_Trust_Domain_and_Bundle.md,
// SPIFFE_Federation.md and the bundle sections of the SVIDs' standards. Each slot is a row of
// docs/spiffe-conformance.md; reading and writing bundles by themselves is in tst_spiffe_jwt.
#include "fakes/attested_agent.h"
#include "fakes/odd_certificate.h"
#include "tls/certificate_writer.h"
#include "tls/jws.h"
#include "tls/pki.h"

#include <openssl/x509v3.h>

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

/// One whose keys change often enough for a test, but live as long in relation to each other as they do.
void hurry(AuthorityConfig &config)
{
    config.rootLifetime = 24h * 40;
    config.rootOverlap = 24h * 10;
    config.issuingLifetime = 24h * 4;
    config.jwtKeyLifetime = 24h * 4;
}

QJsonObject publishedBy(Authority &authority)
{
    return QJsonDocument::fromJson(*tls::printBundle(*authority.bundle())).object();
}

} // namespace

class TestSpiffeBundle : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- SPIFFE-ID 3.3 ---
    /// A token of another kind, signed by a key of the domain's bundle, is no JWT-SVID; nor is its key one's.
    void spiffeid33_otherKindsOfDocumentsAreNoIdentity()
    {
        const TrustDomain domain = *TrustDomain::parse(u"building-1.smart.local");
        const auto key = *tls::signingKeyFrom(*tls::newSoftwareKey());
        const Timestamp now = fromEpochMillis(1'768'435'200'000);
        const QJsonObject claims{{u"sub"_s, u"spiffe://building-1.smart.local/w"_s},
                                 {u"aud"_s, QJsonArray{u"reports"_s}},
                                 {u"iat"_s, 1'768'435'200},
                                 {u"exp"_s, 1'768'435'500}};
        const tls::BundleDocument bundle{{}, {{u"k1"_s, key->publicKeyDer()}}, 1, 60s};
        const auto validate = [&](const QString &type, const tls::BundleDocument &by) {
            return tls::validateJwtSvid(*tls::signToken(claims, type, u"k1"_s, *key), u"reports"_s,
                                        {{domain, by.jwtAuthorities}}, now);
        };
        VERIFY_OK(validate(u"JWT"_s, bundle));
        for (const QString &type : {u"wit+jwt"_s, u"wpt+jwt"_s, u"at+jwt"_s, u"lintel-deny-list+jwt"_s, u"jwt-svid"_s})
            QVERIFY2(!validate(type, bundle), qPrintable(type));
        const QByteArray published = *tls::printBundle(bundle);
        for (const char *use : {"wit-svid", "wimse", "sig"}) {
            const auto other = tls::parseBundle(QByteArray(published).replace("jwt-svid", use));
            VERIFY_OK(other);
            QVERIFY2(!validate(u"JWT"_s, *other), use);
        }
    }

    // --- Bundles ---
    void bundle42_keysHaveNoParameterWithoutASpecification()
    {
        AuthorityFixture f;
        hurry(f.config);
        VERIFY_OK(f.open());
        // RFC 7517 and RFC 7518 section 6.2.1 (EC), X509-SVID 6.1, JWT-SVID 6.1.
        const QSet<QString> ofCertificate{u"kty"_s, u"crv"_s, u"x"_s, u"y"_s, u"use"_s, u"x5c"_s};
        const QSet<QString> ofJwtKey{u"kty"_s, u"crv"_s, u"x"_s, u"y"_s, u"use"_s, u"kid"_s};
        int certificates = 0;
        for (int days = 0; days < 40; ++days) {
            VERIFY_OK(f.authority->tick());
            const QJsonArray keys = publishedBy(*f.authority).value("keys"_L1).toArray();
            certificates = 0;
            for (const auto value : keys) {
                const QJsonObject key = value.toObject();
                const bool isCertificate = key.value("use"_L1).toString() == "x509-svid"_L1;
                certificates += isCertificate;
                const QStringList names = key.keys();
                QCOMPARE(QSet<QString>(names.cbegin(), names.cend()), isCertificate ? ofCertificate : ofJwtKey);
            }
            QVERIFY(certificates >= 1 && keys.size() > certificates);
            f.clock.advance(24h);
        }
        QCOMPARE(certificates, 2); // the next root's, too
    }
    void bundle5_aMapOfBundlesIsNoBundle()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const QJsonObject bundle = publishedBy(*f.authority);
        VERIFY_OK(tls::parseBundle(QJsonDocument(bundle).toJson()));
        for (const QJsonObject &bundles : {QJsonObject{}, QJsonObject{{u"building-1.smart.local"_s, bundle}}}) {
            const auto parsed = tls::parseBundle(QJsonDocument(QJsonObject{{u"trust_domains"_s, bundles}}).toJson());
            VERIFY_ERROR(parsed, Errc::Malformed);
        }
    }
    void x509svid61_publishedRootsAreSelfSigned()
    {
        AuthorityFixture f;
        hurry(f.config);
        VERIFY_OK(f.open());
        QSet<QByteArray> roots;
        for (int days = 0; days < 60; ++days) {
            VERIFY_OK(f.authority->tick());
            const auto bundle = *f.authority->bundle();
            for (const QByteArray &der : bundle.x509Authorities)
                roots += der;
            f.clock.advance(24h);
        }
        QVERIFY(roots.size() >= 3);
        const auto isSelfSigned = [](const QByteArray &der) {
            return X509_self_signed(tls::x509FromDer(der).get(), 1) == 1; // names, key ids and the signature
        };
        for (const QByteArray &der : std::as_const(roots))
            QVERIFY(isSelfSigned(der));
        QVERIFY(isSelfSigned(tls::Pki::create(f.config.domain, f.clock.now())->rootDer()));
        // It can tell: the issuing CA is signed by the root, and is not published.
        const auto svid = f.authority->mintX509(*tls::makeCsr(*DeviceKey().signer, f.id(u"/w"_s)), {}, f.actor);
        VERIFY_OK(svid);
        QVERIFY(!isSelfSigned(svid->chainDer.last()));
        QVERIFY(!roots.contains(svid->chainDer.last()));
    }
    /// Workload API 5.2.1 and 5.2.2: X.509 bundles are for X.509-SVIDs, and the keys of tokens are not in them, even
    /// where a certificate stands beside such a key.
    void x509svid62_jwtKeysDoNotVerifyCertificates()
    {
        const TrustDomain domain = *TrustDomain::parse(u"building-1.smart.local");
        const SpiffeId id = *SpiffeId::parse(u"spiffe://building-1.smart.local/w");
        const auto root = makeCertificate(rootOf("building-1.smart.local"));
        const auto leaf = makeCertificate({{"spiffe://building-1.smart.local/w"}}, &root);
        const auto verify = [&](const QByteArray &json) {
            return tls::verifyPeer({leaf.der, root.der}, id, {{domain, tls::parseBundle(json)->x509Authorities}},
                                   tls::PeerRole::Client, fromEpochMillis(1'768'435'200'000));
        };
        const QByteArray published = *tls::printBundle({{root.der}, {}, 1, 60s});
        VERIFY_OK(verify(published));
        const QByteArray asJwtKey = QByteArray(published).replace("\"x509-svid\"", "\"jwt-svid\",\"kid\":\"k1\"");
        QCOMPARE(tls::parseBundle(asJwtKey)->jwtAuthorities.size(), 1);
        QVERIFY(!verify(asJwtKey));
    }

    // --- JWT-SVID 3.2 ---
    void jwtsvid32_audienceIsJustWhatWasAsked()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        for (const QStringList &audience : {QStringList{u"spiffe://example.org/reports"_s}, {u"a"_s, u"b"_s}}) {
            const auto jwt = f.authority->mintJwt(f.id(u"/w"_s), audience, {}, f.actor);
            VERIFY_OK(jwt);
            const auto svid =
                tls::validateJwtSvid(jwt->token, audience.first(),
                                     {{f.config.domain, f.authority->bundle()->jwtAuthorities}}, f.clock.now());
            VERIFY_OK(svid);
            QCOMPARE(svid->audience, audience);
        }
        QVERIFY(!f.authority->mintJwt(f.id(u"/w"_s), {}, {}, f.actor)); // none is no narrow one
    }

    // --- Federation ---
    void federation41_keysLeaveWhenNothingValidIsSignedByThem()
    {
        AuthorityFixture f;
        hurry(f.config);
        VERIFY_OK(f.open());
        struct Signed {
            IssuedSvid svid;
            tls::JwtSvid jwt;
            QByteArray token;
        };
        QList<Signed> alive;
        QHash<QByteArray, Timestamp> firstSeen; // of published keys
        int left = 0;
        const QByteArray csr = *tls::makeCsr(*DeviceKey().signer, f.id(u"/w"_s));
        for (int hours = 0; hours < 24 * 60; hours += 6) {
            VERIFY_OK(f.authority->tick());
            const Timestamp now = f.clock.now();
            const auto bundle = *f.authority->bundle();
            // Not too early: what was signed and is valid is believed by whoever has the newest bundle.
            alive.removeIf([now](const Signed &one) { return qMin(one.svid.notAfter, one.jwt.expiresAt) <= now; });
            for (const Signed &one : std::as_const(alive)) {
                VERIFY_OK(f.verify(one.svid));
                VERIFY_OK(tls::validateJwtSvid(one.token, u"x"_s, {{f.config.domain, bundle.jwtAuthorities}}, now));
            }
            // Not for ever: with its own end each key is gone, whoever still holds its private half.
            QSet<QByteArray> published(bundle.x509Authorities.cbegin(), bundle.x509Authorities.cend());
            for (const QByteArray &root : bundle.x509Authorities)
                QVERIFY(tls::describeCertificate(root)->notAfter > now);
            for (const tls::JwtAuthority &key : bundle.jwtAuthorities)
                published += key.publicKeyDer;
            for (const QByteArray &key : std::as_const(published)) {
                if (!firstSeen.contains(key))
                    firstSeen.insert(key, now);
                QVERIFY(bundle.x509Authorities.contains(key) || now - firstSeen.value(key) <= f.config.jwtKeyLifetime);
            }
            left = int(firstSeen.size() - published.size());
            QVERIFY(bundle.x509Authorities.size() <= 2);
            QVERIFY(bundle.jwtAuthorities.size() <= 3);

            const auto svid = f.authority->mintX509(csr, 24h, f.actor);
            VERIFY_OK(svid);
            const auto jwt = f.authority->mintJwt(f.id(u"/w"_s), {u"x"_s}, 12h, f.actor);
            VERIFY_OK(jwt);
            alive.append({*svid,
                          *tls::validateJwtSvid(jwt->token, u"x"_s, {{f.config.domain, bundle.jwtAuthorities}}, now),
                          jwt->token});
            f.clock.advance(6h);
        }
        QVERIFY(left >= 10);
    }
    /// Without numbers the one that came last counts; but whoever once gave numbers goes on giving them, or an old
    /// bundle without one would bring revoked keys back.
    void federation42_withoutNumbersTheLatestCounts()
    {
        AuthorityFixture f;
        VERIFY_OK(f.open());
        const TrustDomain other = *TrustDomain::parse(u"smart-building.cloud");
        const auto bundle = [](std::optional<quint64> number) {
            return tls::BundleDocument{{makeCertificate(rootOf("smart-building.cloud")).der}, {}, number, 60s};
        };
        VERIFY_OK(f.authority->setFederatedBundle(other, bundle({}), f.actor));
        const auto second = bundle({});
        VERIFY_OK(f.authority->setFederatedBundle(other, second, f.actor));
        VERIFY_OK(f.open()); // it is stored
        QCOMPARE(f.authority->federatedBundle(other)->value().x509Authorities, second.x509Authorities);
        const auto third = bundle(1);
        VERIFY_OK(f.authority->setFederatedBundle(other, third, f.actor));
        VERIFY_ERROR(f.authority->setFederatedBundle(other, bundle({}), f.actor), Errc::Conflict);
        QCOMPARE(f.authority->federatedBundle(other)->value().x509Authorities, third.x509Authorities);
    }
};

QTEST_GUILESS_MAIN(TestSpiffeBundle)
#include "tst_spiffe_bundle.moc"

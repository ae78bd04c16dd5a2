// X509-SVID.md line by line: what the authority writes, and what a verifier refuses. Each slot is a
// row of docs/spiffe-conformance.md.
#include "fakes/odd_certificate.h"
#include "tls/certificate_writer.h"

#include <QTest>

using namespace lintel;
using namespace lintel::tls;
using namespace lintel::test;
using namespace Qt::StringLiterals;

namespace {
const Timestamp kNow = fromEpochMillis(1'768'435'200'000);
const TrustDomain kDomain = *TrustDomain::parse(u"building-1.smart.local");
const SpiffeId kId = *SpiffeId::parse(u"spiffe://building-1.smart.local/agent/hvac-001");

/// A root, an issuing CA and a leaf, all from our own writer.
struct Chain {
    std::shared_ptr<SigningKey> rootKey = *signingKeyFrom(*newSoftwareKey());
    std::shared_ptr<SigningKey> issuingKey = *signingKeyFrom(*newSoftwareKey());
    std::shared_ptr<EVP_PKEY> leafKey = *newSoftwareKey();
    QByteArray root;
    QByteArray issuing;
    QByteArray leaf;

    explicit Chain(const SpiffeId &id = kId, const TrustDomain &domain = kDomain)
    {
        using namespace std::chrono_literals;
        root =
            writeAuthority({domain, u"root"_s, rootKey->publicKeyDer(), kNow - 1h, kNow + 24h, {}}, nullptr, *rootKey)
                ->der;
        const auto rootFacts = *issuerFacts(root);
        issuing = writeAuthority({domain, u"issuing"_s, issuingKey->publicKeyDer(), kNow - 1h, kNow + 12h, 0},
                                 &rootFacts, *rootKey)
                      ->der;
        leaf = writeLeaf({id, {}, (*signingKeyFrom(leafKey))->publicKeyDer(), kNow - 1min, kNow + 1h},
                         *issuerFacts(issuing), *issuingKey)
                   ->der;
    }
};

Result<void> verify(const QList<QByteArray> &chain, const QByteArray &root, Timestamp at = kNow)
{
    return verifyPeer(chain, kId, {{kDomain, {root}}}, PeerRole::Client, at);
}

bool isCritical(const QByteArray &der, int nid)
{
    const X509Ptr certificate = x509FromDer(der);
    const int at = X509_get_ext_by_NID(certificate.get(), nid, -1);
    return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(certificate.get(), at)) == 1;
}
} // namespace

class TestSpiffeX509 : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- 2: SPIFFE ID ---
    void s2_writtenLeafHasExactlyOneUriName()
    {
        const Chain chain;
        QCOMPARE(*spiffeIdOf(chain.leaf), kId);
        const X509Ptr certificate = x509FromDer(chain.leaf);
        const GeneralNamesPtr names{
            static_cast<GENERAL_NAMES *>(X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr))};
        QCOMPARE(sk_GENERAL_NAME_num(names.get()), 1);
    }
    void s2_twoUriNamesAreRefused()
    {
        const auto odd =
            makeCertificate({{"spiffe://building-1.smart.local/agent/a", "spiffe://building-1.smart.local/agent/b"}});
        QVERIFY(!leafSpiffeId(odd.der));
        const auto notSpiffe = makeCertificate({{"spiffe://building-1.smart.local/agent/a", "https://a.example"}});
        QVERIFY(!leafSpiffeId(notSpiffe.der));
    }
    void s2_noUriNameIsRefused() { QVERIFY(!leafSpiffeId(makeCertificate({{}}).der)); }
    void s2_dnsNamesMayStandBesideTheId()
    {
        const Chain chain;
        const auto leaf = writeLeaf({kId,
                                     {u"hvac.example"_s, u"b.example"_s},
                                     chain.issuingKey->publicKeyDer(),
                                     kNow,
                                     kNow + std::chrono::hours{1}},
                                    *issuerFacts(chain.issuing), *chain.issuingKey);
        QVERIFY(leaf);
        QCOMPARE(*leafSpiffeId(leaf->der), kId);
        QVERIFY(leaf->der.contains("hvac.example"));
    }

    // --- 3.1: leaves ---
    void s31_leafWithoutPathIsRefused()
    {
        QVERIFY(!leafSpiffeId(makeCertificate({{"spiffe://building-1.smart.local"}}).der));
        const Chain chain;
        QVERIFY(!writeLeaf({*SpiffeId::parse(u"spiffe://building-1.smart.local"),
                            {},
                            chain.issuingKey->publicKeyDer(),
                            kNow,
                            kNow + std::chrono::hours{1}},
                           *issuerFacts(chain.issuing), *chain.issuingKey));
    }
    void s31_withoutSubjectTheNameMustBeCritical()
    {
        const auto root = makeCertificate(rootOf("building-1.smart.local"));
        for (const bool critical : {true, false}) {
            const auto leaf = makeCertificate({.hasSubject = false, .isNameCritical = critical}, &root);
            QCOMPARE(isCritical(leaf.der, NID_subject_alt_name), critical);
            QCOMPARE(bool(leafSpiffeId(leaf.der)), critical);
            QCOMPARE(bool(verify({leaf.der}, root.der)), critical);
        }
        // With a subject it may be, and may not. Ours have one.
        for (const bool critical : {true, false})
            QVERIFY(leafSpiffeId(makeCertificate({.isNameCritical = critical}).der));
        const X509Ptr ours = x509FromDer(Chain().leaf);
        QVERIFY(X509_NAME_entry_count(X509_get_subject_name(ours.get())) > 0);
    }
    // --- 3.2: signing certificates ---
    void s32_signingCertificateIsAnSvidWithoutPath()
    {
        const Chain chain;
        for (const QByteArray &der : {chain.root, chain.issuing}) {
            const auto id = spiffeIdOf(der);
            QVERIFY(id);
            QVERIFY(id->path().isEmpty());
            QCOMPARE(id->trustDomain(), kDomain);
        }
    }
    void s32_signingCertificateDoesNotAuthenticate()
    {
        const Chain chain;
        QVERIFY(!leafSpiffeId(chain.root));
        QVERIFY(!verify({chain.issuing}, chain.root));
    }

    // --- 4.1: basic constraints ---
    void s41_authoritiesSayCaTrue()
    {
        const Chain chain;
        QVERIFY(describeCertificate(chain.root)->isAuthority);
        QVERIFY(describeCertificate(chain.issuing)->isAuthority);
        QVERIFY(isCritical(chain.issuing, NID_basic_constraints));
    }
    void s41_leafSaysCaFalse() { QVERIFY(!describeCertificate(Chain().leaf)->isAuthority); }
    void s41_pathLengthOfIssuingCaIsKept()
    {
        // An issuing CA of path length 0 that signs another authority: that one's leaves are refused.
        const Chain chain;
        const auto issuingFacts = *issuerFacts(chain.issuing);
        const auto key = *signingKeyFrom(*newSoftwareKey());
        const auto third = writeAuthority(
            {kDomain, u"third"_s, key->publicKeyDer(), kNow - std::chrono::hours{1}, kNow + std::chrono::hours{1}, {}},
            &issuingFacts, *chain.issuingKey);
        const auto leaf = writeLeaf({kId, {}, key->publicKeyDer(), kNow, kNow + std::chrono::hours{1}},
                                    *issuerFacts(third->der), *key);
        QVERIFY(!verify({leaf->der, third->der, chain.issuing}, chain.root));
    }

    // --- 4.2: name constraints ---
    void s42_authoritiesAreLimitedToTheirDomain()
    {
        const Chain chain;
        QVERIFY(isCritical(chain.root, NID_name_constraints));
        QVERIFY(isCritical(chain.issuing, NID_name_constraints));
    }
    void s42_idOutsideOfTheConstraintIsRefused()
    {
        // The issuing CA of building-1 speaks for the company, and somebody takes its root for the company's.
        const TrustDomain company = *TrustDomain::parse(u"smart-building.cloud");
        const SpiffeId id = *SpiffeId::parse(u"spiffe://smart-building.cloud/agent/ingestion");
        const Chain chain;
        const auto leaf = writeLeaf({id, {}, chain.issuingKey->publicKeyDer(), kNow, kNow + std::chrono::hours{1}},
                                    *issuerFacts(chain.issuing), *chain.issuingKey);
        QVERIFY(!verifyPeer({leaf->der, chain.issuing}, id, {{company, {chain.root}}}, PeerRole::Client, kNow));
    }

    // --- 4.3: key usage ---
    void s43_keyUsageIsSetAndCritical()
    {
        const Chain chain;
        for (const QByteArray &der : {chain.root, chain.issuing, chain.leaf})
            QVERIFY(isCritical(der, NID_key_usage));
    }
    void s43_leafWithoutKeyUsageIsRefused() { QVERIFY(!leafSpiffeId(makeCertificate({.keyUsage = ""}).der)); }
    void s43_leafWithUncriticalKeyUsageIsRefused()
    {
        QVERIFY(!leafSpiffeId(makeCertificate({.keyUsage = "digitalSignature"}).der));
    }
    void s43_signingCertificateHasKeyCertSign()
    {
        const X509Ptr certificate = x509FromDer(Chain().issuing);
        QVERIFY(X509_get_key_usage(certificate.get()) & KU_KEY_CERT_SIGN);
    }
    void s43_leafHasDigitalSignature()
    {
        const X509Ptr certificate = x509FromDer(Chain().leaf);
        QCOMPARE(X509_get_key_usage(certificate.get()), quint32(KU_DIGITAL_SIGNATURE));
        QVERIFY(!leafSpiffeId(makeCertificate({.keyUsage = "critical,keyAgreement"}).der));
    }
    void s43_leafWithKeyCertSignOrCrlSignIsRefused()
    {
        QVERIFY(!leafSpiffeId(makeCertificate({.keyUsage = "critical,digitalSignature,keyCertSign"}).der));
        QVERIFY(!leafSpiffeId(makeCertificate({.keyUsage = "critical,digitalSignature,cRLSign"}).der));
    }

    // --- 4.4: extended key usage ---
    void s44_leafHasServerAndClientAuth()
    {
        const X509Ptr certificate = x509FromDer(Chain().leaf);
        QCOMPARE(X509_get_extended_key_usage(certificate.get()), quint32(XKU_SSL_SERVER | XKU_SSL_CLIENT));
    }

    // --- 5: validation ---
    void s51_wholePathIsAccepted()
    {
        const Chain chain;
        const auto verified = verify({chain.leaf, chain.issuing}, chain.root);
        QVERIFY2(bool(verified), verified ? "" : qPrintable(verified.error().message));
    }
    void s51_pathToAnotherRootIsRefused() { QVERIFY(!verify({Chain().leaf, Chain().issuing}, Chain().root)); }
    void s51_missingIntermediateIsRefused()
    {
        const Chain chain;
        QVERIFY(!verify({chain.leaf}, chain.root));
    }
    void s51_expiredLeafIsRefused()
    {
        const Chain chain;
        QVERIFY(!verify({chain.leaf, chain.issuing}, chain.root, kNow + std::chrono::hours{2}));
        QVERIFY(!verify({chain.leaf, chain.issuing}, chain.root, kNow - std::chrono::hours{2}));
    }
    void s51_changedBytesAreRefused()
    {
        const Chain chain;
        QByteArray forged = chain.leaf;
        forged.replace("/agent/hvac-001", "/agent/hvac-002");
        QVERIFY(!verifyPeer({forged, chain.issuing},
                            *SpiffeId::parse(u"spiffe://building-1.smart.local/agent/hvac-002"),
                            {{kDomain, {chain.root}}}, PeerRole::Client, kNow));
    }
    void s52_caAsLeafIsRefused()
    {
        QVERIFY(!leafSpiffeId(makeCertificate({.basicConstraints = "critical,CA:TRUE"}).der));
    }
    void s52_otherSchemeIsRefused()
    {
        QVERIFY(!leafSpiffeId(makeCertificate({{"https://building-1.smart.local/agent/a"}}).der));
    }
    void s52_wrongTrustDomainIsRefused()
    {
        const auto root = makeCertificate(rootOf("building-1.smart.local"));
        const auto leaf = makeCertificate({{"spiffe://building-2.smart.local/agent/hvac-001"}}, &root);
        QVERIFY(!verify({leaf.der}, root.der));
        QVERIFY(!verifyPeer({leaf.der}, *SpiffeId::parse(u"spiffe://building-2.smart.local/agent/hvac-001"),
                            {{kDomain, {root.der}}}, PeerRole::Client, kNow));
    }

    // --- Requests ---
    void csr_signatureMustVerify()
    {
        const auto key = *signingKeyFrom(*newSoftwareKey());
        QByteArray csr = *makeCsr(*key, kId);
        const auto read = readCsr(csr);
        QVERIFY(read);
        QCOMPARE(read->publicKeyDer, key->publicKeyDer());
        QCOMPARE(read->spiffeId.value(), kId);
        csr.replace("/agent/hvac-001", "/agent/hvac-002");
        const auto forged = readCsr(csr);
        QVERIFY(!forged);
        QCOMPARE(forged.error().code, Errc::Denied);
    }
    void csr_withAnotherKeyThanTheSigners_isRefused()
    {
        const auto mine = *signingKeyFrom(*newSoftwareKey());
        const auto theirs = *signingKeyFrom(*newSoftwareKey());
        QByteArray csr = *makeCsr(*mine);
        csr.replace(mine->publicKeyDer(), theirs->publicKeyDer());
        QCOMPARE(readCsr(csr).error().code, Errc::Denied);
    }
    void csr_ofOpensslIsReadAndRsaToo()
    {
        for (const bool rsa : {false, true}) {
            const std::shared_ptr<EVP_PKEY> key(rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-384"), EVP_PKEY_free);
            const std::unique_ptr<X509_REQ, Freer<X509_REQ_free>> request{X509_REQ_new()};
            X509_REQ_set_pubkey(request.get(), key.get());
            X509_REQ_sign(request.get(), key.get(), EVP_sha256());
            unsigned char *data = nullptr;
            const int size = i2d_X509_REQ(request.get(), &data);
            QByteArray der(reinterpret_cast<const char *>(data), size);
            OPENSSL_free(data);
            QVERIFY(readCsr(der));
            der[der.size() - 8] = char(der[der.size() - 8] ^ 1);
            QVERIFY(!readCsr(der));
        }
    }
    void csr_ofOpensslReadsOurs()
    {
        const auto key = *newSoftwareKey();
        const QByteArray csr = *makeCsr(**signingKeyFrom(key), kId);
        const auto *at = reinterpret_cast<const unsigned char *>(csr.constData());
        const std::unique_ptr<X509_REQ, Freer<X509_REQ_free>> request{d2i_X509_REQ(nullptr, &at, csr.size())};
        QVERIFY(request);
        QCOMPARE(X509_REQ_verify(request.get(), key.get()), 1);
    }
    void csr_tornIsRefused()
    {
        const QByteArray csr = *makeCsr(**signingKeyFrom(*newSoftwareKey()), kId);
        for (qsizetype n = 0; n < csr.size(); ++n)
            QVERIFY(!readCsr(csr.first(n)));
        QVERIFY(!readCsr(csr + 'x'));
    }
};

QTEST_APPLESS_MAIN(TestSpiffeX509)
#include "tst_spiffe_x509.moc"

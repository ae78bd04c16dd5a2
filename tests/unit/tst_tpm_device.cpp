// A TpmDevice on a software TPM: its keys in OpenSSL, and what happens when the TPM goes away.
#include "fakes/software_tpm.h"
#include "tls/x509.h"
#include "tpm/attestation_verifier.h"
#include "tpm_test_tools.h"

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QtTest>

#include <algorithm>
#include <vector>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

class TestTpmDevice : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase()
    {
        m_vendor = std::make_unique<TpmVendor>();
        m_tpm = std::make_unique<SoftwareTpm>(m_vendor.get());
        m_device = must(TpmDevice::open({m_tpm->tcti(), m_tpm->stateDir(), EndorsementChoice::Automatic}));
    }
    void cleanupTestCase()
    {
        m_device.reset();
        m_tpm.reset();
    }

    void open_refusesWhatIsNoTpm()
    {
        const auto device = TpmDevice::open({u"swtpm:path=/nonexistent/tpm"_s, m_tpm->stateDir(), {}});
        QVERIFY(!device);
        QCOMPARE(device.error().code, Errc::Unavailable);
    }

    void endorsement_hasTheCertificateOfItsKey()
    {
        const auto ek = must(m_device->endorsement());
        QVERIFY(!ek.certificateDer.isEmpty());
        QCOMPARE(must(tpm::endorsementHashOfCertificate(ek.certificateDer)), ek.hash);
        QCOMPARE(ek.hash.size(), 64);
        QCOMPARE(m_device->manufacturer(), u"IBM"_s);
    }

    void key_signsRequestsThatVerify()
    {
        const auto key = newKey();
        const QByteArray csr = csrOf(key.get());
        const QByteArray publicKey = must(tpm::publicKeyOfCsr(csr));
        QCOMPARE(publicKey, (der<EVP_PKEY, i2d_PUBKEY>(key.get())));
    }

    void key_doesNotLeaveItsProvider()
    {
        const auto key = newKey();
        QVERIFY(!tls::privateKeyToPem(*key));
        QVERIFY(EVP_PKEY_is_a(key.get(), "EC"));
        // Keys of the rest of the process are not touched by the provider.
        const auto other = softwareKey();
        QVERIFY(other);
        QCOMPARE(qstrcmp(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(other.get())), "default"), 0);
        QCOMPARE(qstrcmp(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key.get())), "lintel-tpm"), 0);
    }

    void key_verifiesItsOwnSignatures()
    {
        const auto key = newKey();
        for (const EVP_MD *md : {EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
            const std::unique_ptr<EVP_MD_CTX, tls::Freer<EVP_MD_CTX_free>> signer{EVP_MD_CTX_new()};
            QCOMPARE(EVP_DigestSignInit(signer.get(), nullptr, md, nullptr, key.get()), 1);
            std::array<unsigned char, 128> signature{};
            size_t size = signature.size();
            const std::array<unsigned char, 3> text = {'a', 'b', 'c'};
            QCOMPARE(EVP_DigestSign(signer.get(), signature.data(), &size, text.data(), text.size()), 1);
            const std::unique_ptr<EVP_MD_CTX, tls::Freer<EVP_MD_CTX_free>> verifier{EVP_MD_CTX_new()};
            QCOMPARE(EVP_DigestVerifyInit(verifier.get(), nullptr, md, nullptr, key.get()), 1);
            QCOMPARE(EVP_DigestVerify(verifier.get(), signature.data(), size, text.data(), text.size()), 1);
            QVERIFY(EVP_DigestVerify(verifier.get(), signature.data(), size, text.data(), 2) != 1);
        }
    }

    void key_refusesOldDigests()
    {
        const auto key = newKey();
        const std::unique_ptr<EVP_MD_CTX, tls::Freer<EVP_MD_CTX_free>> signer{EVP_MD_CTX_new()};
        QVERIFY(EVP_DigestSignInit(signer.get(), nullptr, EVP_sha1(), nullptr, key.get()) != 1);
        ERR_clear_error();
    }

    void tls_worksOnBothEnds()
    {
        const auto clientKey = newKey();
        const auto serverKey = newKey();
        const auto clientCertificate = selfSigned(clientKey.get());
        const auto serverCertificate = selfSigned(serverKey.get());
        const auto client =
            tlsContext(TLS_client_method(), clientKey.get(), clientCertificate.get(), serverCertificate.get());
        const auto server =
            tlsContext(TLS_server_method(), serverKey.get(), serverCertificate.get(), clientCertificate.get());
        QVERIFY2(handshake(client.get(), server.get()), qPrintable(tls::opensslReason()));
    }

    void tls_costOfAHandshake()
    {
        const auto software = softwareKey();
        const auto chip = newKey();
        const auto softwareCertificate = selfSigned(software.get());
        const auto chipCertificate = selfSigned(chip.get());
        const auto server =
            tlsContext(TLS_server_method(), software.get(), softwareCertificate.get(), chipCertificate.get());
        const auto client =
            tlsContext(TLS_client_method(), chip.get(), chipCertificate.get(), softwareCertificate.get());
        const auto plainServer =
            tlsContext(TLS_server_method(), software.get(), softwareCertificate.get(), softwareCertificate.get());
        const auto plainClient =
            tlsContext(TLS_client_method(), software.get(), softwareCertificate.get(), softwareCertificate.get());
        qInfo("handshake with a software key: %.2f ms, with the client's key in swtpm: %.2f ms (medians of 50)",
              medianMillis(plainClient.get(), plainServer.get()), medianMillis(client.get(), server.get()));
    }

    void oldKey_staysUsableBesideNewOnes()
    {
        const auto first = newKey();
        const auto second = newKey();
        const auto third = newKey();
        for (const auto &key : {first, second, third, first})
            QVERIFY(tpm::publicKeyOfCsr(csrOf(key.get())));
    }

    void attestationKey_survivesARestart()
    {
        const auto before = must(m_device->attestationKey());
        m_device = must(TpmDevice::open({m_tpm->tcti(), m_tpm->stateDir(), EndorsementChoice::Automatic}));
        QCOMPARE(must(m_device->attestationKey()).publicArea, before.publicArea);
    }

    void attestationKey_isMadeAnewWhenItsFileIsOfAnotherTpm()
    {
        SoftwareTpm other;
        {
            const auto device = must(TpmDevice::open({other.tcti(), other.stateDir(), EndorsementChoice::Automatic}));
            must(device->attestationKey());
        }
        const QString file = u"/attestation-key.cbor"_s;
        const QTemporaryDir dir;
        QVERIFY(QFile::copy(other.stateDir() + file, dir.path() + file));
        const auto foreign = readAll(dir.path() + file);
        m_device = must(TpmDevice::open({m_tpm->tcti(), dir.path(), EndorsementChoice::Automatic}));
        must(m_device->attestationKey());
        QVERIFY(readAll(dir.path() + file) != foreign);
        QCOMPARE(QFileInfo(dir.path() + file).permissions() & (QFile::ReadGroup | QFile::ReadOther),
                 QFile::Permissions());
        m_device = must(TpmDevice::open({m_tpm->tcti(), m_tpm->stateDir(), EndorsementChoice::Automatic}));
    }

    void vanishedTpm_isUnavailableThenServesTheSameKeyAgain()
    {
        const auto key = newKey();
        const QByteArray publicKey = must(tpm::publicKeyOfCsr(csrOf(key.get())));
        m_tpm->stop();
        const auto gone = m_device->quote(u"sha256"_s, {0}, "x"_ba);
        QVERIFY(!gone);
        QCOMPARE(gone.error().code, Errc::Unavailable);
        m_tpm->start();
        QCOMPARE(must(tpm::publicKeyOfCsr(csrOf(key.get()))), publicKey);
        QVERIFY(m_device->quote(u"sha256"_s, {0}, "x"_ba));
    }

    void killedProcess_leavesNothingThatBlocksTheNext()
    {
        // Five devices that never close, as if killed: each leaves keys loaded; the sixth still works.
        for (int i = 0; i < 5; ++i) {
            m_device.reset();
            const auto device = must(TpmDevice::open({m_tpm->tcti(), m_tpm->stateDir(), EndorsementChoice::Automatic}));
            csrOf(must(device->evpKey(must(device->createKey()))).get());
            must(device->attestationKey());
        }
        m_device = must(TpmDevice::open({m_tpm->tcti(), m_tpm->stateDir(), EndorsementChoice::Automatic}));
        QVERIFY(m_device->quote(u"sha256"_s, {0, 7}, "x"_ba));
    }

    void endorsement_worksWithEachKindOfKey_data()
    {
        QTest::addColumn<int>("choice");
        QTest::addColumn<bool>("hasCertificate");
        QTest::newRow("RSA") << int(EndorsementChoice::Rsa) << true;
        QTest::newRow("ECC P-256") << int(EndorsementChoice::EccP256) << false;
        QTest::newRow("ECC P-384") << int(EndorsementChoice::EccP384) << true;
    }
    void endorsement_worksWithEachKindOfKey()
    {
        QFETCH(int, choice);
        QFETCH(bool, hasCertificate);
        m_device.reset();
        m_device = must(TpmDevice::open({m_tpm->tcti(), m_tpm->stateDir(), EndorsementChoice(choice)}));
        const auto ek = must(m_device->endorsement());
        QCOMPARE(!ek.certificateDer.isEmpty(), hasCertificate);
        QCOMPARE(ek.publicKeyDer.isEmpty(), false);
        m_device = must(TpmDevice::open({m_tpm->tcti(), m_tpm->stateDir(), EndorsementChoice::Automatic}));
    }

    void templates_giveTheKeysThatSwtpmMadePersistent()
    {
        // The certified keys of swtpm are at persistent handles; a TPM without handles must come to
        // the same keys from the templates of the profile.
        m_device.reset();
        SoftwareTpm bare;
        const auto device = must(TpmDevice::open({bare.tcti(), bare.stateDir(), EndorsementChoice::Automatic}));
        const auto ek = must(device->endorsement());
        QVERIFY(ek.certificateDer.isEmpty());
        QCOMPARE(ek.hash.size(), 64);
        m_device = must(TpmDevice::open({m_tpm->tcti(), m_tpm->stateDir(), EndorsementChoice::Automatic}));
    }

private:
    std::shared_ptr<EVP_PKEY> newKey() { return must(m_device->evpKey(must(m_device->createKey()))); }

    static QByteArray readAll(const QString &path)
    {
        QFile file(path);
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray{};
    }

    static double medianMillis(SSL_CTX *client, SSL_CTX *server)
    {
        std::vector<double> times;
        for (int i = 0; i < 50; ++i) {
            QElapsedTimer timer;
            timer.start();
            demand(handshake(client, server), "handshake");
            times.push_back(double(timer.nsecsElapsed()) / 1e6);
        }
        std::nth_element(times.begin(), times.begin() + 25, times.end());
        return times[25];
    }

    std::unique_ptr<TpmVendor> m_vendor;
    std::unique_ptr<SoftwareTpm> m_tpm;
    std::shared_ptr<TpmDevice> m_device;
};

QTEST_GUILESS_MAIN(TestTpmDevice)
#include "tst_tpm_device.moc"

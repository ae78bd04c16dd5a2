// Node attestation from end to end on software TPMs, and every attack that it has to refuse: each
// changes one thing about an attestation that is right in all others.
#include "boot_log.h"
#include "fakes/software_tpm.h"
#include "tls/pki.h"
#include "tpm/attestation_verifier.h"
#include "tpm/lintel_tpm_wire.h"
#include "tpm/spire_tpm_wire.h"
#include "tpm/tpm_attestor.h"
#include "tpm/verification_checks.h"
#include "tpm_test_tools.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include <QDir>
#include <QElapsedTimer>
#include <QtTest>

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

using namespace lintel;
using namespace lintel::test;
using namespace lintel::tpm;
using namespace Qt::StringLiterals;

namespace {
const QByteArray kChannel(32, 'c');
const QByteArray kCertificate(32, 'k');
const auto kBank = u"sha256"_s;

/// One device with its TPM, and the key that it attests.
struct Device {
    explicit Device(const TpmVendor *vendor) : tpm(vendor) { reopen(); }
    void reopen()
    {
        device = must(TpmDevice::open({tpm.tcti(), tpm.stateDir(), EndorsementChoice::Automatic}));
        key = must(device->createKey());
        csr = csrOf(must(device->evpKey(key)).get());
    }
    [[nodiscard]] LintelTpmPayload payload() const
    {
        const auto ek = must(device->endorsement());
        return {ek.certificateDer, ek.publicArea, must(device->attestationKey()).publicArea,
                TpmDevice::publicAreaOf(*key)};
    }
    [[nodiscard]] SpireTpmPayload spirePayload() const
    {
        const auto ek = must(device->endorsement());
        const auto ak = must(device->attestationKey());
        return {ek.certificateDer, ek.publicKeyDer,   ak.publicArea,
                ak.creationData,   ak.creationAttest, ak.creationSignature};
    }
    /// An honest answer, made of its parts so that a test can spoil one.
    [[nodiscard]] LintelTpmAnswer answer(const LintelTpmChallenge &challenge, const QByteArray &qualifying) const
    {
        LintelTpmAnswer out;
        out.secret = must(device->activateCredential(challenge.idObject, challenge.encryptedSecret));
        setQuote(out, challenge.pcrs, qualifying);
        setCertificate(out, qualifying);
        return out;
    }
    void setQuote(LintelTpmAnswer &out, const QList<int> &pcrs, const QByteArray &qualifying) const
    {
        const auto quote = must(device->quote(kBank, pcrs, qualifying));
        out.quote = quote.evidence.attest;
        out.quoteSignature = quote.evidence.signature;
        out.pcrs = quote.pcrs;
    }
    void setCertificate(LintelTpmAnswer &out, const QByteArray &qualifying) const
    {
        const auto certificate = must(device->certify(key, qualifying));
        out.certify = certificate.attest;
        out.certifySignature = certificate.signature;
    }

    SoftwareTpm tpm;
    std::shared_ptr<TpmDevice> device;
    std::shared_ptr<TpmKey> key;
    QByteArray csr;
};

QByteArray withAttributes(const QByteArray &publicArea, TPMA_OBJECT set, TPMA_OBJECT clear)
{
    TPMT_PUBLIC area = publicFromBytes(publicArea).value();
    area.objectAttributes = (area.objectAttributes | set) & ~clear;
    return bytesOf(area);
}

/// What firmware does before any program of ours runs.
void extend(const QString &tcti, ESYS_TR pcr, const QByteArray &data)
{
    TSS2_TCTI_CONTEXT *transport = nullptr;
    ESYS_CONTEXT *esys = nullptr;
    demand(Tss2_TctiLdr_Initialize(tcti.toUtf8().constData(), &transport) == 0, "TCTI");
    demand(Esys_Initialize(&esys, transport, nullptr) == 0, "ESYS");
    TPML_DIGEST_VALUES digests{};
    digests.count = 1;
    digests.digests[0].hashAlg = TPM2_ALG_SHA256;
    const QByteArray hash = QCryptographicHash::hash(data, QCryptographicHash::Sha256);
    memcpy(digests.digests[0].digest.sha256, hash.constData(), 32);
    demand(Esys_PCR_Extend(esys, pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digests) == 0, "PCR_Extend");
    Esys_Finalize(&esys);
    Tss2_TctiLdr_Finalize(&transport);
}

QByteArray flipped(QByteArray bytes, qsizetype at)
{
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    return bytes;
}
} // namespace

class TestTpmAttestation : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase()
    {
        m_vendor = std::make_unique<TpmVendor>();
        m_device = std::make_unique<Device>(m_vendor.get());
        m_other = std::make_unique<Device>(m_vendor.get());
        m_policy.vendors = must(VendorAuthorities::load(m_vendor->certificatesDir()));
        m_policy.requireVendorCertificate = true;
    }
    void cleanupTestCase()
    {
        m_device.reset();
        m_other.reset();
    }

    // --- What has to work -------------------------------------------------------------------------

    void lintelTpm_attestsADevice()
    {
        TpmAttestor attestor(m_device->device, {});
        const auto key = must(attestor.newKey());
        const QByteArray csr = csrOf(key.get());
        auto verification = must(startVerification(attestor.type(), must(attestor.begin()), csr, m_policy, now()));
        QCOMPARE(verification->endorsementKey().chain, EndorsementChain::Verified);
        QCOMPARE(verification->endorsementKey().chip.manufacturer, u"id:00001014"_s);
        const auto answer = must(attestor.answer(verification->challenge(), {kChannel, csr}));
        const auto step = must(verification->answer(answer, {kChannel, {}}, now()));
        QVERIFY(step.verified);
        QVERIFY(step.verified->keyIsInTpm);
        QVERIFY(step.verified->quoted);
        QCOMPARE(step.verified->pcrs.keys(), m_policy.pcrs);
        QCOMPARE(step.verified->publicKeyDer, must(publicKeyOfCsr(csr)));
        QCOMPARE(step.verified->ek.hash, must(m_device->device->endorsement()).hash);
        QVERIFY(step.verified->firmwareVersion != 0);
        QVERIFY(!step.verified->eventLog);
    }

    void lintelTpm_worksWithEachKindOfEndorsementKey_data()
    {
        QTest::addColumn<int>("choice");
        QTest::newRow("RSA") << int(EndorsementChoice::Rsa);
        QTest::newRow("ECC P-256, from the template") << int(EndorsementChoice::EccP256);
        QTest::newRow("ECC P-384") << int(EndorsementChoice::EccP384);
    }
    void lintelTpm_worksWithEachKindOfEndorsementKey()
    {
        QFETCH(int, choice);
        m_device->device.reset();
        m_device->key.reset();
        const QTemporaryDir state;
        const auto device = must(TpmDevice::open({m_device->tpm.tcti(), state.path(), EndorsementChoice(choice)}));
        TpmAttestor attestor(device, {});
        AttestationPolicy policy;
        policy.vendors = m_policy.vendors;
        for (int round = 0; round < 2; ++round) { // the second with what is kept from the first
            const QByteArray csr = csrOf(must(attestor.newKey()).get());
            auto verification = must(startVerification(attestor.type(), must(attestor.begin()), csr, policy, now()));
            const auto answer = must(attestor.answer(verification->challenge(), {kChannel, csr}));
            QVERIFY(verification->answer(answer, {kChannel, {}}, now()));
        }
    }
    void lintelTpm_worksAgainAfterAllOfThem()
    {
        m_device->reopen();
        QVERIFY(attest([](LintelTpmAnswer &, const LintelTpmChallenge &, const QByteArray &) {}));
    }

    void eventLog_isJudgedByTheQuotedPcrs()
    {
        BootLog log;
        log.measured(0, 8, "firmware").measured(7, 0x80000001, BootLog::secureBoot(true));
        const auto before = withEventLog(log.bytes());
        QVERIFY(before && !before->explainsPcrs); // this machine has measured nothing yet
        QVERIFY(before->reason.contains(u"PCR 0"_s));
        QVERIFY(!before->secureBoot);
        m_device->device.reset();
        m_device->key.reset();
        extend(m_device->tpm.tcti(), 0, "firmware");
        extend(m_device->tpm.tcti(), 7, BootLog::secureBoot(true));
        m_device->reopen();
        const auto after = withEventLog(log.bytes());
        QVERIFY(after && after->explainsPcrs);
        QCOMPARE(after->secureBoot, std::optional(true));
        QCOMPARE(after->events, 2);
        QVERIFY(!withEventLog(log.measured(4, 13, "boot loader").bytes())->explainsPcrs);
        QVERIFY(!withEventLog("nonsense"_ba)->explainsPcrs);
    }

    void spireTpm_attestsWithAndWithoutTheSecondChallenge()
    {
        TpmAttestor attestor(m_device->device, {TpmAttestor::Wire::SpireTpm, {}});
        const QByteArray csr = csrOf(must(attestor.newKey()).get());
        for (const bool withPcrs : {false, true}) {
            AttestationPolicy policy = m_policy;
            if (!withPcrs)
                policy.pcrs.clear();
            auto verification = must(startVerification(attestor.type(), must(attestor.begin()), csr, policy, now()));
            auto step =
                must(verification->answer(must(attestor.answer(verification->challenge(), {{}, csr})), {}, now()));
            QCOMPARE(step.nextChallenge.isEmpty(), !withPcrs);
            if (withPcrs)
                step = must(verification->answer(must(attestor.answer(step.nextChallenge, {{}, csr})), {}, now()));
            QVERIFY(step.verified);
            QVERIFY(!step.verified->keyIsInTpm);
            QCOMPARE(step.verified->quoted, withPcrs);
            QCOMPARE(step.verified->pcrs.size(), withPcrs ? 24 : 0);
        }
    }

    void tpmWithoutCertificate_isLeftToTheCaller()
    {
        const Device bare(nullptr);
        AttestationPolicy policy = m_policy;
        QCOMPARE(codeOfStart(encode(bare.payload()), bare.csr, policy), Errc::Denied);
        policy.requireVendorCertificate = false;
        const auto verification = must(startLintel(encode(bare.payload()), bare.csr, policy));
        QCOMPARE(verification->endorsementKey().chain, EndorsementChain::NoCertificate);
    }

    void roundTrip_medianOfTwenty()
    {
        std::vector<double> total;
        TpmAttestor attestor(m_device->device, {});
        for (int i = 0; i < 20; ++i) {
            QElapsedTimer timer;
            timer.start();
            const QByteArray csr = csrOf(must(attestor.newKey()).get());
            auto verification = must(startVerification(attestor.type(), must(attestor.begin()), csr, m_policy, now()));
            const auto answer = must(attestor.answer(verification->challenge(), {kChannel, csr}));
            must(verification->answer(answer, {kChannel, {}}, now()));
            total.push_back(double(timer.nsecsElapsed()) / 1e6);
        }
        std::sort(total.begin(), total.end());
        qInfo("attestation (new key, CSR, payload, challenge, answer, verdict) on swtpm: median %.1f ms, max %.1f ms",
              total[10], total.back());
    }

    void authority_verdictsASecond()
    {
        const auto challengeTimes = [this](int rounds) {
            QElapsedTimer timer;
            timer.start();
            for (int i = 0; i < rounds; ++i)
                must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
            return double(timer.nsecsElapsed()) / 1e6 / rounds;
        };
        qInfo("authority's half up to the challenge: %.2f ms", challengeTimes(50));
    }

    // --- Attacks: lintel_tpm ----------------------------------------------------------------------

    void attack_replayedChallenge()
    {
        auto verification = must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
        const QByteArray answer = encode(honest(*verification));
        QVERIFY(verification->answer(answer, {kChannel, {}}, now()));
        const auto again = verification->answer(answer, {kChannel, {}}, now());
        QVERIFY(!again);
        QCOMPARE(again.error().code, Errc::Conflict);
        // The same answer to another challenge of the same device.
        auto second = must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
        QCOMPARE(second->answer(answer, {kChannel, {}}, now()).error().code, Errc::Denied);
    }

    void attack_secondTryAfterAFailure()
    {
        auto verification = must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
        const QByteArray answer = encode(honest(*verification));
        QVERIFY(!verification->answer("{}"_ba, {kChannel, {}}, now()));
        QCOMPARE(verification->answer(answer, {kChannel, {}}, now()).error().code, Errc::Conflict);
    }

    void attack_lateAnswer()
    {
        for (const auto late : {std::chrono::seconds(61), std::chrono::seconds(-5)}) {
            auto verification = must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
            const QByteArray answer = encode(honest(*verification));
            QCOMPARE(verification->answer(answer, {kChannel, {}}, now() + late).error().code, Errc::Timeout);
        }
    }

    void attack_quoteMissing()
    {
        auto verification = must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
        LintelTpmAnswer answer = honest(*verification);
        answer.quote.clear();
        QCOMPARE(verification->answer(encode(answer), {kChannel, {}}, now()).error().code, Errc::Malformed);
    }

    void attack_otherPcrs()
    {
        for (const QList<int> &pcrs :
             {QList<int>{0}, QList<int>{0, 1, 2, 3, 4, 5, 6, 7}, QList<int>{0, 1, 2, 3, 4, 5, 6, 7, 14, 23},
              QList<int>{8, 9, 10, 11, 12, 13, 15, 16, 17}})
            refused(u"other PCRs", [&](LintelTpmAnswer &answer, const LintelTpmChallenge &, const QByteArray &data) {
                m_device->setQuote(answer, pcrs, data);
            });
        // Healthy PCRs under the numbers of those that were asked for.
        refused(u"other PCRs",
                [&](LintelTpmAnswer &answer, const LintelTpmChallenge &challenge, const QByteArray &data) {
                    m_device->setQuote(answer, {8, 9, 10, 11, 12, 13, 15, 16, 23}, data);
                    const QList<QByteArray> values = answer.pcrs.values();
                    answer.pcrs.clear();
                    for (qsizetype i = 0; i < challenge.pcrs.size(); ++i)
                        answer.pcrs.insert(challenge.pcrs[i], values[i]);
                });
        // Values of more PCRs than were quoted, or of fewer.
        refused(u"other PCRs", [](LintelTpmAnswer &answer, const auto &, const auto &) {
            answer.pcrs.insert(23, QByteArray(32, '\0'));
        });
        refused(u"other PCRs", [](LintelTpmAnswer &answer, const auto &, const auto &) { answer.pcrs.remove(14); });
    }

    void attack_tamperedPcrValues()
    {
        refused(u"PCR values are not those", [](LintelTpmAnswer &answer, const auto &, const auto &) {
            answer.pcrs[7] = flipped(answer.pcrs[7], 0);
        });
    }

    void attack_wrongNonceInTheQuote()
    {
        refused(u"quote was made for another challenge",
                [this](LintelTpmAnswer &answer, const LintelTpmChallenge &c, const auto &) {
                    m_device->setQuote(
                        answer, c.pcrs,
                        must(qualifyingData(QByteArray(32, 'x'), ChannelBinding::Exporter, kChannel, m_device->csr)));
                });
    }

    void attack_wrongNonceInTheCertificate()
    {
        refused(u"certificate of the key was made for another challenge", [this](LintelTpmAnswer &answer, const auto &,
                                                                                 const auto &) {
            m_device->setCertificate(
                answer, must(qualifyingData(QByteArray(32, 'x'), ChannelBinding::Exporter, kChannel, m_device->csr)));
        });
    }

    void attack_otherChannel()
    {
        auto verification = must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
        const QByteArray answer = encode(honest(*verification)); // for kChannel: relayed by somebody else
        const auto step = verification->answer(answer, {QByteArray(32, 'm'), {}}, now());
        QVERIFY(!step);
        QVERIFY2(step.error().message.contains(u"another challenge, connection"_s), qPrintable(step.error().message));
    }

    void channel_exporterIsTaken()
    {
        QVERIFY(bound(ChannelBinding::Exporter, kChannel, {kChannel, {}}));
        QVERIFY(bound(ChannelBinding::Exporter, kChannel, {kChannel, kCertificate}));
    }

    void channel_serverCertificateIsTakenWhereItIsAllowed()
    {
        QVERIFY(bound(ChannelBinding::ServerCertificate, kCertificate, {kChannel, kCertificate}));
        QVERIFY(bound(ChannelBinding::ServerCertificate, kCertificate, {{}, kCertificate}));
        const auto step = bound(ChannelBinding::ServerCertificate, kCertificate, {kChannel, {}});
        QVERIFY(!step);
        QCOMPARE(step.error().code, Errc::Denied);
        QVERIFY2(step.error().message.contains(u"\"server_certificate\", which is not accepted"_s),
                 qPrintable(step.error().message));
        QVERIFY(!bound(ChannelBinding::Exporter, kChannel, {{}, kCertificate})); // nor the other way round
    }

    void attack_certificateOfAnotherServer()
    {
        const ChannelValues ours{kChannel, kCertificate};
        const auto step = bound(ChannelBinding::ServerCertificate, QByteArray(32, 'm'), ours);
        QVERIFY(!step);
        QVERIFY2(step.error().message.contains(u"another challenge, connection"_s), qPrintable(step.error().message));
        QVERIFY(!bound(ChannelBinding::ServerCertificate, kChannel, ours));
        QVERIFY(!bound(ChannelBinding::Exporter, kCertificate, ours));
    }

    void attack_bindingIsChangedOnTheWay()
    {
        // Both values equal, so nothing but the statement differs: the chip has signed that as well.
        const ChannelValues same{kChannel, kChannel};
        for (const auto binding : {ChannelBinding::Exporter, ChannelBinding::ServerCertificate}) {
            QVERIFY(bound(binding, kChannel, same));
            const auto other =
                binding == ChannelBinding::Exporter ? ChannelBinding::ServerCertificate : ChannelBinding::Exporter;
            QVERIFY(!bound(binding, kChannel, same, other));
        }
    }

    void answer_saysWhatItIsBoundTo()
    {
        auto verification = must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
        const QByteArray answer = encode(honest(*verification));
        const QByteArray first = "\"channel_binding\":\"exporter\","_ba; // Qt prints keys in order
        QVERIFY(answer.contains(first));
        QVERIFY(lintelTpmAnswer(answer));
        QVERIFY(!lintelTpmAnswer(QByteArray(answer).replace(first, "")));
        QVERIFY(!lintelTpmAnswer(QByteArray(answer).replace("\"exporter\"", "\"tls-unique\"")));
    }

    void attack_otherCsrOfTheSameKey()
    {
        // The relayer swaps the request: ECDSA makes each one different.
        auto verification = must(startLintel(encode(m_device->payload()), csrOf(evp().get()), m_policy));
        const auto challenge = must(lintelTpmChallenge(verification->challenge()));
        const auto data = must(qualifyingData(challenge.nonce, ChannelBinding::Exporter, kChannel, m_device->csr));
        QCOMPARE(verification->answer(encode(m_device->answer(challenge, data)), {kChannel, {}}, now()).error().code,
                 Errc::Denied);
    }

    void attack_attestationKeyOfAnotherTpm()
    {
        LintelTpmPayload payload = m_other->payload(); // AK and key of the attacker's TPM …
        const LintelTpmPayload victim = m_device->payload();
        payload.ekPublic = victim.ekPublic; // … under the endorsement of an enrolled device
        payload.ekCertificate = victim.ekCertificate;
        auto verification = must(startLintel(encode(payload), m_other->csr, m_policy));
        const auto challenge = must(lintelTpmChallenge(verification->challenge()));
        // The attacker's TPM cannot open the credential, and neither can the victim's, whose AK is another.
        for (const auto &tpm : {m_other->device, m_device->device})
            QCOMPARE(tpm->activateCredential(challenge.idObject, challenge.encryptedSecret).error().code, Errc::Denied);
        LintelTpmAnswer answer;
        answer.secret = QByteArray(32, 's');
        const auto data = must(qualifyingData(challenge.nonce, ChannelBinding::Exporter, kChannel, m_other->csr));
        m_other->setQuote(answer, challenge.pcrs, data);
        m_other->setCertificate(answer, data);
        const auto step = verification->answer(encode(answer), {kChannel, {}}, now());
        QVERIFY(!step);
        QVERIFY2(step.error().message.contains(u"did not open the credential"_s), qPrintable(step.error().message));
    }

    void attack_quoteOfAnotherTpm()
    {
        refused(u"quote is not signed by the attestation key",
                [this](LintelTpmAnswer &answer, const LintelTpmChallenge &c, const QByteArray &data) {
                    m_other->setQuote(answer, c.pcrs, data); // its PCRs look healthier
                });
    }

    void attack_keyCertifiedByAnotherTpm()
    {
        refused(u"certificate of the key is not signed by the attestation key",
                [this](LintelTpmAnswer &answer, const auto &, const QByteArray &data) {
                    m_other->setCertificate(answer, data);
                });
    }

    void attack_attestationKeyWithoutItsAttributes_data()
    {
        QTest::addColumn<uint>("set");
        QTest::addColumn<uint>("clear");
        QTest::newRow("not restricted") << 0u << uint(TPMA_OBJECT_RESTRICTED);
        QTest::newRow("not fixedTPM") << 0u << uint(TPMA_OBJECT_FIXEDTPM);
        QTest::newRow("not fixedParent") << 0u << uint(TPMA_OBJECT_FIXEDPARENT);
        QTest::newRow("imported") << 0u << uint(TPMA_OBJECT_SENSITIVEDATAORIGIN);
        QTest::newRow("does not sign") << 0u << uint(TPMA_OBJECT_SIGN_ENCRYPT);
        QTest::newRow("decrypts") << uint(TPMA_OBJECT_DECRYPT) << 0u;
    }
    void attack_attestationKeyWithoutItsAttributes()
    {
        QFETCH(uint, set);
        QFETCH(uint, clear);
        LintelTpmPayload payload = m_device->payload();
        payload.akPublic = withAttributes(payload.akPublic, set, clear);
        QCOMPARE(codeOfStart(encode(payload), m_device->csr, m_policy), Errc::Denied);
    }

    void attack_attestationKeyThatIsAnOrdinaryKey()
    {
        // A real key of the TPM, but one that would sign a forged statement.
        LintelTpmPayload payload = m_device->payload();
        payload.akPublic = TpmDevice::publicAreaOf(*m_device->key);
        const auto started = startLintel(encode(payload), m_device->csr, m_policy);
        QVERIFY(!started);
        QVERIFY2(started.error().message.contains(u"not restricted"_s), qPrintable(started.error().message));
    }

    void attack_csrKeyNotInTheTpm()
    {
        const auto key = softwareKey();
        const auto started = startLintel(encode(m_device->payload()), csrOf(key.get()), m_policy);
        QVERIFY(!started);
        QVERIFY2(started.error().message.contains(u"another key than that of the TPM"_s),
                 qPrintable(started.error().message));
    }

    void attack_softwareKeyPassedOffAsOneOfTheTpm()
    {
        // The payload describes a software key as if the TPM had made it; the TPM certifies its own.
        const auto key = softwareKey();
        LintelTpmPayload payload = m_device->payload();
        TPMT_PUBLIC area = publicFromBytes(payload.keyPublic).value();
        setPoint(area, key.get());
        payload.keyPublic = bytesOf(area);
        const QByteArray csr = csrOf(key.get());
        auto verification = must(startLintel(encode(payload), csr, m_policy));
        const auto challenge = must(lintelTpmChallenge(verification->challenge()));
        const auto data = must(qualifyingData(challenge.nonce, ChannelBinding::Exporter, kChannel, csr));
        const auto step = verification->answer(encode(m_device->answer(challenge, data)), {kChannel, {}}, now());
        QVERIFY(!step);
        QVERIFY2(step.error().message.contains(u"certifies another key"_s), qPrintable(step.error().message));
    }

    void attack_csrKeyThatCouldLeaveTheTpm_data()
    {
        QTest::addColumn<uint>("set");
        QTest::addColumn<uint>("clear");
        QTest::newRow("not fixedTPM") << 0u << uint(TPMA_OBJECT_FIXEDTPM);
        QTest::newRow("not fixedParent") << 0u << uint(TPMA_OBJECT_FIXEDPARENT);
        QTest::newRow("imported") << 0u << uint(TPMA_OBJECT_SENSITIVEDATAORIGIN);
        QTest::newRow("does not sign") << 0u << uint(TPMA_OBJECT_SIGN_ENCRYPT);
        QTest::newRow("restricted") << uint(TPMA_OBJECT_RESTRICTED) << 0u;
    }
    void attack_csrKeyThatCouldLeaveTheTpm()
    {
        QFETCH(uint, set);
        QFETCH(uint, clear);
        LintelTpmPayload payload = m_device->payload();
        payload.keyPublic = withAttributes(payload.keyPublic, set, clear);
        QCOMPARE(codeOfStart(encode(payload), m_device->csr, m_policy), Errc::Denied);
    }

    void attack_otherAttributesThanTheCertifiedOnes()
    {
        // Harmless looking, but then the name is not that of the certified key.
        LintelTpmPayload payload = m_device->payload();
        payload.keyPublic = withAttributes(payload.keyPublic, 0, TPMA_OBJECT_NODA);
        auto verification = must(startLintel(encode(payload), m_device->csr, m_policy));
        QCOMPARE(verification->answer(encode(honest(*verification)), {kChannel, {}}, now()).error().code, Errc::Denied);
    }

    void attack_statementsSwapped()
    {
        refused(u"statement about something else", [](LintelTpmAnswer &answer, const auto &, const auto &) {
            answer.quote = answer.certify;
            answer.quoteSignature = answer.certifySignature;
        });
        refused(u"statement about something else", [](LintelTpmAnswer &answer, const auto &, const auto &) {
            answer.certify = answer.quote;
            answer.certifySignature = answer.quoteSignature;
        });
    }

    void attack_flippedBits()
    {
        for (const qsizetype at : {0, 20, 60, 100})
            refused(u"The quote", [at](LintelTpmAnswer &answer, const auto &, const auto &) {
                answer.quote = flipped(answer.quote, at);
            });
        refused(u"not signed by", [](LintelTpmAnswer &answer, const auto &, const auto &) {
            answer.quoteSignature = flipped(answer.quoteSignature, answer.quoteSignature.size() - 1);
        });
        refused(u"credential", [](LintelTpmAnswer &answer, const auto &, const auto &) {
            answer.secret = flipped(answer.secret, 31);
        });
    }

    void attack_statementThatNoTpmMade()
    {
        // Signed by the right key, but the magic number is missing: only software would do that.
        const auto key = softwareKey();
        TPMT_PUBLIC area = publicFromBytes(m_device->payload().akPublic).value();
        setPoint(area, key.get());
        const auto ak = must(readPublicArea(bytesOf(area), u"AK"_s));
        for (const bool genuine : {true, false}) {
            QByteArray statement = must(m_device->device->quote(kBank, {0}, "data"_ba)).evidence.attest;
            if (!genuine)
                statement = flipped(statement, 0);
            const auto checked = checkStatement(ak, statement, signedBy(key.get(), statement), TPM2_ST_ATTEST_QUOTE,
                                                "data"_ba, u"The quote"_s);
            QCOMPARE(bool(checked), genuine);
        }
    }

    void attack_endorsementCertificateOfUnknownAuthority()
    {
        TpmVendor elsewhere;
        const Device foreign(&elsewhere);
        const auto started = startLintel(encode(foreign.payload()), foreign.csr, m_policy);
        QVERIFY(!started);
        QCOMPARE(started.error().code, Errc::NotFound);
        AttestationPolicy policy = m_policy;
        policy.requireVendorCertificate = false;
        const auto verification = must(startLintel(encode(foreign.payload()), foreign.csr, policy));
        QCOMPARE(verification->endorsementKey().chain, EndorsementChain::UnknownAuthority);
        QVERIFY(!verification->endorsementKey().chainReason.isEmpty());
    }

    void attack_endorsementCertificateOfAnotherKey()
    {
        LintelTpmPayload payload = m_other->payload();
        payload.ekCertificate = m_device->payload().ekCertificate;
        for (const bool required : {true, false}) {
            AttestationPolicy policy = m_policy;
            policy.requireVendorCertificate = required;
            QCOMPARE(codeOfStart(encode(payload), m_other->csr, policy), Errc::Denied);
            SpireTpmPayload spire = m_other->spirePayload();
            spire.ekCertificate = m_device->spirePayload().ekCertificate;
            QCOMPARE(
                startVerification(kSpireTpmType.toString(), encode(spire), m_other->csr, policy, now()).error().code,
                Errc::Denied);
        }
    }

    void attack_endorsementCertificateOutOfItsTime()
    {
        const QByteArray certificate = must(m_device->device->endorsement()).certificateDer;
        using std::chrono::years;
        QCOMPARE(m_policy.vendors->verify(certificate, now()).chain, EndorsementChain::Verified);
        QCOMPARE(m_policy.vendors->verify(certificate, now() - years(2)).chain, EndorsementChain::Invalid);
    }

    void attack_certificateForAnotherPurpose()
    {
        // The vendor also runs a TLS service: its certificates are no endorsement.
        const auto vendor = must(tls::Pki::create(must(TrustDomain::parse(u"vendor.example")), now()));
        const auto svid =
            must(vendor.issue(must(SpiffeId::parse(u"spiffe://vendor.example/web")), std::chrono::hours(1), now()));
        const auto authorities = must(VendorAuthorities::fromCertificates({vendor.rootDer()}));
        QCOMPARE(authorities->verify(svid.chainDer.first(), now()).chain, EndorsementChain::Invalid);
        QCOMPARE(authorities->verify(vendor.rootDer(), now()).chain, EndorsementChain::Invalid);
    }

    void attack_endorsementKeyThatIsNone()
    {
        LintelTpmPayload payload = m_device->payload();
        for (const TPMA_OBJECT missing : {TPMA_OBJECT_FIXEDTPM, TPMA_OBJECT_RESTRICTED, TPMA_OBJECT_DECRYPT}) {
            LintelTpmPayload spoiled = payload;
            spoiled.ekPublic = withAttributes(payload.ekPublic, 0, missing);
            QCOMPARE(codeOfStart(encode(spoiled), m_device->csr, m_policy), Errc::Denied);
        }
        payload.ekPublic = payload.akPublic;
        QCOMPARE(codeOfStart(encode(payload), m_device->csr, m_policy), Errc::Denied);
    }

    void attack_csrWithABrokenSignature()
    {
        const QByteArray broken = flipped(m_device->csr, m_device->csr.size() - 1);
        QCOMPARE(codeOfStart(encode(m_device->payload()), broken, m_policy), Errc::Denied);
        QCOMPARE(startVerification(kSpireTpmType.toString(), encode(m_device->spirePayload()), broken, m_policy, now())
                     .error()
                     .code,
                 Errc::Denied);
        QCOMPARE(publicKeyOfCsr(broken).error().code, Errc::Denied);
        QCOMPARE(publicKeyOfCsr(m_device->csr + "x").error().code, Errc::Malformed);
    }

    // --- Attacks: tpm -----------------------------------------------------------------------------

    void attack_spire_attestationKeyOfAnotherTpm()
    {
        SpireTpmPayload payload = m_other->spirePayload();
        payload.ekCertificate = m_device->spirePayload().ekCertificate;
        payload.ekPublicKey = m_device->spirePayload().ekPublicKey;
        auto verification = must(startSpire(payload, m_other->csr));
        const auto credential = must(spireTpmCredential(verification->challenge()));
        QVERIFY(!m_other->device->activateCredential(credential.idObject, credential.encryptedSecret));
        const auto step = verification->answer(encodeSpireTpmSecret(QByteArray(32, 's')), {}, now());
        QCOMPARE(step.error().code, Errc::Denied);
    }

    void attack_spire_attestationKeyThatIsNotOne()
    {
        SpireTpmPayload payload = m_device->spirePayload();
        payload.akPublic = withAttributes(payload.akPublic, 0, TPMA_OBJECT_RESTRICTED);
        QCOMPARE(startSpire(payload, m_device->csr).error().code, Errc::Denied);
        payload = m_device->spirePayload();
        payload.akPublic = withAttributes(payload.akPublic, 0, TPMA_OBJECT_NODA); // another name than was created
        QCOMPARE(startSpire(payload, m_device->csr).error().code, Errc::Denied);
        payload = m_device->spirePayload();
        payload.creationData = flipped(payload.creationData, 0);
        QCOMPARE(startSpire(payload, m_device->csr).error().code, Errc::Denied);
        payload = m_device->spirePayload();
        payload.creationSignature = m_other->spirePayload().creationSignature;
        QCOMPARE(startSpire(payload, m_device->csr).error().code, Errc::Denied);
    }

    void attack_spire_replayAndWrongNonce()
    {
        auto verification = must(startSpire(m_device->spirePayload(), m_device->csr));
        const auto credential = must(spireTpmCredential(verification->challenge()));
        const QByteArray secret = encodeSpireTpmSecret(
            must(m_device->device->activateCredential(credential.idObject, credential.encryptedSecret)));
        const auto step = must(verification->answer(secret, {}, now()));
        QCOMPARE(step.nextChallenge.size(), 32);
        const auto second = verification->answer(encode(platform(QByteArray(32, 'x'))), {}, now());
        QVERIFY(!second);
        QCOMPARE(second.error().code, Errc::Denied);
        QCOMPARE(verification->answer(encode(platform(step.nextChallenge)), {}, now()).error().code, Errc::Conflict);
    }

    void attack_spire_quoteWithFewerOrOtherPcrs()
    {
        for (int spoil = 0; spoil < 4; ++spoil) {
            auto verification = must(startSpire(m_device->spirePayload(), m_device->csr));
            const auto credential = must(spireTpmCredential(verification->challenge()));
            const QByteArray secret = encodeSpireTpmSecret(
                must(m_device->device->activateCredential(credential.idObject, credential.encryptedSecret)));
            const QByteArray nonce = must(verification->answer(secret, {}, now())).nextChallenge;
            SpireTpmPlatform answer = platform(nonce);
            if (spoil == 1)
                answer = platform(nonce, {0, 1, 2});
            if (spoil == 2)
                answer.pcrs[7].digest = flipped(answer.pcrs[7].digest, 0);
            if (spoil == 3)
                answer.pcrs.removeAt(7);
            QCOMPARE(bool(verification->answer(encode(answer), {}, now())), spoil == 0);
        }
    }

    // --- The device's half ------------------------------------------------------------------------

    void attestor_answersOnlyWhatItBegan()
    {
        TpmAttestor attestor(m_device->device, {});
        QCOMPARE(attestor.begin().error().code, Errc::Conflict);
        const QByteArray csr = csrOf(must(attestor.newKey()).get());
        QCOMPARE(attestor.answer("{}"_ba, {kChannel, csr}).error().code, Errc::Conflict);
        must(attestor.begin());
        QCOMPARE(attestor.answer("{}"_ba, {kChannel, csr}).error().code, Errc::Unsupported);
        QCOMPARE(attestor.answer("{}"_ba, {kChannel, csr}).error().code, Errc::Conflict);
    }

    void attestor_refusesAChallengeForAnotherDevice()
    {
        const auto verification = must(startLintel(encode(m_other->payload()), m_other->csr, m_policy));
        TpmAttestor attestor(m_device->device, {});
        const QByteArray csr = csrOf(must(attestor.newKey()).get());
        must(attestor.begin());
        QCOMPARE(attestor.answer(verification->challenge(), {kChannel, csr}).error().code, Errc::Denied);
    }

    void attestor_saysWhatItProves()
    {
        const TpmAttestor attestor(m_device->device, {TpmAttestor::Wire::LintelTpm, u"/nonexistent"_s});
        QCOMPARE(attestor.description(), u"TPM 2.0 (IBM), boot not measured"_s);
        QCOMPARE(attestor.type(), u"lintel_tpm"_s);
    }

private:
    using Spoil = std::function<void(LintelTpmAnswer &, const LintelTpmChallenge &, const QByteArray &)>;

    [[nodiscard]] std::shared_ptr<EVP_PKEY> evp() const { return must(m_device->device->evpKey(m_device->key)); }

    static Result<std::unique_ptr<NodeVerification>> startLintel(const QByteArray &payload, const QByteArray &csr,
                                                                 const AttestationPolicy &policy)
    {
        return startVerification(kLintelTpmType.toString(), payload, csr, policy, now());
    }
    [[nodiscard]] Result<std::unique_ptr<NodeVerification>> startSpire(const SpireTpmPayload &payload,
                                                                       const QByteArray &csr) const
    {
        return startVerification(kSpireTpmType.toString(), encode(payload), csr, m_policy, now());
    }
    /// Nothing when the start went well.
    static std::optional<Errc> codeOfStart(const QByteArray &payload, const QByteArray &csr,
                                           const AttestationPolicy &policy)
    {
        const auto started = startLintel(payload, csr, policy);
        return started ? std::nullopt : std::optional(started.error().code);
    }
    [[nodiscard]] LintelTpmAnswer honest(const NodeVerification &verification) const
    {
        const auto challenge = must(lintelTpmChallenge(verification.challenge()));
        return m_device->answer(
            challenge, must(qualifyingData(challenge.nonce, ChannelBinding::Exporter, kChannel, m_device->csr)));
    }
    [[nodiscard]] Result<AttestationStep> attest(const Spoil &spoil) const
    {
        auto verification = must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
        const auto challenge = must(lintelTpmChallenge(verification->challenge()));
        const auto data = must(qualifyingData(challenge.nonce, ChannelBinding::Exporter, kChannel, m_device->csr));
        LintelTpmAnswer answer = m_device->answer(challenge, data);
        spoil(answer, challenge, data);
        return verification->answer(encode(answer), {kChannel, {}}, now());
    }
    /// An answer that is bound to `channel`, and what the other end says that has `ours`; `told` is what the answer
    /// then claims to be bound to.
    [[nodiscard]] Result<AttestationStep> bound(ChannelBinding binding, const QByteArray &channel,
                                                const ChannelValues &ours,
                                                std::optional<ChannelBinding> told = {}) const
    {
        auto verification = must(startLintel(encode(m_device->payload()), m_device->csr, m_policy));
        const auto challenge = must(lintelTpmChallenge(verification->challenge()));
        const auto data = must(qualifyingData(challenge.nonce, binding, channel, m_device->csr));
        LintelTpmAnswer answer = m_device->answer(challenge, data);
        answer.binding = told.value_or(binding);
        return verification->answer(encode(answer), ours, now());
    }
    /// An answer that is right but for `spoil` is refused, with these words.
    void refused(QStringView words, const Spoil &spoil) const
    {
        const auto step = attest(spoil);
        QVERIFY2(!step, qPrintable(words.toString()));
        QVERIFY2(step.error().message.contains(words), qPrintable(step.error().message));
    }
    [[nodiscard]] std::optional<VerifiedAttestation::EventLogFacts> withEventLog(const QByteArray &log) const
    {
        QTemporaryFile file;
        demand(file.open() && file.write(log) == log.size() && file.flush(), "writing the log");
        TpmAttestor attestor(m_device->device, {TpmAttestor::Wire::LintelTpm, file.fileName()});
        const QByteArray csr = csrOf(must(attestor.newKey()).get());
        auto verification = must(startLintel(must(attestor.begin()), csr, m_policy));
        const auto answer = must(attestor.answer(verification->challenge(), {kChannel, csr}));
        return must(verification->answer(answer, {kChannel, {}}, now())).verified->eventLog;
    }
    [[nodiscard]] SpireTpmPlatform platform(const QByteArray &nonce, QList<int> pcrs = {}) const
    {
        if (pcrs.isEmpty()) {
            pcrs.resize(kPcrCount);
            std::iota(pcrs.begin(), pcrs.end(), 0);
        }
        const auto quote = must(m_device->device->quote(kBank, pcrs, nonce));
        SpireTpmPlatform out{{}, {{quote.evidence.attest, quote.evidence.signature}}, {}, {}};
        for (auto it = quote.pcrs.begin(); it != quote.pcrs.end(); ++it)
            out.pcrs.append({it.key(), *it, kGoSha256});
        return out;
    }
    static void setPoint(TPMT_PUBLIC &area, const EVP_PKEY *key)
    {
        const QByteArray spki = subjectPublicKeyInfo(key); // ends in the uncompressed point
        area.unique.ecc.x.size = area.unique.ecc.y.size = 32;
        memcpy(area.unique.ecc.x.buffer, spki.constData() + spki.size() - 64, 32);
        memcpy(area.unique.ecc.y.buffer, spki.constData() + spki.size() - 32, 32);
    }
    static QByteArray signedBy(EVP_PKEY *key, const QByteArray &message)
    {
        const std::unique_ptr<EVP_MD_CTX, tls::Freer<EVP_MD_CTX_free>> context{EVP_MD_CTX_new()};
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key);
        std::array<unsigned char, 80> der{};
        size_t size = der.size();
        EVP_DigestSign(context.get(), der.data(), &size, reinterpret_cast<const unsigned char *>(message.constData()),
                       static_cast<size_t>(message.size()));
        const unsigned char *at = der.data();
        const std::unique_ptr<ECDSA_SIG, tls::Freer<ECDSA_SIG_free>> pair{
            d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size))};
        TPMT_SIGNATURE out{};
        out.sigAlg = TPM2_ALG_ECDSA;
        out.signature.ecdsa.hash = TPM2_ALG_SHA256;
        out.signature.ecdsa.signatureR.size = out.signature.ecdsa.signatureS.size = 32;
        BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), out.signature.ecdsa.signatureR.buffer, 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), out.signature.ecdsa.signatureS.buffer, 32);
        return bytesOf(out);
    }

    std::unique_ptr<TpmVendor> m_vendor;
    std::unique_ptr<Device> m_device;
    std::unique_ptr<Device> m_other;
    AttestationPolicy m_policy;
};

QTEST_GUILESS_MAIN(TestTpmAttestation)
#include "tst_tpm_attestation.moc"

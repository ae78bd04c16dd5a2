#include "tpm/tpm_attestor.h"

#include "tpm/attestation_verifier.h"
#include "tpm/json_bytes.h"
#include "tpm/lintel_tpm_wire.h"
#include "tpm/spire_tpm_wire.h"

#include <QFile>

#include <numeric>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {
const auto kSha256Bank = u"sha256"_s;

Error outOfTurn()
{
    return {Errc::Conflict, u"There is no attestation under way that this challenge could belong to."_s};
}

QList<int> everyPcr()
{
    QList<int> pcrs(tpm::kPcrCount);
    std::iota(pcrs.begin(), pcrs.end(), 0);
    return pcrs;
}
} // namespace

TpmAttestor::TpmAttestor(std::shared_ptr<TpmDevice> device, Options options)
    : m_device(std::move(device)), m_options(std::move(options))
{}

TpmAttestor::~TpmAttestor() = default;

QString TpmAttestor::type() const
{
    return (m_options.wire == Wire::LintelTpm ? tpm::kLintelTpmType : tpm::kSpireTpmType).toString();
}

QString TpmAttestor::description() const
{
    // Without an event log nothing says that this machine's firmware measures its boot.
    const QString boot = QFile::exists(m_options.eventLogFile) ? u"boot measured"_s : u"boot not measured"_s;
    return u"TPM 2.0 (%1), %2"_s.arg(m_device->manufacturer(), boot);
}

Result<std::shared_ptr<EVP_PKEY>> TpmAttestor::newKey()
{
    auto key = m_device->createKey();
    if (!key)
        return key.error();
    auto forOpenssl = m_device->evpKey(*key);
    if (!forOpenssl)
        return forOpenssl.error();
    m_key = std::move(*key);
    m_phase = Phase::Idle;
    return forOpenssl;
}

Result<QByteArray> TpmAttestor::begin()
{
    if (!m_key)
        return Error{Errc::Conflict, u"There is no key to attest; make one first."_s};
    m_phase = Phase::Idle;
    const auto ek = m_device->endorsement();
    if (!ek)
        return ek.error();
    const auto ak = m_device->attestationKey();
    if (!ak)
        return ak.error();
    m_phase = Phase::Begun;
    if (m_options.wire == Wire::LintelTpm)
        return tpm::encode(
            tpm::LintelTpmPayload{ek->certificateDer, ek->publicArea, ak->publicArea, TpmDevice::publicAreaOf(*m_key)});
    return tpm::encode(tpm::SpireTpmPayload{ek->certificateDer, ek->publicKeyDer, ak->publicArea, ak->creationData,
                                            ak->creationAttest, ak->creationSignature});
}

Result<QByteArray> TpmAttestor::answer(const QByteArray &challenge, const AttestationBinding &binding)
{
    if (m_phase == Phase::Idle)
        return outOfTurn();
    if (m_options.wire == Wire::LintelTpm) {
        m_phase = Phase::Idle;
        return answerLintelTpm(challenge, binding);
    }
    return answerSpireTpm(challenge);
}

Result<QByteArray> TpmAttestor::answerLintelTpm(const QByteArray &challenge, const AttestationBinding &binding)
{
    const auto asked = tpm::lintelTpmChallenge(challenge);
    if (!asked)
        return asked.error();
    const auto qualifying = tpm::qualifyingData(asked->nonce, binding.kind, binding.channel, binding.csrDer);
    if (!qualifying)
        return qualifying.error();
    auto secret = m_device->activateCredential(asked->idObject, asked->encryptedSecret);
    if (!secret)
        return secret.error();
    const auto quote = m_device->quote(kSha256Bank, asked->pcrs, *qualifying);
    if (!quote)
        return quote.error();
    const auto certificate = m_device->certify(m_key, *qualifying);
    if (!certificate)
        return certificate.error();
    return tpm::encode(tpm::LintelTpmAnswer{*secret, quote->evidence.attest, quote->evidence.signature, quote->pcrs,
                                            certificate->attest, certificate->signature, eventLog(), binding.kind});
}

/// The second challenge is a bare nonce, and comes only from servers that ask for PCRs.
Result<QByteArray> TpmAttestor::answerSpireTpm(const QByteArray &challenge)
{
    if (m_phase == Phase::Activated) {
        m_phase = Phase::Idle;
        return quoteEveryBank(challenge);
    }
    m_phase = Phase::Idle;
    const auto credential = tpm::spireTpmCredential(challenge);
    if (!credential)
        return credential.error();
    auto secret = m_device->activateCredential(credential->idObject, credential->encryptedSecret);
    if (!secret)
        return secret.error();
    m_phase = Phase::Activated;
    return tpm::encodeSpireTpmSecret(*secret);
}

Result<QByteArray> TpmAttestor::quoteEveryBank(const QByteArray &nonce)
{
    const auto ak = m_device->attestationKey();
    if (!ak)
        return ak.error();
    const auto banks = m_device->pcrBanks();
    if (!banks)
        return banks.error();
    tpm::SpireTpmPlatform platform{ak->publicArea, {}, {}, eventLog()};
    for (const QString &bank : *banks) {
        const auto quote = m_device->quote(bank, everyPcr(), nonce);
        if (!quote)
            return quote.error();
        platform.quotes.append({quote->evidence.attest, quote->evidence.signature});
        for (auto it = quote->pcrs.begin(); it != quote->pcrs.end(); ++it)
            platform.pcrs.append({it.key(), *it, tpm::goHashByName(bank)});
    }
    return tpm::encode(platform);
}

/// The kernel's file has no size before it is read. One that is too large is left out: an authority
/// would refuse the whole answer.
QByteArray TpmAttestor::eventLog() const
{
    QFile file(m_options.eventLogFile);
    if (m_options.eventLogFile.isEmpty() || !file.open(QIODevice::ReadOnly))
        return {};
    QByteArray log = file.read(tpm::kMaxEventLogBytes + 1);
    return log.size() <= tpm::kMaxEventLogBytes ? log : QByteArray{};
}

} // namespace lintel

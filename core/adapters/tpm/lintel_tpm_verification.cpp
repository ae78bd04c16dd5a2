#include "tpm/lintel_tpm_verification.h"

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kSecretBytes = 32;

} // namespace

LintelTpmVerification::LintelTpmVerification(const AttestationPolicy &policy, Timestamp now)
    : m_pcrs(policy.pcrs), m_guard(now, policy.challengeLifetime)
{}

Result<std::unique_ptr<NodeVerification>> LintelTpmVerification::start(const QByteArray &payload,
                                                                       const QByteArray &csrDer,
                                                                       const AttestationPolicy &policy, Timestamp now)
{
    const auto message = lintelTpmPayload(payload);
    if (!message)
        return message.error();
    const auto csr = readCsr(csrDer);
    if (!csr)
        return csr.error();
    const auto ek = readPublicArea(message->ekPublic, u"The endorsement key"_s);
    if (!ek)
        return ek.error();
    const auto scheme = checkEndorsementKey(*ek);
    if (!scheme)
        return scheme.error();
    auto ak = readPublicArea(message->akPublic, u"The attestation key"_s);
    if (!ak)
        return ak.error();
    if (auto ok = checkAttestationKey(*ak); !ok)
        return ok.error();
    auto key = readPublicArea(message->keyPublic, u"The key of the certificate request"_s);
    if (!key)
        return key.error();
    if (auto ok = checkCertifiedKey(*key); !ok)
        return ok.error();
    if (subjectPublicKeyInfo(key->key.get()) != csr->publicKeyDer)
        return Error{Errc::Denied, u"The certificate request (CSR) is for another key than that of the TPM."_s};
    auto identified = identifyEndorsement(subjectPublicKeyInfo(ek->key.get()), message->ekCertificate, policy, now);
    if (!identified)
        return identified.error();

    std::unique_ptr<LintelTpmVerification> verification(new LintelTpmVerification(policy, now));
    verification->m_ek = std::move(*identified);
    verification->m_ak = std::move(*ak);
    verification->m_key = std::move(*key);
    verification->m_csrDer = csrDer;
    if (auto ok = verification->makeChallenge(*scheme, ek->key.get()); !ok)
        return ok.error();
    return std::unique_ptr<NodeVerification>(std::move(verification));
}

Result<QString> LintelTpmVerification::claimedEndorsementHash(const QByteArray &payload)
{
    const auto message = lintelTpmPayload(payload);
    if (!message)
        return message.error();
    const auto ek = readPublicArea(message->ekPublic, u"The endorsement key"_s);
    if (!ek)
        return ek.error();
    return endorsementHash(subjectPublicKeyInfo(ek->key.get()));
}

Result<void> LintelTpmVerification::makeChallenge(const EndorsementScheme &scheme, EVP_PKEY *endorsementKey)
{
    m_nonce = randomBytes(kNonceBytes);
    m_secret = randomBytes(kSecretBytes);
    if (m_nonce.isEmpty() || m_secret.isEmpty())
        return Error{Errc::Io, u"OpenSSL gives no random numbers."_s};
    const auto credential = makeCredential(endorsementKey, scheme, m_ak.name, m_secret);
    if (!credential)
        return credential.error();
    m_challenge = encode(LintelTpmChallenge{m_nonce, credential->idObject, credential->encryptedSecret, m_pcrs});
    return {};
}

Result<AttestationStep> LintelTpmVerification::answer(const QByteArray &answer, const ChannelValues &channel,
                                                      Timestamp now)
{
    if (auto ok = m_guard.use(now); !ok)
        return ok.error();
    const auto message = lintelTpmAnswer(answer);
    if (!message)
        return message.error();
    if (!equalSecretly(message->secret, m_secret))
        return Error{Errc::Denied, u"The TPM did not open the credential: the attestation key is not in the TPM of "
                                   "this endorsement key."_s};
    const bool isExporter = message->binding == ChannelBinding::Exporter;
    const QByteArray &expected = isExporter ? channel.exporter : channel.serverCertificate;
    if (expected.isEmpty())
        return Error{
            Errc::Denied,
            u"The device bound its attestation to the connection by \"%1\", which is not accepted "
            "here; if it cannot do better, add this to attestation.channel_bindings."_s.arg(nameOf(message->binding))};
    const auto qualifying = qualifyingData(m_nonce, message->binding, expected, m_csrDer);
    if (!qualifying)
        return qualifying.error();
    const auto quote = checkQuote(*message, *qualifying);
    if (!quote)
        return quote.error();
    if (auto ok = checkCertificate(*message, *qualifying); !ok)
        return ok.error();

    VerifiedAttestation out;
    out.ek = m_ek;
    out.akName = m_ak.name;
    out.publicKeyDer = subjectPublicKeyInfo(m_key.key.get());
    out.keyIsInTpm = true;
    out.pcrs = message->pcrs;
    noteQuote(out, *quote, message->quote, message->quoteSignature);
    if (!message->eventLog.isEmpty())
        out.eventLog = examineEventLog(message->eventLog, out.pcrs);
    return AttestationStep{{}, std::move(out)};
}

Result<TPMS_ATTEST> LintelTpmVerification::checkQuote(const LintelTpmAnswer &answer, const QByteArray &qualifying) const
{
    auto quote =
        checkStatement(m_ak, answer.quote, answer.quoteSignature, TPM2_ST_ATTEST_QUOTE, qualifying, u"The quote"_s);
    if (!quote)
        return quote;
    const auto selection = selectionOf(*quote);
    if (!selection)
        return selection.error();
    if (selection->bank != TPM2_ALG_SHA256 || selection->pcrs != m_pcrs || answer.pcrs.keys() != m_pcrs)
        return Error{Errc::Denied, u"The quote is about other PCRs than those that were asked for."_s};
    if (auto ok = checkPcrDigest(*quote, signingHash(m_ak), answer.pcrs); !ok)
        return ok.error();
    return quote;
}

Result<void> LintelTpmVerification::checkCertificate(const LintelTpmAnswer &answer, const QByteArray &qualifying) const
{
    const auto certificate = checkStatement(m_ak, answer.certify, answer.certifySignature, TPM2_ST_ATTEST_CERTIFY,
                                            qualifying, u"The certificate of the key"_s);
    if (!certificate)
        return certificate.error();
    return checkCertifies(*certificate, m_key);
}

} // namespace lintel::tpm

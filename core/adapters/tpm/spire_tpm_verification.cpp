#include "tpm/spire_tpm_verification.h"

#include "tpm/lintel_tpm_wire.h"

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kSecretBytes = 32; // what the plugin uses
constexpr qsizetype kSha256Bytes = 32;

/// The key that the payload gives for the endorsement: its public key, or that of the certificate.
Result<QByteArray> endorsementPublicKey(const SpireTpmPayload &message)
{
    if (!message.ekPublicKey.isEmpty()) {
        const EvpKeyPtr key = keyFromSubjectPublicKeyInfo(message.ekPublicKey);
        if (!key)
            return Error{Errc::Malformed, u"The endorsement public key cannot be read."_s};
        return subjectPublicKeyInfo(key.get());
    }
    const tls::X509Ptr certificate = certificateFromWholeDer(message.ekCertificate);
    const EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate.get()) : nullptr;
    if (!key)
        return Error{Errc::Malformed, u"The endorsement certificate cannot be read."_s};
    return subjectPublicKeyInfo(key);
}

/// The key says of itself, at its creation, that a TPM made it from this creation data.
Result<void> checkCreation(const PublicArea &ak, const SpireTpmPayload &message)
{
    // No challenge exists yet when a key is made, so its statement carries no qualifying data.
    const auto creation = checkStatement(ak, message.creationAttest, message.creationSignature, TPM2_ST_ATTEST_CREATION,
                                         {}, u"The attestation key's creation statement"_s);
    if (!creation)
        return creation.error();
    const TPMS_CREATION_INFO &info = creation->attested.creation;
    if (!equalSecretly(contentOf(info.objectName.size, info.objectName.name), ak.name))
        return Error{Errc::Denied, u"The creation statement is about another attestation key."_s};
    if (!equalSecretly(contentOf(info.creationHash.size, info.creationHash.buffer),
                       digest(ak.area.nameAlg, message.creationData)))
        return Error{Errc::Denied, u"The attestation key's creation data are not those of its statement."_s};
    return {};
}
} // namespace

SpireTpmVerification::SpireTpmVerification(const AttestationPolicy &policy, Timestamp now)
    : m_pcrs(policy.pcrs), m_guard(now, policy.challengeLifetime)
{}

Result<std::unique_ptr<NodeVerification>> SpireTpmVerification::start(const QByteArray &payload,
                                                                      const QByteArray &csrDer,
                                                                      const AttestationPolicy &policy, Timestamp now)
{
    const auto message = spireTpmPayload(payload);
    if (!message)
        return message.error();
    const auto csr = readCsr(csrDer);
    if (!csr)
        return csr.error();
    auto ak = readPublicArea(message->akPublic, u"The attestation key"_s);
    if (!ak)
        return ak.error();
    if (auto ok = checkAttestationKey(*ak); !ok)
        return ok.error();
    if (auto ok = checkCreation(*ak, *message); !ok)
        return ok.error();
    const auto ekPublicKey = endorsementPublicKey(*message);
    if (!ekPublicKey)
        return ekPublicKey.error();
    auto identified = identifyEndorsement(*ekPublicKey, message->ekCertificate, policy, now);
    if (!identified)
        return identified.error();

    std::unique_ptr<SpireTpmVerification> verification(new SpireTpmVerification(policy, now));
    verification->m_ek = std::move(*identified);
    verification->m_publicKeyDer = csr->publicKeyDer;
    verification->m_secret = randomBytes(kSecretBytes);
    const EvpKeyPtr ek = keyFromSubjectPublicKeyInfo(*ekPublicKey);
    if (verification->m_secret.isEmpty() || !ek)
        return Error{Errc::Io, u"OpenSSL gives no random numbers."_s};
    // This wire does not carry the endorsement key's template; the plugin takes the hash of the
    // attestation key's name and AES-128.
    const auto credential =
        makeCredential(ek.get(), EndorsementScheme{ak->area.nameAlg, 128}, ak->name, verification->m_secret);
    if (!credential)
        return credential.error();
    verification->m_ak = std::move(*ak);
    verification->m_challenge = encode(SpireTpmCredential{credential->idObject, credential->encryptedSecret});
    return std::unique_ptr<NodeVerification>(std::move(verification));
}

Result<QString> SpireTpmVerification::claimedEndorsementHash(const QByteArray &payload)
{
    const auto message = spireTpmPayload(payload);
    if (!message)
        return message.error();
    const auto key = endorsementPublicKey(*message);
    if (!key)
        return key.error();
    return endorsementHash(*key);
}

Result<AttestationStep> SpireTpmVerification::answer(const QByteArray &answer, const ChannelValues &, Timestamp now)
{
    if (auto ok = m_guard.use(now); !ok)
        return ok.error();
    return m_nonce.isEmpty() ? takeSecret(answer, now) : takePlatform(answer);
}

VerifiedAttestation SpireTpmVerification::basis() const
{
    VerifiedAttestation out;
    out.ek = m_ek;
    out.akName = m_ak.name;
    out.publicKeyDer = m_publicKeyDer;
    return out;
}

Result<AttestationStep> SpireTpmVerification::takeSecret(const QByteArray &answer, Timestamp now)
{
    const auto secret = spireTpmSecret(answer);
    if (!secret)
        return secret.error();
    if (!equalSecretly(*secret, m_secret))
        return Error{Errc::Denied, u"The TPM did not open the credential: the attestation key is not in the TPM of "
                                   "this endorsement key."_s};
    if (m_pcrs.isEmpty())
        return AttestationStep{{}, basis()};
    m_nonce = randomBytes(kNonceBytes);
    if (m_nonce.isEmpty())
        return Error{Errc::Io, u"OpenSSL gives no random numbers."_s};
    m_challenge = m_nonce;
    m_guard.issueAnother(now);
    return AttestationStep{m_challenge, std::nullopt};
}

Result<AttestationStep> SpireTpmVerification::takePlatform(const QByteArray &answer)
{
    const auto platform = spireTpmPlatform(answer);
    if (!platform)
        return platform.error();
    VerifiedAttestation out = basis();
    for (const auto &one : platform->quotes) {
        const auto quote =
            checkStatement(m_ak, one.attest, one.signature, TPM2_ST_ATTEST_QUOTE, m_nonce, u"The quote"_s);
        if (!quote)
            return quote.error();
        const auto selection = selectionOf(*quote);
        if (!selection)
            return selection.error();
        if (selection->bank != TPM2_ALG_SHA256)
            continue; // the plugin quotes every bank; SHA-256 is the one that is judged
        QMap<int, QByteArray> values;
        for (const auto &pcr : platform->pcrs)
            if (pcr.goHash == kGoSha256 && selection->pcrs.contains(pcr.index) && pcr.digest.size() == kSha256Bytes)
                values.insert(pcr.index, pcr.digest);
        if (values.keys() != selection->pcrs)
            return Error{Errc::Denied, u"The answer lacks values of PCRs that were quoted."_s};
        if (auto ok = checkPcrDigest(*quote, signingHash(m_ak), values); !ok)
            return ok.error();
        for (const int pcr : std::as_const(m_pcrs))
            if (!values.contains(pcr))
                return Error{Errc::Denied, u"The quote lacks PCR %1, which was asked for."_s.arg(pcr)};
        out.pcrs = values;
        noteQuote(out, *quote, one.attest, one.signature);
    }
    if (!out.quoted)
        return Error{Errc::Denied, u"There is no quote of the SHA-256 bank."_s};
    if (!platform->eventLog.isEmpty())
        out.eventLog = examineEventLog(platform->eventLog, out.pcrs);
    return AttestationStep{{}, std::move(out)};
}

} // namespace lintel::tpm

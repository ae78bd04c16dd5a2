// Verifies the node attestation "lintel_tpm" (tpm/lintel_tpm_wire.h). Private to this adapter; made
// by startVerification().
#pragma once

#include "tpm/attestation_verifier.h"
#include "tpm/challenge_guard.h"
#include "tpm/lintel_tpm_wire.h"
#include "tpm/verification_checks.h"

namespace lintel::tpm {

class LintelTpmVerification final : public NodeVerification
{
public:
    [[nodiscard]] static Result<std::unique_ptr<NodeVerification>> start(const QByteArray &payload,
                                                                         const QByteArray &csrDer,
                                                                         const AttestationPolicy &policy,
                                                                         Timestamp now);
    [[nodiscard]] static Result<QString> claimedEndorsementHash(const QByteArray &payload);

    [[nodiscard]] const EndorsementKey &endorsementKey() const override { return m_ek; }
    [[nodiscard]] const QByteArray &challenge() const override { return m_challenge; }
    [[nodiscard]] Result<AttestationStep> answer(const QByteArray &answer, const ChannelValues &channel,
                                                 Timestamp now) override;

private:
    LintelTpmVerification(const AttestationPolicy &policy, Timestamp now);
    [[nodiscard]] Result<void> makeChallenge(const EndorsementScheme &scheme, EVP_PKEY *endorsementKey);
    [[nodiscard]] Result<TPMS_ATTEST> checkQuote(const LintelTpmAnswer &answer, const QByteArray &qualifying) const;
    [[nodiscard]] Result<void> checkCertificate(const LintelTpmAnswer &answer, const QByteArray &qualifying) const;

    QList<int> m_pcrs;
    ChallengeGuard m_guard;
    EndorsementKey m_ek;
    PublicArea m_ak;
    PublicArea m_key;
    QByteArray m_csrDer;
    QByteArray m_nonce;
    QByteArray m_secret;
    QByteArray m_challenge;
};

} // namespace lintel::tpm

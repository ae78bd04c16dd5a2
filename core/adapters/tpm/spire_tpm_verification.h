// Verifies the node attestation "tpm" (tpm/spire_tpm_wire.h), and, unlike the plugin that it is
// compatible with, that certificate and public key of the endorsement are one key, and the CSR's
// signature. Private to this adapter; made by startVerification().
#pragma once

#include "tpm/attestation_verifier.h"
#include "tpm/challenge_guard.h"
#include "tpm/spire_tpm_wire.h"
#include "tpm/verification_checks.h"

namespace lintel::tpm {

class SpireTpmVerification final : public NodeVerification
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
    SpireTpmVerification(const AttestationPolicy &policy, Timestamp now);
    [[nodiscard]] Result<AttestationStep> takeSecret(const QByteArray &answer, Timestamp now);
    [[nodiscard]] Result<AttestationStep> takePlatform(const QByteArray &answer);
    [[nodiscard]] VerifiedAttestation basis() const;

    QList<int> m_pcrs;
    ChallengeGuard m_guard;
    EndorsementKey m_ek;
    PublicArea m_ak;
    QByteArray m_publicKeyDer;
    QByteArray m_secret;
    QByteArray m_challenge;
    QByteArray m_nonce; // of the second challenge; empty before
};

} // namespace lintel::tpm

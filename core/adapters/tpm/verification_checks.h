// The single checks of which both verifications are made, each with its own sentence. Private to
// this adapter. Pure functions; any thread.
// TPM 2.0 Library part 1 sections 25.2 (attributes) and 31 (attestation), part 2 section 10.12.
#pragma once

#include "tpm/attestation_verifier.h"
#include "tpm/make_credential.h"
#include "tpm/tss_codec.h"

namespace lintel::tpm {

/// A public area, as it came and as what it means.
struct PublicArea {
    QByteArray bytes;
    TPMT_PUBLIC area{};
    QByteArray name;
    EvpKeyPtr key;
};

/// `what` begins the sentence of a failure: "The attestation key".
[[nodiscard]] Result<PublicArea> readPublicArea(const QByteArray &bytes, const QString &what);

/// A signing key that signs nothing but what its TPM made, and that never leaves that TPM.
[[nodiscard]] Result<void> checkAttestationKey(const PublicArea &ak);
/// A decryption key of the TCG's profile, and how credentials are made for it.
[[nodiscard]] Result<EndorsementScheme> checkEndorsementKey(const PublicArea &ek);
/// An ordinary signing key that was made in a TPM and cannot leave it.
[[nodiscard]] Result<void> checkCertifiedKey(const PublicArea &key);

/// Fills everything but hash and key: the certificate's chain and that its key is the endorsement key.
[[nodiscard]] Result<EndorsementKey> identifyEndorsement(const QByteArray &publicKeyDer,
                                                         const QByteArray &certificateDer,
                                                         const AttestationPolicy &policy, Timestamp now);

struct Csr {
    QByteArray publicKeyDer;
};
[[nodiscard]] Result<Csr> readCsr(const QByteArray &der);

/// A statement of the TPM: signed by this key, made by a TPM, of this kind (TPM2_ST_ATTEST_…), and
/// about this challenge (extraData).
[[nodiscard]] Result<TPMS_ATTEST> checkStatement(const PublicArea &ak, const QByteArray &attest,
                                                 const QByteArray &signature, TPMI_ST_ATTEST kind,
                                                 const QByteArray &qualifyingData, const QString &what);
/// The hash algorithm of the signature scheme: the one of a quote's pcrDigest.
[[nodiscard]] TPMI_ALG_HASH signingHash(const PublicArea &ak);

/// The only bank of a quote and the PCRs that it selects.
struct QuotedSelection {
    TPMI_ALG_HASH bank = TPM2_ALG_NULL;
    QList<int> pcrs;
};
[[nodiscard]] Result<QuotedSelection> selectionOf(const TPMS_ATTEST &quote);
/// Whether these values, in ascending order of their numbers, are those whose digest was signed.
[[nodiscard]] Result<void> checkPcrDigest(const TPMS_ATTEST &quote, TPMI_ALG_HASH hash,
                                          const QMap<int, QByteArray> &values);
/// A certificate (TPM2_Certify) about exactly this object.
[[nodiscard]] Result<void> checkCertifies(const TPMS_ATTEST &certificate, const PublicArea &key);

/// Copies what a verified quote says beside the PCRs.
void noteQuote(VerifiedAttestation &out, const TPMS_ATTEST &quote, const QByteArray &attest,
               const QByteArray &signature);
[[nodiscard]] VerifiedAttestation::EventLogFacts examineEventLog(const QByteArray &bytes,
                                                                 const QMap<int, QByteArray> &pcrs);

} // namespace lintel::tpm

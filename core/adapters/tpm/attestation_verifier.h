// The authority's half of node attestation with a TPM: what a device says about its chip is
// parsed, challenged and verified in software. Needs no TPM.
//
// Two wires. "tpm" speaks what spiffe/spire-tpm-plugin speaks: it proves possession of an
// endorsement key, and, with a second challenge, quotes the PCRs; the CSR's key may be a software
// key. "lintel_tpm" proves in one round, bound to one connection and one CSR, that the CSR's key was
// made in this TPM and cannot leave it, and which software this TPM has measured.
// TPM 2.0 Library rev. 1.59 part 1 sections 24 (credentials), 31 (attestation).
//
// An object of one attestation, owned by whoever serves it; one thread at a time. Nothing blocks.
// What fails says in one sentence which check it was; Malformed means the bytes, Denied a check,
// NotFound an endorsement certificate of an authority that nobody trusts here.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"
#include "tpm/vendor_authorities.h"

#include <QByteArray>
#include <QList>
#include <QMap>
#include <QString>

#include <memory>
#include <optional>

namespace lintel::tpm {

/// Names of the node attestors, as they stand in AttestAgent and in SPIFFE IDs.
inline constexpr QStringView kSpireTpmType = u"tpm";
inline constexpr QStringView kLintelTpmType = u"lintel_tpm";

/// What an attestation has to show.
struct AttestationPolicy {
    std::shared_ptr<const VendorAuthorities> vendors; // null: no endorsement certificate is trusted
    /// True: refuse at start() unless the endorsement certificate leads to a vendor. False: the
    /// caller decides with EndorsementKey::chain (enrolled by hash, queue for approval).
    bool requireVendorCertificate = false;
    /// PCRs of the SHA-256 bank that must be quoted: exactly these (lintel_tpm) or at least these
    /// (tpm). Numbers 0 to 23, ascending. Empty for "tpm": no second challenge is sent.
    QList<int> pcrs = {0, 1, 2, 3, 4, 5, 6, 7, 14};
    /// An answer that takes longer is refused.
    std::chrono::seconds challengeLifetime{60};
};

/// What the device said about its endorsement key.
struct EndorsementKey {
    QString hash;              // lower-case hex SHA-256 of the key's SubjectPublicKeyInfo: the name of the device
    QByteArray publicKeyDer;   // SubjectPublicKeyInfo
    QByteArray certificateDer; // empty: the chip has none. Its key is publicKeyDer, or start() fails
    EndorsementChain chain = EndorsementChain::NoCertificate;
    QString chainReason; // a sentence when chain is UnknownAuthority or Invalid
    ChipModel chip;      // from the certificate, empty without
    QString issuer;      // likewise: who signed the certificate

    /// Who made the chip, by a certificate whose chain is Verified: the manufacturer that it names, else its
    /// issuer. Empty only when nobody vouches for it.
    [[nodiscard]] QString maker() const;
};

/// What came out of an attestation that passed every check.
struct VerifiedAttestation {
    EndorsementKey ek;
    QByteArray akName;       // TPM name (algorithm, digest) of the attestation key
    QByteArray publicKeyDer; // SubjectPublicKeyInfo of the CSR's key, whose signature was verified
    bool keyIsInTpm = false; // certified: made in this TPM, cannot leave it. Always so for lintel_tpm

    bool quoted = false;        // the fields below are signed by the TPM
    QMap<int, QByteArray> pcrs; // SHA-256 bank, by number
    quint32 resetCount = 0;     // of TPMS_CLOCK_INFO: grows with each start of the machine
    quint32 restartCount = 0;   // grows with each resume or TPM restart
    quint64 clockMillis = 0;
    quint64 firmwareVersion = 0;
    QByteArray quote;          // TPMS_ATTEST, to keep as evidence
    QByteArray quoteSignature; // TPMT_SIGNATURE

    /// Only when the device sent a TCG event log.
    struct EventLogFacts {
        QByteArray bytes;          // as it came, to keep as evidence
        bool explainsPcrs = false; // replayed, it leads to exactly the quoted values
        QString reason;            // a sentence when it does not
        int events = 0;
        std::optional<bool> secureBoot;
    };
    std::optional<EventLogFacts> eventLog;
};

/// What follows an answer: exactly one of the two is set.
struct AttestationStep {
    QByteArray nextChallenge;
    std::optional<VerifiedAttestation> verified;
};

/// What this end of the connection computes for each binding that it accepts, 32 bytes each; empty: it does not
/// accept that one.
struct ChannelValues {
    QByteArray exporter;
    QByteArray serverCertificate;
};

class NodeVerification
{
public:
    NodeVerification() = default;
    NodeVerification(const NodeVerification &) = delete;
    NodeVerification &operator=(const NodeVerification &) = delete;
    virtual ~NodeVerification() = default;

    [[nodiscard]] virtual const EndorsementKey &endorsementKey() const = 0;
    /// The first challenge to send.
    [[nodiscard]] virtual const QByteArray &challenge() const = 0;
    /// Takes one answer to the challenge that was given last. Denied when it is bound to another channel than
    /// `channel`, or in a way that is not accepted ("tpm" binds nothing).
    /// A challenge is good for one answer: whatever comes after a failure or after the last step
    /// is Conflict, also when it would be right.
    [[nodiscard]] virtual Result<AttestationStep> answer(const QByteArray &answer, const ChannelValues &channel,
                                                         Timestamp now) = 0;
};

/// Begins a verification: parses the payload, checks the endorsement key, its certificate, the
/// attestation key and the CSR with its signature, and makes the challenge.
/// `type` is kSpireTpmType or kLintelTpmType; others are Unsupported.
[[nodiscard]] Result<std::unique_ptr<NodeVerification>> startVerification(const QString &type,
                                                                          const QByteArray &payload,
                                                                          const QByteArray &csrDer,
                                                                          const AttestationPolicy &policy,
                                                                          Timestamp now);

/// Which chip a payload says it is from (endorsementHash); nothing of that is checked. For limits that count
/// before any of startVerification()'s work is done. Malformed, Unsupported.
[[nodiscard]] Result<QString> claimedEndorsementHash(const QString &type, const QByteArray &payload);

/// SubjectPublicKeyInfo of a CSR whose own signature was verified; for comparing the key of a later
/// CSR with VerifiedAttestation::publicKeyDer. Malformed, or Denied for a broken signature.
[[nodiscard]] Result<QByteArray> publicKeyOfCsr(const QByteArray &csrDer);

/// How an endorsement key is named everywhere: lower-case hex SHA-256 of its SubjectPublicKeyInfo.
[[nodiscard]] QString endorsementHash(const QByteArray &publicKeyDer);
/// What a certificate alone tells of a chip, for enrolment from a file: judged as in an attestation, with the same
/// errors.
[[nodiscard]] Result<EndorsementKey> examineEndorsementCertificate(const QByteArray &certificateDer,
                                                                   const AttestationPolicy &policy, Timestamp now);
/// The same for an endorsement certificate, for enrolment from a file. Malformed.
[[nodiscard]] Result<QString> endorsementHashOfCertificate(const QByteArray &certificateDer);

} // namespace lintel::tpm

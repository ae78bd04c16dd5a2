// One TPM 2.0, opened through plain ESYS: keys that never leave it, quotes, certificates about keys,
// and its endorsement key. Shared by whoever holds one; any thread, one command at a time.
//
// Blocks as long as the chip takes. A TPM that vanished (driver reloaded, swtpm restarted) is opened
// anew at the next call, and keys are loaded again; until then calls answer Unavailable.
// TPM 2.0 Library rev. 1.59; TCG EK Credential Profile 2.5; TCG Registry of Reserved Handles 1.1.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QList>
#include <QMap>
#include <QString>

#include <memory>

using EVP_PKEY = struct evp_pkey_st;

namespace lintel {

enum class EndorsementChoice {
    Automatic, // RSA with certificate, ECC P-256 or P-384 with certificate, RSA without
    Rsa,
    EccP256,
    EccP384,
};

struct TpmOptions {
    /// "device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321", "swtpm:path=/run/tpm.sock".
    QString tcti;
    /// Where the attestation key is kept, wrapped by this TPM and worthless elsewhere. Created 0700.
    QString stateDir;
    EndorsementChoice endorsement = EndorsementChoice::Automatic;
};

struct TpmEndorsement {
    QString hash;              // lower-case hex SHA-256 of the key's SubjectPublicKeyInfo
    QByteArray publicKeyDer;   // SubjectPublicKeyInfo
    QByteArray publicArea;     // TPMT_PUBLIC
    QByteArray certificateDer; // empty: this chip came without
};

struct TpmAttestationKey {
    QByteArray publicArea;        // TPMT_PUBLIC
    QByteArray creationData;      // TPMS_CREATION_DATA
    QByteArray creationAttest;    // TPMS_ATTEST: TPM2_CertifyCreation by the key itself
    QByteArray creationSignature; // TPMT_SIGNATURE
};

struct TpmSigned {
    QByteArray attest;    // TPMS_ATTEST
    QByteArray signature; // TPMT_SIGNATURE
};

struct TpmQuote {
    TpmSigned evidence;
    QMap<int, QByteArray> pcrs; // as they were when quoted
};

/// A signing key (ECC P-256, not exportable) in a TPM. Alive as long as its EVP_PKEY is.
class TpmKey;

class TpmDevice
{
public:
    /// Unavailable: no TPM answers there. Unsupported: not a TPM 2.0.
    [[nodiscard]] static Result<std::shared_ptr<TpmDevice>> open(const TpmOptions &options);
    ~TpmDevice();
    TpmDevice(const TpmDevice &) = delete;
    TpmDevice &operator=(const TpmDevice &) = delete;

    /// Four letters of the maker: "INTC", "IFX", "IBM" for swtpm.
    [[nodiscard]] QString manufacturer() const;

    /// Read once, then remembered.
    [[nodiscard]] Result<TpmEndorsement> endorsement();
    /// Loaded from the state directory, or made when there is none or the TPM was cleared.
    [[nodiscard]] Result<TpmAttestationKey> attestationKey();
    [[nodiscard]] Result<std::shared_ptr<TpmKey>> createKey();
    /// What openKey() makes the key from again: readable by this TPM only.
    [[nodiscard]] static QByteArray wrappedFormOf(const TpmKey &key);
    /// Denied: another TPM wrapped it, or this one was cleared since. Malformed: no wrapped key.
    [[nodiscard]] Result<std::shared_ptr<TpmKey>> openKey(const QByteArray &wrapped);
    /// For OpenSSL: TLS, CSRs, any thread. See docs/decisions/0006.
    [[nodiscard]] Result<std::shared_ptr<EVP_PKEY>> evpKey(const std::shared_ptr<TpmKey> &key);
    /// TPMT_PUBLIC.
    [[nodiscard]] static QByteArray publicAreaOf(const TpmKey &key);

    /// TPM2_ActivateCredential; both in the form with their size in front (TPM2B). Denied: made for
    /// another TPM or another attestation key.
    [[nodiscard]] Result<QByteArray> activateCredential(const QByteArray &idObject, const QByteArray &encryptedSecret);
    /// PCRs of one bank ("sha1", "sha256", "sha384", "sha512"), signed by the attestation key.
    [[nodiscard]] Result<TpmQuote> quote(const QString &bank, const QList<int> &pcrs, const QByteArray &qualifyingData);
    /// TPM2_Certify of a key by the attestation key.
    [[nodiscard]] Result<TpmSigned> certify(const std::shared_ptr<TpmKey> &key, const QByteArray &qualifyingData);
    /// Banks in which PCRs are allocated, by the names above.
    [[nodiscard]] Result<QList<QString>> pcrBanks();

private:
    friend class TpmKey;
    struct Private;
    explicit TpmDevice(std::shared_ptr<Private> d);
    std::shared_ptr<Private> d;
};

} // namespace lintel

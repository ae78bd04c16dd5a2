// What TpmDevice consists of. Private to this adapter. Everything here happens under the lock of
// run(); functions with an ESYS context as argument throw TssError.
#pragma once

#include "tpm/esys_context.h"
#include "tpm/tpm_device.h"
#include "tpm/tss_codec.h"

#include <list>
#include <mutex>

namespace lintel {

namespace tpm {
/// A key outside of the TPM: its private part is encrypted by the TPM.
struct WrappedKey {
    TPM2B_PUBLIC publicArea{};
    TPM2B_PRIVATE privateArea{};
};
} // namespace tpm

class TpmKey
{
public:
    TpmKey(std::shared_ptr<TpmDevice::Private> device, std::shared_ptr<const tpm::WrappedKey> wrapped);
    ~TpmKey();
    TpmKey(const TpmKey &) = delete;
    TpmKey &operator=(const TpmKey &) = delete;

    [[nodiscard]] const tpm::WrappedKey &wrapped() const { return *m_wrapped; }
    [[nodiscard]] const std::shared_ptr<const tpm::WrappedKey> &shared() const { return m_wrapped; }
    /// ECDSA over a digest of 32, 48 or 64 bytes (SHA-2), as DER. Any thread.
    [[nodiscard]] Result<QByteArray> signDigest(const QByteArray &digest) const;

private:
    std::shared_ptr<TpmDevice::Private> m_device;
    std::shared_ptr<const tpm::WrappedKey> m_wrapped;
};

struct TpmDevice::Private {
    explicit Private(const TpmOptions &given) : options(given), context(given.tcti) {}

    /// Runs `operation` under the lock. When the TPM vanished or forgot its objects, everything is
    /// opened and loaded anew, once. `operation` returns a Result and may throw TssError.
    template <class Operation>
    auto run(Operation &&operation) -> decltype(operation(static_cast<ESYS_CONTEXT *>(nullptr)))
    {
        const std::lock_guard lock(mutex);
        const tpm::SigpipeGuard sigpipe;
        for (bool again = true;; again = false) {
            try {
                return operation(context.open());
            } catch (const tpm::TssError &failure) {
                if (!recover(failure) || !again)
                    return tpm::errorOf(failure);
            }
        }
    }
    [[nodiscard]] bool recover(const tpm::TssError &failure);

    /// A handle of a key, loading it when it is not. Valid until the next call of load().
    [[nodiscard]] ESYS_TR load(ESYS_CONTEXT *esys, const std::shared_ptr<const tpm::WrappedKey> &key);
    void unload(const std::shared_ptr<const tpm::WrappedKey> &key);
    /// What was loaded in a context that has been closed since is not there any more.
    void forgetLostHandles();
    /// Flushes all but the key that was used last.
    void makeRoom();

    struct Parent {
        ESYS_TR handle = ESYS_TR_NONE;
        bool isTransient = false;
        QByteArray name;
    };
    /// The storage root key: the persistent one of the provisioning guidance, or made from the template.
    [[nodiscard]] Parent openParent(ESYS_CONTEXT *esys);
    void closeParent(const Parent &parent);
    /// A primary key from its template. Making one takes a chip seconds, so its context is kept
    /// outside of the TPM, which only this TPM can load, and only until its next reset.
    [[nodiscard]] ESYS_TR openPrimary(ESYS_CONTEXT *esys, ESYS_TR hierarchy, const TPMT_PUBLIC &area,
                                      std::optional<TPMS_CONTEXT> &kept);

    struct Created {
        std::shared_ptr<const tpm::WrappedKey> key;
        QByteArray creationData;
        TPM2B_DIGEST creationHash{};
        TPMT_TK_CREATION ticket{};
        QByteArray parentName;
    };
    [[nodiscard]] Created create(ESYS_CONTEXT *esys, const TPMT_PUBLIC &area);

    struct Endorsement {
        TpmEndorsement facts;
        TPMT_PUBLIC area{};
        TPM2_HANDLE persistent = 0; // 0: made from `area` when it is needed
    };
    [[nodiscard]] const Endorsement &endorsementKey(ESYS_CONTEXT *esys);
    [[nodiscard]] std::optional<Endorsement> findEndorsement(ESYS_CONTEXT *esys, EndorsementChoice choice);
    [[nodiscard]] ESYS_TR openEndorsement(ESYS_CONTEXT *esys, const Endorsement &ek);
    void closeEndorsement(ESYS_CONTEXT *esys, const Endorsement &ek, ESYS_TR handle);
    [[nodiscard]] TPMT_PUBLIC templateOf(TPM2_HANDLE index, const TPMT_PUBLIC &usual);

    struct AttestationKey {
        std::shared_ptr<const tpm::WrappedKey> key;
        QByteArray parentName;
        TpmAttestationKey facts;
    };
    [[nodiscard]] const AttestationKey &ensureAttestationKey(ESYS_CONTEXT *esys);
    [[nodiscard]] AttestationKey makeAttestationKey(ESYS_CONTEXT *esys);
    [[nodiscard]] ESYS_TR loadAttestationKey(ESYS_CONTEXT *esys);
    [[nodiscard]] std::optional<AttestationKey> readAttestationKey() const;
    [[nodiscard]] Result<void> writeAttestationKey(const AttestationKey &key) const;

    std::mutex mutex;
    const TpmOptions options;
    tpm::EsysContext context;
    QString manufacturer;

    struct Loaded {
        std::shared_ptr<const tpm::WrappedKey> key;
        ESYS_TR handle = ESYS_TR_NONE;
    };
    std::list<Loaded> loaded; // most recently used first
    quint64 loadedIn = 0;     // generation of the context that these handles belong to
    std::optional<Endorsement> endorsement;
    std::optional<TPMS_CONTEXT> keptEndorsement;
    std::optional<TPMS_CONTEXT> keptParent;
    std::optional<AttestationKey> attestationKey;
};

} // namespace lintel

// An authority's keys in a TPM: made there, used there; <dir>/<label>.tpm is the key as this chip has
// wrapped it, worthless for any other. A chip signs some ten times a second, so this is for the CA of a
// building, not for one that issues hundreds of SVIDs a second.
//
// Thread: as KeyStore; signatures take turns at the chip.
#pragma once

#include "ports/key_store.h"
#include "tpm/tpm_device.h"

namespace lintel {

class TpmKeyStore final : public KeyStore
{
public:
    TpmKeyStore(std::shared_ptr<TpmDevice> device, QString dir);

    [[nodiscard]] Result<std::shared_ptr<SigningKey>> create(const QString &label) override;
    [[nodiscard]] Result<std::shared_ptr<SigningKey>> open(const QString &label) override;
    [[nodiscard]] Result<void> remove(const QString &label) override;
    [[nodiscard]] QString description() const override;
    /// Of use on this chip only: a backup brings an authority back on the same machine.
    [[nodiscard]] QStringList backupFiles() const override;

private:
    [[nodiscard]] Result<QString> fileOf(const QString &label) const;
    [[nodiscard]] Result<std::shared_ptr<SigningKey>> signerOf(const std::shared_ptr<TpmKey> &key) const;

    std::shared_ptr<TpmDevice> m_device;
    QString m_dir;
};

} // namespace lintel

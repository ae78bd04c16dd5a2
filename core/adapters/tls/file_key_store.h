// Keys as files: <dir>/<label>.key, PKCS #8, mode 0600, in a directory of mode 0700. And the
// software key itself, for whoever needs a SigningKey from an EVP_PKEY (a TPM's provider too).
#pragma once

#include "ports/key_store.h"

using EVP_PKEY = struct evp_pkey_st;

namespace lintel::tls {

/// Any EVP_PKEY on P-256 as a SigningKey.
[[nodiscard]] Result<std::shared_ptr<SigningKey>> signingKeyFrom(std::shared_ptr<EVP_PKEY> key);
/// A fresh P-256 key in memory.
[[nodiscard]] Result<std::shared_ptr<EVP_PKEY>> newSoftwareKey();

class FileKeyStore final : public KeyStore
{
public:
    explicit FileKeyStore(QString dir);

    [[nodiscard]] Result<std::shared_ptr<SigningKey>> create(const QString &label) override;
    [[nodiscard]] Result<std::shared_ptr<SigningKey>> open(const QString &label) override;
    [[nodiscard]] Result<void> remove(const QString &label) override;
    [[nodiscard]] QString description() const override;
    [[nodiscard]] QStringList backupFiles() const override;

private:
    [[nodiscard]] Result<QString> fileOf(const QString &label) const;
    QString m_dir;
};

} // namespace lintel::tls

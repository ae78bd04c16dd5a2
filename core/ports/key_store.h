// Where an authority's private keys live: files, an HSM (PKCS #11) or a TPM. A key is known by its
// label, signs, and is never shown. All keys are P-256, all signatures ECDSA with SHA-256.
//
// A KeyStore belongs to the service that made it and stays on its thread; a SigningKey may sign
// on any number of threads at once and may outlive its store's other keys, not the store.
// What fails says which key and what to do; Unavailable means that the chip does not answer now.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QString>
#include <QStringList>

#include <memory>

namespace lintel {

class SigningKey
{
public:
    SigningKey() = default;
    SigningKey(const SigningKey &) = delete;
    SigningKey &operator=(const SigningKey &) = delete;
    virtual ~SigningKey() = default;

    /// SubjectPublicKeyInfo, DER.
    [[nodiscard]] virtual QByteArray publicKeyDer() const = 0;
    /// ECDSA-SHA256 over `message`, as the DER SEQUENCE of r and s.
    [[nodiscard]] virtual Result<QByteArray> sign(const QByteArray &message) const = 0;
};

class KeyStore
{
public:
    KeyStore() = default;
    KeyStore(const KeyStore &) = delete;
    KeyStore &operator=(const KeyStore &) = delete;
    virtual ~KeyStore() = default;

    /// A new key under `label` (letters, digits, '-'); Conflict when there is one already.
    [[nodiscard]] virtual Result<std::shared_ptr<SigningKey>> create(const QString &label) = 0;
    /// NotFound when no key has this label.
    [[nodiscard]] virtual Result<std::shared_ptr<SigningKey>> open(const QString &label) = 0;
    /// Destroys the key for good; fine when there is none.
    [[nodiscard]] virtual Result<void> remove(const QString &label) = 0;
    /// For people: "files in /var/lib/lintel/keys", "PKCS #11 token lintel".
    [[nodiscard]] virtual QString description() const = 0;
    /// Files that a backup must hold so that the keys are in it; empty when keys cannot leave.
    [[nodiscard]] virtual QStringList backupFiles() const { return {}; }
};

} // namespace lintel

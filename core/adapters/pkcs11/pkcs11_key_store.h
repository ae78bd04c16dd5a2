// Keys in an HSM or a smart card, through its PKCS #11 module (Cryptoki 2.40): made there, used
// there, never readable. The module is called directly: OpenSSL's way to it on Debian 12 is the
// ENGINE interface, which OpenSSL 3 has declared obsolete, and that cannot make EC keys.
//
// One session of one token, locked for each call; signing on several threads takes turns.
#pragma once

#include "ports/key_store.h"

namespace lintel::pkcs11 {

struct Pkcs11Settings {
    QString module; // "/usr/lib/softhsm/libsofthsm2.so"
    QString tokenLabel;
    QByteArray pin;
};

class Pkcs11KeyStore final : public KeyStore
{
public:
    /// Loads the module, finds the token, logs in. NotFound: no such token; Denied: the PIN.
    [[nodiscard]] static Result<std::unique_ptr<KeyStore>> connect(const Pkcs11Settings &settings);
    ~Pkcs11KeyStore() override;

    [[nodiscard]] Result<std::shared_ptr<SigningKey>> create(const QString &label) override;
    [[nodiscard]] Result<std::shared_ptr<SigningKey>> open(const QString &label) override;
    [[nodiscard]] Result<void> remove(const QString &label) override;
    [[nodiscard]] QString description() const override;

private:
    class Token;
    class Key;
    explicit Pkcs11KeyStore(std::shared_ptr<Token> token);
    std::shared_ptr<Token> m_token;
};

} // namespace lintel::pkcs11

#include "authority/key_stores.h"

#include "pkcs11/pkcs11_key_store.h"
#include "tls/file_key_store.h"
#include "tls/identity_files.h"
#include "tpm/tpm_key_store.h"

namespace lintel::authority {

namespace {

Result<std::unique_ptr<KeyStore>> openToken(const KeyStoreConfig &keys)
{
    const auto pin = tls::readPrivateFile(keys.pinFile);
    if (!pin)
        return pin.error();
    return pkcs11::Pkcs11KeyStore::connect({keys.module, keys.token, pin->trimmed()});
}

Result<std::unique_ptr<KeyStore>> openChip(const ProgramConfig &config)
{
    TpmOptions options;
    options.tcti = config.keys.tcti;
    options.stateDir = config.authority.keysDir();
    auto device = TpmDevice::open(options);
    if (!device)
        return device.error();
    return std::unique_ptr<KeyStore>(std::make_unique<TpmKeyStore>(*std::move(device), config.authority.keysDir()));
}

} // namespace

Result<std::unique_ptr<KeyStore>> openKeyStore(const ProgramConfig &config)
{
    switch (config.keys.provider) {
    case KeyStoreConfig::Provider::Pkcs11: return openToken(config.keys);
    case KeyStoreConfig::Provider::Tpm: return openChip(config);
    case KeyStoreConfig::Provider::Files: break;
    }
    return std::unique_ptr<KeyStore>(std::make_unique<tls::FileKeyStore>(config.authority.keysDir()));
}

} // namespace lintel::authority

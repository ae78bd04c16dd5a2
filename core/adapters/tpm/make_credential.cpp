#include "tpm/make_credential.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <array>

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, tls::Freer<EVP_PKEY_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, tls::Freer<EVP_CIPHER_CTX_free>>;
using Kdf = std::unique_ptr<EVP_KDF, tls::Freer<EVP_KDF_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, tls::Freer<EVP_KDF_CTX_free>>;

/// Labels of part 1 end in a zero byte where the standard says so.
constexpr QByteArrayView kIdentity("IDENTITY", 9);
constexpr QByteArrayView kStorage("STORAGE", 7); // the key derivation adds the zero byte
constexpr QByteArrayView kIntegrity("INTEGRITY", 9);

Error failed()
{
    return {Errc::Io, u"A credential for the TPM cannot be made: %1."_s.arg(tls::opensslReason())};
}

uint8_t *writable(QByteArray &bytes)
{
    return reinterpret_cast<uint8_t *>(bytes.data());
}

const uint8_t *readable(QByteArrayView bytes)
{
    return reinterpret_cast<const uint8_t *>(bytes.data());
}

QByteArray sized(QByteArrayView content)
{
    QByteArray bytes;
    bytes.append(static_cast<char>(content.size() >> 8)).append(static_cast<char>(content.size() & 0xff));
    return bytes.append(content);
}

OSSL_PARAM octets(const char *key, QByteArrayView bytes)
{
    return OSSL_PARAM_construct_octet_string(key, const_cast<char *>(bytes.data()), static_cast<size_t>(bytes.size()));
}

OSSL_PARAM text(const char *key, const char *value)
{
    return OSSL_PARAM_construct_utf8_string(key, const_cast<char *>(value), 0);
}

QByteArray derive(const char *algorithm, const OSSL_PARAM *params, qsizetype size)
{
    const Kdf kdf{EVP_KDF_fetch(nullptr, algorithm, nullptr)};
    const KdfContext context{kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr};
    QByteArray out(size, Qt::Uninitialized);
    if (!context || EVP_KDF_derive(context.get(), writable(out), static_cast<size_t>(size), params) <= 0)
        return {};
    return out;
}

/// KDFa, part 1 section 11.4.10.2: SP 800-108 in counter mode with HMAC.
QByteArray kdfA(const char *hash, QByteArrayView key, QByteArrayView label, QByteArrayView context, int bits)
{
    const std::array params = {text(OSSL_KDF_PARAM_DIGEST, hash),    text(OSSL_KDF_PARAM_MAC, "HMAC"),
                               octets(OSSL_KDF_PARAM_KEY, key),      octets(OSSL_KDF_PARAM_SALT, label),
                               octets(OSSL_KDF_PARAM_INFO, context), OSSL_PARAM_construct_end()};
    return derive("KBKDF", params.data(), bits / 8);
}

/// KDFe, section 11.4.10.3: the one-step key derivation of SP 800-56A.
QByteArray kdfE(const char *hash, QByteArrayView z, QByteArrayView label, QByteArrayView u, QByteArrayView v, int bits)
{
    const QByteArray info = QByteArray().append(label).append(u).append(v);
    const std::array params = {text(OSSL_KDF_PARAM_DIGEST, hash), octets(OSSL_KDF_PARAM_KEY, z),
                               octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
    return derive("SSKDF", params.data(), bits / 8);
}

/// The seed and how the endorsement key's owner gets it.
struct Seed {
    QByteArray value;
    QByteArray encrypted; // content of TPM2B_ENCRYPTED_SECRET
};

std::optional<Seed> rsaSeed(EVP_PKEY *key, const EVP_MD *md)
{
    Seed seed{QByteArray(EVP_MD_get_size(md), Qt::Uninitialized), {}};
    if (RAND_bytes(writable(seed.value), static_cast<int>(seed.value.size())) != 1)
        return std::nullopt;
    const KeyContext context{EVP_PKEY_CTX_new(key, nullptr)};
    if (!context || EVP_PKEY_encrypt_init(context.get()) <= 0
        || EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) <= 0
        || EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), md) <= 0 || EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), md) <= 0)
        return std::nullopt;
    void *label = OPENSSL_memdup(kIdentity.data(), static_cast<size_t>(kIdentity.size()));
    if (!label)
        return std::nullopt;
    if (EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), label, static_cast<int>(kIdentity.size())) <= 0) {
        OPENSSL_free(label);
        return std::nullopt;
    }
    seed.encrypted.resize(EVP_PKEY_get_size(key));
    size_t size = static_cast<size_t>(seed.encrypted.size());
    if (EVP_PKEY_encrypt(context.get(), writable(seed.encrypted), &size, readable(seed.value),
                         static_cast<size_t>(seed.value.size()))
        <= 0)
        return std::nullopt;
    seed.encrypted.truncate(static_cast<qsizetype>(size));
    return seed;
}

QByteArray coordinate(const EVP_PKEY *key, const char *which, qsizetype size)
{
    BIGNUM *number = nullptr;
    if (EVP_PKEY_get_bn_param(key, which, &number) != 1)
        return {};
    const tls::BignumPtr owned{number};
    QByteArray bytes(size, Qt::Uninitialized);
    if (BN_bn2binpad(number, writable(bytes), static_cast<int>(size)) < 0)
        return {};
    return bytes;
}

std::optional<Seed> eccSeed(EVP_PKEY *key, const EVP_MD *md)
{
    std::array<char, 32> group{};
    size_t length = 0;
    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(), &length) != 1)
        return std::nullopt;
    const qsizetype size = (EVP_PKEY_get_bits(key) + 7) / 8;
    const EvpKeyPtr ephemeral{EVP_EC_gen(group.data())};
    const KeyContext context{ephemeral ? EVP_PKEY_CTX_new(ephemeral.get(), nullptr) : nullptr};
    QByteArray z(size, Qt::Uninitialized);
    size_t zSize = static_cast<size_t>(size);
    if (!context || EVP_PKEY_derive_init(context.get()) <= 0 || EVP_PKEY_derive_set_peer(context.get(), key) <= 0
        || EVP_PKEY_derive(context.get(), writable(z), &zSize) <= 0 || zSize != static_cast<size_t>(size))
        return std::nullopt;
    const QByteArray x = coordinate(ephemeral.get(), OSSL_PKEY_PARAM_EC_PUB_X, size);
    const QByteArray y = coordinate(ephemeral.get(), OSSL_PKEY_PARAM_EC_PUB_Y, size);
    const QByteArray peerX = coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, size);
    if (x.isEmpty() || y.isEmpty() || peerX.isEmpty())
        return std::nullopt;
    Seed seed{kdfE(EVP_MD_get0_name(md), z, kIdentity, x, peerX, EVP_MD_get_size(md) * 8), sized(x) + sized(y)};
    OPENSSL_cleanse(z.data(), static_cast<size_t>(z.size()));
    return seed;
}

QByteArray encrypted(QByteArrayView plain, QByteArrayView key)
{
    const std::array<uint8_t, 16> zeroIv{};
    const CipherContext context{EVP_CIPHER_CTX_new()};
    QByteArray out(plain.size(), Qt::Uninitialized);
    int size = 0;
    const EVP_CIPHER *cipher = key.size() == 16 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128();
    if (!context || EVP_EncryptInit_ex(context.get(), cipher, nullptr, readable(key), zeroIv.data()) != 1
        || EVP_EncryptUpdate(context.get(), writable(out), &size, readable(plain), static_cast<int>(plain.size())) != 1
        || size != plain.size())
        return {};
    return out;
}

QByteArray hmac(const EVP_MD *md, QByteArrayView key, QByteArrayView bytes)
{
    std::array<uint8_t, EVP_MAX_MD_SIZE> out{};
    size_t size = 0;
    if (!EVP_Q_mac(nullptr, "HMAC", nullptr, EVP_MD_get0_name(md), nullptr, key.data(), static_cast<size_t>(key.size()),
                   readable(bytes), static_cast<size_t>(bytes.size()), out.data(), out.size(), &size))
        return {};
    return {reinterpret_cast<const char *>(out.data()), static_cast<qsizetype>(size)};
}
} // namespace

Result<Credential> makeCredential(EVP_PKEY *endorsementKey, const EndorsementScheme &scheme,
                                  const QByteArray &objectName, const QByteArray &secret)
{
    const EVP_MD *md = digestOf(scheme.nameAlg);
    if (!md || (scheme.symmetricBits != 128 && scheme.symmetricBits != 256))
        return Error{Errc::Unsupported, u"The endorsement key uses algorithms other than SHA-2 and AES-128 or 256."_s};
    const std::optional<Seed> seed = EVP_PKEY_is_a(endorsementKey, "RSA")  ? rsaSeed(endorsementKey, md)
                                     : EVP_PKEY_is_a(endorsementKey, "EC") ? eccSeed(endorsementKey, md)
                                                                           : std::nullopt;
    if (!seed || seed->value.isEmpty())
        return failed();
    const char *hash = EVP_MD_get0_name(md);
    const QByteArray aesKey = kdfA(hash, seed->value, kStorage, objectName, scheme.symmetricBits);
    const QByteArray hmacKey = kdfA(hash, seed->value, kIntegrity, {}, EVP_MD_get_size(md) * 8);
    const QByteArray identity = aesKey.isEmpty() ? QByteArray{} : encrypted(sized(secret), aesKey);
    const QByteArray integrity = hmacKey.isEmpty() ? QByteArray{} : hmac(md, hmacKey, identity + objectName);
    if (identity.isEmpty() || integrity.isEmpty())
        return failed();
    return Credential{sized(sized(integrity) + identity), sized(seed->encrypted)};
}

} // namespace lintel::tpm

#include "tls/public_key.h"

#include "tls/der.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>

namespace lintel::tls {

namespace {
const unsigned char *bytesOf(QByteArrayView view)
{
    return reinterpret_cast<const unsigned char *>(view.data());
}

/// A key on P-256 whose group every other key takes over.
const EVP_PKEY *p256Template()
{
    static const PkeyPtr key{EVP_EC_gen("P-256")};
    return key.get();
}
} // namespace

PkeyPtr publicKeyFromDer(QByteArrayView spki)
{
    if (der::isP256(spki) && p256Template()) {
        PkeyPtr key{EVP_PKEY_new()};
        const QByteArrayView point = spki.sliced(der::kP256HeadSize);
        if (key && EVP_PKEY_copy_parameters(key.get(), p256Template()) == 1
            && EVP_PKEY_set1_encoded_public_key(key.get(), bytesOf(point), size_t(point.size())) == 1)
            return key;
        ERR_clear_error();
        return {};
    }
    const auto *at = bytesOf(spki);
    const auto *end = at + spki.size();
    PkeyPtr key{d2i_PUBKEY(nullptr, &at, long(spki.size()))};
    ERR_clear_error();
    return at == end ? std::move(key) : PkeyPtr{};
}

QByteArray publicKeyToDer(const EVP_PKEY *key)
{
    unsigned char *data = nullptr;
    const int size = i2d_PUBKEY(key, &data);
    if (size <= 0)
        return {};
    const QByteArray der(reinterpret_cast<const char *>(data), size);
    OPENSSL_free(data);
    return der;
}

bool isAcceptableKey(const EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA"))
        return EVP_PKEY_get_bits(key) >= 2'048 && EVP_PKEY_get_bits(key) <= 8'192;
    if (!EVP_PKEY_is_a(key, "EC"))
        return false;
    char group[32] = {};
    if (EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1)
        return false;
    const QByteArrayView name(group);
    return name == "prime256v1" || name == "secp384r1" || name == "secp521r1" || name == "P-256" || name == "P-384"
           || name == "P-521";
}

const EVP_MD *sha256()
{
    static const EVP_MD *digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return digest;
}

bool verifySignature(EVP_PKEY *key, const EVP_MD *digest, QByteArrayView message, QByteArrayView signature)
{
    const MdCtxPtr context{EVP_MD_CTX_new()};
    const bool ok = context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1
                    && EVP_DigestVerify(context.get(), bytesOf(signature), size_t(signature.size()), bytesOf(message),
                                        size_t(message.size()))
                           == 1;
    ERR_clear_error();
    return ok;
}

} // namespace lintel::tls

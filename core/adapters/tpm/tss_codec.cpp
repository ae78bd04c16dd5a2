#include "tpm/tss_codec.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
struct HashName {
    TPMI_ALG_HASH algorithm;
    QLatin1StringView name;
    const EVP_MD *(*digest)();
};
const std::array kHashes = {
    HashName{TPM2_ALG_SHA1, "sha1"_L1, EVP_sha1},
    HashName{TPM2_ALG_SHA256, "sha256"_L1, EVP_sha256},
    HashName{TPM2_ALG_SHA384, "sha384"_L1, EVP_sha384},
    HashName{TPM2_ALG_SHA512, "sha512"_L1, EVP_sha512},
};

struct Curve {
    TPMI_ECC_CURVE id;
    const char *group;
    size_t bytes;
};
constexpr std::array kCurves = {
    Curve{TPM2_ECC_NIST_P256, "P-256", 32},
    Curve{TPM2_ECC_NIST_P384, "P-384", 48},
    Curve{TPM2_ECC_NIST_P521, "P-521", 66},
};

using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, tls::Freer<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, tls::Freer<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, tls::Freer<EVP_PKEY_CTX_free>>;

Result<EvpKeyPtr> keyFrom(const char *type, OSSL_PARAM_BLD *builder)
{
    const Params params{OSSL_PARAM_BLD_to_param(builder)};
    const KeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
    EVP_PKEY *key = nullptr;
    if (!params || !context || EVP_PKEY_fromdata_init(context.get()) <= 0
        || EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) <= 0)
        return Error{Errc::Malformed, u"A public key of a TPM is not a key: %1."_s.arg(tls::opensslReason())};
    return EvpKeyPtr{key};
}

Result<EvpKeyPtr> eccKey(const TPMT_PUBLIC &area)
{
    const auto *curve = std::find_if(kCurves.begin(), kCurves.end(),
                                     [&](const Curve &c) { return c.id == area.parameters.eccDetail.curveID; });
    if (curve == kCurves.end())
        return Error{Errc::Unsupported, u"A key of the TPM is on a curve other than P-256, P-384 and P-521."_s};
    const TPMS_ECC_POINT &point = area.unique.ecc;
    const size_t length = curve->bytes;
    if (point.x.size == 0 || point.x.size > length || point.y.size == 0 || point.y.size > length)
        return Error{Errc::Malformed, u"A public key of a TPM has coordinates of the wrong length."_s};
    std::array<uint8_t, 1 + 2 * 66> encoded{};
    encoded[0] = POINT_CONVERSION_UNCOMPRESSED;
    std::memcpy(encoded.data() + 1 + length - point.x.size, point.x.buffer, point.x.size);
    std::memcpy(encoded.data() + 1 + 2 * length - point.y.size, point.y.buffer, point.y.size);
    const ParamBuilder builder{OSSL_PARAM_BLD_new()};
    if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) != 1
        || OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, encoded.data(), 1 + 2 * length)
               != 1)
        return Error{Errc::Io, u"Out of memory for a public key."_s};
    return keyFrom("EC", builder.get());
}

Result<EvpKeyPtr> rsaKey(const TPMT_PUBLIC &area)
{
    constexpr BN_ULONG kDefaultExponent = 65537; // part 2, 12.2.3.5: zero means this
    const TPM2B_PUBLIC_KEY_RSA &modulus = area.unique.rsa;
    if (modulus.size == 0 || modulus.size != area.parameters.rsaDetail.keyBits / 8)
        return Error{Errc::Malformed, u"A public key of a TPM has a modulus of the wrong length."_s};
    const uint32_t exponent = area.parameters.rsaDetail.exponent;
    const tls::BignumPtr n{BN_bin2bn(modulus.buffer, modulus.size, nullptr)};
    const tls::BignumPtr e{BN_new()};
    const ParamBuilder builder{OSSL_PARAM_BLD_new()};
    if (!n || !e || !builder || BN_set_word(e.get(), exponent ? exponent : kDefaultExponent) != 1
        || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1
        || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
        return Error{Errc::Io, u"Out of memory for a public key."_s};
    return keyFrom("RSA", builder.get());
}
} // namespace

std::optional<TPMT_PUBLIC> publicFromBytes(QByteArrayView bytes)
{
    return unmarshalled<TPMT_PUBLIC, Tss2_MU_TPMT_PUBLIC_Unmarshal>(bytes);
}

QByteArray bytesOf(const TPMT_PUBLIC &area)
{
    return marshalled<Tss2_MU_TPMT_PUBLIC_Marshal>(area);
}

std::optional<TPMS_ATTEST> attestFromBytes(QByteArrayView bytes)
{
    return unmarshalled<TPMS_ATTEST, Tss2_MU_TPMS_ATTEST_Unmarshal>(bytes);
}

std::optional<TPMT_SIGNATURE> signatureFromBytes(QByteArrayView bytes)
{
    return unmarshalled<TPMT_SIGNATURE, Tss2_MU_TPMT_SIGNATURE_Unmarshal>(bytes);
}

QByteArray bytesOf(const TPMT_SIGNATURE &signature)
{
    return marshalled<Tss2_MU_TPMT_SIGNATURE_Marshal>(signature);
}

const EVP_MD *digestOf(TPMI_ALG_HASH algorithm)
{
    for (const HashName &hash : kHashes)
        if (hash.algorithm == algorithm)
            return hash.digest();
    return nullptr;
}

QString nameOfHash(TPMI_ALG_HASH algorithm)
{
    for (const HashName &hash : kHashes)
        if (hash.algorithm == algorithm)
            return hash.name;
    return {};
}

TPMI_ALG_HASH hashByName(const QString &name)
{
    for (const HashName &hash : kHashes)
        if (hash.name == name)
            return hash.algorithm;
    return TPM2_ALG_NULL;
}

QByteArray digest(TPMI_ALG_HASH algorithm, QByteArrayView bytes)
{
    const EVP_MD *md = digestOf(algorithm);
    std::array<uint8_t, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    if (!md || EVP_Digest(bytes.data(), static_cast<size_t>(bytes.size()), out.data(), &size, md, nullptr) != 1)
        return {};
    return {reinterpret_cast<const char *>(out.data()), static_cast<qsizetype>(size)};
}

QByteArray nameOf(TPMI_ALG_HASH nameAlg, QByteArrayView publicArea)
{
    const QByteArray hash = digest(nameAlg, publicArea);
    if (hash.isEmpty())
        return {};
    QByteArray name;
    name.append(static_cast<char>(nameAlg >> 8)).append(static_cast<char>(nameAlg & 0xff)).append(hash);
    return name;
}

Result<EvpKeyPtr> evpKeyOf(const TPMT_PUBLIC &area)
{
    if (area.type == TPM2_ALG_ECC)
        return eccKey(area);
    if (area.type == TPM2_ALG_RSA)
        return rsaKey(area);
    return Error{Errc::Unsupported, u"A key of the TPM is neither RSA nor ECC."_s};
}

QByteArray subjectPublicKeyInfo(const EVP_PKEY *key)
{
    uint8_t *der = nullptr;
    const int size = i2d_PUBKEY(key, &der);
    if (size <= 0)
        return {};
    QByteArray bytes(reinterpret_cast<const char *>(der), size);
    OPENSSL_free(der);
    return bytes;
}

EvpKeyPtr keyFromSubjectPublicKeyInfo(const QByteArray &der)
{
    const auto *at = reinterpret_cast<const uint8_t *>(der.constData());
    const uint8_t *const end = at + der.size();
    EvpKeyPtr key{d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size()))};
    ERR_clear_error();
    return at == end ? std::move(key) : nullptr;
}

tls::X509Ptr certificateFromWholeDer(const QByteArray &der)
{
    const auto *at = reinterpret_cast<const uint8_t *>(der.constData());
    const uint8_t *const end = at + der.size();
    tls::X509Ptr certificate{d2i_X509(nullptr, &at, static_cast<long>(der.size()))};
    ERR_clear_error();
    return at == end ? std::move(certificate) : nullptr;
}

QByteArray randomBytes(qsizetype size)
{
    QByteArray bytes(size, Qt::Uninitialized);
    if (RAND_bytes(reinterpret_cast<uint8_t *>(bytes.data()), static_cast<int>(size)) != 1)
        return {};
    return bytes;
}

bool equalSecretly(QByteArrayView a, QByteArrayView b)
{
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), static_cast<size_t>(a.size())) == 0;
}

} // namespace lintel::tpm

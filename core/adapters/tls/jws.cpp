#include "tls/jws.h"

#include "tls/public_key.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include <QJsonDocument>

#include <array>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxTokenBytes = 1024 * 1024;
constexpr auto kUrlSafe = QByteArray::Base64UrlEncoding | QByteArray::OmitTrailingEquals;

enum class Family { Rsa, RsaPss, Ec };
struct Algorithm {
    QLatin1StringView name;
    Family family;
    const char *digest;
    int coordinateBytes; // of the curve that an ES algorithm is tied to
};

/// RFC 7518, sections 3.3 to 3.5, and nothing else: no "none", no shared secrets.
constexpr std::array kAlgorithms{
    Algorithm{"RS256"_L1, Family::Rsa, "SHA256", 0},    Algorithm{"RS384"_L1, Family::Rsa, "SHA384", 0},
    Algorithm{"RS512"_L1, Family::Rsa, "SHA512", 0},    Algorithm{"ES256"_L1, Family::Ec, "SHA256", 32},
    Algorithm{"ES384"_L1, Family::Ec, "SHA384", 48},    Algorithm{"ES512"_L1, Family::Ec, "SHA512", 66},
    Algorithm{"PS256"_L1, Family::RsaPss, "SHA256", 0}, Algorithm{"PS384"_L1, Family::RsaPss, "SHA384", 0},
    Algorithm{"PS512"_L1, Family::RsaPss, "SHA512", 0},
};

Error malformed(const QString &rule)
{
    return {Errc::Malformed, rule};
}

const Algorithm *algorithmOf(const QString &name)
{
    const auto *found =
        std::find_if(kAlgorithms.begin(), kAlgorithms.end(), [&](const Algorithm &a) { return name == a.name; });
    return found == kAlgorithms.end() ? nullptr : found;
}

std::optional<QByteArray> decoded(const QByteArray &part)
{
    auto result = QByteArray::fromBase64Encoding(part, kUrlSafe | QByteArray::AbortOnBase64DecodingErrors);
    // Only the one spelling: spare bits and padding would make two texts of one token.
    if (!result || (*result).toBase64(kUrlSafe) != part)
        return std::nullopt;
    return *result;
}

using EcdsaSigPtr = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;

/// JWS writes r and s one after the other (RFC 7518, section 3.4); OpenSSL wants DER.
QByteArray derFromRaw(const QByteArray &raw)
{
    const auto half = raw.size() / 2;
    const auto *bytes = reinterpret_cast<const unsigned char *>(raw.constData());
    const EcdsaSigPtr signature{ECDSA_SIG_new()};
    BignumPtr r{BN_bin2bn(bytes, int(half), nullptr)};
    BignumPtr s{BN_bin2bn(bytes + half, int(half), nullptr)};
    if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1)
        return {};
    (void)r.release();
    (void)s.release();
    unsigned char *der = nullptr;
    const int size = i2d_ECDSA_SIG(signature.get(), &der);
    if (size <= 0)
        return {};
    const QByteArray result(reinterpret_cast<const char *>(der), size);
    OPENSSL_free(der);
    return result;
}

QByteArray rawFromDer(const QByteArray &der, int coordinateBytes)
{
    const auto *at = reinterpret_cast<const unsigned char *>(der.constData());
    const EcdsaSigPtr signature{d2i_ECDSA_SIG(nullptr, &at, long(der.size()))};
    QByteArray raw(qsizetype{2} * coordinateBytes, '\0');
    auto *out = reinterpret_cast<unsigned char *>(raw.data());
    if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, coordinateBytes) < 0
        || BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + coordinateBytes, coordinateBytes) < 0)
        return {};
    return raw;
}

bool verifiesRsa(EVP_PKEY *key, const Algorithm &algorithm, const EVP_MD *digest, const SignedToken &token)
{
    const MdCtxPtr context{EVP_MD_CTX_new()};
    EVP_PKEY_CTX *parameters = nullptr;
    const bool isPss = algorithm.family == Family::RsaPss;
    const bool ok =
        context && EVP_DigestVerifyInit(context.get(), &parameters, digest, nullptr, key) == 1
        && EVP_PKEY_CTX_set_rsa_padding(parameters, isPss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) > 0
        && (!isPss || EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) > 0)
        && EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char *>(token.signature.constData()),
                            size_t(token.signature.size()),
                            reinterpret_cast<const unsigned char *>(token.signingInput.constData()),
                            size_t(token.signingInput.size()))
               == 1;
    ERR_clear_error();
    return ok;
}

bool verifies(const JwtAuthority &authority, const Algorithm &algorithm, const SignedToken &token)
{
    const PkeyPtr key = publicKeyFromDer(authority.publicKeyDer);
    const EVP_MD *digest = EVP_get_digestbyname(algorithm.digest);
    if (!key || !digest || !isAcceptableKey(key.get()))
        return false;
    if (algorithm.family != Family::Ec)
        return EVP_PKEY_is_a(key.get(), "RSA") && verifiesRsa(key.get(), algorithm, digest, token);
    const int coordinateBytes = (EVP_PKEY_get_bits(key.get()) + 7) / 8;
    if (!EVP_PKEY_is_a(key.get(), "EC") || coordinateBytes != algorithm.coordinateBytes
        || token.signature.size() != qsizetype{2} * coordinateBytes)
        return false;
    return verifySignature(key.get(), digest, token.signingInput, derFromRaw(token.signature));
}
} // namespace

Result<SignedToken> parseToken(const QByteArray &token)
{
    const QList<QByteArray> parts = token.size() > kMaxTokenBytes ? QList<QByteArray>() : token.split('.');
    if (parts.size() != 3)
        return malformed(u"The token is not a signature in compact form (three parts separated by dots)."_s);
    const auto header = decoded(parts[0]);
    const auto payload = decoded(parts[1]);
    const auto signature = decoded(parts[2]);
    if (!header || !payload || !signature)
        return malformed(u"A part of the token is not base64url."_s);
    const QJsonDocument headerJson = QJsonDocument::fromJson(*header);
    const QJsonDocument payloadJson = QJsonDocument::fromJson(*payload);
    if (!headerJson.isObject() || !payloadJson.isObject())
        return malformed(u"The header or the payload of the token is not a JSON object."_s);

    const QJsonObject fields = headerJson.object();
    const QStringList names = fields.keys();
    for (const QString &name : names) {
        if (name != "alg"_L1 && name != "kid"_L1 && name != "typ"_L1)
            return malformed(u"The header of the token has \"%1\"; only alg, kid and typ are allowed."_s.arg(name));
        if (!fields.value(name).isString())
            return malformed(u"\"%1\" in the header of the token is not a text."_s.arg(name));
    }
    SignedToken result;
    result.algorithm = fields.value("alg"_L1).toString();
    if (!algorithmOf(result.algorithm))
        return malformed(u"The token is signed with \"%1\", which is not allowed."_s.arg(result.algorithm.left(20)));
    result.keyId = fields.value("kid"_L1).toString();
    result.type = fields.value("typ"_L1).toString();
    result.payload = payloadJson.object();
    result.signingInput = parts[0] + '.' + parts[1];
    result.signature = *signature;
    return result;
}

Result<QByteArray> signToken(const QJsonObject &payload, const QString &type, const QString &keyId,
                             const SigningKey &key)
{
    QJsonObject header{{u"alg"_s, u"ES256"_s}, {u"kid"_s, keyId}};
    if (!type.isEmpty())
        header.insert(u"typ"_s, type);
    const auto encoded = [](const QJsonObject &object) {
        return QJsonDocument(object).toJson(QJsonDocument::Compact).toBase64(kUrlSafe);
    };
    const QByteArray input = encoded(header) + '.' + encoded(payload);
    const auto signature = key.sign(input);
    if (!signature)
        return signature.error();
    const QByteArray raw = rawFromDer(*signature, 32);
    if (raw.isEmpty())
        return Error{Errc::Unavailable, u"The key store gave a signature that cannot be read."_s};
    return input + '.' + raw.toBase64(kUrlSafe);
}

Result<void> verifyToken(const SignedToken &token, const QList<JwtAuthority> &keys)
{
    const Algorithm *algorithm = algorithmOf(token.algorithm);
    if (!algorithm)
        return Error{Errc::Denied, u"The token is signed with an algorithm that is not allowed."_s};
    bool known = false;
    for (const JwtAuthority &key : keys) {
        if (!token.keyId.isEmpty() && key.keyId != token.keyId)
            continue;
        known = true;
        if (verifies(key, *algorithm, token))
            return {};
    }
    if (known)
        return Error{Errc::Denied, u"The signature of the token does not verify."_s};
    return Error{Errc::Denied, u"The token is signed by the key \"%1\", which is not in the trust bundle."_s.arg(
                                   token.keyId.left(80))};
}

} // namespace lintel::tls

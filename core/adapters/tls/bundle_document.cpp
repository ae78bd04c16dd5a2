#include "tls/bundle_document.h"

#include "tls/public_key.h"
#include "tls/x509.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

#include <array>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxBundleBytes = 1024 * 1024;
constexpr qsizetype kMaxKeys = 1'000;
constexpr auto kUrlSafe = QByteArray::Base64UrlEncoding | QByteArray::OmitTrailingEquals;

const QString kUseX509 = u"x509-svid"_s;
const QString kUseJwt = u"jwt-svid"_s;

struct Curve {
    QLatin1StringView name;
    const char *group; // OpenSSL's name
    int coordinateBytes;
};
constexpr std::array kCurves{Curve{"P-256"_L1, "prime256v1", 32}, Curve{"P-384"_L1, "secp384r1", 48},
                             Curve{"P-521"_L1, "secp521r1", 66}};

using ParamBuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, Freer<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, Freer<OSSL_PARAM_free>>;
using PkeyCtxPtr = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;

Error malformed(const QString &rule)
{
    return {Errc::Malformed, rule};
}

QString base64Url(const QByteArray &bytes)
{
    return QString::fromLatin1(bytes.toBase64(kUrlSafe));
}

QByteArray fromBase64Url(const QJsonValue &value)
{
    const auto decoded =
        QByteArray::fromBase64Encoding(value.toString().toLatin1(), kUrlSafe | QByteArray::AbortOnBase64DecodingErrors);
    return decoded ? *decoded : QByteArray();
}

// --- Keys between JWK (RFC 7518, section 6) and DER ----------------------------------------------

QByteArray numberOf(const EVP_PKEY *key, const char *parameter, int bytes)
{
    BIGNUM *raw = nullptr;
    if (EVP_PKEY_get_bn_param(key, parameter, &raw) != 1)
        return {};
    const BignumPtr number{raw};
    QByteArray out(bytes > 0 ? bytes : BN_num_bytes(raw), '\0');
    return BN_bn2binpad(raw, reinterpret_cast<unsigned char *>(out.data()), int(out.size())) < 0 ? QByteArray() : out;
}

/// Empty when the key is of no kind that a bundle holds.
QJsonObject jwkOf(const EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA"))
        return {{u"kty"_s, u"RSA"_s},
                {u"n"_s, base64Url(numberOf(key, OSSL_PKEY_PARAM_RSA_N, 0))},
                {u"e"_s, base64Url(numberOf(key, OSSL_PKEY_PARAM_RSA_E, 0))}};
    if (!EVP_PKEY_is_a(key, "EC"))
        return {};
    const int bytes = (EVP_PKEY_get_bits(key) + 7) / 8;
    for (const Curve &curve : kCurves) {
        if (curve.coordinateBytes != bytes)
            continue;
        return {{u"kty"_s, u"EC"_s},
                {u"crv"_s, curve.name},
                {u"x"_s, base64Url(numberOf(key, OSSL_PKEY_PARAM_EC_PUB_X, bytes))},
                {u"y"_s, base64Url(numberOf(key, OSSL_PKEY_PARAM_EC_PUB_Y, bytes))}};
    }
    return {};
}

PkeyPtr keyFromParams(const char *type, OSSL_PARAM_BLD *builder)
{
    const ParamsPtr params{OSSL_PARAM_BLD_to_param(builder)};
    const PkeyCtxPtr context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
    EVP_PKEY *key = nullptr;
    if (params && context && EVP_PKEY_fromdata_init(context.get()) == 1)
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get());
    ERR_clear_error();
    return PkeyPtr{key};
}

PkeyPtr ecKey(const QJsonObject &jwk)
{
    const QString name = jwk.value("crv"_L1).toString();
    for (const Curve &curve : kCurves) {
        if (name != curve.name)
            continue;
        const QByteArray x = fromBase64Url(jwk.value("x"_L1));
        const QByteArray y = fromBase64Url(jwk.value("y"_L1));
        if (x.size() != curve.coordinateBytes || y.size() != curve.coordinateBytes)
            return {};
        const QByteArray point = '\4' + x + y;
        const ParamBuilderPtr builder{OSSL_PARAM_BLD_new()};
        if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.group, 0) != 1
            || OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.constData(),
                                                size_t(point.size()))
                   != 1)
            return {};
        return keyFromParams("EC", builder.get());
    }
    return {};
}

PkeyPtr rsaKey(const QJsonObject &jwk)
{
    const auto number = [&](QLatin1StringView name) {
        const QByteArray bytes = fromBase64Url(jwk.value(name));
        return BignumPtr{
            bytes.isEmpty() || bytes.size() > 1'024
                ? nullptr
                : BN_bin2bn(reinterpret_cast<const unsigned char *>(bytes.constData()), int(bytes.size()), nullptr)};
    };
    const BignumPtr n = number("n"_L1);
    const BignumPtr e = number("e"_L1);
    const ParamBuilderPtr builder{OSSL_PARAM_BLD_new()};
    if (!n || !e || BN_num_bits(e.get()) > 32 || !builder
        || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1
        || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
        return {};
    return keyFromParams("RSA", builder.get());
}

std::optional<JwtAuthority> jwtAuthorityOf(const QJsonObject &jwk)
{
    const QString keyId = jwk.value("kid"_L1).toString();
    const QString type = jwk.value("kty"_L1).toString();
    if (keyId.isEmpty())
        return std::nullopt;
    const PkeyPtr key = type == "EC"_L1 ? ecKey(jwk) : type == "RSA"_L1 ? rsaKey(jwk) : PkeyPtr{};
    if (!key || !isAcceptableKey(key.get()))
        return std::nullopt;
    return JwtAuthority{keyId, publicKeyToDer(key.get())};
}

/// X509-SVID.md, section 6.2: the first value of x5c, and only if it is an authority's certificate.
std::optional<QByteArray> certificateOf(const QJsonObject &jwk)
{
    const QJsonValue first = jwk.value("x5c"_L1).toArray().first();
    const auto der = QByteArray::fromBase64Encoding(
        first.toString().toLatin1(), QByteArray::Base64Encoding | QByteArray::AbortOnBase64DecodingErrors);
    if (!der || (*der).isEmpty())
        return std::nullopt;
    const auto facts = describeCertificate(*der);
    if (!facts || !facts->isAuthority)
        return std::nullopt;
    return *der;
}

/// A JSON number that is a whole one and not negative.
Result<std::optional<quint64>> wholeNumber(const QJsonObject &object, QLatin1StringView name)
{
    const QJsonValue value = object.value(name);
    if (value.isUndefined())
        return std::optional<quint64>();
    const qint64 number = value.isDouble() ? value.toInteger(-1) : -1;
    if (number < 0)
        return malformed(u"\"%1\" of the bundle is not a whole number from 0 on."_s.arg(name));
    return std::optional<quint64>(quint64(number));
}

Result<QJsonObject> printedJwtKey(const JwtAuthority &authority)
{
    const PkeyPtr key = publicKeyFromDer(authority.publicKeyDer);
    QJsonObject jwk = key ? jwkOf(key.get()) : QJsonObject();
    if (jwk.isEmpty() || authority.keyId.isEmpty())
        return malformed(
            u"The JWT key \"%1\" cannot be published: it needs a key id and an EC or RSA key."_s.arg(authority.keyId));
    jwk.insert(u"kid"_s, authority.keyId);
    return jwk;
}
} // namespace

Result<BundleDocument> parseBundle(const QByteArray &json)
{
    if (json.size() > kMaxBundleBytes)
        return malformed(u"The bundle is larger than 1 MiB."_s);
    QJsonParseError problem;
    const QJsonDocument document = QJsonDocument::fromJson(json, &problem);
    if (!document.isObject())
        return malformed(u"The bundle is not a JSON object: %1."_s.arg(problem.errorString()));
    const QJsonObject root = document.object();
    if (!root.value("keys"_L1).isArray())
        return malformed(u"The bundle has no \"keys\" array."_s);
    const QJsonArray keys = root.value("keys"_L1).toArray();
    if (keys.size() > kMaxKeys)
        return malformed(u"The bundle has more than %1 keys."_s.arg(kMaxKeys));

    BundleDocument bundle;
    const auto sequence = wholeNumber(root, "spiffe_sequence"_L1);
    if (!sequence)
        return sequence.error();
    bundle.sequence = *sequence;
    const auto hint = wholeNumber(root, "spiffe_refresh_hint"_L1);
    if (!hint)
        return hint.error();
    if (*hint)
        bundle.refreshHint = std::chrono::seconds{qint64(**hint)};

    for (const auto value : keys) {
        const QJsonObject jwk = value.toObject();
        const QString type = jwk.value("kty"_L1).toString();
        const QString use = jwk.value("use"_L1).toString();
        if (type != "EC"_L1 && type != "RSA"_L1)
            continue; // section 4.2.1
        if (use == kUseX509) {
            if (auto certificate = certificateOf(jwk); certificate && !bundle.x509Authorities.contains(*certificate))
                bundle.x509Authorities.append(*certificate);
        } else if (use == kUseJwt) {
            if (auto authority = jwtAuthorityOf(jwk))
                bundle.jwtAuthorities.append(*authority);
        } // anything else: section 4.2.2
    }
    return bundle;
}

Result<QByteArray> printBundle(const BundleDocument &bundle)
{
    QJsonArray keys;
    for (const QByteArray &der : bundle.x509Authorities) {
        const X509Ptr certificate = x509FromDer(der);
        QJsonObject jwk = certificate ? jwkOf(X509_get0_pubkey(certificate.get())) : QJsonObject();
        if (jwk.isEmpty())
            return malformed(u"A certificate of the bundle cannot be published: it needs an EC or RSA key."_s);
        jwk.insert(u"use"_s, kUseX509);
        jwk.insert(u"x5c"_s, QJsonArray{QString::fromLatin1(der.toBase64())});
        keys.append(jwk);
    }
    for (const JwtAuthority &authority : bundle.jwtAuthorities) {
        auto jwk = printedJwtKey(authority);
        if (!jwk)
            return jwk.error();
        jwk->insert(u"use"_s, kUseJwt);
        keys.append(*jwk);
    }
    QJsonObject root{{u"keys"_s, keys}};
    if (bundle.sequence)
        root.insert(u"spiffe_sequence"_s, qint64(*bundle.sequence));
    if (bundle.refreshHint)
        root.insert(u"spiffe_refresh_hint"_s, qint64(bundle.refreshHint->count()));
    return QJsonDocument(root).toJson(QJsonDocument::Compact);
}

Result<QByteArray> printJwtKeySet(const QList<JwtAuthority> &authorities)
{
    QJsonArray keys;
    for (const JwtAuthority &authority : authorities) {
        const auto jwk = printedJwtKey(authority);
        if (!jwk)
            return jwk.error();
        keys.append(*jwk);
    }
    return QJsonDocument(QJsonObject{{u"keys"_s, keys}}).toJson(QJsonDocument::Compact);
}

Result<void> mayReplace(const BundleDocument &known, const BundleDocument &fresh)
{
    const auto conflict = [](const QString &message) { return Error{Errc::Conflict, message}; };
    if (!known.sequence)
        return {};
    if (!fresh.sequence)
        return conflict(u"The new bundle has no sequence number, but the one before had %1."_s.arg(*known.sequence));
    if (*fresh.sequence < *known.sequence)
        return conflict(u"The new bundle has the sequence number %1, which is lower than the %2 that was seen before."_s
                            .arg(*fresh.sequence)
                            .arg(*known.sequence));
    const bool sameKeys =
        known.x509Authorities == fresh.x509Authorities && known.jwtAuthorities == fresh.jwtAuthorities;
    if (*fresh.sequence == *known.sequence && !sameKeys)
        return conflict(u"The new bundle has other keys under the same sequence number %1."_s.arg(*known.sequence));
    return {};
}

} // namespace lintel::tls

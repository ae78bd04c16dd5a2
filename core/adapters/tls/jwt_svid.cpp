#include "tls/jwt_svid.h"

#include "tls/jws.h"

#include <QJsonArray>

#include <limits>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxJwtSvidBytes = 64 * 1024;

Error malformed(const QString &rule)
{
    return {Errc::Malformed, rule};
}
Error denied(const QString &rule)
{
    return {Errc::Denied, rule};
}

qint64 seconds(Timestamp t)
{
    return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
}

/// NumericDate (RFC 7519, section 2): seconds, perhaps with a fraction.
std::optional<Timestamp> numericDate(const QJsonValue &value)
{
    const double number = value.toDouble(std::numeric_limits<double>::quiet_NaN());
    const bool isTime = number >= 0 && number < 1e12; // no number is neither
    if (!isTime)
        return std::nullopt;
    return fromEpochMillis(qint64(number * 1'000));
}

/// "aud" is a text or a list of texts (RFC 7519, section 4.1.3).
std::optional<QStringList> audienceOf(const QJsonValue &value)
{
    QStringList audience;
    const QJsonArray list = value.isString() ? QJsonArray{value} : value.toArray();
    for (const auto one : list) {
        if (!one.isString())
            return std::nullopt;
        audience.append(one.toString());
    }
    audience.removeAll(QString());
    return audience.isEmpty() ? std::nullopt : std::optional(audience);
}
} // namespace

Result<QByteArray> signJwtSvid(const JwtSvid &svid, const QString &keyId, const SigningKey &key)
{
    if (svid.id.path().isEmpty())
        return malformed(u"A JWT-SVID needs a SPIFFE ID with a path."_s);
    if (svid.audience.isEmpty() || svid.audience.contains(QString()))
        return malformed(u"A JWT-SVID needs an audience: name whom it is for."_s);
    if (svid.expiresAt <= svid.issuedAt)
        return malformed(u"A JWT-SVID cannot end before it begins."_s);
    QJsonObject claims = svid.claims;
    claims.insert(u"sub"_s, svid.id.toString());
    claims.insert(u"aud"_s, QJsonArray::fromStringList(svid.audience));
    claims.insert(u"iat"_s, seconds(svid.issuedAt));
    claims.insert(u"exp"_s, seconds(svid.expiresAt));
    return signToken(claims, u"JWT"_s, keyId, key);
}

Result<JwtSvid> validateJwtSvid(const QByteArray &token, const QString &audience, const JwtBundles &bundles,
                                Timestamp at)
{
    if (token.size() > kMaxJwtSvidBytes)
        return malformed(u"The token is larger than 64 KiB."_s);
    const auto parsed = parseToken(token);
    if (!parsed)
        return parsed.error();
    if (!parsed->type.isEmpty() && parsed->type != "JWT"_L1 && parsed->type != "JOSE"_L1)
        return malformed(u"The token has the type \"%1\"; a JWT-SVID has JWT, JOSE or none."_s.arg(parsed->type));

    JwtSvid svid;
    svid.claims = parsed->payload;
    const auto id = SpiffeId::parse(svid.claims.value("sub"_L1).toString());
    if (!id)
        return malformed(u"The subject of the token is not a SPIFFE ID. %1"_s.arg(id.error().message));
    if (id->path().isEmpty())
        return malformed(u"The subject of the token names only a trust domain, not a workload."_s);
    svid.id = *id;
    const auto named = audienceOf(svid.claims.value("aud"_L1));
    if (!named)
        return malformed(u"The token names no audience."_s);
    svid.audience = *named;
    const auto end = numericDate(svid.claims.value("exp"_L1));
    if (!end)
        return malformed(u"The token has no expiration time."_s);
    svid.expiresAt = *end;

    const auto keys = bundles.constFind(svid.id.trustDomain());
    if (keys == bundles.cend() || keys->isEmpty())
        return denied(u"There are no JWT keys for the trust domain %1."_s.arg(svid.id.trustDomain().name()));
    if (const auto verified = verifyToken(*parsed, *keys); !verified)
        return verified.error();

    if (audience.isEmpty() || !svid.audience.contains(audience))
        return denied(u"The token of %1 is not meant for \"%2\"."_s.arg(svid.id.toString(), audience));
    if (at >= svid.expiresAt + kJwtLeeway)
        return denied(u"The token of %1 has expired."_s.arg(svid.id.toString()));
    for (const auto name : {"iat"_L1, "nbf"_L1}) {
        const QJsonValue value = svid.claims.value(name);
        if (value.isUndefined())
            continue;
        const auto begin = numericDate(value);
        if (!begin)
            return malformed(u"\"%1\" of the token is not a time."_s.arg(name));
        if (name == "iat"_L1)
            svid.issuedAt = *begin;
        if (*begin > at + kJwtLeeway)
            return denied(u"The token of %1 is not valid yet."_s.arg(svid.id.toString()));
    }
    return svid;
}

} // namespace lintel::tls

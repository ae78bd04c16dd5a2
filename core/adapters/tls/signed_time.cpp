#include "tls/signed_time.h"

#include "tls/jws.h"

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {

constexpr QLatin1StringView kType{"lintel-time+jwt"};
constexpr QLatin1StringView kIssuer{"iss"};
constexpr QLatin1StringView kNonce{"nonce"}; // hexadecimal, lower case
constexpr QLatin1StringView kTime{"ms"};     // since 1970 in UTC
constexpr qint64 kYear10000 = 253'402'300'800'000;

} // namespace

Result<QByteArray> signTime(const TrustDomain &domain, const QByteArray &nonce, Timestamp time, const QString &keyId,
                            const SigningKey &key)
{
    if (nonce.size() > kMaxTimeNonce)
        return Error{Errc::Malformed, u"A nonce of %1 bytes at most is answered."_s.arg(kMaxTimeNonce)};
    return signToken(
        {{kIssuer, domain.name()}, {kNonce, QString::fromLatin1(nonce.toHex())}, {kTime, toEpochMillis(time)}}, kType,
        keyId, key);
}

Result<Timestamp> verifyTime(const QByteArray &jws, const TrustDomain &domain, const QByteArray &nonce,
                             const QList<JwtAuthority> &keys)
{
    const auto token = parseToken(jws);
    if (!token)
        return token.error();
    if (const auto verified = verifyToken(*token, keys); !verified)
        return verified.error();
    if (token->type != kType || token->payload.value(kIssuer).toString() != domain.name())
        return Error{Errc::Denied, u"This is no time of %1."_s.arg(domain.name())};
    if (token->payload.value(kNonce).toString() != QString::fromLatin1(nonce.toHex()))
        return Error{Errc::Denied, u"This is the answer to another question for the time."_s};
    const qint64 ms = token->payload.value(kTime).toInteger();
    if (!isPlausible(fromEpochMillis(ms)) || ms >= kYear10000)
        return Error{Errc::OutOfRange,
                     u"The clock of %1's authority was never set, or is wrong by millennia."_s.arg(domain.name())};
    return fromEpochMillis(ms);
}

} // namespace lintel::tls

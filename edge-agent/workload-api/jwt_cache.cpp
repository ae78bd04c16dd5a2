#include "workload-api/jwt_cache.h"

#include "tls/jws.h"

#include <algorithm>

namespace lintel::workloads {

namespace {

constexpr qsizetype kMaxTokens = 1'000;
constexpr qsizetype kMaxTokensOfEntry = 64; // so that nobody who asks for ever new audiences empties it for others

bool isFresh(const IssuedToken &token, Timestamp now)
{
    return now < token.issuedAt + (token.expiresAt - token.issuedAt) / 2;
}

} // namespace

JwtCache::Key JwtCache::keyOf(const QString &entryId, const QStringList &audience)
{
    QStringList sorted = audience;
    sorted.sort();
    return {entryId, sorted};
}

std::optional<QByteArray> JwtCache::find(const QString &entryId, const QStringList &audience, Timestamp now) const
{
    const auto it = m_tokens.constFind(keyOf(entryId, audience));
    if (it == m_tokens.cend() || !isFresh(*it, now))
        return std::nullopt;
    return it->token;
}

void JwtCache::keep(const QString &entryId, const QStringList &audience, const IssuedToken &token, Timestamp now)
{
    if (m_tokens.size() >= kMaxTokens)
        m_tokens.removeIf([&](const auto &one) { return !isFresh(*one, now); });
    const auto isSame = [&](const Key &key) { return key.first == entryId; };
    const auto ofEntry = std::count_if(m_tokens.keyBegin(), m_tokens.keyEnd(), isSame);
    if (ofEntry >= kMaxTokensOfEntry)
        m_tokens.erase(m_tokens.constFind(*std::find_if(m_tokens.keyBegin(), m_tokens.keyEnd(), isSame)));
    if (m_tokens.size() >= kMaxTokens)
        m_tokens.erase(m_tokens.cbegin());
    m_tokens.insert(keyOf(entryId, audience), token);
}

void JwtCache::retain(const QSet<QString> &entryIds, const QList<tls::JwtAuthority> &keys)
{
    m_tokens.removeIf([&](const auto &one) {
        if (!entryIds.contains(one.key().first))
            return true;
        const auto token = tls::parseToken(one->token);
        return !token || std::none_of(keys.begin(), keys.end(), [&](const tls::JwtAuthority &key) {
            return key.keyId == token->keyId;
        });
    });
}

} // namespace lintel::workloads

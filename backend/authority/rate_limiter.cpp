#include "authority/rate_limiter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include <arpa/inet.h>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
int waitFor(double tokens, double perSecond)
{
    return int(std::ceil((1 - tokens) / perSecond));
}
} // namespace

QString networkOf(const QString &address)
{
    QByteArray text = address.toLatin1();
    if (text.startsWith('[') && text.endsWith(']'))
        text = text.sliced(1, text.size() - 2);
    if (const auto zone = text.indexOf('%'); zone >= 0)
        text.truncate(zone);
    in6_addr six{};
    if (::inet_pton(AF_INET6, text.constData(), &six) != 1)
        return address;
    std::array<char, INET6_ADDRSTRLEN> shown{};
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        ::inet_ntop(AF_INET, &six.s6_addr[12], shown.data(), shown.size());
        return QString::fromLatin1(shown.data());
    }
    std::memset(&six.s6_addr[8], 0, 8);
    ::inet_ntop(AF_INET6, &six, shown.data(), shown.size());
    return QString::fromLatin1(shown.data()) + u"/64"_s;
}

Result<void> RateLimiter::admitCall(const QString &connection, const QString &caller)
{
    const QString address = networkOf(caller);
    Bucket &ofConnection =
        refilled(m_connections, connection, m_limits.perConnectionBurst, m_limits.perConnectionPerSecond);
    if (ofConnection.tokens < 1)
        return Error{Errc::Full, u"Too many attestations on one connection; try again in %1 s."_s.arg(
                                     waitFor(ofConnection.tokens, m_limits.perConnectionPerSecond))};
    Bucket &ofAddress = refilled(m_callers, address, m_limits.perAddressCallBurst, m_limits.perAddressCallsPerSecond);
    if (ofAddress.tokens < 1)
        return Error{Errc::Full, u"Too many attestations from %1 at once; try again in %2 s."_s.arg(address).arg(
                                     waitFor(ofAddress.tokens, m_limits.perAddressCallsPerSecond))};
    ofConnection.tokens -= 1;
    ofAddress.tokens -= 1;
    return {};
}

Result<void> RateLimiter::admit(const QString &key, const QString &caller)
{
    const QString address = networkOf(caller);
    Bucket &ofAddress = refilled(m_addresses, address, m_limits.perAddressBurst, m_limits.perAddressPerSecond);
    Bucket &ofKey = refilled(m_keys, key, m_limits.perKeyBurst, m_limits.perKeyPerMinute / 60);
    if (ofKey.tokens < 1)
        return Error{Errc::Full, u"This device attests too often; it may try again in %1 s."_s.arg(
                                     waitFor(ofKey.tokens, m_limits.perKeyPerMinute / 60))};
    if (ofAddress.tokens < 1)
        return Error{Errc::Full, u"Too many devices attest from %1 at once; try again in %2 s."_s.arg(address).arg(
                                     waitFor(ofAddress.tokens, m_limits.perAddressPerSecond))};
    ofKey.tokens -= 1;
    ofAddress.tokens -= 1;
    return {};
}

Result<void> RateLimiter::admitSignatures(const QString &agent, qsizetype count)
{
    Bucket &bucket =
        refilled(m_signatures, agent, m_limits.signaturesPerAgentBurst, m_limits.signaturesPerAgentPerSecond);
    if (bucket.tokens < 1)
        return Error{
            Errc::Full,
            u"%1 asks for too many signatures; it may try again in %2 s (limits.signatures_per_agent)."_s.arg(agent)
                .arg(waitFor(bucket.tokens, m_limits.signaturesPerAgentPerSecond))};
    bucket.tokens -= double(count);
    return {};
}

Result<void> RateLimiter::admitWrite(const QString &agent)
{
    Bucket &bucket = refilled(m_writes, agent, m_limits.writesPerAgentBurst, m_limits.writesPerAgentPerSecond);
    if (bucket.tokens < 1)
        return Error{
            Errc::Full,
            u"%1 has too much written down; it may try again in %2 s (limits.writes_per_agent)."_s.arg(agent).arg(
                waitFor(bucket.tokens, m_limits.writesPerAgentPerSecond))};
    bucket.tokens -= 1;
    return {};
}

RateLimiter::Bucket &RateLimiter::refilled(Buckets &buckets, const QString &name, double burst, double perSecond)
{
    const auto now = m_clock->monotonic();
    auto found = buckets.find(name);
    if (found == buckets.end()) {
        if (buckets.size() >= m_limits.maxBuckets)
            makeRoom(buckets, burst, perSecond);
        found = buckets.insert(name, {burst, now});
    }
    Bucket &bucket = *found;
    const double seconds = std::chrono::duration<double>(now - bucket.filledAt).count();
    bucket.tokens = std::min(burst, bucket.tokens + seconds * perSecond);
    bucket.filledAt = now;
    return bucket;
}

/// A full bucket says no more than none. When none is full, the fullest quarter goes: an attacker who
/// makes up names gets fresh buckets either way, and each of them still counts on its address.
void RateLimiter::makeRoom(Buckets &buckets, double burst, double perSecond)
{
    const auto now = m_clock->monotonic();
    const auto level = [&](const Bucket &bucket) {
        return bucket.tokens + std::chrono::duration<double>(now - bucket.filledAt).count() * perSecond;
    };
    if (buckets.removeIf([&](auto it) { return level(it.value()) >= burst; }) > 0)
        return;
    QList<double> levels;
    levels.reserve(buckets.size());
    for (const Bucket &bucket : std::as_const(buckets))
        levels.append(level(bucket));
    auto limit = levels.begin() + levels.size() * 3 / 4;
    std::nth_element(levels.begin(), limit, levels.end());
    const double least = *limit;
    buckets.removeIf([&](auto it) { return level(it.value()) >= least; });
}

} // namespace lintel::authority

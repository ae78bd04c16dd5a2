// How often a connection and an address may call, and how often a chip and an address may begin an
// attestation, and how often an agent may ask for signatures and for what is written down: token buckets. Chosen so
// that a building of 1,000 devices behind one address comes back within five minutes after a power
// cut, and one chip alone cannot keep the authority busy. Pure but for its memory, which is bounded:
// the bucket that has been full for longest makes room. One thread.
#pragma once

#include "domain/result.h"
#include "ports/clock.h"

#include <QHash>
#include <QString>

namespace lintel::authority {

struct RateLimits {
    double perKeyBurst = 5; // a crash loop may try this often at once …
    double perKeyPerMinute = 2;
    double perAddressBurst = 200;
    double perAddressPerSecond = 10;
    // Of calls that nobody has looked into yet. A device makes one or two on a connection, so whoever floods
    // on one is held there, and leaves its neighbours behind the same address their share.
    double perConnectionBurst = 10;
    double perConnectionPerSecond = 0.5;
    double perAddressCallBurst = 400;
    double perAddressCallsPerSecond = 40;
    // Of one agent. SPIRE's own limit is 500 SVIDs a second of one address.
    double signaturesPerAgentBurst = 1'000;
    double signaturesPerAgentPerSecond = 500;
    double writesPerAgentBurst = 60;
    double writesPerAgentPerSecond = 1;
    int maxBuckets = 20'000; // of each kind
};

/// Who counts as one: of an IPv6 address its /64 network ("2001:db8:1:2::/64"), since whoever has one of its
/// addresses has all of them; of an IPv4 address, also a mapped one, the address. Brackets and a zone are left
/// out; what is no address comes back as it is.
[[nodiscard]] QString networkOf(const QString &address);

class RateLimiter
{
public:
    explicit RateLimiter(const Clock &clock, RateLimits limits = {}) : m_clock(&clock), m_limits(limits) {}

    /// Before anything is read of a call. Full, after how many seconds to try again. Here and below the
    /// address counts as networkOf() it.
    [[nodiscard]] Result<void> admitCall(const QString &connection, const QString &address);

    /// Takes one token of both; Full says after how many seconds to try again. Takes nothing when it
    /// refuses, so that a chip which floods does not use up its building's share.
    [[nodiscard]] Result<void> admit(const QString &key, const QString &address);

    /// Of an agent that is known. Any batch is let through while its bucket is not empty; what it takes too much is
    /// missing afterwards, so that no request is too large for ever.
    [[nodiscard]] Result<void> admitSignatures(const QString &agent, qsizetype count);
    /// Before something is written down for it.
    [[nodiscard]] Result<void> admitWrite(const QString &agent);

private:
    struct Bucket {
        double tokens = 0;
        std::chrono::nanoseconds filledAt{};
    };
    using Buckets = QHash<QString, Bucket>;
    Bucket &refilled(Buckets &buckets, const QString &name, double burst, double perSecond);
    void makeRoom(Buckets &buckets, double burst, double perSecond);

    const Clock *m_clock;
    RateLimits m_limits;
    Buckets m_connections;
    Buckets m_callers; // addresses, by their calls
    Buckets m_keys;
    Buckets m_addresses;
    Buckets m_signatures; // by agent
    Buckets m_writes;     // by agent
};

} // namespace lintel::authority

// How an authority is set up. Values only; any thread.
#pragma once

#include "domain/result.h"
#include "domain/spiffe_id.h"

#include <QString>
#include <QStringList>

#include <chrono>

namespace lintel::authority {

/// The node attestations, as SPIFFE IDs of agents have them.
inline constexpr auto kTpm = "tpm";
inline constexpr auto kLintelTpm = "lintel_tpm";
inline constexpr auto kJoinToken = "join_token";

/// What happens to a chip that nobody has enrolled.
enum class FirstSeen {
    Refuse,
    QueueGenuine, // waits for approval when a known maker's certificate comes with it
    QueueAll,
};

struct AuthorityConfig {
    TrustDomain domain;
    QString stateDir; // authority.db; 0700

    std::chrono::seconds rootLifetime = std::chrono::hours{24 * 365};
    std::chrono::seconds rootOverlap = std::chrono::hours{24 * 90};
    std::chrono::seconds issuingLifetime = std::chrono::hours{24 * 14};
    std::chrono::seconds jwtKeyLifetime = std::chrono::hours{24 * 14};
    std::chrono::seconds x509Ttl = std::chrono::hours{1};
    std::chrono::seconds jwtTtl = std::chrono::minutes{5};
    std::chrono::seconds refreshHint = std::chrono::hours{1};

    /// Roots and issuing CAs that are made from now on carry a name constraint on the domain. False only
    /// where programs must verify them that cannot (decision 0010).
    bool nameConstraint = true;

    FirstSeen firstSeen = FirstSeen::QueueAll;
    /// How many wait at most, half of them from one network (networkOf()), and for how long after they came last.
    int maxPending = 1'000;
    std::chrono::seconds pendingKept = std::chrono::hours{24 * 7};
    /// Which node attestations there are here: of those that are left out no agent gets anything, also one
    /// that has attested before.
    QStringList attestationTypes = allAttestationTypes();
    bool requireMeasuredBoot = false; // a boot that differs from its reference values gets no SVID
    QString bootId;                   // of another start of the machine, for tests; empty = that of its kernel
    QByteArray vfs;                   // another file layer for the state, for tests; empty = the system's
    int signingThreads = 0;           // 0: as many as there are processors
    int signaturesPerAgent = 500;     // a second, and twice as many at once
    int writesPerAgent = 60;          // a minute, and as many at once

    /// "tpm", "lintel_tpm", "join_token".
    [[nodiscard]] static QStringList allAttestationTypes();
    /// Where file keys lie: `stateDir`/keys.
    [[nodiscard]] QString keysDir() const;
    /// Malformed: what contradicts itself (lifetimes too short for each other).
    [[nodiscard]] Result<void> check() const;
};

} // namespace lintel::authority

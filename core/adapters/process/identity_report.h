// How it stands with a process's identity, as its call "status" and its Trust/… metrics tell it: the
// keys are written here and nowhere else. Values only; any thread.
#pragma once

#include "identity/trust_runway.h"
#include "ports/clock.h"
#include "ports/identity_source.h"

#include <QCborMap>

#include <optional>

namespace lintel::service {

struct TrustSummary {
    std::optional<TrustRunway> runway; // of this identity and of credentials that are kept beside it
    /// By what certificates are judged: "trusted", the machine's clock; "floor", the earliest time that it
    /// can be, because the clock is behind that; "never set", a clock that nobody has set and nobody corrects.
    QString clock;
};
[[nodiscard]] TrustSummary trustSummary(const IdentitySource &identity, const Clock &clock,
                                        const QList<Credential> &others = {});

/// {state, sentence, attestation, proof, bound_to_chip, expires, issuer_expires, rotations, runway_ms,
/// runway_limited_by}: the runway is that of this identity and of `others`, credentials that this
/// process keeps beside it. What is not known is left out.
[[nodiscard]] QCborMap identityReport(const IdentitySource &identity, const QList<Credential> &others = {});

} // namespace lintel::service

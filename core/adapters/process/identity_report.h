// How it stands with a process's identity, as its call "status" tells it: the keys are written here
// and nowhere else. Values only; any thread.
#pragma once

#include "identity/trust_runway.h"
#include "ports/identity_source.h"

#include <QCborMap>

namespace lintel::service {

/// {state, sentence, attestation, proof, bound_to_chip, expires, issuer_expires, rotations, runway_ms,
/// runway_limited_by}: the runway is that of this identity and of `others`, credentials that this
/// process keeps beside it. What is not known is left out.
[[nodiscard]] QCborMap identityReport(const IdentitySource &identity, const QList<Credential> &others = {});

} // namespace lintel::service

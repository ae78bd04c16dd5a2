// How long those last who stand above an SVID: the certificates between it and its domain's roots, and
// the last of those roots. Pure; any thread.
#pragma once

#include "ports/identity_source.h"

namespace lintel::tls {

/// The first of the certificates above the leaf to end, and the last of the domain's roots. Zero when
/// neither is known.
[[nodiscard]] Timestamp issuerEnd(const IdentitySnapshot &snapshot);

} // namespace lintel::tls

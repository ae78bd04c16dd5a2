// The public areas from which keys are made. Private to this adapter. Pure functions; any thread.
// TCG EK Credential Profile 2.5 annex B (L-1, L-2, H-3), TCG Provisioning Guidance (storage root key).
#pragma once

#include <tss2/tss2_tpm2_types.h>

namespace lintel::tpm {

[[nodiscard]] TPMT_PUBLIC storageRootTemplate();        // ECC P-256
[[nodiscard]] TPMT_PUBLIC attestationKeyTemplate();     // ECC P-256, restricted, ECDSA with SHA-256
[[nodiscard]] TPMT_PUBLIC signingKeyTemplate();         // ECC P-256, any hash
[[nodiscard]] TPMT_PUBLIC endorsementRsaTemplate();     // L-1: RSA 2048
[[nodiscard]] TPMT_PUBLIC endorsementEccP256Template(); // L-2
[[nodiscard]] TPMT_PUBLIC endorsementEccP384Template(); // H-3

} // namespace lintel::tpm

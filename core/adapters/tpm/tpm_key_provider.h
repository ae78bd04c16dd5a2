// An OpenSSL 3 provider for keys that live in a TPM: EVP_PKEYs whose signatures the chip makes, for
// TLS on both ends, CSRs and everything else that signs through EVP. docs/decisions/0006.
//
// The provider lives in a library context of its own, so that nothing else in the process ever
// meets it: only keys made here lead to it. Private to this adapter; any thread.
#pragma once

#include "tpm/tss_codec.h"

#include <memory>

namespace lintel {
class TpmKey;

namespace tpm {

/// Io when OpenSSL refuses the provider.
[[nodiscard]] Result<std::shared_ptr<EVP_PKEY>> evpKeyFor(const std::shared_ptr<TpmKey> &key, const TPMT_PUBLIC &area);

} // namespace tpm
} // namespace lintel

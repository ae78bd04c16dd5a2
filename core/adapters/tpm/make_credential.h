// TPM2_MakeCredential in software: a secret that only the TPM with this endorsement key gives back,
// and only to the object with this name. TPM 2.0 Library part 1, section 24 and annexes B.10.3, C.6.3.
// Private to this adapter. Pure functions; any thread.
#pragma once

#include "tpm/tss_codec.h"

namespace lintel::tpm {

struct Credential {
    QByteArray idObject;        // TPM2B_ID_OBJECT, its size in front
    QByteArray encryptedSecret; // TPM2B_ENCRYPTED_SECRET, its size in front
};

/// What of an endorsement key's template goes into the calculation.
struct EndorsementScheme {
    TPMI_ALG_HASH nameAlg = TPM2_ALG_SHA256;
    int symmetricBits = 128; // AES-CFB
};

[[nodiscard]] Result<Credential> makeCredential(EVP_PKEY *endorsementKey, const EndorsementScheme &scheme,
                                                const QByteArray &objectName, const QByteArray &secret);

} // namespace lintel::tpm

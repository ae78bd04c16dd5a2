// What a device sends to an authority. The first byte says what: payloads and answers of both wires,
// public areas, statements with signatures, requests and certificates.
#include "tpm/attestation_verifier.h"
#include "tpm/lintel_tpm_wire.h"
#include "tpm/spire_tpm_wire.h"
#include "tpm/verification_checks.h"

#include <cstdlib>

using namespace lintel;
using namespace lintel::tpm;

namespace {
/// The structures of TPM 2.0 that the JSON carries.
void asStructures(const QByteArray &bytes)
{
    if (const auto area = readPublicArea(bytes, QStringLiteral("The key"))) {
        static_cast<void>(checkAttestationKey(*area));
        static_cast<void>(checkEndorsementKey(*area));
        static_cast<void>(checkCertifiedKey(*area));
        if (bytesOf(area->area) != bytes) // a name is made of these bytes: there is one spelling only
            std::abort();
    }
    if (const auto statement = attestFromBytes(bytes); statement && statement->type == TPM2_ST_ATTEST_QUOTE)
        static_cast<void>(selectionOf(*statement));
    static_cast<void>(signatureFromBytes(bytes));
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size == 0)
        return 0;
    const QByteArray bytes(reinterpret_cast<const char *>(data) + 1, static_cast<qsizetype>(size - 1));
    switch (data[0] % 8) {
    case 0:
        if (const auto payload = lintelTpmPayload(bytes); payload && !lintelTpmPayload(encode(*payload)))
            std::abort();
        static_cast<void>(claimedEndorsementHash(kLintelTpmType.toString(), bytes));
        break;
    case 1:
        if (const auto answer = lintelTpmAnswer(bytes)) {
            const auto again = lintelTpmAnswer(encode(*answer));
            if (!again || again->pcrs != answer->pcrs || again->quote != answer->quote)
                std::abort();
        }
        break;
    case 2:
        if (const auto payload = spireTpmPayload(bytes); payload && !spireTpmPayload(encode(*payload)))
            std::abort();
        static_cast<void>(claimedEndorsementHash(kSpireTpmType.toString(), bytes));
        break;
    case 3: static_cast<void>(spireTpmPlatform(bytes)); break;
    case 4: static_cast<void>(spireTpmSecret(bytes)); break;
    case 5: static_cast<void>(publicKeyOfCsr(bytes)); break;
    case 6: static_cast<void>(endorsementHashOfCertificate(bytes)); break;
    default: asStructures(bytes);
    }
    return 0;
}

// What an authority sends to a device: a challenge that decodes encodes to one that decodes the same.
#include "tpm/lintel_tpm_wire.h"
#include "tpm/spire_tpm_wire.h"

#include <cstdlib>

using namespace lintel;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const QByteArray bytes(reinterpret_cast<const char *>(data), static_cast<qsizetype>(size));
    if (const auto challenge = tpm::lintelTpmChallenge(bytes)) {
        const auto again = tpm::lintelTpmChallenge(tpm::encode(*challenge));
        if (!again || again->nonce != challenge->nonce || again->pcrs != challenge->pcrs
            || again->idObject != challenge->idObject)
            std::abort();
    }
    if (const auto credential = tpm::spireTpmCredential(bytes)) {
        const auto again = tpm::spireTpmCredential(tpm::encode(*credential));
        if (!again || again->idObject != credential->idObject || again->encryptedSecret != credential->encryptedSecret)
            std::abort();
    }
    return 0;
}

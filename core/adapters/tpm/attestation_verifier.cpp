#include "tpm/attestation_verifier.h"

#include "tpm/lintel_tpm_verification.h"
#include "tpm/lintel_tpm_wire.h"
#include "tpm/spire_tpm_verification.h"

namespace lintel::tpm {

using namespace Qt::StringLiterals;

namespace {
Result<void> checkPolicy(const AttestationPolicy &policy, bool mustQuote)
{
    int last = -1;
    for (const int pcr : policy.pcrs) {
        if (pcr <= last || pcr >= kPcrCount)
            return Error{Errc::OutOfRange, u"PCRs of a policy are numbers from 0 to 23 in ascending order."_s};
        last = pcr;
    }
    if (mustQuote && policy.pcrs.isEmpty())
        return Error{Errc::OutOfRange, u"The attestation lintel_tpm needs at least one PCR in its policy."_s};
    return {};
}
} // namespace

Result<QString> claimedEndorsementHash(const QString &type, const QByteArray &payload)
{
    if (type == kLintelTpmType)
        return LintelTpmVerification::claimedEndorsementHash(payload);
    if (type == kSpireTpmType)
        return SpireTpmVerification::claimedEndorsementHash(payload);
    return Error{Errc::Unsupported, u"There is no TPM attestation called \"%1\"."_s.arg(type.left(40))};
}

Result<std::unique_ptr<NodeVerification>> startVerification(const QString &type, const QByteArray &payload,
                                                            const QByteArray &csrDer, const AttestationPolicy &policy,
                                                            Timestamp now)
{
    const bool lintel = type == kLintelTpmType;
    if (!lintel && type != kSpireTpmType)
        return Error{Errc::Unsupported, u"There is no TPM attestation called \"%1\"."_s.arg(type.left(40))};
    if (auto ok = checkPolicy(policy, lintel); !ok)
        return ok.error();
    if (lintel)
        return LintelTpmVerification::start(payload, csrDer, policy, now);
    return SpireTpmVerification::start(payload, csrDer, policy, now);
}

} // namespace lintel::tpm

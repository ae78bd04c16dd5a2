#include "tls/issuer_end.h"

#include "tls/x509.h"

#include <algorithm>

namespace lintel::tls {

Timestamp issuerEnd(const IdentitySnapshot &snapshot)
{
    Timestamp end{};
    for (const QByteArray &der : snapshot.bundles.value(snapshot.svid.id.trustDomain())) {
        if (const auto facts = describeCertificate(der))
            end = std::max(end, facts->notAfter);
    }
    for (const QByteArray &der : snapshot.svid.chainDer.mid(1)) {
        const auto facts = describeCertificate(der);
        if (facts && (end == Timestamp{} || facts->notAfter < end))
            end = facts->notAfter;
    }
    return end;
}

} // namespace lintel::tls

#include "identity/trust_runway.h"

#include <algorithm>

namespace lintel {

std::optional<TrustRunway> trustRunway(const QList<Credential> &credentials, Timestamp now)
{
    const Credential *first = nullptr;
    for (const Credential &credential : credentials) {
        if (!credential.renewsItself && (first == nullptr || credential.expiresAt < first->expiresAt))
            first = &credential;
    }
    if (first == nullptr)
        return std::nullopt;
    return TrustRunway{std::max(first->expiresAt - now, Millis{0}), first->name};
}

} // namespace lintel

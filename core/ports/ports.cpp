// The meta-objects of the ports that have signals are built here.
#include "ports/identity_source.h"
#include "ports/mqtt_transport.h"
#include "ports/reading_spool.h"
#include "ports/state_store.h"
#include "ports/system_clock.h"

namespace lintel {

IdentityStatus IdentitySource::status() const
{
    IdentityStatus status;
    const auto snapshot = current();
    if (!snapshot) {
        status.sentence = snapshot.error().message;
        return status;
    }
    status.expiresAt = (*snapshot)->svid.notAfter;
    const bool isOver = status.expiresAt <= trustedNow();
    status.state = isOver ? IdentityStatus::State::Expired : IdentityStatus::State::Valid;
    status.sentence = isOver ? QStringLiteral("identity expired at %1, buffering").arg(toIso8601(status.expiresAt))
                             : QStringLiteral("identity valid until %1").arg(toIso8601(status.expiresAt));
    return status;
}

Timestamp IdentitySource::trustedNow() const
{
    return SystemClock().now();
}

} // namespace lintel

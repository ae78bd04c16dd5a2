// How long the trust of a place lasts if its uplink, its authority and its clock stay as they are
// now: the time until the first credential that somebody there needs expires. Pure; any thread.
#pragma once

#include "domain/timestamp.h"

#include <QList>
#include <QString>

#include <optional>

namespace lintel {

struct Credential {
    QString name; // for people: "SVID of hvac-001", "issuing CA of building-1.smart.local"
    Timestamp expiresAt{};
    /// Whether it is renewed without what is broken now; such a one does not limit the runway.
    bool renewsItself = false;
};

struct TrustRunway {
    Millis left{0}; // never negative
    QString limitedBy;
};

/// Nothing when no credential is limited by what is broken now.
[[nodiscard]] std::optional<TrustRunway> trustRunway(const QList<Credential> &credentials, Timestamp now);

} // namespace lintel

// The trust runway: how long everything goes on working if the uplink, the LAN's authority or the
// clock stayed as they are now, and what would fail first. Pure; any thread.
#pragma once

#include "domain/timestamp.h"

#include <QList>
#include <QString>

#include <optional>

namespace lintel::authority {

/// One credential with an end.
struct RunwayItem {
    QString what; // "issuing CA", "bundle of smart-building.cloud"
    Timestamp end{};
    QString renewedBy; // what it takes: "authority", "uplink"
};

struct TrustRunway {
    std::optional<RunwayItem> first; // nothing when there is nothing that ends
    std::chrono::seconds left{0};    // until then; zero when it is over
    bool clockIsPlausible = true;
    QString sentence; // for people
};

[[nodiscard]] TrustRunway trustRunway(const QList<RunwayItem> &items, Timestamp now);

} // namespace lintel::authority

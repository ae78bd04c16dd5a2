// The trust runway (identity/trust_runway.h) as the authority tells it: with what it takes to renew the
// credential that ends first, in a sentence. Pure; any thread.
#pragma once

#include "identity/trust_runway.h"

#include <QList>
#include <QString>

#include <optional>

namespace lintel::authority {

/// One credential with an end.
struct RunwayItem {
    QString what; // "issuing CA", "bundle of smart-building.cloud"
    Timestamp end{};
    QString renewedBy; // what it takes: "authority", "uplink"
    Timestamp begin{}; // before that it is of no use
};

struct RunwayReport {
    std::optional<RunwayItem> first; // nothing when there is nothing that ends
    std::chrono::seconds left{0};    // until then; zero when it is over, or not valid yet
    bool clockIsPlausible = true;
    QString sentence; // for people
};

[[nodiscard]] RunwayReport runwayReport(const QList<RunwayItem> &items, Timestamp now);

} // namespace lintel::authority

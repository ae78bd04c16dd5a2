// What a node says of its trust beside its measurements: the metrics Trust/… of its NBIRTH and NDATA.
// They are state, like Lintel/…: never points, never stored, never acknowledged. Values only; any thread.
#pragma once

#include "domain/timestamp.h"
#include "sparkplug/payload.h"

#include <QList>
#include <QString>
#include <QStringView>

#include <chrono>
#include <optional>

namespace lintel::sparkplug {

namespace names {
inline constexpr QStringView kTrustRunway = u"Trust/Runway";                      // Int64, seconds; null: nothing ends
inline constexpr QStringView kTrustRunwayCredential = u"Trust/Runway Credential"; // String: what ends first
inline constexpr QStringView kTrustClock = u"Trust/Clock"; // String: "trusted", "floor" or "never set"
} // namespace names

struct TrustState {
    /// Until the first credential ends if its authority, its uplink and its clock stay as they are now;
    /// nothing: none is limited by that.
    std::optional<std::chrono::seconds> runway;
    QString credential;
    QString clock; // by what certificates are judged there

    friend bool operator==(const TrustState &, const TrustState &) = default;
};

[[nodiscard]] bool isTrustMetric(QStringView name);
/// All three, without time and alias.
[[nodiscard]] QList<Metric> trustMetrics(const TrustState &trust);
/// Takes over what `metric`, whose name is `name`, says; what it cannot be is left out. False for
/// other metrics.
bool readTrustMetric(TrustState &trust, QStringView name, const Metric &metric);

} // namespace lintel::sparkplug

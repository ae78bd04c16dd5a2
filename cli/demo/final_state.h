// What the demo reads from files that the building left, and small helpers of its run.
// Free functions; the main thread.
#pragma once

#include "demo/demo_plan.h"
#include "mqtt/broker_options.h"
#include "ports/reading_spool.h"

#include <optional>

namespace lintel::demo {

/// The spool of a sensor that has ended.
[[nodiscard]] Result<SpoolStatus> readSpool(const DemoPlan &plan, const QString &sensor);
/// Of what that sensor still holds, how many readings the gateway has not taken. Both have ended.
[[nodiscard]] Result<quint64> readingsNobodyElseHas(const DemoPlan &plan, const QString &sensor);
/// What the console's report says went wrong, a sentence each: it drew live values, was connected, saw
/// all sensors and the gateway online, and could read every message.
[[nodiscard]] QStringList problemsOfConsole(const QString &reportFile, int sensors);
/// How the demo's own client reaches a broker.
[[nodiscard]] mqtt::BrokerOptions brokerOptions(const DemoPlan &plan, quint16 port, QLatin1StringView brokerId);
/// A `lintelctl call` that works in this building, to copy.
[[nodiscard]] QString callHint(const DemoPlan &plan);
/// Seconds since a time in RFC 3339; nothing for an empty text.
[[nodiscard]] std::optional<double> ageOf(const QString &time);

} // namespace lintel::demo

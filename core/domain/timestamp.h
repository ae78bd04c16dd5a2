// Points in time as Lintel stores and sends them: UTC, milliseconds since 1970-01-01T00:00:00Z.
// Values only; any thread.
#pragma once

#include "domain/result.h"

#include <QString>

#include <chrono>

namespace lintel {

using Millis = std::chrono::milliseconds;
using Timestamp = std::chrono::sys_time<Millis>;

[[nodiscard]] constexpr Timestamp fromEpochMillis(qint64 ms)
{
    return Timestamp{Millis{ms}};
}
[[nodiscard]] constexpr qint64 toEpochMillis(Timestamp t)
{
    return t.time_since_epoch().count();
}

/// RFC 3339 in UTC with milliseconds: 2026-11-21T09:41:00.000Z
[[nodiscard]] QString toIso8601(Timestamp t);
/// RFC 3339; a time without a zone is refused as Malformed.
[[nodiscard]] Result<Timestamp> timestampFromIso8601(const QString &text);

/// A clock that reads before 2020 was never set (a board without a battery starts in 1970).
[[nodiscard]] constexpr bool isPlausible(Timestamp t)
{
    return t >= Timestamp{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};
}

} // namespace lintel

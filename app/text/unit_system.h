// SPDX-License-Identifier: GPL-3.0-only
// In which units people want to read values. A value is stored as reported; which other unit it is
// shown in is decided here. Pure functions; any thread.
#pragma once

#include "domain/unit.h"

#include <QString>

namespace lintel {

enum class UnitSystem : quint8 { AsReported, Metric, Us };

/// The unit in which values of `reported` are shown: `reported` itself where the system says nothing of
/// its quantity. What it gives, convert() can reach.
[[nodiscard]] Unit unitIn(UnitSystem system, Unit reported);

/// "as-reported", "metric", "us": as on the command line, in configuration and in what is kept.
[[nodiscard]] QString codeOf(UnitSystem system);
/// NotFound for other words, with those that exist in the message.
[[nodiscard]] Result<UnitSystem> unitSystemFromCode(const QString &code);

} // namespace lintel

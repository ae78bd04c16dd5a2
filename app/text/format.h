// SPDX-License-Identifier: GPL-3.0-only
// Values, ages and times as people read them, by locale. Pure functions; any thread.
#pragma once

#include "domain/reading.h"
#include "domain/timestamp.h"

#include <QString>

namespace lintel::format {

/// Digits after the decimal point that make sense for a unit.
[[nodiscard]] int decimals(Unit unit);
/// The same for a value that was converted from one with `reported` digits: no finer than it was measured, so
/// 21 °C is 70 °F, and never finer than decimals(to).
[[nodiscard]] int decimalsOfConverted(int reported, Unit from, Unit to);
/// "21.4", "−3.0", "on", "12,400": without the unit.
[[nodiscard]] QString value(const Value &value, Unit unit);
[[nodiscard]] QString number(double value, int decimals);
/// "°C"; empty for None.
[[nodiscard]] QString unit(Unit unit);
/// A value with the unit that suits its size: 1,204,311 kWh reads as "1,204.3" "MWh".
struct Quantity {
    QString number;
    QString unit;
};
[[nodiscard]] Quantity quantity(const Value &value, Unit unit);
/// The larger unit that suits values up to `largest`, and how many of `unit` it is; 1 = `unit` itself.
struct LargerUnit {
    double factor = 1;
    QString symbol;
};
[[nodiscard]] LargerUnit largerUnit(Unit unit, double largest);
/// What is measured, for a chart's title: "Temperature", "Power"; "Value" for None.
[[nodiscard]] QString nameOfQuantity(Unit unit);

/// "4 s", "3 min", "2 h", "5 d"; below one second "now".
[[nodiscard]] QString age(Millis age);
/// "4 s ago", "just now".
[[nodiscard]] QString ago(Millis age);
/// A span ahead: "71 h", "3.9 d", "12 min".
[[nodiscard]] QString runway(Millis left);
/// A span in two figures: "6 h 12 min", "12 min", "45 s", "3.9 d".
[[nodiscard]] QString span(Millis span);
/// "0:04", "12:40", "3:05:10": how long something has been waiting.
[[nodiscard]] QString stopwatch(Millis elapsed);
/// Local "12:04", or "12:04:10"; with the day when it is not today's: "Fri 12:04".
[[nodiscard]] QString time(Timestamp at, Timestamp now, bool seconds = false);
/// "2015-02-02": a day long ago.
[[nodiscard]] QString date(Timestamp at);
/// "2015-02-02 14:19 – 14:52", "2015-02-02 – 2015-02-04": a span long ago.
[[nodiscard]] QString dateRange(Timestamp from, Timestamp to);

} // namespace lintel::format

// Units of measure, as a small closed set. A value is stored in the unit its device reported and
// converted only for the eye. A temperature difference is a unit of its own: 1 Δ°C is 1.8 Δ°F,
// while 1 °C is 33.8 °F.
// Names: Project Haystack unit database, UCUM 2.1, QUDT 2.1. Values only; any thread.
#pragma once

#include "domain/result.h"

#include <QLatin1StringView>
#include <QString>
#include <QStringView>

#include <span>

namespace lintel {

enum class Unit : quint8 {
    None, // dimensionless, states, counts without a noun
    Celsius,
    Fahrenheit,
    Kelvin,
    DeltaCelsius,
    DeltaFahrenheit,
    Percent,
    RelativeHumidity, // %RH
    PartsPerMillion,
    KilogramPerKilogram, // humidity ratio
    Pascal,
    Lux,
    Watt,
    Kilowatt,
    KilowattHour,
    Volt,
    Ampere,
    RevolutionsPerMinute,
    LitrePerSecond,
    People,
};

struct UnitInfo {
    Unit unit;
    QLatin1StringView code;     // ours, stable in configuration, storage and on the wire: "celsius"
    QStringView symbol;         // for the eye: "°C"
    QLatin1StringView haystack; // "°C" is spelt "celsius" in the unit database's first column
    QLatin1StringView ucum;     // "Cel"
    QLatin1StringView qudt;     // "DEG_C" of http://qudt.org/vocab/unit/
};

/// Every unit once, in the order of the enumeration.
[[nodiscard]] std::span<const UnitInfo> allUnits();
[[nodiscard]] const UnitInfo &unitInfo(Unit unit);
/// By Lintel's own code; unknown codes are NotFound, with the codes that exist in the message.
[[nodiscard]] Result<Unit> unitFromCode(QStringView code);
/// Converts between units of one quantity; other pairs are OutOfRange.
[[nodiscard]] Result<double> convert(double value, Unit from, Unit to);

/// A larger unit in which large values are read: MWh for kWh.
struct Multiple {
    QStringView symbol;
    double factor; // how many of the unit it is
};
/// The multiples of a unit, smallest first; empty where nobody uses one.
[[nodiscard]] std::span<const Multiple> multiplesOf(Unit unit);

} // namespace lintel

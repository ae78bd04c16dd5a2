#include "domain/unit.h"

#include <QStringList>

#include <array>

namespace lintel {

namespace {

using namespace Qt::StringLiterals;

// Haystack: names of its unit database; empty where it has none. UCUM and QUDT have no unit for a
// difference of temperatures on a scale with an offset: the difference of 1 °C is the kelvin, that
// of 1 °F is the degree Rankine, and so nobody who converts can add the offset by mistake.
constexpr std::array units{
    UnitInfo{Unit::None, "none"_L1, u"", ""_L1, "1"_L1, "UNITLESS"_L1},
    UnitInfo{Unit::Celsius, "celsius"_L1, u"°C", "celsius"_L1, "Cel"_L1, "DEG_C"_L1},
    UnitInfo{Unit::Fahrenheit, "fahrenheit"_L1, u"°F", "fahrenheit"_L1, "[degF]"_L1, "DEG_F"_L1},
    UnitInfo{Unit::Kelvin, "kelvin"_L1, u"K", "kelvin"_L1, "K"_L1, "K"_L1},
    UnitInfo{Unit::DeltaCelsius, "delta_celsius"_L1, u"Δ°C", "celsius_degrees"_L1, "K"_L1, "K"_L1},
    UnitInfo{Unit::DeltaFahrenheit, "delta_fahrenheit"_L1, u"Δ°F", "fahrenheit_degrees"_L1, "[degR]"_L1, "DEG_R"_L1},
    UnitInfo{Unit::Percent, "percent"_L1, u"%", "percent"_L1, "%"_L1, "PERCENT"_L1},
    UnitInfo{Unit::RelativeHumidity, "relative_humidity"_L1, u"%RH", "percent_relative_humidity"_L1, "%{RH}"_L1,
             "PERCENT_RH"_L1},
    UnitInfo{Unit::PartsPerMillion, "ppm"_L1, u"ppm", "parts_per_million"_L1, "[ppm]"_L1, "PPM"_L1},
    UnitInfo{Unit::KilogramPerKilogram, "kg_per_kg"_L1, u"kg/kg", "parts_per_unit"_L1, "kg/kg"_L1,
             "KiloGM-PER-KiloGM"_L1},
    UnitInfo{Unit::Pascal, "pascal"_L1, u"Pa", "pascal"_L1, "Pa"_L1, "PA"_L1},
    UnitInfo{Unit::Lux, "lux"_L1, u"lx", "lux"_L1, "lx"_L1, "LUX"_L1},
    UnitInfo{Unit::Watt, "watt"_L1, u"W", "watt"_L1, "W"_L1, "W"_L1},
    UnitInfo{Unit::Kilowatt, "kilowatt"_L1, u"kW", "kilowatt"_L1, "kW"_L1, "KiloW"_L1},
    UnitInfo{Unit::KilowattHour, "kilowatt_hour"_L1, u"kWh", "kilowatt_hour"_L1, "kW.h"_L1, "KiloW-HR"_L1},
    UnitInfo{Unit::Volt, "volt"_L1, u"V", "volt"_L1, "V"_L1, "V"_L1},
    UnitInfo{Unit::Ampere, "ampere"_L1, u"A", "ampere"_L1, "A"_L1, "A"_L1},
    UnitInfo{Unit::RevolutionsPerMinute, "rpm"_L1, u"rpm", "revolutions_per_minute"_L1, "{rev}/min"_L1,
             "REV-PER-MIN"_L1},
    UnitInfo{Unit::LitrePerSecond, "litre_per_second"_L1, u"L/s", "liters_per_second"_L1, "L/s"_L1, "L-PER-SEC"_L1},
    UnitInfo{Unit::People, "people"_L1, u"people", ""_L1, "{person}"_L1, "NUM"_L1},
};

enum class Quantity { Other, Temperature, TemperatureDifference, Power };

/// In terms of the first unit of its quantity: value = reference · scale + offset.
struct Scale {
    Quantity quantity = Quantity::Other;
    double scale = 1;
    double offset = 0;
};

constexpr Scale scaleOf(Unit unit)
{
    switch (unit) {
    case Unit::Celsius: return {Quantity::Temperature, 1, 0};
    case Unit::Fahrenheit: return {Quantity::Temperature, 1.8, 32};
    case Unit::Kelvin: return {Quantity::Temperature, 1, 273.15};
    case Unit::DeltaCelsius: return {Quantity::TemperatureDifference, 1, 0};
    case Unit::DeltaFahrenheit: return {Quantity::TemperatureDifference, 1.8, 0};
    case Unit::Kilowatt: return {Quantity::Power, 1, 0};
    case Unit::Watt: return {Quantity::Power, 1'000, 0};
    default: return {};
    }
}

constexpr double kKilo = 1'000;
constexpr double kMega = kKilo * kKilo;
constexpr std::array multiplesOfWatt{
    Multiple{u"kW", scaleOf(Unit::Watt).scale / scaleOf(Unit::Kilowatt).scale},
};
constexpr std::array multiplesOfKilowatt{Multiple{u"MW", kKilo}};
constexpr std::array multiplesOfKilowattHour{Multiple{u"MWh", kKilo}, Multiple{u"GWh", kMega}};
constexpr std::array multiplesOfPascal{Multiple{u"kPa", kKilo}};

} // namespace

std::span<const UnitInfo> allUnits()
{
    return units;
}

const UnitInfo &unitInfo(Unit unit)
{
    const auto index = static_cast<size_t>(unit);
    return index < units.size() ? units[index] : units.front();
}

Result<Unit> unitFromCode(QStringView code)
{
    QStringList known;
    for (const UnitInfo &info : units) {
        if (code == info.code)
            return info.unit;
        known.append(info.code);
    }
    return Error{Errc::NotFound,
                 QStringLiteral("There is no unit \"%1\"; use one of: %2.").arg(code.left(64), known.join(u", "))};
}

Result<double> convert(double value, Unit from, Unit to)
{
    if (from == to)
        return value;
    const Scale source = scaleOf(from);
    const Scale target = scaleOf(to);
    if (source.quantity == Quantity::Other || source.quantity != target.quantity) {
        return Error{Errc::OutOfRange,
                     QStringLiteral("A value in %1 cannot be shown in %2: they measure different things.")
                         .arg(unitInfo(from).code, unitInfo(to).code)};
    }
    return (value - source.offset) / source.scale * target.scale + target.offset;
}

std::span<const Multiple> multiplesOf(Unit unit)
{
    switch (unit) {
    case Unit::Watt: return multiplesOfWatt;
    case Unit::Kilowatt: return multiplesOfKilowatt;
    case Unit::KilowattHour: return multiplesOfKilowattHour;
    case Unit::Pascal: return multiplesOfPascal;
    default: return {};
    }
}

} // namespace lintel

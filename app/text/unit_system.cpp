// SPDX-License-Identifier: GPL-3.0-only
#include "text/unit_system.h"

#include <array>

namespace lintel {
namespace {

using namespace Qt::StringLiterals;

constexpr std::array kSystems{
    std::pair{UnitSystem::AsReported, "as-reported"_L1},
    std::pair{UnitSystem::Metric, "metric"_L1},
    std::pair{UnitSystem::Us, "us"_L1},
};

} // namespace

Unit unitIn(UnitSystem system, Unit reported)
{
    if (system == UnitSystem::AsReported)
        return reported;
    const bool isUs = system == UnitSystem::Us;
    switch (reported) {
    case Unit::Celsius:
    case Unit::Fahrenheit:
    case Unit::Kelvin: return isUs ? Unit::Fahrenheit : Unit::Celsius;
    case Unit::DeltaCelsius:
    case Unit::DeltaFahrenheit: return isUs ? Unit::DeltaFahrenheit : Unit::DeltaCelsius;
    default: return reported;
    }
}

QString codeOf(UnitSystem system)
{
    for (const auto &[known, code] : kSystems) {
        if (known == system)
            return code;
    }
    return {};
}

Result<UnitSystem> unitSystemFromCode(const QString &code)
{
    for (const auto &[system, known] : kSystems) {
        if (code == known)
            return system;
    }
    return Error{Errc::NotFound,
                 u"The units \"%1\" do not exist; expected as-reported, metric or us."_s.arg(code.left(64))};
}

} // namespace lintel

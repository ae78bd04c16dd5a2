// SPDX-License-Identifier: GPL-3.0-only
#include "text/display_units.h"

#include <QVariantMap>

namespace lintel {

void DisplayUnits::setSystem(UnitSystem system)
{
    if (system == m_system)
        return;
    m_system = system;
    Q_EMIT changed();
}

void DisplayUnits::setChoice(const QString &code)
{
    if (const auto system = unitSystemFromCode(code))
        setSystem(*system);
}

QVariantList DisplayUnits::choices() const
{
    const auto choice = [](UnitSystem system, const QString &label, const QString &note) {
        return QVariantMap{{QStringLiteral("value"), codeOf(system)},
                           {QStringLiteral("label"), label},
                           {QStringLiteral("note"), note}};
    };
    return {choice(UnitSystem::AsReported, tr("As reported"), {}),
            choice(UnitSystem::Metric, tr("Metric"), format::unit(Unit::Celsius)),
            choice(UnitSystem::Us, tr("US"), format::unit(Unit::Fahrenheit))};
}

double DisplayUnits::number(double value, Unit reported) const
{
    const auto converted = convert(value, reported, shown(reported));
    return converted ? *converted : value;
}

format::Quantity DisplayUnits::quantity(const Value &value, Unit reported) const
{
    const Unit unit = shown(reported);
    const Kind kind = kindOf(value);
    if (unit == reported || (kind != Kind::Number && kind != Kind::Integer))
        return format::quantity(value, unit);
    const double converted = number(toDouble(value), reported);
    if (kind == Kind::Number)
        return format::quantity(converted, unit);
    return {format::number(converted, format::decimalsOfConverted(0, reported, unit)), format::unit(unit)};
}

format::Quantity DisplayUnits::nothing(Unit reported) const
{
    return {QStringLiteral("–"), symbol(reported)};
}

} // namespace lintel

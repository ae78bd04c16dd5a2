// SPDX-License-Identifier: GPL-3.0-only
#include "text/format.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QLocale>

#include <algorithm>
#include <cmath>

namespace lintel::format {
namespace {

using namespace std::chrono;

QString tr(const char *text)
{
    return QCoreApplication::translate("format", text);
}

QDateTime local(Timestamp at)
{
    return QDateTime::fromMSecsSinceEpoch(toEpochMillis(at));
}

} // namespace

int decimals(Unit unit)
{
    switch (unit) {
    case Unit::Celsius:
    case Unit::Fahrenheit:
    case Unit::Kelvin:
    case Unit::DeltaCelsius:
    case Unit::DeltaFahrenheit:
    case Unit::Kilowatt:
    case Unit::KilowattHour:
    case Unit::Volt: return 1;
    case Unit::Ampere: return 2;
    case Unit::KilogramPerKilogram: return 4;
    default: return 0;
    }
}

QString number(double value, int decimals)
{
    if (!std::isfinite(value))
        return QStringLiteral("–");
    QString text = QLocale().toString(value, 'f', decimals);
    // A value that rounds to nothing has no sign.
    if (text.startsWith(QLatin1Char('-'))) {
        const bool zero = std::abs(value) < 0.5 * std::pow(10.0, -decimals);
        text = zero ? text.mid(1) : QChar(0x2212) + text.mid(1);
    }
    return text;
}

QString value(const Value &value, Unit unit)
{
    switch (kindOf(value)) {
    case Kind::Number: {
        const double number = std::get<double>(value);
        if (unit == Unit::None)
            return format::number(number, std::abs(number - std::round(number)) < 1e-9 ? 0 : 2);
        return format::number(number, decimals(unit));
    }
    case Kind::Integer: return QLocale().toString(std::get<qint64>(value));
    case Kind::Bool: return std::get<bool>(value) ? tr("on") : tr("off");
    case Kind::Text: return std::get<QString>(value);
    }
    return {};
}

QString unit(Unit unit)
{
    return unitInfo(unit).symbol.toString();
}

int decimalsOfConverted(int reported, Unit from, Unit to)
{
    const auto zero = convert(0, from, to);
    const auto one = convert(1, from, to);
    if (!zero || !one)
        return decimals(to);
    const double step = std::abs(*one - *zero) * std::pow(10.0, -reported);
    return std::clamp(int(std::ceil(-std::log10(step) - 1e-9)), 0, decimals(to));
}

LargerUnit largerUnit(Unit unit, double largest)
{
    // Thousands stay readable with their separators; from here on nobody counts the digits.
    const double many = unit == Unit::KilowattHour ? 100'000 : 10'000;
    LargerUnit fits{1, format::unit(unit)};
    for (const Multiple &multiple : multiplesOf(unit)) {
        if (largest >= many * fits.factor)
            fits = {multiple.factor, multiple.symbol.toString()};
    }
    return fits;
}

Quantity quantity(const Value &value, Unit unit)
{
    if (kindOf(value) != Kind::Number && kindOf(value) != Kind::Integer)
        return {format::value(value, unit), format::unit(unit)};
    const LargerUnit larger = largerUnit(unit, std::abs(toDouble(value)));
    if (larger.factor == 1)
        return {format::value(value, unit), larger.symbol};
    return {number(toDouble(value) / larger.factor, 1), larger.symbol};
}

QString nameOfQuantity(Unit unit)
{
    switch (unit) {
    case Unit::Celsius:
    case Unit::Fahrenheit:
    case Unit::Kelvin: return tr("Temperature");
    case Unit::DeltaCelsius:
    case Unit::DeltaFahrenheit: return tr("Temperature difference");
    case Unit::Percent: return tr("Share");
    case Unit::RelativeHumidity: return tr("Relative humidity");
    case Unit::PartsPerMillion: return tr("Concentration");
    case Unit::KilogramPerKilogram: return tr("Humidity ratio");
    case Unit::Pascal: return tr("Pressure");
    case Unit::Lux: return tr("Light");
    case Unit::Watt:
    case Unit::Kilowatt: return tr("Power");
    case Unit::KilowattHour: return tr("Energy");
    case Unit::Volt: return tr("Voltage");
    case Unit::Ampere: return tr("Current");
    case Unit::RevolutionsPerMinute: return tr("Speed");
    case Unit::LitrePerSecond: return tr("Flow");
    case Unit::People: return tr("People");
    case Unit::None: break;
    }
    return tr("Value");
}

QString age(Millis age)
{
    if (age < 1s)
        return tr("now");
    if (age < 2min)
        return tr("%1 s").arg(duration_cast<seconds>(age).count());
    if (age < 2h)
        return tr("%1 min").arg(duration_cast<minutes>(age).count());
    if (age < 48h)
        return tr("%1 h").arg(duration_cast<hours>(age).count());
    return tr("%1 d").arg(duration_cast<hours>(age).count() / 24);
}

QString ago(Millis age)
{
    return age < 1s ? tr("just now") : tr("%1 ago").arg(format::age(age));
}

QString runway(Millis left)
{
    if (left <= 0ms)
        return tr("none");
    if (left < 2min)
        return tr("%1 s").arg(duration_cast<seconds>(left).count());
    if (left < 2h)
        return tr("%1 min").arg(duration_cast<minutes>(left).count());
    if (left < 72h)
        return tr("%1 h").arg(duration_cast<hours>(left).count());
    if (left > hours{24 * 365})
        return tr("over a year");
    const double days = duration<double, std::ratio<86'400>>(left).count();
    return tr("%1 d").arg(number(days, days < 10 ? 1 : 0));
}

QString span(Millis span)
{
    if (span < 2min)
        return tr("%1 s").arg(std::max<qint64>(0, duration_cast<seconds>(span).count()));
    const qint64 total = duration_cast<minutes>(span).count();
    if (span < 2h)
        return tr("%1 min").arg(total);
    if (span < 48h)
        return total % 60 == 0 ? tr("%1 h").arg(total / 60) : tr("%1 h %2 min").arg(total / 60).arg(total % 60);
    return runway(span);
}

QString stopwatch(Millis elapsed)
{
    const qint64 total = std::max<qint64>(0, duration_cast<seconds>(elapsed).count());
    const auto two = [](qint64 n) { return QStringLiteral("%1").arg(n, 2, 10, QLatin1Char('0')); };
    if (total >= 48 * 3'600)
        return tr("%1 d").arg(total / 86'400);
    if (total >= 3'600)
        return QStringLiteral("%1:%2:%3").arg(total / 3'600).arg(two(total / 60 % 60), two(total % 60));
    return QStringLiteral("%1:%2").arg(total / 60).arg(two(total % 60));
}

QString time(Timestamp at, Timestamp now, bool seconds)
{
    const QDateTime when = local(at);
    const QString clock = when.toString(seconds ? QStringLiteral("HH:mm:ss") : QStringLiteral("HH:mm"));
    const qint64 days = when.date().daysTo(local(now).date());
    if (days == 0)
        return clock;
    if (days > 0 && days < 7)
        return QLocale().dayName(when.date().dayOfWeek(), QLocale::ShortFormat) + QLatin1Char(' ') + clock;
    return when.date().toString(QStringLiteral("yyyy-MM-dd")) + QLatin1Char(' ') + clock;
}

QString date(Timestamp at)
{
    return local(at).toString(QStringLiteral("yyyy-MM-dd"));
}

QString dateRange(Timestamp from, Timestamp to)
{
    const QDateTime begin = local(from);
    const QDateTime end = local(to);
    const QString day = QStringLiteral("yyyy-MM-dd");
    const QString clock = QStringLiteral("HH:mm");
    if (begin.date() != end.date())
        return tr("%1 – %2").arg(begin.toString(day), end.toString(day));
    const QString first = begin.toString(day + QLatin1Char(' ') + clock);
    const QString last = end.toString(clock);
    return first.endsWith(last) ? first : tr("%1 – %2").arg(first, last);
}

} // namespace lintel::format

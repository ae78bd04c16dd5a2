#include "sensor/report_filter.h"

#include <cmath>

namespace lintel {

namespace {

bool hasMoved(const Value &from, const Value &to, double deadband)
{
    const bool areNumbers = kindOf(from) == kindOf(to) && (kindOf(to) == Kind::Number || kindOf(to) == Kind::Integer);
    if (!areNumbers || deadband <= 0)
        return from != to && !(std::isnan(toDouble(from)) && std::isnan(toDouble(to)) && areNumbers);
    const double before = toDouble(from);
    const double after = toDouble(to);
    if (std::isnan(before) || std::isnan(after))
        return std::isnan(before) != std::isnan(after);
    return std::abs(after - before) > deadband;
}

} // namespace

Millis ReportRules::longestInterval(const QString &point) const
{
    if (!byException)
        return period;
    const Millis own = points.value(point).heartbeat;
    return std::max(period, own > Millis{0} ? own : heartbeat);
}

QList<Reading> ReportFilter::select(const QList<Reading> &sample, std::chrono::nanoseconds now)
{
    QList<Reading> selected;
    for (const Reading &reading : sample) {
        if (!isWorthReporting(reading, now))
            continue;
        m_reported.insert(reading.point, Reported{reading.value, reading.quality, now});
        selected.append(reading);
    }
    return selected;
}

bool ReportFilter::isWorthReporting(const Reading &reading, std::chrono::nanoseconds now) const
{
    const auto before = m_reported.constFind(reading.point);
    if (!m_rules.byException || before == m_reported.constEnd() || before->quality != reading.quality)
        return true;
    // Half a period early rather than late: samples do not come to the nanosecond.
    if (now - before->at >= m_rules.longestInterval(reading.point) - m_rules.period / 2)
        return true;
    return hasMoved(before->value, reading.value, m_rules.points.value(reading.point).deadband);
}

} // namespace lintel

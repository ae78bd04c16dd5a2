// SPDX-License-Identifier: GPL-3.0-only
#include "live/suggestion.h"

#include "feed/building_order.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace lintel {
namespace {

// What a person who opens the page without a choice most likely wants to see first.
constexpr std::array kUnits{
    Unit::Celsius, Unit::Fahrenheit,   Unit::PartsPerMillion, Unit::Kilowatt, Unit::People, Unit::RelativeHumidity,
    Unit::Watt,    Unit::KilowattHour, Unit::Percent,         Unit::Lux,      Unit::None};

bool isSimulated(const PointState &state)
{
    return state.point.tags.contains(QStringLiteral("simulated"));
}

bool isLine(const Point &point)
{
    return point.kind != Kind::Text && point.kind != Kind::Bool;
}

bool hasTag(const Point &point, QLatin1StringView tag)
{
    return std::ranges::any_of(point.tags, [tag](const QString &has) { return has == tag; });
}

/// A measurement says more than a setpoint, and a zone more than what serves it.
int rank(const Point &point)
{
    const bool isSetpoint = hasTag(point, QLatin1StringView("sp")) || hasTag(point, QLatin1StringView("cmd"));
    return (isSetpoint ? 2 : 0) + (hasTag(point, QLatin1StringView("zone")) ? 0 : 1);
}

class Suggestion
{
public:
    Suggestion(const BuildingStore &store, const DisplayUnits &units)
        : m_store(store), m_units(units), m_devices(inOrder(store))
    {
        bool measuresNow = false;
        for (int i = 0; i < store.pointCount(); ++i) {
            const PointState &state = store.point(i);
            m_showsRecorded = m_showsRecorded || (state.isRecorded() && isLine(state.point));
            measuresNow = measuresNow || (!state.isRecorded() && !isSimulated(state) && isLine(state.point));
        }
        m_showsRecorded = m_showsRecorded && !measuresNow;
        for (int i = 0; i < store.pointCount(); ++i) {
            if (m_showsRecorded != store.point(i).isRecorded())
                continue;
            (isSimulated(store.point(i)) ? m_hasSimulated : m_hasMeasured) = true;
        }
    }

    QList<QList<int>> panels()
    {
        if (m_hasMeasured && m_hasSimulated)
            takeUnits(false);
        takeUnits(m_hasSimulated);
        return m_panels;
    }

private:
    void takeUnits(bool simulated)
    {
        for (const Unit unit : kUnits) {
            QList<int> points = pointsOf(unit, simulated, true);
            // Beside made-up points, everything that is real and fits.
            if (!simulated && m_hasSimulated)
                points += pointsOf(unit, simulated, false);
            const auto at = m_unitsOfPanels.indexOf(unit);
            if (points.isEmpty() || (at < 0 && m_panels.size() >= kSuggestedPanels))
                continue;
            if (at < 0) {
                m_unitsOfPanels.append(unit);
                m_panels.append(QList<int>());
            }
            QList<int> &panel = at < 0 ? m_panels.last() : m_panels[at];
            for (const int point : std::as_const(points)) {
                if (panel.size() < kSuggestedLines && !panel.contains(point))
                    panel.append(point);
            }
        }
    }

    /// Lines of other days would not be in the window.
    [[nodiscard]] bool fits(const PointState &state)
    {
        if (state.isRecorded() != m_showsRecorded)
            return false;
        if (!m_showsRecorded)
            return true;
        constexpr Millis kOneDay = std::chrono::hours(24);
        if (!state.last)
            return false;
        if (!m_day)
            m_day = state.lastAt;
        return std::chrono::abs(state.lastAt - *m_day) < kOneDay;
    }

    [[nodiscard]] QList<int> pointsOf(Unit unit, bool simulated, bool oneOfEach)
    {
        QList<int> found;
        for (const int device : m_devices) {
            QList<int> points = m_store.device(device).points;
            std::ranges::stable_sort(points, {}, [this](int point) { return rank(m_store.point(point).point); });
            for (const int point : std::as_const(points)) {
                const PointState &state = m_store.point(point);
                if (m_units.shown(state.point.unit) != unit || !isLine(state.point) || isSimulated(state) != simulated
                    || !fits(state))
                    continue;
                found.append(point);
                if (oneOfEach)
                    break;
            }
        }
        return found;
    }

    const BuildingStore &m_store;
    const DisplayUnits &m_units;
    QList<int> m_devices;
    bool m_hasSimulated = false;
    bool m_hasMeasured = false;
    bool m_showsRecorded = false;
    std::optional<Timestamp> m_day; // of the recordings
    QList<Unit> m_unitsOfPanels;
    QList<QList<int>> m_panels;
};

} // namespace

QList<int> tellingPoints(const BuildingStore &store, const DeviceState &device, int count)
{
    const auto weight = [&store](int index) {
        const Point &point = store.point(index).point;
        const auto unit = std::ranges::find(kUnits, point.unit);
        return std::tuple(isLine(point) ? 0 : 1, rank(point) / 2, unit - kUnits.begin(), rank(point));
    };
    QList<int> points = device.points; // in their order by name
    std::ranges::stable_sort(points, {}, weight);
    return points.first(std::min<qsizetype>(count, points.size()));
}

QList<QList<int>> suggestedPoints(const BuildingStore &store, const DisplayUnits &units)
{
    return Suggestion(store, units).panels();
}

} // namespace lintel

// SPDX-License-Identifier: GPL-3.0-only
#include "live/suggestion.h"

#include "live/point_picker_model.h"

#include <algorithm>
#include <array>

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

class Suggestion
{
public:
    explicit Suggestion(const BuildingStore &store) : m_store(store)
    {
        for (int i = 0; i < store.deviceCount(); ++i)
            m_devices.append(i);
        std::ranges::sort(m_devices,
                          [&](int a, int b) { return lessByName(store.device(a).name, store.device(b).name); });
        for (int i = 0; i < store.pointCount(); ++i)
            (isSimulated(store.point(i)) ? m_hasSimulated : m_hasMeasured) = true;
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
            const auto at = m_units.indexOf(unit);
            if (points.isEmpty() || (at < 0 && m_panels.size() >= kSuggestedPanels))
                continue;
            if (at < 0) {
                m_units.append(unit);
                m_panels.append(QList<int>());
            }
            QList<int> &panel = at < 0 ? m_panels.last() : m_panels[at];
            for (const int point : std::as_const(points)) {
                if (panel.size() < kSuggestedLines && !panel.contains(point))
                    panel.append(point);
            }
        }
    }

    /// A zone says more than what serves it, a measurement more than a setpoint.
    static int rank(const Point &point)
    {
        const bool isSetpoint = point.tags.contains(QStringLiteral("sp")) || point.tags.contains(QStringLiteral("cmd"));
        return (isSetpoint ? 2 : 0) + (point.tags.contains(QStringLiteral("zone")) ? 0 : 1);
    }

    [[nodiscard]] QList<int> pointsOf(Unit unit, bool simulated, bool oneOfEach) const
    {
        QList<int> found;
        for (const int device : m_devices) {
            QList<int> points = m_store.device(device).points;
            std::ranges::stable_sort(points, {}, [this](int point) { return rank(m_store.point(point).point); });
            for (const int point : std::as_const(points)) {
                const PointState &state = m_store.point(point);
                const bool isLine = state.point.kind != Kind::Text && state.point.kind != Kind::Bool;
                if (state.point.unit != unit || !isLine || isSimulated(state) != simulated)
                    continue;
                found.append(point);
                if (oneOfEach)
                    break;
            }
        }
        return found;
    }

    const BuildingStore &m_store;
    QList<int> m_devices;
    bool m_hasSimulated = false;
    bool m_hasMeasured = false;
    QList<Unit> m_units; // of m_panels
    QList<QList<int>> m_panels;
};

} // namespace

QList<QList<int>> suggestedPoints(const BuildingStore &store)
{
    return Suggestion(store).panels();
}

} // namespace lintel

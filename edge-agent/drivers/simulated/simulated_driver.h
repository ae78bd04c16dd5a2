// Readings of a building that does not exist, for demonstrations and tests. Its points say so in
// their names and carry the tag "simulated".
// Thread rules: drivers/sensor_driver.h.
#pragma once

#include "drivers/point_config.h"
#include "drivers/sensor_driver.h"
#include "drivers/simulated/building_model.h"
#include "drivers/simulated/simulated_config.h"
#include "ports/clock.h"

namespace lintel {

class SimulatedDriver final : public SensorDriver
{
    Q_OBJECT
public:
    SimulatedDriver(SimulatedConfig config, const Location &location, const Clock &clock, QObject *parent = nullptr);

    [[nodiscard]] DriverInfo info() const override;
    [[nodiscard]] QList<Point> points() const override { return m_points; }
    [[nodiscard]] Result<void> open() override { return {}; }
    void read() override;

private:
    [[nodiscard]] Timestamp modelTime() const;
    [[nodiscard]] QList<Reading> sense(const simulated::ZoneState &zone) const;

    SimulatedConfig m_config;
    const Clock &m_clock;
    QList<Point> m_points;
    simulated::BuildingModel m_model;
    bool m_isReading = false;
};

} // namespace lintel

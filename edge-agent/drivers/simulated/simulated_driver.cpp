#include "drivers/simulated/simulated_driver.h"

#include <cmath>

namespace lintel {

using namespace Qt::StringLiterals;
using Model = SimulatedConfig::Kind;

namespace {

/// As a sensor of that resolution would say it.
double rounded(double value, double resolution)
{
    return std::round(value / resolution) * resolution;
}

Point simulatedPoint(const Location &location, const QString &id, const QString &name, lintel::Kind kind, Unit unit,
                     QStringList tags, const QString &brickClass)
{
    tags << u"sensor"_s << u"point"_s << u"simulated"_s;
    return makePoint(location, id, name, kind, unit, tags, brickClass);
}

QList<Point> pointsOf(Model kind, const Location &at)
{
    using enum lintel::Kind;
    switch (kind) {
    case Model::Hvac: {
        Point setpoint = makePoint(at, u"heating_setpoint"_s, u"Zone heating setpoint"_s, Number, Unit::Celsius,
                                   {u"zone"_s, u"air"_s, u"temp"_s, u"heating"_s, u"sp"_s, u"point"_s, u"simulated"_s},
                                   u"Zone_Air_Heating_Temperature_Setpoint"_s);
        return {
            simulatedPoint(at, u"zone_temp"_s, u"Zone air temperature"_s, Number, Unit::Celsius,
                           {u"zone"_s, u"air"_s, u"temp"_s}, u"Zone_Air_Temperature_Sensor"_s),
            simulatedPoint(at, u"zone_humidity"_s, u"Zone air humidity"_s, Number, Unit::RelativeHumidity,
                           {u"zone"_s, u"air"_s, u"humidity"_s}, u"Zone_Air_Humidity_Sensor"_s),
            simulatedPoint(at, u"supply_air_temp"_s, u"Supply air temperature"_s, Number, Unit::Celsius,
                           {u"discharge"_s, u"air"_s, u"temp"_s}, u"Supply_Air_Temperature_Sensor"_s),
            simulatedPoint(at, u"outdoor_temp"_s, u"Outdoor air temperature"_s, Number, Unit::Celsius,
                           {u"outside"_s, u"air"_s, u"temp"_s}, u"Outside_Air_Temperature_Sensor"_s),
            simulatedPoint(at, u"fan_on"_s, u"Supply fan status"_s, Bool, Unit::None,
                           {u"discharge"_s, u"fan"_s, u"run"_s}, u"Fan_On_Off_Status"_s),
            setpoint,
        };
    }
    case Model::Occupancy:
        return {
            simulatedPoint(at, u"people"_s, u"People in the zone"_s, Integer, Unit::People,
                           {u"zone"_s, u"occupancy"_s, u"count"_s}, u"Occupancy_Count_Sensor"_s),
            simulatedPoint(at, u"motion"_s, u"Motion"_s, Bool, Unit::None, {u"zone"_s, u"motion"_s},
                           u"Motion_Sensor"_s),
            simulatedPoint(at, u"co2"_s, u"Zone CO₂"_s, Number, Unit::PartsPerMillion,
                           {u"zone"_s, u"air"_s, u"co2"_s, u"concentration"_s}, u"CO2_Level_Sensor"_s),
            simulatedPoint(at, u"light"_s, u"Zone illuminance"_s, Number, Unit::Lux,
                           {u"zone"_s, u"light"_s, u"illuminance"_s}, u"Illuminance_Sensor"_s),
        };
    case Model::Energy:
        return {
            simulatedPoint(at, u"power"_s, u"Active power"_s, Number, Unit::Kilowatt,
                           {u"elec"_s, u"ac"_s, u"active"_s, u"power"_s}, u"Active_Power_Sensor"_s),
            simulatedPoint(at, u"energy"_s, u"Active energy"_s, Number, Unit::KilowattHour,
                           {u"elec"_s, u"ac"_s, u"active"_s, u"energy"_s, u"total"_s}, u"Electric_Energy_Sensor"_s),
            simulatedPoint(at, u"demand"_s, u"Power demand, mean of 15 minutes"_s, Number, Unit::Kilowatt,
                           {u"elec"_s, u"demand"_s, u"power"_s}, u"Electric_Power_Sensor"_s),
        };
    }
    return {};
}

simulated::ZoneParameters parametersOf(const SimulatedConfig &config)
{
    simulated::ZoneParameters parameters;
    parameters.seed = config.seed;
    parameters.areaSquareMetres = config.area;
    parameters.capacity = config.capacity;
    return parameters;
}

QString nameOf(Model kind)
{
    switch (kind) {
    case Model::Hvac: return u"hvac"_s;
    case Model::Occupancy: return u"occupancy"_s;
    case Model::Energy: return u"energy"_s;
    }
    return {};
}

} // namespace

SimulatedDriver::SimulatedDriver(SimulatedConfig config, const Location &location, const Clock &clock, QObject *parent)
    : SensorDriver(parent), m_config(config), m_clock(clock), m_points(pointsOf(config.kind, location)),
      m_model(parametersOf(config))
{}

DriverInfo SimulatedDriver::info() const
{
    return {u"simulated"_s, u"simulated %1, seed %2: no real building"_s.arg(nameOf(m_config.kind)).arg(m_config.seed),
            true};
}

void SimulatedDriver::read()
{
    if (m_isReading)
        return;
    m_isReading = true;
    QMetaObject::invokeMethod(
        this,
        [this] {
            m_isReading = false;
            Q_EMIT readFinished(sense(m_model.advanceTo(modelTime())));
        },
        Qt::QueuedConnection);
}

/// Measured from a fixed moment, so that a faster model also continues where it was after a restart.
Timestamp SimulatedDriver::modelTime() const
{
    const Timestamp now = m_clock.now();
    if (m_config.speed <= 1)
        return now;
    const Timestamp origin{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};
    return origin + Millis{qint64(double((now - origin).count()) * m_config.speed)};
}

QList<Reading> SimulatedDriver::sense(const simulated::ZoneState &zone) const
{
    QList<Value> values;
    switch (m_config.kind) {
    case Model::Hvac:
        values = {rounded(zone.zoneTemp, 0.05),
                  rounded(zone.relativeHumidity(), 0.1),
                  rounded(zone.supplyAirTemp, 0.1),
                  rounded(zone.outdoorTemp, 0.1),
                  zone.fanOn,
                  zone.heatingSetpoint};
        break;
    case Model::Occupancy:
        values = {qint64(zone.people), zone.hasMotion, rounded(zone.co2, 1), rounded(zone.illuminance, 1)};
        break;
    case Model::Energy:
        values = {rounded(zone.power, 0.01), rounded(zone.energy, 0.001), rounded(zone.demand, 0.01)};
        break;
    }
    QList<Reading> readings;
    for (qsizetype i = 0; i < values.size(); ++i)
        readings.append(Reading{m_points[i].id, values[i], m_points[i].unit, {}, Quality::Good, false});
    return readings;
}

} // namespace lintel

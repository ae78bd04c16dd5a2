#include "drivers/simulated/building_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lintel::simulated {

using namespace std::chrono;
using namespace std::chrono_literals;

namespace {

constexpr seconds stepLength = 10s;
constexpr double stepHours = 10.0 / 3600.0;

// Per square metre of floor, typical of an office of the 1990s
constexpr double storeyHeight = 2.8;       // m
constexpr double massKwhPerKelvin = 0.045; // thermal mass
constexpr double lossKwPerKelvin = 0.0018; // envelope and infiltration
constexpr double heatingKw = 0.08;
constexpr double coolingKw = 0.07;
constexpr double lightingKw = 0.009;
constexpr double baseKw = 0.003; // what never sleeps
constexpr double maxKw = 0.1;    // more than everything together: bounds a day's energy

constexpr double personKw = 0.075; // sensible heat
constexpr double plugKwPerPerson = 0.11;
constexpr double personCo2 = 0.0187;     // m³/h at office work
constexpr double personMoisture = 0.055; // kg/h
constexpr double heatPumpCop = 3.1;
constexpr double airChangesOn = 2.4; // 1/h
constexpr double airChangesOff = 0.15;
constexpr double outdoorCo2 = 420;
constexpr double airDensity = 1.2; // kg/m³

double hourOfDay(Timestamp t)
{
    return duration<double, std::ratio<3600>>(t - floor<days>(t)).count();
}

double dayOfYear(Timestamp t)
{
    const auto day = floor<days>(t);
    const year_month_day date{day};
    return double((day - sys_days{date.year() / 1 / 1}).count());
}

bool isWorkday(Timestamp t)
{
    const weekday day{floor<days>(t)};
    return day != Saturday && day != Sunday;
}

/// Saturation pressure of water, Pa (Magnus).
double saturationPressure(double celsius)
{
    return 611.2 * std::exp(17.62 * celsius / (243.12 + celsius));
}

/// Bell around `centre` with the given width, 1 at its top.
double bell(double hour, double centre, double width)
{
    return std::exp(-0.5 * std::pow((hour - centre) / width, 2));
}

} // namespace

double ZoneState::relativeHumidity() const
{
    const double pressure = 101'325.0 * humidityRatio / (0.622 + humidityRatio);
    return std::clamp(100.0 * pressure / saturationPressure(zoneTemp), 1.0, 100.0);
}

BuildingModel::BuildingModel(ZoneParameters parameters) : m_parameters(parameters) {}

const ZoneState &BuildingModel::advanceTo(Timestamp moment)
{
    // From yesterday's midnight on, so that a restart arrives at the same state.
    const Timestamp anchor = floor<days>(moment) - days{1};
    if (!m_started || moment > m_at + days{2})
        restartAt(anchor);
    while (m_at + stepLength <= moment)
        step();
    return m_state;
}

void BuildingModel::restartAt(Timestamp midnight)
{
    const qint64 day = duration_cast<days>(midnight.time_since_epoch()).count();
    const double before = m_state.energy;
    seedDay(midnight);
    m_state = ZoneState{};
    m_state.zoneTemp = 19.5;
    // A day takes less than this, so a meter that is computed anew never runs backwards.
    m_state.energy = std::max(before, double(day) * 24.0 * maxKw * m_parameters.areaSquareMetres);
    m_weather = 0;
    m_at = midnight;
    m_started = true;
}

/// Each day has its own randomness, so a restart sees the same weather and much the same people.
void BuildingModel::seedDay(Timestamp midnight)
{
    const qint64 day = duration_cast<days>(midnight.time_since_epoch()).count();
    m_random = m_parameters.seed * 0x9E3779B97F4A7C15ULL ^ quint64(day) * 0xD1B54A32D192ED03ULL;
}

void BuildingModel::step()
{
    m_at += stepLength;
    if (m_at == floor<days>(m_at))
        seedDay(m_at);
    const double hour = hourOfDay(m_at);
    const bool workday = isWorkday(m_at);
    m_weather += -m_weather * stepHours / 12.0 + 0.35 * std::sqrt(stepHours) * normal();
    const double season = -std::cos(2 * std::numbers::pi * (dayOfYear(m_at) - 20.0) / 365.25);
    const double day = std::cos(2 * std::numbers::pi * (hour - 15.0) / 24.0);
    m_state.outdoorTemp =
        m_parameters.meanOutdoor + m_parameters.seasonalSwing * season + m_parameters.dailySwing * day + m_weather;
    movePeople(hour, workday);
    conditionAir(hour, workday);
    meter();
}

void BuildingModel::movePeople(double hour, bool workday)
{
    const double share = workday ? 1.0 : 0.04;
    const double arriving =
        share * (0.9 * bell(hour, 8.6, 0.7) + 0.55 * bell(hour, 13.1, 0.4)); // of the capacity, an hour
    const double leaving =
        0.05 + 1.6 * bell(hour, 12.2, 0.3) + 1.1 * bell(hour, 17.4, 0.8) + (hour > 20 || hour < 5 ? 3.0 : 0.0);
    m_state.people += poisson(arriving * m_parameters.capacity * stepHours);
    int gone = 0;
    for (int i = 0; i < m_state.people; ++i)
        gone += uniform() < leaving * stepHours ? 1 : 0;
    m_state.people = std::clamp(m_state.people - gone, 0, m_parameters.capacity);
    m_state.hasMotion = m_state.people > 0 && uniform() > std::pow(0.7, m_state.people);
    const double sun = std::max(0.0, std::cos(2 * std::numbers::pi * (hour - 12.5) / 26.0) - 0.25) * 420.0;
    m_state.illuminance = sun + (m_state.people > 0 ? 380.0 : 0.0);
}

void BuildingModel::conditionAir(double hour, bool workday)
{
    const double area = m_parameters.areaSquareMetres;
    const bool isOpen = workday && hour >= 6.5 && hour < 19.0;
    m_state.heatingSetpoint = isOpen ? 21.0 : 16.5;
    const double coolingSetpoint = isOpen ? 24.5 : 29.0;
    m_state.fanOn = isOpen || m_state.zoneTemp < m_state.heatingSetpoint || m_state.zoneTemp > coolingSetpoint;

    // Proportional control with a band of one kelvin; positive heats.
    double thermal = 0;
    if (m_state.zoneTemp < m_state.heatingSetpoint + 0.5)
        thermal = std::clamp(m_state.heatingSetpoint + 0.5 - m_state.zoneTemp, 0.0, 1.0) * heatingKw * area;
    else if (m_state.zoneTemp > coolingSetpoint - 0.5)
        thermal = -std::clamp(m_state.zoneTemp - coolingSetpoint + 0.5, 0.0, 1.0) * coolingKw * area;
    if (!m_state.fanOn)
        thermal = 0;

    const double lights = m_state.people > 0 ? lightingKw * area : 0.0;
    const double internal = m_state.people * (personKw + plugKwPerPerson) + lights + baseKw * area;
    const double solar = 0.012 * area * std::max(0.0, std::cos(2 * std::numbers::pi * (hour - 13.0) / 24.0));
    const double loss = lossKwPerKelvin * area * (m_state.outdoorTemp - m_state.zoneTemp);
    m_state.zoneTemp += (thermal + internal + solar + loss) / (massKwhPerKelvin * area) * stepHours;

    const double volume = area * storeyHeight;
    const double changes = m_state.fanOn ? airChangesOn : airChangesOff;
    m_state.co2 += (m_state.people * personCo2 / volume * 1e6 - changes * (m_state.co2 - outdoorCo2)) * stepHours;
    const double outdoorRatio = 0.622 * 0.7 * saturationPressure(m_state.outdoorTemp) / 101'325.0;
    m_state.humidityRatio +=
        (m_state.people * personMoisture / (volume * airDensity) - changes * (m_state.humidityRatio - outdoorRatio))
        * stepHours;

    const double airFlow = airChangesOn * 3 * volume * airDensity / 3600.0; // kg/s, most of it recirculated
    m_state.supplyAirTemp = m_state.fanOn ? m_state.zoneTemp + thermal / (airFlow * 1.006) : m_state.zoneTemp;
    m_hvacPower = std::abs(thermal) / heatPumpCop + (m_state.fanOn ? 0.0035 * area : 0.0);
}

void BuildingModel::meter()
{
    const double area = m_parameters.areaSquareMetres;
    const double lights = m_state.people > 0 ? lightingKw * area : 0.0;
    const double load = baseKw * area + lights + m_state.people * plugKwPerPerson + m_hvacPower;
    m_state.power = std::min(load * (1.0 + 0.01 * normal()), maxKw * area);
    m_state.energy += m_state.power * stepHours;
    m_state.demand += (m_state.power - m_state.demand) * std::min(1.0, stepHours / 0.25);
}

double BuildingModel::uniform()
{
    m_random += 0x9E3779B97F4A7C15ULL; // SplitMix64: 8 bytes of state, the same everywhere
    quint64 z = m_random;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    z ^= z >> 31;
    return double(z >> 11) * 0x1.0p-53;
}

double BuildingModel::normal()
{
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
}

int BuildingModel::poisson(double mean)
{
    const double limit = std::exp(-mean);
    int count = 0;
    double product = uniform();
    while (product > limit && count < 1000) {
        product *= uniform();
        ++count;
    }
    return count;
}

} // namespace lintel::simulated

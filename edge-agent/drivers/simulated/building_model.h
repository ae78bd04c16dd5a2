// A made-up but physically coherent zone of an office building: one thermal mass behind one
// resistance, an air volume with CO2 and moisture, people who come and go, and the electricity that
// all of it takes. Deterministic: a seed has its own days, and a model that is made anew starts a day
// early and so arrives close to where another one was; the meter never runs backwards.
// Values only; one thread.
#pragma once

#include "domain/timestamp.h"

namespace lintel::simulated {

struct ZoneParameters {
    quint64 seed = 1;
    double areaSquareMetres = 250;
    int capacity = 24;        // people
    double meanOutdoor = 11;  // °C, of the year
    double seasonalSwing = 9; // °C, half the difference of summer and winter
    double dailySwing = 5;    // °C, half the difference of afternoon and night
};

struct ZoneState {
    double outdoorTemp = 10;      // °C
    double zoneTemp = 20;         // °C
    double humidityRatio = 0.006; // kg water per kg dry air
    double co2 = 420;             // ppm
    int people = 0;
    bool hasMotion = false;
    bool fanOn = false;
    double heatingSetpoint = 17; // °C
    double supplyAirTemp = 20;   // °C
    double illuminance = 0;      // lx
    double power = 0;            // kW
    double demand = 0;           // kW, mean of the last 15 minutes
    double energy = 0;           // kWh, never falls

    /// Relative humidity in percent at sea level (Magnus formula).
    [[nodiscard]] double relativeHumidity() const;
};

class BuildingModel
{
public:
    explicit BuildingModel(ZoneParameters parameters);

    /// Brings the model to this moment. Time that goes back changes nothing.
    const ZoneState &advanceTo(Timestamp moment);

private:
    void restartAt(Timestamp midnight);
    void seedDay(Timestamp midnight);
    void step();
    void movePeople(double hour, bool isWorkday);
    void conditionAir(double hour, bool isWorkday);
    void meter();
    [[nodiscard]] double uniform();
    [[nodiscard]] double normal();
    [[nodiscard]] int poisson(double mean);

    ZoneParameters m_parameters;
    ZoneState m_state;
    Timestamp m_at{};
    bool m_started = false;
    quint64 m_random = 0;
    double m_weather = 0;   // slow deviation from the cycles, °C
    double m_hvacPower = 0; // kW electric
};

} // namespace lintel::simulated

// Section driver with type "simulated".
#pragma once

#include "adapters/yaml/config_reader.h"

namespace lintel {

struct SimulatedConfig {
    enum class Kind { Hvac, Occupancy, Energy };
    Kind kind = Kind::Hvac;
    quint64 seed = 1;
    double area = 250; // m²
    int capacity = 24; // people
    double speed = 1;  // how fast the model's time runs; time stamps stay true
};

[[nodiscard]] SimulatedConfig readSimulated(config::Section &section);

} // namespace lintel

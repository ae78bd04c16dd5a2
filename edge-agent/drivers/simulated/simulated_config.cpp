#include "drivers/simulated/simulated_config.h"

namespace lintel {

SimulatedConfig readSimulated(config::Section &section)
{
    using Kind = SimulatedConfig::Kind;
    SimulatedConfig config;
    section.choice<Kind>(u"kind", config.kind,
                         {{u"hvac", Kind::Hvac}, {u"occupancy", Kind::Occupancy}, {u"energy", Kind::Energy}});
    section.integer(u"seed", config.seed, 0, std::numeric_limits<qint64>::max());
    section.number(u"area", config.area, 5, 100'000);
    section.integer(u"capacity", config.capacity, 1, 10'000);
    section.number(u"speed", config.speed, 1, 10'000);
    return config;
}

} // namespace lintel

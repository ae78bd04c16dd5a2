#include "demo/production_counter.h"

#include <algorithm>

namespace lintel::demo {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr qsizetype kAtATime = 8;
constexpr auto kCallTimeout = 5s;

} // namespace

quint64 rotationsOf(const QCborMap &status)
{
    return quint64(status.value("identity"_L1).toMap().value("rotations"_L1).toInteger())
           + quint64(status.value("broker"_L1).toMap().value("certificate_rotations"_L1).toInteger());
}

ProductionCounter::ProductionCounter(const QList<SensorPlan> &sensors)
{
    for (const SensorPlan &sensor : sensors)
        m_sensors.append(Principal(*SpiffeId::parse(ids::sensor(sensor.name))));
}

void ProductionCounter::ask(cli::BrokerConnection &connection)
{
    if (!connection.isConnected())
        return;
    for (qsizetype i = 0; i < std::min(kAtATime, m_sensors.size()); ++i) {
        const qsizetype sensor = m_next++ % m_sensors.size();
        if (m_asked.contains(sensor))
            continue;
        m_asked.insert(sensor);
        connection.client().call(m_sensors[sensor], u"status"_s, {}, kCallTimeout,
                                 [this, sensor](const Result<QCborMap> &answer) {
                                     m_asked.remove(sensor);
                                     if (!answer)
                                         return;
                                     const QCborMap spool = answer->value("spool"_L1).toMap();
                                     m_readings.insert(sensor, quint64(spool.value("readings_total"_L1).toInteger()));
                                     m_rotations.insert(sensor, rotationsOf(*answer));
                                 });
    }
}

std::optional<quint64> ProductionCounter::readings() const
{
    if (m_readings.size() < m_sensors.size())
        return {};
    quint64 sum = 0;
    for (const quint64 readings : m_readings)
        sum += readings;
    return sum;
}

quint64 ProductionCounter::svidRotations() const
{
    quint64 sum = 0;
    for (const quint64 rotations : m_rotations)
        sum += rotations;
    return sum;
}

} // namespace lintel::demo

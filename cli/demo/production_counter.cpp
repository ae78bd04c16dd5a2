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
                                     Told &told = m_told[sensor];
                                     told.readings = quint64(spool.value("readings_total"_L1).toInteger());
                                     told.rotations = rotationsOf(*answer);
                                     told.waitingBatches = quint64(spool.value("batches_pending"_L1).toInteger()
                                                                   + answer->value("waiting_batches"_L1).toInteger());
                                     // A sensor that was started again counts from zero.
                                     told.lost = std::max(told.lost, quint64(answer->value("lost"_L1).toInteger()));
                                 });
    }
}

quint64 ProductionCounter::sumOf(quint64 Told::*figure) const
{
    quint64 sum = 0;
    for (const Told &told : m_told)
        sum += told.*figure;
    return sum;
}

std::optional<quint64> ProductionCounter::readings() const
{
    if (m_told.size() < m_sensors.size())
        return {};
    return sumOf(&Told::readings);
}

quint64 ProductionCounter::waitingBatches() const
{
    return sumOf(&Told::waitingBatches);
}

quint64 ProductionCounter::lostReadings() const
{
    return sumOf(&Told::lost);
}

quint64 ProductionCounter::svidRotations() const
{
    return sumOf(&Told::rotations);
}

} // namespace lintel::demo

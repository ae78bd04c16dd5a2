// How many readings the sensors of a running demo have produced so far, from their own answers to
// `status`. A few sensors are asked at a time, so that hundreds of them are no load. Owned by the run;
// its thread. A sensor that does not answer counts with what it said last.
#pragma once

#include "broker_connection.h"
#include "demo/demo_plan.h"

#include <QHash>
#include <QSet>

#include <optional>

namespace lintel::demo {

class ProductionCounter
{
public:
    explicit ProductionCounter(const QList<SensorPlan> &sensors);

    /// Asks the next few sensors. Their answers come while the connection lives, which must end before this.
    void ask(cli::BrokerConnection &connection);
    /// Nothing until every sensor has answered once.
    [[nodiscard]] std::optional<quint64> readings() const;
    /// Identities that sensors got after their first, as far as they have told.
    [[nodiscard]] quint64 svidRotations() const;

private:
    QList<Principal> m_sensors;
    QHash<qsizetype, quint64> m_readings;
    QHash<qsizetype, quint64> m_rotations;
    QSet<qsizetype> m_asked;
    qsizetype m_next = 0;
};

/// What an answer to `status` says of the agent's own identity, and of the certificate of the broker beside it.
[[nodiscard]] quint64 rotationsOf(const QCborMap &status);

} // namespace lintel::demo

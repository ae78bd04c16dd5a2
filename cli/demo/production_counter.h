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
    /// Batches that they hold, and readings that they lost because these could not be stored.
    [[nodiscard]] quint64 waitingBatches() const;
    [[nodiscard]] quint64 lostReadings() const;
    /// Identities that sensors got after their first, as far as they have told.
    [[nodiscard]] quint64 svidRotations() const;

private:
    QList<Principal> m_sensors;
    struct Told {
        quint64 readings = 0;
        quint64 rotations = 0;
        quint64 waitingBatches = 0;
        quint64 lost = 0;
    };
    [[nodiscard]] quint64 sumOf(quint64 Told::*figure) const;

    QHash<qsizetype, Told> m_told;
    QSet<qsizetype> m_asked;
    qsizetype m_next = 0;
};

/// What an answer to `status` says of the agent's own identity, and of the certificate of the broker beside it.
[[nodiscard]] quint64 rotationsOf(const QCborMap &status);

} // namespace lintel::demo

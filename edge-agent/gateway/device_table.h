// What the gateway knows of its sensors: who they are, where they stand, their last readings, and
// since when they are online or offline. All of it survives a restart: their points, so that stored
// readings of a sensor that has not come back yet can still be described to the cloud, and the rest
// for the aggregate view. What was counted since the last orderly stop is forgotten by a crash.
//
// A device name belongs to the node that had it first, also after a restart. What another node says
// under that name is refused, with two exceptions: a node always has its own name (the broker checks
// it against the certificate), whoever used it as the name of a device before; and a name is free
// again when its owner has been offline for kNameIsFreeAfter of this process's time, so that a
// replaced sensor or sub-gateway with another name needs no help.
//
// Owned by the gateway service; its thread. A state store that fails costs only that memory: the
// error is handed up to be logged.
#pragma once

#include "domain/point.h"
#include "ports/clock.h"
#include "ports/state_store.h"
#include "sparkplug/edge_node_session.h"
#include "sparkplug/host_session.h"

#include <QCborMap>
#include <QHash>
#include <QMap>

namespace lintel {

struct Sensor {
    QString name; // its device name: Sparkplug device, or else the node
    sparkplug::NodeId node;
    bool online = false;
    Timestamp since{};                       // online or offline since
    std::chrono::nanoseconds offlineSince{}; // the same in monotonic time, which never jumps
    bool wasOnline = false;                  // when the last run ended
    bool storesAndForwards = false;          // has a spool of its own
    QList<Point> points;
    QHash<QString, Reading> last; // by point
    std::optional<Timestamp> lastSeen;
    quint64 readings = 0; // received from it, over restarts
};

class DeviceTable
{
public:
    static constexpr std::chrono::hours kNameIsFreeAfter{24};

    DeviceTable(StateStore &state, const Clock &clock) : m_state(state), m_clock(clock) {}

    /// Reads what an earlier run knew; all of it is offline until it is born again: since its death,
    /// or since it was last seen when this process, and not the sensor, went away.
    [[nodiscard]] Result<void> restore();
    /// After restore(): the latest stored reading of a point. Unknown sensors are ignored.
    void restoreLast(const QString &device, const Reading &reading);
    /// Keeps the counts; at an orderly stop.
    [[nodiscard]] Result<void> save();
    /// Whether `node` may speak as the device `name`; Denied with a sentence when that is another's.
    [[nodiscard]] Result<void> mayUse(const sparkplug::NodeId &node, const QString &name) const;
    /// Remembers a birth, durably unless it only repeats the last. Denied: see mayUse(); nothing changed.
    [[nodiscard]] Result<void> born(const sparkplug::Participant &who);
    /// Ignored, as received() is, when the name is another node's.
    [[nodiscard]] Result<void> died(const sparkplug::Participant &who);
    void received(const sparkplug::HostBatch &batch);

    [[nodiscard]] const QMap<QString, Sensor> &sensors() const { return m_sensors; }
    [[nodiscard]] const Sensor *find(const QString &name) const;
    /// Whether this very reading (or a newer one of that point) has been seen.
    [[nodiscard]] bool knows(const QString &device, const Reading &reading) const;
    [[nodiscard]] int onlineCount() const;
    [[nodiscard]] sparkplug::EdgeDevice asEdgeDevice(const QString &name) const;

    /// Answer of `aggregate_sensors`: {timestamp, sensors, total_sensors, online_sensors,
    /// offline_sensors, readings}.
    [[nodiscard]] QCborMap aggregate() const;
    /// Answer of `last_values`: the latest of each point, of one site (group) or of all.
    [[nodiscard]] QCborMap lastValues(const QString &site = {}) const;
    /// Answer of `list_devices`.
    [[nodiscard]] QCborMap list() const;

private:
    StateStore &m_state;
    const Clock &m_clock;
    QMap<QString, Sensor> m_sensors;
};

} // namespace lintel

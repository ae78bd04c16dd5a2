// What a demo run came to: the numbers from durable state, what went wrong, and how both are told.
// Values only; any thread.
#pragma once

#include "demo/demo_options.h"
#include "demo/process_memory.h"
#include "demo/revocation.h"

#include <QCborMap>
#include <QJsonObject>
#include <QMap>
#include <QStringList>

#include <optional>

namespace lintel::demo {

struct ProcessUse {
    int count = 0;
    QList<MemorySample> samples; // of single processes, over the run
};

struct Totals {
    quint64 produced = 0; // ever accepted by the sensors' spools
    quint64 droppedBySensors = 0;
    quint64 lostBySensors = 0;    // that no spool could take, as with a full disk, as far as they told
    quint64 pendingAtSensors = 0; // readings; without those of a refused sensor
    quint64 heldByRefused = 0;    // readings that a revoked sensor holds and nobody else has
    quint64 waitingBatches = 0;   // at all sensors and the gateway
    std::optional<quint64> storedGateway;
    std::optional<quint64> pendingAtGateway;
    std::optional<quint64> storedCloud;
    quint64 duplicates = 0; // readings that stand twice in the historian
    quint64 gaps = 0;
    quint64 wireDuplicates = 0; // batches that came more than once and were stored once
    quint64 historical = 0;
    std::optional<qint64> latencyP50; // in ms; nothing when no live reading came, only recorded ones
    std::optional<qint64> latencyP99;
};

struct Report {
    Totals totals;
    QMap<QString, ProcessUse> processes; // by kind
    IdentityKind identity = IdentityKind::Files;
    std::optional<int> attestedDevices;         // whose TPM an authority has verified
    quint64 svidRotations = 0;                  // certificates that agents and brokers got after their first
    std::optional<RevocationReport> revocation; // with --revoke
    int restarts = 0;                           // of processes that had died
    QString screenshot;
    double seconds = 0;
    int sensors = 0;
    QStringList notes;    // what is good to know and no problem, a sentence each
    QStringList outages;  // "15 s to 35 s"
    QString stateDir;     // when it is kept
    QStringList problems; // a sentence each
};

/// What the totals say went wrong, a sentence each.
[[nodiscard]] QStringList problemsOf(const Totals &totals);

/// "1 sensor", "8 sensors".
[[nodiscard]] QString sensorCount(int count);

/// The one object that `lintelctl demo --json` writes.
[[nodiscard]] QJsonObject toJson(const Report &report);
/// The summary for people.
[[nodiscard]] QString toText(const Report &report);

} // namespace lintel::demo

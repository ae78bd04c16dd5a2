// What the historian is asked and what it answers. Values only; any thread.
#pragma once

#include "domain/history_bucket.h"
#include "domain/point.h"
#include "ports/reading_spool.h"
#include "sparkplug/host_session.h"

#include <QList>
#include <QString>

#include <optional>

namespace lintel::historian {

/// One device of one site. In a question the group may be empty where the name is unique.
struct DeviceKey {
    QString group; // Sparkplug group = site
    QString name;  // Sparkplug device, or the node itself

    friend bool operator==(const DeviceKey &, const DeviceKey &) = default;
    friend size_t qHash(const DeviceKey &key, size_t seed = 0) { return qHashMulti(seed, key.group, key.name); }
};

struct Watermark {
    sparkplug::NodeId node;
    StreamId stream;
    Msn contiguous = 0; // everything up to here is committed or was declared lost: acknowledge it
};

struct Ingested {
    QList<Watermark> watermarks; // one for each stream in the group, also when all was known already
    quint64 batches = 0;         // stored
    quint64 rows = 0;            // readings stored
    quint64 historicalRows = 0;  // of them: came late
    quint64 duplicates = 0;      // batches whose number was known; nothing of them was stored
    quint64 gaps = 0;            // gap rows written
};

struct HistoryRow {
    Reading reading;
    Timestamp receivedAt{};
};

struct LastValue {
    DeviceKey device;
    QString site;
    Reading reading;
    Timestamp receivedAt{};
};

struct Gap {
    Loss loss;
    Timestamp notedAt{};
};

struct DeviceInfo {
    DeviceKey key;
    QString node; // the edge node it is behind; its own name when it is one
    bool online = false;
    std::optional<Timestamp> since; // online or offline since; nothing when no birth was ever seen
    std::optional<Timestamp> lastReceived;
    QList<Point> points;
};

struct Counters {
    quint64 rows = 0;
    quint64 batches = 0;
    quint64 duplicatesRefused = 0;        // batches that came again over the wire
    std::optional<quint64> duplicateRows; // that share device, point and device time with another; when counted
    quint64 gaps = 0;
    quint64 lostReadings = 0; // in those gaps, as far as known
    quint64 historicalRows = 0;
    quint64 removedRows = 0;        // too old, or for the limit of size
    quint64 removedForSizeRows = 0; // of them: for the limit of size; gaps tell of them, lostReadings does not
    quint64 devices = 0;
};

} // namespace lintel::historian

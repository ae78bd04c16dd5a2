// One reading of one point, and the batches in which readings travel and are stored.
// Values only; any thread.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"
#include "domain/unit.h"

#include <QByteArray>
#include <QByteArrayView>
#include <QList>
#include <QString>
#include <QUuid>

#include <variant>

namespace lintel {

/// What kind of value a point has; the Haystack "kind" of the point.
enum class Kind : quint8 { Number, Integer, Bool, Text };

/// Index in the variant = Kind.
using Value = std::variant<double, qint64, bool, QString>;

[[nodiscard]] inline Kind kindOf(const Value &value)
{
    return static_cast<Kind>(value.index());
}
/// For charts and aggregates: numbers as they are, true as 1, false as 0, text as NaN.
[[nodiscard]] double toDouble(const Value &value);
/// For people and JSON-less text: "21.4", "on", "off".
[[nodiscard]] QString toText(const Value &value);

/// OPC quality as Sparkplug carries it in the property "Quality" (Sparkplug B 3.0, 6.4.16).
enum class Quality : quint8 { Bad = 0, Good = 192, Stale = 244 }; // wire: 0, 192, 500

struct Reading {
    QString point; // the point's id, unique in its device: "air_temp"
    Value value = 0.0;
    Unit unit = Unit::None; // as reported
    Timestamp deviceTime{}; // when the device measured it
    Quality quality = Quality::Good;
    bool isHistorical = false; // arrived late: sent again, or stored while a link was down

    friend bool operator==(const Reading &, const Reading &) = default;
};

/// Number of a batch in the stream of one spool: 1, 2, 3 … without holes. 0 = none.
using Msn = quint64;
/// Identity of one spool's numbering; a spool that starts anew gets a new one.
using StreamId = QUuid;

enum class LossReason : quint8 {
    SpoolFull = 1, // the bounded spool evicted its oldest batches
    StorageFailed, // the disk refused and memory ran out
    Unreadable,    // a stored batch could not be read back
    NeverSent,     // the sender says that these numbers are gone
    Refused,       // the next hop's store takes others, but never this batch
    RemovedForSize // a historian's limit of size; stands in its books only and never travels
};
inline constexpr LossReason kLastLossReason = LossReason::Refused;
[[nodiscard]] QString toText(LossReason reason);

/// Readings that nobody will ever see again, said aloud. An inclusive range of batch numbers,
/// or first = last = 0 for readings that never got a number.
struct Loss {
    QString device; // whose readings; empty = several or unknown
    StreamId stream;
    Msn first = 0;
    Msn last = 0;
    quint64 readings = 0; // 0 = unknown
    Timestamp from{};
    Timestamp to{};
    LossReason reason = LossReason::SpoolFull;

    friend bool operator==(const Loss &, const Loss &) = default;
};

/// What one device measured at about one time; the unit of storage, numbering and acknowledgement.
struct ReadingBatch {
    QString device; // name of the sensor agent
    QList<Reading> readings;
    QList<Loss> losses;

    friend bool operator==(const ReadingBatch &, const ReadingBatch &) = default;
};

/// The stored form of a batch: CBOR (RFC 8949), version 1. decodeBatch refuses what is not exactly
/// that as Malformed; it never throws and never allocates more than the input's size allows. Every
/// field comes back bit by bit, NaN and infinities included.
[[nodiscard]] QByteArray encodeBatch(const ReadingBatch &batch);
[[nodiscard]] Result<ReadingBatch> decodeBatch(QByteArrayView bytes);

} // namespace lintel

// The store-and-forward extension (docs/architecture.md, "The wire"): ordinary metrics, so that any
// Sparkplug host still understands us. Names only; who sends which stands beside each.
#pragma once

#include <QStringView>

#include <limits>

namespace lintel::sparkplug::sf {

inline constexpr int kVersion = 1;
/// Highest number that a batch, or a count of them, can have: stores keep them as signed integers.
inline constexpr quint64 kHighestNumber = quint64(std::numeric_limits<qint64>::max());

// NBIRTH of an edge node
inline constexpr QStringView kVersionName = u"Lintel/SF/Version"; // Int32
inline constexpr QStringView kStream = u"Lintel/SF/Stream";       // UUID of the spool
inline constexpr QStringView kHead = u"Lintel/SF/Head";           // UInt64, highest number given
inline constexpr QStringView kTail = u"Lintel/SF/Tail";           // UInt64, lowest number still there; head + 1 = none
inline constexpr QStringView kDropped = u"Lintel/SF/Dropped";     // UInt64, readings ever lost
// Each DATA of an edge node
inline constexpr QStringView kMsn = u"Lintel/Msn"; // UInt64, number of this batch
inline constexpr QStringView kLoss =
    u"Lintel/SF/Loss"; // DataSet, one row a loss; also in DATA: kTail after an eviction
// NBIRTH (writable) and NCMD of a host
inline constexpr QStringView kAck = u"Lintel/SF/Ack";             // UInt64, highest contiguous number committed
inline constexpr QStringView kAckStream = u"Lintel/SF/AckStream"; // UUID that the number belongs to

} // namespace lintel::sparkplug::sf

// Playing back what was measured before: rows in order, each exactly once, whatever happens.
//
// A row becomes one batch of the spool, and the spool's count of readings survives a crash, so the
// position is never stored beside the data: it is derived. The driver remembers "when R readings had ever
// been appended, everything up to file offset P was among them" and after a restart skips the rows whose
// readings have been appended since. Between append and the next checkpoint a kill -9 therefore neither
// loses nor repeats a row. Readings are counted and not batches, for a spool numbers its own notices of
// loss, too; those carry none.
//
// The agent keeps its side: only rows of this driver go into the spool, one batch each, in order,
// and take() is not called again before accepted(). Same thread rules as SensorDriver.
#pragma once

#include "domain/reading.h"
#include "domain/result.h"

#include <chrono>
#include <optional>

namespace lintel {

/// One row: the readings of one moment, with their recorded time stamps.
using RecordedRow = QList<Reading>;

class RecordedDriver
{
public:
    RecordedDriver() = default;
    RecordedDriver(const RecordedDriver &) = delete;
    RecordedDriver &operator=(const RecordedDriver &) = delete;
    virtual ~RecordedDriver() = default;

    /// Once, before the first take(): which spool it is, and how many readings were ever appended to it.
    [[nodiscard]] virtual Result<void> resume(const StreamId &stream, quint64 readings) = 0;
    /// The rows that are due now, at most `max`; possibly none. An error ends the playback.
    [[nodiscard]] virtual Result<QList<RecordedRow>> take(int max) = 0;
    /// Everything taken is on stable storage; so many readings were ever appended to the spool now.
    [[nodiscard]] virtual Result<void> accepted(quint64 readings) = 0;
    /// How long until a row is due; nothing once the recording is over.
    [[nodiscard]] virtual std::optional<Millis> untilNext() const = 0;
    /// At most this many unacknowledged batches in the spool before take() is called; 0 = no bound.
    [[nodiscard]] virtual quint64 window() const = 0;
};

} // namespace lintel

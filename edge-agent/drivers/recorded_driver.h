// Playing back what was measured before: rows in order, each exactly once, whatever happens.
//
// A row becomes one batch of the spool, and the spool's numbering survives a crash, so the position
// is never stored beside the data: it is derived. The driver remembers "when the spool's head was H,
// everything up to file offset P had been appended" and after a restart skips as many rows as the
// head has moved since. Between append and the next checkpoint a kill -9 therefore neither loses nor
// repeats a row.
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

    /// Once, before the first take(): what the spool says about itself.
    [[nodiscard]] virtual Result<void> resume(const StreamId &stream, Msn head) = 0;
    /// The rows that are due now, at most `max`; possibly none. An error ends the playback.
    [[nodiscard]] virtual Result<QList<RecordedRow>> take(int max) = 0;
    /// Everything taken is on stable storage; the spool's head is `head` now.
    [[nodiscard]] virtual Result<void> accepted(Msn head) = 0;
    /// How long until a row is due; nothing once the recording is over.
    [[nodiscard]] virtual std::optional<Millis> untilNext() const = 0;
    /// At most this many unacknowledged batches in the spool before take() is called; 0 = no bound.
    [[nodiscard]] virtual quint64 window() const = 0;
};

} // namespace lintel

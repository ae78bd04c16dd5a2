// The earliest time that it can be: a board without a clock starts in 1970, and must neither take
// an expired certificate for a good one nor refuse every good one as not yet valid.
//
// The floor only rises: from the year of this version, by what was stored before, by the making of the
// authority's root, by the start of an SVID that an authority signed, by the authority's signed time.
// While the wall clock is behind it, now() is the floor plus what has passed since on the monotonic
// clock. Any thread.
#pragma once

#include "ports/clock.h"
#include "ports/state_store.h"

#include <QMutex>

#include <chrono>

namespace lintel {

class TimeFloor
{
public:
    /// `clock` outlives this. `store` may be null (nothing survives a restart) and is only used in
    /// calls to open() and raise(), on their thread.
    TimeFloor(const Clock &clock, StateStore *store);

    /// Reads what was stored. What cannot be read is reported, and the floor stays where it is.
    [[nodiscard]] Result<void> open();

    /// The wall clock, unless it is behind the floor.
    [[nodiscard]] Timestamp now() const;
    [[nodiscard]] Timestamp floor() const;
    /// How far the wall clock is behind; zero when it is not.
    [[nodiscard]] Millis clockIsBehindBy() const;

    /// How late it may be beyond now(), by what is known: any time while the wall clock is behind the floor,
    /// else as much as a clock that somebody has set is usually off. So an authority whose own clock is wrong by
    /// months cannot take the devices along whose clocks are right.
    [[nodiscard]] Millis doubt() const;

    /// It is at least `time` now, until the process ends.
    void assume(Timestamp time);
    /// It is at least `time` now. Stored when it rose by more than ten minutes since the last time,
    /// which spares the flash.
    [[nodiscard]] Result<void> raise(Timestamp time);

private:
    const Clock &m_clock;
    StateStore *m_store;
    mutable QMutex m_mutex; // guards what follows
    Timestamp m_floor;
    std::chrono::nanoseconds m_floorSetAt{};
    Timestamp m_stored{};
};

} // namespace lintel

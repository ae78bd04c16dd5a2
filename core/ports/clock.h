// The time, as a service sees it. Whoever constructs a service hands in a clock, so that a test
// can own time. SystemClock (ports/system_clock.h) is the real one, FakeClock (tests/fakes) the
// other. Any thread.
#pragma once

#include "domain/timestamp.h"

#include <chrono>

namespace lintel {

class Clock
{
public:
    Clock() = default;
    Clock(const Clock &) = delete;
    Clock &operator=(const Clock &) = delete;
    virtual ~Clock() = default;

    /// Wall clock, UTC; may jump.
    [[nodiscard]] virtual Timestamp now() const = 0;
    /// Never jumps; for timeouts and periods. Starts anywhere.
    [[nodiscard]] virtual std::chrono::nanoseconds monotonic() const = 0;
};

} // namespace lintel

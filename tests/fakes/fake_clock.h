// Time that stands still until a test moves it.
#pragma once

#include "ports/clock.h"

namespace lintel {

class FakeClock final : public Clock
{
public:
    [[nodiscard]] Timestamp now() const override { return m_now; }
    [[nodiscard]] std::chrono::nanoseconds monotonic() const override { return m_monotonic; }

    void advance(Millis by)
    {
        m_now += by;
        m_monotonic += by;
    }
    /// The wall clock jumps, as after a time synchronisation; monotonic time does not.
    void setNow(Timestamp now) { m_now = now; }

private:
    Timestamp m_now{std::chrono::sys_days{std::chrono::year{2026} / 1 / 15}};
    std::chrono::nanoseconds m_monotonic{std::chrono::hours{1}};
};

} // namespace lintel

// The real clock, with a monotonic time that counts from the start of the machine and goes on while it is suspended:
// the life of a certificate does.
#pragma once

#include "ports/clock.h"

#include <ctime>

namespace lintel {

class BootClock final : public Clock
{
public:
    [[nodiscard]] Timestamp now() const override
    {
        return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
    }
    [[nodiscard]] std::chrono::nanoseconds monotonic() const override
    {
        timespec since{};
        (void)::clock_gettime(CLOCK_BOOTTIME, &since); // every Linux since 2.6.39 has it
        return std::chrono::seconds{since.tv_sec} + std::chrono::nanoseconds{since.tv_nsec};
    }
};

} // namespace lintel

// The real clock, with a monotonic time that goes on while the machine is suspended: the life of a certificate does.
#pragma once

#include "ports/clock.h"

#include <ctime>

namespace lintel::broker {

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
        (void)::clock_gettime(CLOCK_BOOTTIME, &since); // every kernel that Mosquitto 2 runs on has it
        return std::chrono::seconds{since.tv_sec} + std::chrono::nanoseconds{since.tv_nsec};
    }
};

} // namespace lintel::broker

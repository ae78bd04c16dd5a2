// A wall clock of its own for one process, by LD_PRELOAD: LINTEL_TEST_CLOCK names a file of eight bytes, the
// milliseconds by which that clock is ahead of the machine's; in eight more, how long the machine was suspended
// besides (CLOCK_BOOTTIME). It is read each time, so that a test can set the clock while the process runs.
// Monotonic time is left alone, and so is what the C library asks of itself.
// Any thread; without a usable file the clock is the machine's.
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

constexpr std::int64_t kNanos = 1'000'000'000;

constexpr std::size_t kShifts = 2;

std::int64_t shiftNanos(clockid_t clock)
{
    static const volatile std::int64_t *const shift = []() -> const volatile std::int64_t *
    {
        const char *path = std::getenv("LINTEL_TEST_CLOCK");
        const int file = path ? ::open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (file < 0)
            return nullptr;
        // Beyond the end of a shorter file, its page reads as zeros.
        void *shared = ::mmap(nullptr, kShifts * sizeof(std::int64_t), PROT_READ, MAP_SHARED, file, 0);
        ::close(file);
        return shared == MAP_FAILED ? nullptr : static_cast<const volatile std::int64_t *>(shared);
    }
    ();
    return shift ? shift[clock == CLOCK_REALTIME ? 0 : 1] * 1'000'000 : 0;
}

} // namespace

extern "C" int clock_gettime(clockid_t id, timespec *time) noexcept
{
    const int result = int(::syscall(SYS_clock_gettime, id, time));
    if (result != 0 || (id != CLOCK_REALTIME && id != CLOCK_BOOTTIME))
        return result;
    const std::int64_t nanos = time->tv_sec * kNanos + time->tv_nsec + shiftNanos(id);
    *time = {nanos / kNanos, nanos % kNanos};
    return 0;
}

extern "C" int gettimeofday(timeval *time, void *) noexcept
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    *time = {now.tv_sec, now.tv_nsec / 1'000};
    return 0;
}

extern "C" time_t time(time_t *where) noexcept
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (where)
        *where = now.tv_sec;
    return now.tv_sec;
}

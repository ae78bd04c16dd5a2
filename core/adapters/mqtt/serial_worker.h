// One thread that runs jobs one after the other: where an adapter puts calls that may block.
// Post from any thread; destroy from the owner's.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace lintel {

class SerialWorker
{
public:
    SerialWorker();
    /// Lets the jobs that were posted run for at most `kPatience`. A thread that still hangs then
    /// is left to itself: it keeps what its jobs hold, and runs no further job.
    ~SerialWorker();
    SerialWorker(const SerialWorker &) = delete;
    SerialWorker &operator=(const SerialWorker &) = delete;

    static constexpr std::chrono::milliseconds kPatience{1'900};

    void post(std::function<void()> job);

    /// A way to post that may outlive the worker; it does nothing then.
    [[nodiscard]] std::function<void(std::function<void()>)> poster() const;

private:
    struct Shared;
    std::shared_ptr<Shared> m_shared;
};

} // namespace lintel

// How long a client waits before it tries again: twice as long after each failure, up to a limit,
// and spread at random, so that a building full of sensors does not return in one instant.
// Values only; any thread.
#pragma once

#include <chrono>

namespace lintel {

struct BackoffPolicy {
    std::chrono::milliseconds initial{1'000};
    std::chrono::milliseconds max{30'000};
    double jitterFrom = 0.5; // each wait is multiplied by a random factor from this …
    double jitterTo = 1.5;   // … to this, or to what reaches max: many that wait for one broker stay spread
};

class Backoff
{
public:
    explicit Backoff(BackoffPolicy policy = {}) : m_policy(policy) {}

    /// The wait before the next attempt; longer with each call until reset().
    [[nodiscard]] std::chrono::milliseconds next();
    void reset() { m_failures = 0; }
    /// Whether nothing has failed since the beginning or the last reset().
    [[nodiscard]] bool isFresh() const { return m_failures == 0; }

private:
    BackoffPolicy m_policy;
    int m_failures = 0;
};

} // namespace lintel

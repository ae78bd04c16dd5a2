// When an agent fetches its next SVID, and what it is without one: renewal at half life ± 10 %,
// retries with back-off while the old SVID still serves, an end at its expiry, recovery at any time
// after. No I/O; whoever owns a keeper asks next() and tells it what happened.
//
// An SVID ends when the wall clock or the monotonic clock says so, whichever is first: a wall clock
// that is set back must not lengthen a life. Thread: the owner's.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"
#include "identity/time_floor.h"

#include <chrono>
#include <optional>
#include <random>

namespace lintel {

struct RenewalPolicy {
    double at = 0.5;     // of the SVID's life …
    double spread = 0.1; // … ± this part of it, so that a building does not renew in one instant
    Millis retryFirst{1'000};
    Millis retryMax{5'000}; // an authority that is back finds everybody, and they their brokers, within ten seconds
};

class SvidKeeper
{
public:
    enum class State {
        Waiting, // no SVID yet; the first is being fetched
        Valid,   // one that serves
        Overdue, // it serves, but fetching the next one has failed
        Expired, // the last one has ended: readings are stored and nothing is sent
    };

    enum class Step {
        Wait,  // nothing before `in`
        Fetch, // begin an attempt now
        Drop,  // the SVID has just ended: stop using it, then ask again
    };
    struct Next {
        Step step = Step::Wait;
        Millis in{0};
    };

    /// `time` and `clock` outlive the keeper. `seed` spreads the renewals of different agents.
    SvidKeeper(const Clock &clock, const TimeFloor &time, RenewalPolicy policy, quint32 seed);

    [[nodiscard]] Next next();

    void attemptBegan();
    /// An SVID came. One that has ended already, or lives for less than a second, is OutOfRange and
    /// counts as a failure: a clock is wrong.
    [[nodiscard]] Result<void> succeeded(Timestamp notBefore, Timestamp notAfter);
    void failed(const Error &why);
    /// Fetch at once: the authority asked for it (deny list, bundle change), or a person.
    void hurry();

    [[nodiscard]] State state() const;
    /// One sentence for a person: "identity expired, buffering: <why>".
    [[nodiscard]] QString sentence() const;
    [[nodiscard]] std::optional<Timestamp> expiresAt() const { return m_notAfter; }
    [[nodiscard]] std::optional<Error> lastError() const { return m_lastError; }
    [[nodiscard]] quint64 rotations() const { return m_rotations; } // SVIDs after the first

private:
    [[nodiscard]] Millis untilEnd() const;

    const Clock &m_clock;
    const TimeFloor &m_time;
    RenewalPolicy m_policy;
    std::mt19937 m_random;
    std::optional<Timestamp> m_notAfter;
    std::chrono::nanoseconds m_monotonicEnd{};
    std::chrono::nanoseconds m_fetchAt; // monotonic
    bool m_serving = false;             // m_notAfter belongs to an SVID that has not been dropped
    bool m_attempting = false;
    int m_failures = 0;
    quint64 m_issued = 0;
    quint64 m_rotations = 0;
    std::optional<Error> m_lastError;
};

} // namespace lintel

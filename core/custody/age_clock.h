// The time by which ages are judged before something is removed for good. A wall clock that jumps ahead would
// make everything too old at once; this one goes on at the pace of the monotonic clock then, until the wall
// clock is put right or somebody who signs says how late it is. Being behind costs room, being ahead costs
// data, so it is never ahead of what can be known.
//
// It follows the wall clock back at once, and ahead by kSlack a day: clocks drift, and are corrected by as much.
// Owner: what removes. Values only, one thread; fails never.
#pragma once

#include "ports/clock.h"
#include "ports/identity_source.h"

#include <functional>
#include <optional>

namespace lintel {

class AgeClock
{
public:
    static constexpr Millis kSlack = std::chrono::minutes{10};
    /// The latest moment that somebody signed, as the start of one's own certificate; nothing = not known.
    using SignedTime = std::function<std::optional<Timestamp>()>;

    /// `known`: what now() said when this was last asked in a process before this one; nothing = believe the
    /// wall clock. While nothing ran, time went on: by up to `mostUnseen` that is believed as well.
    AgeClock(const Clock &clock, std::optional<Timestamp> known, Millis mostUnseen, SignedTime signedTime = {});

    /// Ask it now and then, more often than once a day.
    [[nodiscard]] Timestamp now();
    /// How far the wall clock is ahead of what is believed; zero when it is not. Of the last now().
    [[nodiscard]] Millis heldBack() const { return m_heldBack; }
    /// A sentence when that has just begun or ended, once; else nothing.
    [[nodiscard]] std::optional<QString> news();

    /// How much time a restart may have taken unseen, for something that is kept so long.
    [[nodiscard]] static Millis mostUnseenFor(Millis maxAge);

private:
    const Clock &m_clock;
    SignedTime m_signedTime;
    std::optional<Timestamp> m_time;
    std::chrono::nanoseconds m_at;
    Millis m_slack;
    Millis m_heldBack{0};
    bool m_saidHeldBack = false;
};

/// The start of one's own certificate: whoever signed that knew how late it was.
[[nodiscard]] AgeClock::SignedTime signedTimeOf(const IdentitySource &identity);

} // namespace lintel

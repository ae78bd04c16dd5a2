#include "custody/age_clock.h"

#include <algorithm>

namespace lintel {

using namespace std::chrono_literals;

AgeClock::AgeClock(const Clock &clock, std::optional<Timestamp> known, Millis mostUnseen, SignedTime signedTime)
    : m_clock(clock), m_signedTime(std::move(signedTime)), m_time(known), m_at(clock.monotonic()),
      m_slack(known ? std::max(mostUnseen, kSlack) : kSlack)
{}

Timestamp AgeClock::now()
{
    const Timestamp wall = m_clock.now();
    const auto at = m_clock.monotonic();
    const Millis passed = std::chrono::duration_cast<Millis>(at - m_at);
    m_at = at;
    Timestamp believed = m_time ? *m_time + passed : wall;
    if (const auto told = m_signedTime ? m_signedTime() : std::nullopt; told && *told > believed)
        believed = std::min(*told, wall);
    // What was left of a restart's allowance is used once; the slack of a running process grows back.
    m_slack = m_slack > kSlack ? m_slack : std::min(kSlack, m_slack + passed * kSlack.count() / Millis{24h}.count());
    const Millis ahead = wall - believed;
    if (ahead <= m_slack) {
        m_slack = std::min(kSlack, m_slack - std::max(ahead, Millis{0}));
        believed = wall;
    }
    m_time = believed;
    m_heldBack = wall - believed;
    return believed;
}

std::optional<QString> AgeClock::news()
{
    const bool isHeldBack = m_heldBack > Millis{0};
    if (isHeldBack == m_saidHeldBack)
        return std::nullopt;
    m_saidHeldBack = isHeldBack;
    if (!isHeldBack)
        return QStringLiteral("The clock is believed again; what became too old is removed as before.");
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(m_heldBack).count();
    return QStringLiteral("The clock is %1 minutes ahead of what can be known, so nothing is removed for an age that "
                          "only the clock says; set it right, or wait for a newer certificate to confirm it.")
        .arg(minutes);
}

Millis AgeClock::mostUnseenFor(Millis maxAge)
{
    return std::min<Millis>(24h, maxAge / 10);
}

AgeClock::SignedTime signedTimeOf(const IdentitySource &identity)
{
    return [&identity]() -> std::optional<Timestamp> {
        const auto own = identity.current();
        if (!own)
            return std::nullopt;
        return (*own)->svid.notBefore;
    };
}

} // namespace lintel

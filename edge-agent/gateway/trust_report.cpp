#include "gateway/trust_report.h"

namespace lintel {

using namespace std::chrono_literals;

namespace {
constexpr auto kLookEvery = 1s;
constexpr auto kTellEvery = 60s;
constexpr auto kSlack = 5s; // a runway that is longer by less has only been computed at another moment
} // namespace

bool TrustReport::isNews(const sparkplug::TrustState &now, std::chrono::nanoseconds at) const
{
    if (!m_told || m_told->credential != now.credential || m_told->clock != now.clock
        || m_told->runway.has_value() != now.runway.has_value())
        return true;
    if (!now.runway)
        return false;
    const auto expected = *m_told->runway - std::chrono::duration_cast<std::chrono::seconds>(at - m_toldAt);
    // Renewed, or cut short: whoever counts down by himself must hear of it.
    if (*now.runway > expected + kSlack || *now.runway + kSlack < expected)
        return *now.runway != *m_told->runway;
    return at - m_toldAt >= kTellEvery && *now.runway != *m_told->runway;
}

void TrustReport::tick()
{
    const auto at = m_clock.monotonic();
    if (at < m_nextLook)
        return;
    m_nextLook = at + kLookEvery;
    const sparkplug::TrustState now = m_read();
    if (!isNews(now, at))
        return;
    m_told = now;
    m_toldAt = at;
    m_tell(now);
}

} // namespace lintel

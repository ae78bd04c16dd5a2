// What the gateway tells the cloud of its trust (Trust/… metrics of its node): at once when what would end
// first, the clock or the direction changes, else once a minute while the runway gets shorter.
//
// Owned by the gateway service, on its thread; tick() costs nothing before a second has passed.
#pragma once

#include "ports/clock.h"
#include "sparkplug/trust_metrics.h"

#include <functional>
#include <optional>

namespace lintel {

class TrustReport
{
public:
    using Read = std::function<sparkplug::TrustState()>;
    using Tell = std::function<void(const sparkplug::TrustState &)>;

    /// `clock` outlives it.
    TrustReport(Read read, Tell tell, const Clock &clock)
        : m_read(std::move(read)), m_tell(std::move(tell)), m_clock(clock)
    {}

    void tick();

private:
    [[nodiscard]] bool isNews(const sparkplug::TrustState &now, std::chrono::nanoseconds at) const;

    const Read m_read;
    const Tell m_tell;
    const Clock &m_clock;
    std::optional<sparkplug::TrustState> m_told;
    std::chrono::nanoseconds m_toldAt{};
    std::chrono::nanoseconds m_nextLook{};
};

} // namespace lintel

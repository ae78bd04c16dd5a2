// Remembers which refusals were told, so that a node that goes on sending does not fill the log: each
// pair of node and device name is told at once and then every ten minutes. Bounded memory: somebody who
// invents names makes it forget, not grow. One thread; cannot fail.
#pragma once

#include "sparkplug/host_session.h"

#include <QHash>

#include <chrono>

namespace lintel {

class RefusalNotes
{
public:
    [[nodiscard]] bool isNews(const sparkplug::NodeId &node, const QString &device, std::chrono::nanoseconds now)
    {
        if (m_told.size() >= kMost)
            m_told.clear();
        const std::pair key{node, device};
        const auto told = m_told.constFind(key);
        if (told != m_told.constEnd() && now - *told < kAgainAfter)
            return false;
        m_told.insert(key, now);
        return true;
    }

private:
    static constexpr std::chrono::minutes kAgainAfter{10};
    static constexpr int kMost = 1'000;

    QHash<std::pair<sparkplug::NodeId, QString>, std::chrono::nanoseconds> m_told;
};

} // namespace lintel

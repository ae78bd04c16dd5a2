#include "authority/runway.h"

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
QString inWords(std::chrono::seconds left)
{
    const qint64 seconds = left.count();
    if (seconds >= 2 * 86'400)
        return u"%1 days"_s.arg(seconds / 86'400);
    if (seconds >= 2 * 3'600)
        return u"%1 hours"_s.arg(seconds / 3'600);
    if (seconds >= 120)
        return u"%1 minutes"_s.arg(seconds / 60);
    return u"%1 s"_s.arg(seconds);
}
} // namespace

TrustRunway trustRunway(const QList<RunwayItem> &items, Timestamp now)
{
    TrustRunway runway;
    runway.clockIsPlausible = isPlausible(now);
    if (!runway.clockIsPlausible) {
        runway.sentence = u"The clock was never set, so nobody can say how long the certificates last."_s;
        return runway;
    }
    const auto first = std::min_element(items.cbegin(), items.cend(),
                                        [](const RunwayItem &a, const RunwayItem &b) { return a.end < b.end; });
    if (first == items.cend()) {
        runway.sentence = u"Nothing here ends by itself."_s;
        return runway;
    }
    runway.first = *first;
    if (first->end <= now) {
        runway.sentence = u"The %1 ended at %2; it takes the %3 to renew it."_s.arg(first->what, toIso8601(first->end),
                                                                                    first->renewedBy);
        return runway;
    }
    runway.left = std::chrono::floor<std::chrono::seconds>(first->end - now);
    runway.sentence = u"Everything goes on for %1 without the %2; then the %3 ends."_s.arg(
        inWords(runway.left), first->renewedBy, first->what);
    return runway;
}

} // namespace lintel::authority

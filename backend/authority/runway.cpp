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

RunwayReport runwayReport(const QList<RunwayItem> &items, Timestamp now)
{
    RunwayReport report;
    report.clockIsPlausible = isPlausible(now);
    if (!report.clockIsPlausible) {
        report.sentence = u"The clock was never set, so nobody can say how long the certificates last."_s;
        return report;
    }
    QList<Credential> credentials;
    for (const RunwayItem &item : items)
        credentials.append({item.what, item.end});
    const auto runway = trustRunway(credentials, now);
    if (!runway) {
        report.sentence = u"Nothing here ends by itself."_s;
        return report;
    }
    for (const RunwayItem &item : items) {
        if (item.begin <= now || runway->left <= Millis{0})
            continue;
        report.first = item;
        report.sentence = u"The %1 is not valid before %2; check the clock."_s.arg(item.what, toIso8601(item.begin));
        return report;
    }
    report.first = *std::find_if(items.cbegin(), items.cend(),
                                 [&runway](const RunwayItem &item) { return item.what == runway->limitedBy; });
    report.left = std::chrono::floor<std::chrono::seconds>(runway->left);
    report.sentence = report.first->end <= now ? u"The %1 ended at %2; it takes the %3 to renew it."_s.arg(
                          report.first->what, toIso8601(report.first->end), report.first->renewedBy)
                                               : u"Everything goes on for %1 without the %2; then the %3 ends."_s.arg(
                                                   inWords(report.left), report.first->renewedBy, report.first->what);
    return report;
}

} // namespace lintel::authority

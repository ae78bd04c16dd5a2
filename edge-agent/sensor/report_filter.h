// Report by exception: which readings of a sample are worth sending. A value that moved by more
// than its deadband, a changed quality, or a point that said nothing for a heartbeat.
// Values only; one thread.
#pragma once

#include "domain/reading.h"

#include <QHash>

#include <chrono>

namespace lintel {

struct PointRule {
    double deadband = 0; // in the point's unit; a change of more than this is reported
    Millis heartbeat{0}; // 0 = the one of all points
};

struct ReportRules {
    bool byException = true; // false: every reading of every sample
    Millis period{60'000};   // between samples
    Millis heartbeat{300'000};
    QHash<QString, PointRule> points;

    /// The longest time in which a healthy point says something.
    [[nodiscard]] Millis longestInterval(const QString &point) const;
    /// Three of those: a value older than this is stale.
    [[nodiscard]] Millis staleAfter(const QString &point) const { return 3 * longestInterval(point); }
};

class ReportFilter
{
public:
    explicit ReportFilter(ReportRules rules) : m_rules(std::move(rules)) {}

    /// What of a sample taken at this (monotonic) time is to be reported; remembers it as reported.
    [[nodiscard]] QList<Reading> select(const QList<Reading> &sample, std::chrono::nanoseconds now);
    /// Something that was reported got lost: the next sample is reported whole.
    void forget() { m_reported.clear(); }

private:
    struct Reported {
        Value value;
        Quality quality = Quality::Good;
        std::chrono::nanoseconds at{};
    };

    [[nodiscard]] bool isWorthReporting(const Reading &reading, std::chrono::nanoseconds now) const;

    ReportRules m_rules;
    QHash<QString, Reported> m_reported;
};

} // namespace lintel

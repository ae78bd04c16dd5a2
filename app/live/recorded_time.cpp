// SPDX-License-Identifier: GPL-3.0-only
#include "live/recorded_time.h"

#include "text/format.h"

#include <QCoreApplication>

#include <limits>

namespace lintel {
namespace {

constexpr std::size_t kLookedAt = 64;
constexpr int kMissedRows = 3;

} // namespace

Millis cadenceOf(std::span<const Sample> samples)
{
    if (samples.size() < 3)
        return Millis{0};
    const auto latest = samples.last(std::min(samples.size(), kLookedAt));
    std::vector<qint64> steps;
    for (std::size_t i = 1; i < latest.size(); ++i)
        steps.push_back(latest[i].at - latest[i - 1].at);
    const auto middle = steps.begin() + std::ssize(steps) / 2;
    std::ranges::nth_element(steps, middle);
    return Millis{*middle};
}

qint64 gapAfter(const PointState &state)
{
    if (!state.isRecorded())
        return state.point.staleAfter.count();
    const Millis cadence = cadenceOf(state.samples.all());
    // Too little is known to call anything missing.
    return cadence > Millis{0} ? kMissedRows * cadence.count() : std::numeric_limits<qint64>::max() / 4;
}

std::optional<RecordedSpan> recordedSpan(const PointState &state)
{
    if (!state.isRecorded() || !state.last)
        return std::nullopt;
    const auto samples = state.samples.all();
    return RecordedSpan{samples.empty() ? state.lastAt : std::min(fromEpochMillis(samples.front().at), state.lastAt),
                        state.lastAt};
}

QString recordedText(const PointState &state)
{
    const auto span = recordedSpan(state);
    return span ? QCoreApplication::translate("recorded", "recorded %1").arg(format::dateRange(span->from, span->to))
                : QString();
}

} // namespace lintel

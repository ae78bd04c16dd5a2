// SPDX-License-Identifier: GPL-3.0-only
// Where a recording lies in time and how often it has a reading: its rows follow each other as they did
// when they were recorded, however fast they are played back. Pure functions; any thread.
#pragma once

#include "feed/building_store.h"

namespace lintel {

/// The usual distance between two samples; zero while fewer than three are known.
[[nodiscard]] Millis cadenceOf(std::span<const Sample> samples);
/// After how long without a sample something is missing.
[[nodiscard]] qint64 gapAfter(const PointState &state);

struct RecordedSpan {
    Timestamp from{};
    Timestamp to{};
};
/// What is known of a recording so far; nothing for points of the present.
[[nodiscard]] std::optional<RecordedSpan> recordedSpan(const PointState &state);
/// "recorded 2015-02-02 14:19 – 14:52"; empty for points of the present.
[[nodiscard]] QString recordedText(const PointState &state);

} // namespace lintel

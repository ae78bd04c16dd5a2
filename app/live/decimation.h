// SPDX-License-Identifier: GPL-3.0-only
// From many samples to the few a line on the screen needs, without losing an extreme and without
// drawing across a hole. Pure functions; any thread.
#pragma once

#include "feed/sample_ring.h"

#include <QList>

#include <span>

namespace lintel {

/// A run of samples without a hole; drawn as one line.
using LinePiece = QList<Sample>;

/// At most about `maxSamples` samples in all, first and last of each piece and the smallest and
/// largest of each stretch among them. A distance longer than `gapAfter` milliseconds (or than two
/// buckets, where history came in buckets) ends a piece.
[[nodiscard]] QList<LinePiece> decimate(std::span<const Sample> samples, qint64 gapAfter, int maxSamples = 300);

struct TimeSpan {
    qint64 from = 0;
    qint64 to = 0;

    friend bool operator==(const TimeSpan &, const TimeSpan &) = default;
};

/// Holes between samples inside [from, to], the one up to `to` included.
[[nodiscard]] QList<TimeSpan> gaps(std::span<const Sample> samples, qint64 gapAfter, qint64 from, qint64 to);
/// Stretches of late samples; neighbours closer than `joinWithin` become one.
[[nodiscard]] QList<TimeSpan> lateSpans(std::span<const Sample> samples, qint64 joinWithin);

struct Scale {
    double min = 0;
    double max = 1;
    double step = 0.5;
    int decimals = 0;

    [[nodiscard]] double fraction(double value) const { return (value - min) / (max - min); }
};

/// Round numbers around [low, high], three to six lines; never narrower than `minSpan`.
[[nodiscard]] Scale niceScale(double low, double high, double minSpan, bool neverBelowZero, int lines = 4);

} // namespace lintel

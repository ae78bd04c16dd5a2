// SPDX-License-Identifier: GPL-3.0-only
#include "live/decimation.h"

#include <array>
#include <cmath>

namespace lintel {
namespace {

bool isGap(const Sample &before, const Sample &after, qint64 gapAfter)
{
    const qint64 bucket = std::max(before.span, after.span);
    return after.at - before.at > std::max(gapAfter, 2 * bucket);
}

QList<std::span<const Sample>> split(std::span<const Sample> samples, qint64 gapAfter)
{
    QList<std::span<const Sample>> pieces;
    std::size_t begin = 0;
    for (std::size_t i = 1; i <= samples.size(); ++i) {
        if (i < samples.size() && !isGap(samples[i - 1], samples[i], gapAfter))
            continue;
        pieces.append(samples.subspan(begin, i - begin));
        begin = i;
    }
    return pieces;
}

/// First, last, and the extremes of each stretch of `width` milliseconds on a fixed grid. The grid
/// does not move with the window, so a line does not flicker while time passes.
LinePiece thin(std::span<const Sample> piece, qint64 width)
{
    LinePiece kept;
    kept.append(piece.front());
    std::size_t i = 1;
    while (i + 1 < piece.size()) {
        const qint64 stretch = piece[i].at / width;
        const Sample *low = &piece[i];
        const Sample *high = &piece[i];
        for (; i + 1 < piece.size() && piece[i].at / width == stretch; ++i) {
            if (piece[i].value < low->value)
                low = &piece[i];
            if (piece[i].value > high->value)
                high = &piece[i];
        }
        if (low->at > high->at)
            std::swap(low, high);
        kept.append(*low);
        if (high != low)
            kept.append(*high);
    }
    if (piece.size() > 1)
        kept.append(piece.back());
    return kept;
}

qsizetype sizeOf(const QList<LinePiece> &pieces)
{
    qsizetype size = 0;
    for (const LinePiece &piece : pieces)
        size += piece.size();
    return size;
}

} // namespace

QList<LinePiece> decimate(std::span<const Sample> samples, qint64 gapAfter, int maxSamples)
{
    if (samples.empty())
        return {};
    const auto runs = split(samples, gapAfter);
    QList<LinePiece> pieces;
    if (std::ssize(samples) <= maxSamples) {
        for (const auto &run : runs)
            pieces.append(LinePiece(run.begin(), run.end()));
        return pieces;
    }
    const qint64 length = std::max<qint64>(1, samples.back().at - samples.front().at);
    // Two samples a stretch; round widths, so that the same stretches are met again next time.
    qint64 width = 1;
    while (width < length / std::max(1, maxSamples / 2 - 2))
        width *= 2;
    do {
        pieces.clear();
        for (const auto &run : runs)
            pieces.append(thin(run, width));
        width *= 2;
    } while (sizeOf(pieces) > maxSamples && width < 4 * length);
    return pieces;
}

QList<TimeSpan> gaps(std::span<const Sample> samples, qint64 gapAfter, qint64 from, qint64 to)
{
    QList<TimeSpan> found;
    const auto add = [&](qint64 begin, qint64 end) {
        begin = std::max(begin, from);
        end = std::min(end, to);
        if (end > begin)
            found.append({begin, end});
    };
    for (std::size_t i = 1; i < samples.size(); ++i) {
        if (isGap(samples[i - 1], samples[i], gapAfter))
            add(samples[i - 1].at, samples[i].at);
    }
    if (!samples.empty() && to - samples.back().at > std::max<qint64>(gapAfter, 2 * qint64(samples.back().span)))
        add(samples.back().at, to);
    return found;
}

QList<TimeSpan> lateSpans(std::span<const Sample> samples, qint64 joinWithin)
{
    // One reading in time between late ones is how an outage begins and ends; more of them part two stretches.
    constexpr int kInTimeBetween = 2;
    QList<TimeSpan> spans;
    int inTime = 0;
    for (const Sample &sample : samples) {
        if (!sample.late) {
            ++inTime;
            continue;
        }
        const qint64 half = sample.span / 2;
        const bool isParted = std::exchange(inTime, 0) >= kInTimeBetween;
        if (!isParted && !spans.isEmpty() && sample.at - half - spans.last().to <= joinWithin)
            spans.last().to = sample.at + half;
        else
            spans.append({sample.at - half, sample.at + half});
    }
    return spans;
}

Scale niceScale(double low, double high, double minSpan, bool neverBelowZero, int lines)
{
    if (!(low <= high)) {
        low = 0;
        high = minSpan;
    }
    if (high - low < minSpan) {
        const double middle = (low + high) / 2;
        low = middle - minSpan / 2;
        high = middle + minSpan / 2;
    }
    if (neverBelowZero && low < 0) {
        high -= low;
        low = 0;
    }
    const double raw = (high - low) / std::max(1, lines - 1);
    const double magnitude = std::pow(10.0, std::floor(std::log10(raw)));
    double step = 10 * magnitude;
    for (const double nice : std::array{1.0, 2.0, 5.0}) {
        if (raw <= nice * magnitude * 1.0001) {
            step = nice * magnitude;
            break;
        }
    }
    Scale scale;
    scale.step = step;
    scale.min = std::floor(low / step + 1e-9) * step;
    scale.max = std::ceil(high / step - 1e-9) * step;
    if (scale.max <= scale.min)
        scale.max = scale.min + step;
    scale.decimals = std::max(0, int(-std::floor(std::log10(step) + 1e-9)));
    return scale;
}

} // namespace lintel

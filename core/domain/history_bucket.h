// A stretch of history in a few figures: what both histories, a gateway's and the cloud's, answer when
// somebody asks for more time than there is room on a chart. Values and pure functions; any thread.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"

#include <chrono>

namespace lintel {

/// Numbers, integers and switches (0 and 1) of one stretch of time; readings of quality Bad do not count.
/// Buckets begin at whole multiples of their length since 1970; empty ones are absent.
struct HistoryBucket {
    Timestamp start{};
    quint64 count = 0;
    double min = 0.0;
    double max = 0.0;
    double average = 0.0;
    quint64 historical = 0; // of `count`: sent again, or stored while a link was down
};

inline constexpr std::chrono::seconds kLongestBucket = std::chrono::hours{366 * 24};

/// OutOfRange: shorter than a second or longer than kLongestBucket.
[[nodiscard]] Result<void> validateBucketLength(std::chrono::seconds length);

} // namespace lintel

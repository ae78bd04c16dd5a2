// The call `query_history`, which gateway and cloud answer alike: its arguments, its bounds and the keys of
// its answer. Values only; any thread.
#pragma once

#include "custody/answers.h"
#include "domain/history_bucket.h"

#include <QCborArray>
#include <QCborMap>

namespace lintel::answers {

struct HistoryRequest {
    QString group; // empty: wherever the device's name is unique
    QString device;
    QString point;
    TimeSpan span;
    int rows = 0;                   // at most so many readings; ask for one more to know whether there are more
    std::chrono::seconds bucket{0}; // 0 = readings
};

/// {device, point, group, from, to, bucket, max}. Without times the last 24 hours, without `max` 10,000
/// readings. OutOfRange: a bucket that validateBucketLength() refuses, or more buckets than one answer holds.
[[nodiscard]] Result<HistoryRequest> historyRequest(const QCborMap &args, Timestamp now);

/// {device, point, from, to, readings, truncated}; readings beyond request.rows are cut off.
[[nodiscard]] QCborMap history(const HistoryRequest &request, QCborArray readings);
/// {device, point, from, to, buckets: [{start, count, min, max, avg, historical}]}
[[nodiscard]] QCborMap history(const HistoryRequest &request, const QList<HistoryBucket> &buckets);

} // namespace lintel::answers

#include "custody/history_answers.h"

#include <algorithm>

namespace lintel::answers {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

constexpr qint64 kDefaultRows = 10'000;
constexpr qint64 kMaxRows = 20'000; // an answer must fit into one MQTT message of 4 MiB
constexpr qint64 kMaxBuckets = 20'000;

QCborMap head(const HistoryRequest &request)
{
    return {
        {"device"_L1, request.device},
        {"point"_L1, request.point},
        {"from"_L1, toIso8601(request.span.from)},
        {"to"_L1, toIso8601(request.span.to)},
    };
}

} // namespace

Result<HistoryRequest> historyRequest(const QCborMap &args, Timestamp now)
{
    HistoryRequest request;
    const auto device = requiredText(args, "device"_L1);
    if (!device)
        return device.error();
    const auto point = requiredText(args, "point"_L1);
    if (!point)
        return point.error();
    const auto group = textArgument(args, "group"_L1);
    if (!group)
        return group.error();
    const auto span = spanArgument(args, now - 24h, now + 1ms);
    if (!span)
        return span.error();
    const auto bucket = integerArgument(args, "bucket"_L1, 0);
    if (!bucket)
        return bucket.error();
    const auto rows = integerArgument(args, "max"_L1, kDefaultRows);
    if (!rows)
        return rows.error();
    if (*bucket != 0) {
        if (const auto valid = validateBucketLength(std::chrono::seconds{*bucket}); !valid)
            return valid.error();
        if ((span->to - span->from) / std::chrono::seconds{*bucket} > kMaxBuckets)
            return Error{
                Errc::OutOfRange,
                u"That would be more than %1 buckets; make them longer or the time shorter."_s.arg(kMaxBuckets)};
    }
    return HistoryRequest{
        *group, *device, *point, *span, int(std::clamp<qint64>(*rows, 1, kMaxRows)), std::chrono::seconds{*bucket}};
}

QCborMap history(const HistoryRequest &request, QCborArray readings)
{
    const bool isTruncated = readings.size() > request.rows;
    while (readings.size() > request.rows)
        readings.removeLast();
    QCborMap answer = head(request);
    answer.insert("readings"_L1, readings);
    answer.insert("truncated"_L1, isTruncated);
    return answer;
}

QCborMap history(const HistoryRequest &request, const QList<HistoryBucket> &buckets)
{
    QCborArray array;
    for (const HistoryBucket &bucket : buckets) {
        array.append(QCborMap{
            {"start"_L1, toIso8601(bucket.start)},
            {"count"_L1, qint64(bucket.count)},
            {"min"_L1, bucket.min},
            {"max"_L1, bucket.max},
            {"avg"_L1, bucket.average},
            {"historical"_L1, qint64(bucket.historical)},
        });
    }
    QCborMap answer = head(request);
    answer.insert("buckets"_L1, array);
    return answer;
}

} // namespace lintel::answers

#include "domain/history_bucket.h"

namespace lintel {

Result<void> validateBucketLength(std::chrono::seconds length)
{
    if (length <= std::chrono::seconds::zero())
        return Error{
            Errc::OutOfRange,
            QStringLiteral("A bucket of %1 seconds holds nothing; ask for at least one second.").arg(length.count())};
    if (length > kLongestBucket) {
        return Error{
            Errc::OutOfRange,
            QStringLiteral("A bucket of %1 seconds is longer than a year; ask for shorter ones.").arg(length.count())};
    }
    return {};
}

} // namespace lintel

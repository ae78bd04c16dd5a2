// What became too old or too much, point by point, a bounded number of rows in each transaction.
#include "historian_change.h"
#include "historian_sql.h"

#include <QVariant>

#include <algorithm>

namespace lintel::historian {

namespace {

static_assert(int(LossReason::RemovedForSize) == 6, "sql::kTotals counts these apart");

constexpr Millis kShortestSlice = std::chrono::seconds{1};
constexpr Millis kLongestSlice = std::chrono::hours{24 * 30};

} // namespace

Result<quint64> Historian::removeOlder(Timestamp before, int most)
{
    Removed removed;
    qint64 last = 0;
    const auto done = inTransaction([&]() -> Result<void> {
        const auto went = removePoints(m_prunedUpTo, toEpochMillis(before), most, removed);
        if (!went)
            return went.error();
        last = *went;
        return {};
    });
    if (!done)
        return done.error();
    m_prunedUpTo = removed.rows == 0 ? 0 : std::max(last, m_prunedUpTo);
    return removed.rows;
}

Result<quint64> Historian::removeOldest(int most)
{
    Removed removed;
    const auto done = inTransaction([&]() -> Result<void> {
        const auto oldest = oldestRemovable();
        if (!oldest)
            return oldest.error().code == Errc::NotFound ? Result<void>() : Result<void>(oldest.error());
        if (const auto went = removePoints(0, *oldest + m_slice.count(), most, removed); !went)
            return went.error();
        return storeSizeGaps(removed);
    });
    if (!done)
        return done.error();
    // So that a transaction takes about as many as it may, and the oldest of all points go together.
    if (removed.rows >= quint64(most))
        m_slice = std::max(kShortestSlice, m_slice / 2);
    else if (removed.rows < quint64(most) / 2)
        m_slice = std::min(kLongestSlice, m_slice * 2);
    return removed.rows;
}

/// NotFound when each point has nothing but its latest.
Result<qint64> Historian::oldestRemovable() const
{
    auto oldest = select(sql::kOldestRemovable, {});
    if (!oldest)
        return oldest.error();
    if (!oldest->next() || oldest->isNull(0))
        return Error{Errc::NotFound, QStringLiteral("Nothing is left to remove but the latest readings.")};
    return oldest->value(0).toLongLong();
}

/// The last point of which nothing is left to remove.
Result<qint64> Historian::removePoints(qint64 after, qint64 before, int most, Removed &removed)
{
    auto points = select(sql::kPointsWithOlder, {after, before, most});
    if (!points)
        return points.error();
    QList<qint64> ids;
    while (points->next())
        ids.append(points->value(0).toLongLong());
    points->finish();
    qint64 last = 0;
    for (const qint64 id : std::as_const(ids)) {
        const qint64 room = most - qint64(removed.rows);
        if (room <= 0)
            break;
        const quint64 rows = removed.rows;
        if (const auto taken = removeOlder(id, before, room, removed); !taken)
            return taken.error();
        if (qint64(removed.rows - rows) < room)
            last = id;
    }
    if (removed.rows == 0)
        return last;
    const auto counted = select(sql::kCountRemoved, {removed.rows, removed.historical, removed.rows});
    if (!counted)
        return counted.error();
    return last;
}

Result<void> Historian::removeOlder(qint64 point, qint64 before, qint64 most, Removed &removed)
{
    // Rows of one instant go together, so it may be a few more than `most`.
    auto bound = select(sql::kOldestOf, {point, before, most - 1});
    if (!bound)
        return bound.error();
    const qint64 end = bound->next() ? std::min(bound->value(0).toLongLong() + 1, before) : before;
    bound->finish();
    auto count = select(sql::kCountOlder, {point, end, point});
    if (!count)
        return count.error();
    if (!count->next() || count->value(0).toULongLong() == 0)
        return {};
    removed.rows += count->value(0).toULongLong();
    removed.historical += count->value(1).toULongLong();
    Loss &loss = removed.byPoint[point];
    loss.readings = count->value(0).toULongLong();
    loss.from = fromEpochMillis(count->value(2).toLongLong());
    loss.to = fromEpochMillis(count->value(3).toLongLong());
    count->finish();
    const auto gone = select(sql::kRemoveOlder, {point, end, point});
    if (!gone)
        return gone.error();
    return {};
}

Result<void> Historian::storeSizeGaps(const Removed &removed)
{
    Change change{m_clock.now(), {}, {}};
    for (auto it = removed.byPoint.cbegin(); it != removed.byPoint.cend(); ++it) {
        auto device = select(sql::kDeviceOfPoint, {it.key()});
        if (!device)
            return device.error();
        Loss loss = *it;
        loss.device = device->next() ? device->value(0).toString() : QString();
        device->finish();
        loss.reason = LossReason::RemovedForSize;
        const qint64 from = toEpochMillis(loss.from);
        const qint64 to = toEpochMillis(loss.to);
        const auto extended = select(sql::kExtendSizeGap, {loss.readings, from, from, to, to, toEpochMillis(change.now),
                                                           loss.device, int(loss.reason)});
        if (!extended)
            return extended.error();
        if (extended->numRowsAffected() > 0)
            continue;
        if (const auto stored = storeGap(change, loss); !stored)
            return stored.error();
    }
    return {};
}

Result<void> Historian::saveAgeTime(Timestamp time)
{
    const auto saved = select(sql::kSaveAgeTime, {toEpochMillis(time)});
    if (!saved)
        return saved.error();
    return {};
}

} // namespace lintel::historian

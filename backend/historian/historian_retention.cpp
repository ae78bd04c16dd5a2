// What became too old, point by point, a bounded number of rows in each transaction.
#include "historian_change.h"
#include "historian_sql.h"

#include <QVariant>

#include <algorithm>

namespace lintel::historian {

Result<quint64> Historian::removeOlder(Timestamp before, int most)
{
    Removed removed;
    qint64 last = 0;
    const auto done = inTransaction([&]() -> Result<void> {
        auto points = select(sql::kPointsWithOlder, {m_prunedUpTo, toEpochMillis(before), most});
        if (!points)
            return points.error();
        QList<qint64> ids;
        while (points->next())
            ids.append(points->value(0).toLongLong());
        points->finish();
        for (const qint64 id : std::as_const(ids)) {
            const qint64 room = most - qint64(removed.rows);
            if (room <= 0)
                break;
            const quint64 rows = removed.rows;
            if (const auto taken = removeOlder(id, toEpochMillis(before), room, removed); !taken)
                return taken.error();
            if (qint64(removed.rows - rows) < room)
                last = id; // nothing is left of it
        }
        if (removed.rows == 0)
            return {};
        const auto counted = select(sql::kCountRemoved, {removed.rows, removed.historical, removed.rows});
        if (!counted)
            return counted.error();
        return {};
    });
    if (!done)
        return done.error();
    m_prunedUpTo = removed.rows == 0 ? 0 : std::max(last, m_prunedUpTo);
    return removed.rows;
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
    if (!count->next())
        return {};
    removed.rows += count->value(0).toULongLong();
    removed.historical += count->value(1).toULongLong();
    count->finish();
    const auto gone = select(sql::kRemoveOlder, {point, end, point});
    if (!gone)
        return gone.error();
    return {};
}

} // namespace lintel::historian

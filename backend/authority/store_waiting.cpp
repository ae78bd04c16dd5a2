// Those who wait for approval (store.h).
#include "authority/store.h"

namespace lintel::authority {

Result<void> Store::noteWaiting(const QString &ekHash, const QString &network, Timestamp at)
{
    auto note = m_database->prepare("UPDATE devices SET seen_at = ?, address = ? WHERE ek = ? AND state = ?");
    if (!note)
        return note.error();
    return note->bind(toEpochMillis(at)).bind(network).bind(ekHash).bind(int(DeviceState::Pending)).run();
}

Result<int> Store::countWaitingFrom(const QString &network)
{
    auto query = m_database->prepare("SELECT COUNT(*) FROM devices WHERE state = ? AND address = ?");
    if (!query)
        return query.error();
    query->bind(int(DeviceState::Pending)).bind(network);
    if (const auto row = query->step(); !row)
        return row.error();
    return int(query->integer(0));
}

Result<qint64> Store::forgetWaiting(Timestamp notSeenSince, Timestamp now)
{
    // Of an older version: nobody has written down when it came.
    auto begin = m_database->prepare("UPDATE devices SET seen_at = ? WHERE state = ? AND seen_at = 0");
    if (!begin)
        return begin.error();
    if (const auto ran = begin->bind(toEpochMillis(now)).bind(int(DeviceState::Pending)).run(); !ran)
        return ran.error();
    auto forget = m_database->prepare("DELETE FROM devices WHERE state = ? AND seen_at < ?");
    if (!forget)
        return forget.error();
    if (const auto ran = forget->bind(int(DeviceState::Pending)).bind(toEpochMillis(notSeenSince)).run(); !ran)
        return ran.error();
    return m_database->changes();
}

} // namespace lintel::authority

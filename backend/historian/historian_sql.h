// Every statement of the historian, in SQL that SQLite and PostgreSQL both read, and the few things
// that are SQLite's own. Any thread.
#pragma once

#include <QString>
#include <QStringList>

namespace lintel::historian::sql {

// --- writing ---

inline constexpr const char *kInsertReading =
    "INSERT INTO readings (point_id, device_time, kind, number, exact, text, unit, quality, historical, received_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
inline constexpr const char *kReadingExists = "SELECT 1 FROM readings WHERE point_id = ? AND device_time = ? LIMIT 1";
inline constexpr const char *kInsertLedger =
    "INSERT INTO ledger (stream, msn) VALUES (?, ?) ON CONFLICT (stream, msn) DO NOTHING";
inline constexpr const char *kTrimLedger = "DELETE FROM ledger WHERE stream = ? AND msn <= ?";
inline constexpr const char *kSaveStream =
    "INSERT INTO streams (stream, site, node, contiguous) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (stream) DO UPDATE SET site = excluded.site, node = excluded.node, contiguous = excluded.contiguous";
inline constexpr const char *kClearRanges = "DELETE FROM stream_ranges WHERE stream = ?";
inline constexpr const char *kSaveRange = "INSERT INTO stream_ranges (stream, first_msn, last_msn) VALUES (?, ?, ?)";
inline constexpr const char *kCountBatches =
    "UPDATE totals SET batches = batches + ?, duplicates = duplicates + ?, readings = readings + ?,"
    " historical = historical + ? WHERE id = 1";

// The latest reading of a point outlives its age: it is what is known of it.
inline constexpr const char *kPointsWithOlder =
    "SELECT p.id FROM points p WHERE p.id > ? AND EXISTS (SELECT 1 FROM readings r WHERE r.point_id = p.id"
    " AND r.device_time < ? AND r.device_time < (SELECT MAX(m.device_time) FROM readings m WHERE m.point_id = p.id))"
    " ORDER BY p.id LIMIT ?";
inline constexpr const char *kOldestOf =
    "SELECT device_time FROM readings WHERE point_id = ? AND device_time < ? ORDER BY device_time LIMIT 1 OFFSET ?";
inline constexpr const char *kCountOlder =
    "SELECT COUNT(*), COALESCE(SUM(CASE WHEN historical <> 0 THEN 1 ELSE 0 END), 0), MIN(device_time), MAX(device_time)"
    " FROM readings"
    " WHERE point_id = ? AND device_time < ? AND device_time < (SELECT MAX(device_time) FROM readings WHERE point_id = ?)";
inline constexpr const char *kRemoveOlder =
    "DELETE FROM readings WHERE point_id = ? AND device_time < ?"
    " AND device_time < (SELECT MAX(device_time) FROM readings WHERE point_id = ?)";
inline constexpr const char *kCountRemoved =
    "UPDATE totals SET readings = readings - ?, historical = historical - ?, removed = removed + ? WHERE id = 1";

inline constexpr const char *kOldestRemovable =
    "SELECT MIN(t) FROM (SELECT (SELECT MIN(r.device_time) FROM readings r WHERE r.point_id = p.id"
    " AND r.device_time < (SELECT MAX(m.device_time) FROM readings m WHERE m.point_id = p.id)) AS t FROM points p) AS oldest";
inline constexpr const char *kDeviceOfPoint =
    "SELECT d.name FROM points p JOIN devices d ON d.id = p.device_id WHERE p.id = ?";
// One row for a device says all of it, as the oldest go first.
inline constexpr const char *kExtendSizeGap =
    "UPDATE gaps SET readings = readings + ?, from_time = CASE WHEN from_time < ? THEN from_time ELSE ? END,"
    " to_time = CASE WHEN to_time > ? THEN to_time ELSE ? END, noted_at = ? WHERE device = ? AND first_msn = 0 AND reason = ?";
inline constexpr const char *kAgeTime = "SELECT age_time FROM totals WHERE id = 1";
inline constexpr const char *kSaveAgeTime = "UPDATE totals SET age_time = ? WHERE id = 1";

inline constexpr const char *kInsertDevice =
    "INSERT INTO devices (id, site, name, node, online, since) VALUES (?, ?, ?, ?, 0, NULL)";
inline constexpr const char *kOwner = "SELECT node, online, since FROM devices WHERE site = ? AND name = ?";
inline constexpr const char *kSetOnline = "UPDATE devices SET online = ?, since = ?, node = ? WHERE id = ?";
inline constexpr const char *kAllOffline = "UPDATE devices SET online = 0, since = ? WHERE online = 1";
inline constexpr const char *kSavePoint =
    "INSERT INTO points (id, device_id, point, name, kind, unit, tags, brick, site_ref, space_ref, equip_ref, stale_after)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (device_id, point) DO UPDATE SET name = excluded.name, kind = excluded.kind, unit = excluded.unit, tags = excluded.tags,"
    " brick = excluded.brick, site_ref = excluded.site_ref, space_ref = excluded.space_ref, equip_ref = excluded.equip_ref,"
    " stale_after = excluded.stale_after";

inline constexpr const char *kOverlappingGaps =
    "SELECT id, first_msn, last_msn, reason FROM gaps WHERE stream = ? AND first_msn > 0 AND first_msn <= ? AND last_msn >= ?";
inline constexpr const char *kRemoveGap = "DELETE FROM gaps WHERE id = ?";
inline constexpr const char *kInsertGap =
    "INSERT INTO gaps (id, device, stream, first_msn, last_msn, readings, from_time, to_time, reason, noted_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

// --- at the start ---

inline constexpr const char *kNextIds =
    "SELECT (SELECT COALESCE(MAX(id), 0) + 1 FROM devices), (SELECT COALESCE(MAX(id), 0) + 1 FROM points),"
    " (SELECT COALESCE(MAX(id), 0) + 1 FROM gaps)";
inline constexpr const char *kStreams = "SELECT stream, site, node, contiguous FROM streams";
inline constexpr const char *kStreamRanges = "SELECT stream, first_msn, last_msn FROM stream_ranges";

// --- reading ---

inline constexpr const char *kFindDevice = "SELECT id FROM devices WHERE site = ? AND name = ?";
inline constexpr const char *kFindDeviceAnywhere = "SELECT id, site FROM devices WHERE name = ? ORDER BY site";
inline constexpr const char *kFindPoint = "SELECT id FROM points WHERE device_id = ? AND point = ?";
inline constexpr const char *kHistory =
    "SELECT device_time, kind, number, exact, text, unit, quality, historical, received_at FROM readings"
    " WHERE point_id = ? AND device_time >= ? AND device_time < ? ORDER BY device_time LIMIT ?";
// Grouped by hand below zero, too: a clock that was never set may read before 1970.
inline constexpr const char *kBuckets =
    "SELECT device_time - ((device_time % ?) + ?) % ? AS bucket, COUNT(*), MIN(number), MAX(number), AVG(number),"
    " SUM(CASE WHEN historical <> 0 THEN 1 ELSE 0 END) FROM readings"
    " WHERE point_id = ? AND device_time >= ? AND device_time < ? AND number IS NOT NULL AND quality <> 0"
    " GROUP BY bucket ORDER BY bucket";
inline constexpr const char *kLastValues =
    "SELECT r.device_time, r.kind, r.number, r.exact, r.text, r.unit, r.quality, r.historical, r.received_at,"
    " d.site, d.name, p.point, p.site_ref"
    " FROM points p JOIN devices d ON d.id = p.device_id JOIN readings r ON r.point_id = p.id"
    " AND r.device_time = (SELECT MAX(m.device_time) FROM readings m WHERE m.point_id = p.id)"
    " ORDER BY d.site, d.name, p.point, r.received_at DESC";
inline constexpr const char *kGaps =
    "SELECT device, stream, first_msn, last_msn, readings, from_time, to_time, reason, noted_at FROM gaps"
    " WHERE from_time IS NULL OR (from_time < ? AND to_time >= ?) ORDER BY id";
inline constexpr const char *kDevices =
    "SELECT d.id, d.site, d.name, d.node, d.online, d.since,"
    " (SELECT MAX(r.received_at) FROM points p JOIN readings r ON r.point_id = p.id"
    "  AND r.device_time = (SELECT MAX(m.device_time) FROM readings m WHERE m.point_id = p.id) WHERE p.device_id = d.id)"
    " FROM devices d ORDER BY d.site, d.name";
inline constexpr const char *kPointsOf =
    "SELECT point, name, kind, unit, tags, brick, site_ref, space_ref, equip_ref, stale_after FROM points"
    " WHERE device_id = ? ORDER BY point";
inline constexpr const char *kTotals =
    "SELECT readings, historical, batches, duplicates, removed, (SELECT COUNT(*) FROM gaps),"
    " (SELECT COALESCE(SUM(g.readings), 0) FROM gaps g WHERE g.reason <> 6), (SELECT COUNT(*) FROM devices),"
    " (SELECT COALESCE(SUM(g.readings), 0) FROM gaps g WHERE g.reason = 6) FROM totals WHERE id = 1";
inline constexpr const char *kPoints = "SELECT id FROM points ORDER BY id";
/// The third are twins: rows that share a device time with another.
inline constexpr const char *kCountPoint =
    "SELECT COUNT(*), COALESCE(SUM(CASE WHEN historical <> 0 THEN 1 ELSE 0 END), 0), COUNT(*) - COUNT(DISTINCT device_time)"
    " FROM readings WHERE point_id = ?";

// --- SQLite's own ---

/// Bytes in use; pages that are free are used again before the file grows.
inline constexpr const char *kUsedBytes =
    "SELECT (p.page_count - f.freelist_count) * s.page_size"
    " FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s";

[[nodiscard]] inline QStringList connectionSettings(qint64 cacheBytes)
{
    return {QStringLiteral("PRAGMA journal_mode=WAL"), QStringLiteral("PRAGMA synchronous=FULL"),
            QStringLiteral("PRAGMA foreign_keys=ON"), QStringLiteral("PRAGMA journal_size_limit=16777216"),
            QStringLiteral("PRAGMA cache_size=-%1").arg(cacheBytes / 1024)};
}

/// Primary result codes of SQLite, in extended ones the low byte.
[[nodiscard]] inline int primaryCode(const QString &nativeCode)
{
    return nativeCode.toInt() & 0xff;
}
[[nodiscard]] inline bool isBusy(const QString &nativeCode)
{
    return primaryCode(nativeCode) == 5 || primaryCode(nativeCode) == 6;
}
[[nodiscard]] inline bool isDiskFull(const QString &nativeCode)
{
    return primaryCode(nativeCode) == 13;
}
[[nodiscard]] inline bool isDamaged(const QString &nativeCode)
{
    return primaryCode(nativeCode) == 11 || primaryCode(nativeCode) == 26;
}
/// Too big, of the wrong type, against a check, NOT NULL or a trigger: the same however often it is tried.
/// Not so keys that clash: they are our own, and a second writer may be behind it.
[[nodiscard]] inline bool isRefusedContent(const QString &nativeCode)
{
    constexpr int kCheck = 275, kNotNull = 1299, kTrigger = 1811, kDataType = 3091;
    const int code = nativeCode.toInt();
    return primaryCode(nativeCode) == 18 || primaryCode(nativeCode) == 20 || code == kCheck || code == kNotNull
           || code == kTrigger || code == kDataType;
}

} // namespace lintel::historian::sql

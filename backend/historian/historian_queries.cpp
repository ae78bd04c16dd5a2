// What people and calls ask of the historian. Reads only.
#include "historian.h"

#include "historian_sql.h"

#include "ports/system_clock.h"

#include <QSqlError>
#include <QVariant>

#include <algorithm>

namespace lintel::historian {

namespace {

/// The columns that kHistory and kLastValues begin with.
[[nodiscard]] HistoryRow rowOf(const QSqlQuery &query, const QString &point)
{
    HistoryRow row;
    Reading &reading = row.reading;
    reading.point = point;
    reading.deviceTime = fromEpochMillis(query.value(0).toLongLong());
    switch (Kind(query.value(1).toInt())) {
    case Kind::Number:
        reading.value = query.isNull(2) ? std::numeric_limits<double>::quiet_NaN() : query.value(2).toDouble();
        break;
    case Kind::Integer: reading.value = query.value(3).toLongLong(); break;
    case Kind::Bool: reading.value = query.value(2).toDouble() != 0.0; break;
    case Kind::Text: reading.value = query.value(4).toString(); break;
    }
    if (const auto unit = unitFromCode(query.value(5).toString()))
        reading.unit = *unit;
    reading.quality = Quality(query.value(6).toInt());
    reading.isHistorical = query.value(7).toInt() != 0;
    row.receivedAt = fromEpochMillis(query.value(8).toLongLong());
    return row;
}

[[nodiscard]] std::optional<Timestamp> timeOf(const QSqlQuery &query, int column)
{
    if (query.isNull(column))
        return std::nullopt;
    return fromEpochMillis(query.value(column).toLongLong());
}

} // namespace

Result<qint64> Historian::findDevice(const DeviceKey &key) const
{
    const Error unknown{
        Errc::NotFound,
        QStringLiteral("The historian has never heard of a device %1; list_devices names those it knows.")
            .arg(key.name)};
    if (!key.group.isEmpty()) {
        auto found = select(sql::kFindDevice, {key.group, key.name});
        if (!found)
            return found.error();
        if (!found->next())
            return unknown;
        return found->value(0).toLongLong();
    }
    auto found = select(sql::kFindDeviceAnywhere, {key.name});
    if (!found)
        return found.error();
    if (!found->next())
        return unknown;
    const qint64 id = found->value(0).toLongLong();
    const QString site = found->value(1).toString();
    if (found->next()) {
        return Error{Errc::Conflict, QStringLiteral("There is a device %1 in %2 and in %3; say which site is meant.")
                                         .arg(key.name, site, found->value(1).toString())};
    }
    return id;
}

Result<qint64> Historian::findPoint(const DeviceKey &key, const QString &point) const
{
    const auto device = findDevice(key);
    if (!device)
        return device.error();
    auto found = select(sql::kFindPoint, {*device, point});
    if (!found)
        return found.error();
    if (!found->next())
        return Error{Errc::NotFound,
                     QStringLiteral("Device %1 has no point %2; list_devices names its points.").arg(key.name, point)};
    return found->value(0).toLongLong();
}

Result<QList<HistoryRow>> Historian::history(const DeviceKey &device, const QString &point, Timestamp from,
                                             Timestamp to, int maxRows) const
{
    const auto id = findPoint(device, point);
    if (!id)
        return id.error();
    auto query = select(sql::kHistory, {*id, toEpochMillis(from), toEpochMillis(to), std::max(0, maxRows)});
    if (!query)
        return query.error();
    QList<HistoryRow> rows;
    while (query->next())
        rows.append(rowOf(*query, point));
    return rows;
}

Result<QList<HistoryBucket>> Historian::buckets(const DeviceKey &device, const QString &point, Timestamp from,
                                                Timestamp to, std::chrono::seconds length) const
{
    if (const auto valid = validateBucketLength(length); !valid)
        return valid.error();
    const auto id = findPoint(device, point);
    if (!id)
        return id.error();
    const qint64 millis = Millis(length).count();
    auto query = select(sql::kBuckets, {millis, millis, millis, *id, toEpochMillis(from), toEpochMillis(to)});
    if (!query)
        return query.error();
    QList<HistoryBucket> found;
    while (query->next()) {
        found.append({fromEpochMillis(query->value(0).toLongLong()), query->value(1).toULongLong(),
                      query->value(2).toDouble(), query->value(3).toDouble(), query->value(4).toDouble(),
                      query->value(5).toULongLong()});
    }
    return found;
}

Result<QList<LastValue>> Historian::lastValues(const QString &site) const
{
    auto query = select(sql::kLastValues, {});
    if (!query)
        return query.error();
    QList<LastValue> values;
    while (query->next()) {
        const DeviceKey key{query->value(9).toString(), query->value(10).toString()};
        const QString point = query->value(11).toString();
        if (!site.isEmpty() && key.group != site)
            continue;
        // Two readings of one instant: the one that came last stands first.
        if (!values.isEmpty() && values.constLast().device == key && values.constLast().reading.point == point)
            continue;
        const HistoryRow row = rowOf(*query, point);
        values.append({key, query->value(12).toString(), row.reading, row.receivedAt});
    }
    return values;
}

Result<QList<Gap>> Historian::gaps(Timestamp from, Timestamp to) const
{
    auto query = select(sql::kGaps, {toEpochMillis(to), toEpochMillis(from)});
    if (!query)
        return query.error();
    QList<Gap> found;
    while (query->next()) {
        Gap gap;
        gap.loss.device = query->value(0).toString();
        gap.loss.stream = QUuid(query->value(1).toString());
        gap.loss.first = query->value(2).toULongLong();
        gap.loss.last = query->value(3).toULongLong();
        gap.loss.readings = query->value(4).toULongLong();
        gap.loss.from = timeOf(*query, 5).value_or(Timestamp{});
        gap.loss.to = timeOf(*query, 6).value_or(Timestamp{});
        gap.loss.reason = LossReason(query->value(7).toInt());
        gap.notedAt = fromEpochMillis(query->value(8).toLongLong());
        found.append(gap);
    }
    return found;
}

Result<QList<Point>> Historian::pointsOf(qint64 device) const
{
    auto query = select(sql::kPointsOf, {device});
    if (!query)
        return query.error();
    QList<Point> points;
    while (query->next()) {
        Point point;
        point.id = query->value(0).toString();
        point.name = query->value(1).toString();
        point.kind = Kind(query->value(2).toInt());
        if (const auto unit = unitFromCode(query->value(3).toString()))
            point.unit = *unit;
        point.tags = query->value(4).toString().split(QLatin1Char(' '), Qt::SkipEmptyParts);
        point.brickClass = query->value(5).toString();
        point.siteRef = query->value(6).toString();
        point.spaceRef = query->value(7).toString();
        point.equipRef = query->value(8).toString();
        point.staleAfter = Millis(query->value(9).toLongLong());
        points.append(point);
    }
    return points;
}

Result<QList<DeviceInfo>> Historian::devices() const
{
    auto query = select(sql::kDevices, {});
    if (!query)
        return query.error();
    QList<DeviceInfo> found;
    while (query->next()) {
        DeviceInfo device;
        device.key = {query->value(1).toString(), query->value(2).toString()};
        device.node = query->value(3).toString();
        device.online = query->value(4).toInt() != 0;
        device.since = timeOf(*query, 5);
        device.lastReceived = timeOf(*query, 6);
        auto points = pointsOf(query->value(0).toLongLong());
        if (!points)
            return points.error();
        device.points = *std::move(points);
        found.append(device);
    }
    return found;
}

Result<qint64> Historian::usedBytes() const
{
    auto used = select(sql::kUsedBytes, {});
    if (!used)
        return used.error();
    return used->next() ? used->value(0).toLongLong() : 0;
}

Result<std::optional<Timestamp>> Historian::ageTime() const
{
    auto saved = select(sql::kAgeTime, {});
    if (!saved)
        return saved.error();
    return saved->next() ? timeOf(*saved, 0) : std::nullopt;
}

Result<Counters> Historian::counters() const
{
    auto totals = select(sql::kTotals, {});
    if (!totals)
        return totals.error();
    Counters counters;
    if (totals->next()) {
        counters.rows = totals->value(0).toULongLong();
        counters.historicalRows = totals->value(1).toULongLong();
        counters.batches = totals->value(2).toULongLong();
        counters.duplicatesRefused = totals->value(3).toULongLong();
        counters.removedRows = totals->value(4).toULongLong();
        counters.gaps = totals->value(5).toULongLong();
        counters.lostReadings = totals->value(6).toULongLong();
        counters.devices = totals->value(7).toULongLong();
        counters.removedForSizeRows = totals->value(8).toULongLong();
    }
    return counters;
}

Result<Counters> Historian::countExactly(const std::atomic<bool> *cancelled) const
{
    if (const auto begun = select("BEGIN", {}); !begun)
        return begun.error();
    const auto count = [&]() -> Result<Counters> {
        auto exact = counters();
        if (!exact)
            return exact;
        auto points = select(sql::kPoints, {});
        if (!points)
            return points.error();
        exact->rows = exact->historicalRows = 0;
        exact->duplicateRows = 0;
        while (points->next()) {
            if (cancelled && *cancelled)
                return Error{Errc::Unavailable, QStringLiteral("The backend is stopping; ask again when it is back.")};
            auto rows = select(sql::kCountPoint, {points->value(0)});
            if (!rows)
                return rows.error();
            if (!rows->next())
                continue;
            exact->rows += rows->value(0).toULongLong();
            exact->historicalRows += rows->value(1).toULongLong();
            *exact->duplicateRows += rows->value(2).toULongLong();
        }
        return exact;
    };
    auto counted = count();
    (void)select("COMMIT", {}); // nothing was written
    return counted;
}

Result<Counters> Historian::countExactly(const QString &database, const std::atomic<bool> &cancelled)
{
    const SystemClock clock;
    Historian reader(nextConnectionName(), clock);
    if (const auto connected = reader.connect({database}); !connected)
        return connected.error();
    return reader.countExactly(&cancelled);
}

} // namespace lintel::historian

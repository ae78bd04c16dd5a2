#include "adapters/sqlite/sqlite_history.h"

#include <algorithm>

namespace lintel {

namespace {

void bindValue(sqlite::Statement &statement, const Value &value)
{
    switch (kindOf(value)) {
    case Kind::Number: statement.bind(std::get<double>(value)); return;
    case Kind::Integer: statement.bind(std::get<qint64>(value)); return;
    case Kind::Bool: statement.bind(qint64(std::get<bool>(value) ? 1 : 0)); return;
    case Kind::Text: statement.bind(std::get<QString>(value)); return;
    }
}

/// Columns: at_ms, kind, value, unit, quality, historical.
[[nodiscard]] Reading readingOf(const sqlite::Statement &row, const QString &point)
{
    Reading reading;
    reading.point = point;
    reading.deviceTime = fromEpochMillis(row.integer(0));
    switch (Kind(row.integer(1))) {
    case Kind::Number: reading.value = row.number(2); break;
    case Kind::Integer: reading.value = row.integer(2); break;
    case Kind::Bool: reading.value = row.integer(2) != 0; break;
    case Kind::Text: reading.value = row.text(2); break;
    }
    if (const auto unit = unitFromCode(row.text(3)))
        reading.unit = *unit;
    reading.quality = Quality(row.integer(4));
    reading.isHistorical = row.integer(5) != 0;
    return reading;
}

} // namespace

SqliteHistory::SqliteHistory(HistoryLimits limits, const Clock &clock) : m_limits(limits), m_clock(clock) {}

Error SqliteHistory::notOpen() const
{
    return {Errc::Unavailable, QStringLiteral("The history is not open; open the spool it belongs to first.")};
}

Result<void> SqliteHistory::opened(sqlite::Database &database)
{
    m_database = &database;
    Statements statements;
    const struct {
        sqlite::Statement &statement;
        const char *sql;
    } all[] = {
        {statements.insertSeries, "INSERT INTO series (id, device, point) VALUES (?, ?, ?)"},
        {statements.insert,
         "INSERT INTO history (series, at_ms, kind, value, unit, quality, historical) VALUES (?, ?, ?, ?, ?, ?, ?)"},
        {statements.removeOldest, "DELETE FROM history WHERE id IN (SELECT id FROM history ORDER BY id LIMIT ?)"},
        {statements.removeAged,
         "DELETE FROM history WHERE series = ?1 AND at_ms < MIN(?2, (SELECT MAX(at_ms) FROM history WHERE series = ?1))"},
        {statements.select, "SELECT at_ms, kind, value, unit, quality, historical FROM history"
                            " WHERE series = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms, id LIMIT ?"},
        {statements.latest, "SELECT at_ms, kind, value, unit, quality, historical FROM history"
                            " WHERE series = ? ORDER BY at_ms DESC, id DESC LIMIT 1"},
        // Grouped by hand below zero, too: a clock that was never set may read before 1970.
        {statements.buckets,
         "SELECT at_ms - ((at_ms % ?1) + ?1) % ?1 AS bucket, COUNT(*), MIN(value), MAX(value), AVG(value),"
         " SUM(historical <> 0)"
         " FROM history WHERE series = ?2 AND at_ms >= ?3 AND at_ms < ?4"
         " AND value IS NOT NULL AND kind <> ?5 AND quality <> ?6 GROUP BY bucket ORDER BY bucket"},
    };
    for (const auto &[statement, sql] : all) {
        auto prepared = database.prepare(sql);
        if (!prepared)
            return prepared.error();
        statement = *std::move(prepared);
    }
    m_statements = std::move(statements);
    return load();
}

Result<void> SqliteHistory::load()
{
    m_series.clear();
    auto series = m_database->prepare("SELECT id, device, point FROM series");
    if (!series)
        return series.error();
    for (;;) {
        const auto row = series->step();
        if (!row)
            return row.error();
        if (!*row)
            break;
        m_series.insert({series->text(1), series->text(2)}, series->integer(0));
    }
    auto count = m_database->prepare("SELECT COUNT(*) FROM history");
    if (!count)
        return count.error();
    if (const auto row = count->step(); !row)
        return row.error();
    m_rows = m_committedRows = count->unsignedInteger(0);
    return {};
}

Result<void> SqliteHistory::appended(const ReadingBatch &batch)
{
    if (!m_statements)
        return notOpen();
    for (const Reading &reading : batch.readings) {
        const auto series = seriesOf({batch.device, reading.point});
        if (!series)
            return series.error();
        if (const auto inserted = insert(*series, reading); !inserted)
            return inserted.error();
    }
    return removeBeyondLimit();
}

Result<qint64> SqliteHistory::seriesOf(const SeriesKey &key)
{
    if (const auto known = m_series.constFind(key); known != m_series.constEnd())
        return *known;
    const qint64 id = m_series.size() + 1;
    if (const auto inserted = m_statements->insertSeries.bind(id).bind(key.device).bind(key.point).run(); !inserted)
        return inserted.error();
    m_series.insert(key, id);
    m_newSeries.append(key);
    return id;
}

Result<void> SqliteHistory::insert(qint64 series, const Reading &reading)
{
    sqlite::Statement &statement = m_statements->insert;
    statement.bind(series).bind(toEpochMillis(reading.deviceTime)).bind(int(kindOf(reading.value)));
    bindValue(statement, reading.value);
    statement.bind(QString(unitInfo(reading.unit).code)).bind(int(reading.quality)).bind(reading.isHistorical ? 1 : 0);
    if (const auto inserted = statement.run(); !inserted)
        return inserted.error();
    ++m_rows;
    return {};
}

/// Some at a time, so that a full history does not cost one search for each row.
Result<void> SqliteHistory::removeBeyondLimit()
{
    if (m_rows <= m_limits.maxRows)
        return {};
    const quint64 surplus = std::min(m_rows, m_rows - m_limits.maxRows + m_limits.maxRows / 1000);
    if (const auto removed = m_statements->removeOldest.bind(surplus).run(); !removed)
        return removed.error();
    m_rows -= quint64(m_database->changes());
    return {};
}

void SqliteHistory::finished(bool committed)
{
    if (committed) {
        m_committedRows = m_rows;
    } else {
        m_rows = m_committedRows;
        for (const SeriesKey &key : std::as_const(m_newSeries))
            m_series.remove(key);
    }
    m_newSeries.clear();
}

void SqliteHistory::closed()
{
    m_statements.reset();
    m_database = nullptr;
}

Result<quint64> SqliteHistory::prune(Timestamp now)
{
    if (!m_statements)
        return notOpen();
    const qint64 oldest = toEpochMillis(now - m_limits.maxAge);
    quint64 removed = 0;
    auto transaction = sqlite::Transaction::begin(*m_database, sqlite::Durability::Lazy);
    if (!transaction)
        return transaction.error();
    for (const qint64 series : std::as_const(m_series)) {
        if (const auto done = m_statements->removeAged.bind(series).bind(oldest).run(); !done)
            return done.error();
        removed += quint64(m_database->changes());
    }
    if (const auto committed = transaction->commit(); !committed)
        return committed.error();
    m_rows -= removed;
    m_committedRows = m_rows;
    return removed;
}

Result<QList<Reading>> SqliteHistory::query(const QString &device, const QString &point, Timestamp from, Timestamp to,
                                            int limit) const
{
    if (!m_statements)
        return notOpen();
    QList<Reading> found;
    const auto series = m_series.constFind({device, point});
    if (series == m_series.constEnd())
        return found;
    sqlite::Statement &statement = m_statements->select;
    statement.bind(*series).bind(toEpochMillis(from)).bind(toEpochMillis(to)).bind(std::max(0, limit));
    for (;;) {
        const auto row = statement.step();
        if (!row)
            return row.error();
        if (!*row)
            return found;
        found.append(readingOf(statement, point));
    }
}

Result<QList<HistoryBucket>> SqliteHistory::buckets(const QString &device, const QString &point, Timestamp from,
                                                    Timestamp to, std::chrono::seconds length) const
{
    if (!m_statements)
        return notOpen();
    if (const auto valid = validateBucketLength(length); !valid)
        return valid.error();
    QList<HistoryBucket> found;
    const auto series = m_series.constFind({device, point});
    if (series == m_series.constEnd())
        return found;
    sqlite::Statement &statement = m_statements->buckets;
    statement.bind(qint64(Millis(length).count())).bind(*series).bind(toEpochMillis(from)).bind(toEpochMillis(to));
    statement.bind(int(Kind::Text)).bind(int(Quality::Bad));
    for (;;) {
        const auto row = statement.step();
        if (!row)
            return row.error();
        if (!*row)
            return found;
        found.append({fromEpochMillis(statement.integer(0)), statement.unsignedInteger(1), statement.number(2),
                      statement.number(3), statement.number(4), statement.unsignedInteger(5)});
    }
}

Result<QList<SqliteHistory::DeviceReading>> SqliteHistory::lastValues(const QString &device) const
{
    if (!m_statements)
        return notOpen();
    QList<DeviceReading> found;
    for (auto it = m_series.cbegin(); it != m_series.cend(); ++it) {
        if (!device.isEmpty() && it.key().device != device)
            continue;
        sqlite::Statement &statement = m_statements->latest;
        const auto row = statement.bind(it.value()).step();
        if (!row)
            return row.error();
        if (*row)
            found.append({it.key().device, readingOf(statement, it.key().point)});
        statement.reset();
    }
    std::sort(found.begin(), found.end(), [](const DeviceReading &a, const DeviceReading &b) {
        return std::pair(a.device, a.reading.point) < std::pair(b.device, b.reading.point);
    });
    return found;
}

} // namespace lintel

#include "historian_schema.h"

#include <QSqlError>
#include <QSqlQuery>
#include <QVariant>

#include <array>

namespace lintel::historian {

namespace {

// ids are given by the historian, because ways to generate them differ between databases.
// readings: number holds what can be drawn (numbers, integers, switches as 0 and 1), exact an
// integer to its last digit, text a text; kind says which of them is the value.
// ledger: the numbers of a stream that were stored. Once they are contiguous, streams.contiguous
// says the same, and old rows go. stream_ranges: what is stored or declared lost beyond a hole.
constexpr std::array kFirst{
    "CREATE TABLE devices (id BIGINT PRIMARY KEY, site TEXT NOT NULL, name TEXT NOT NULL, node TEXT NOT NULL,"
    " online SMALLINT NOT NULL, since BIGINT, UNIQUE (site, name))",
    "CREATE TABLE points (id BIGINT PRIMARY KEY, device_id BIGINT NOT NULL REFERENCES devices (id), point TEXT NOT NULL,"
    " name TEXT NOT NULL, kind SMALLINT NOT NULL, unit TEXT NOT NULL, tags TEXT NOT NULL, brick TEXT NOT NULL,"
    " site_ref TEXT NOT NULL, space_ref TEXT NOT NULL, equip_ref TEXT NOT NULL, stale_after BIGINT NOT NULL,"
    " UNIQUE (device_id, point))",
    "CREATE TABLE readings (point_id BIGINT NOT NULL REFERENCES points (id), device_time BIGINT NOT NULL, kind SMALLINT NOT NULL,"
    " number DOUBLE PRECISION, exact BIGINT, text TEXT, unit TEXT NOT NULL, quality SMALLINT NOT NULL,"
    " historical SMALLINT NOT NULL, received_at BIGINT NOT NULL)",
    "CREATE INDEX readings_by_time ON readings (point_id, device_time)",
    "CREATE INDEX readings_by_arrival ON readings (received_at)",
    "CREATE TABLE streams (stream TEXT PRIMARY KEY, site TEXT NOT NULL, node TEXT NOT NULL, contiguous BIGINT NOT NULL)",
    "CREATE TABLE stream_ranges (stream TEXT NOT NULL, first_msn BIGINT NOT NULL, last_msn BIGINT NOT NULL, PRIMARY KEY (stream, first_msn))",
    "CREATE TABLE ledger (stream TEXT NOT NULL, msn BIGINT NOT NULL, PRIMARY KEY (stream, msn))",
    "CREATE TABLE gaps (id BIGINT PRIMARY KEY, device TEXT NOT NULL, stream TEXT NOT NULL, first_msn BIGINT NOT NULL, last_msn BIGINT NOT NULL,"
    " readings BIGINT NOT NULL, from_time BIGINT, to_time BIGINT, reason SMALLINT NOT NULL, noted_at BIGINT NOT NULL)",
    "CREATE INDEX gaps_by_stream ON gaps (stream, first_msn)",
    "CREATE TABLE totals (id SMALLINT PRIMARY KEY, batches BIGINT NOT NULL, duplicates BIGINT NOT NULL)",
    "INSERT INTO totals (id, batches, duplicates) VALUES (1, 0, 0)",
};

// Counts are kept with every change, so that nobody has to go through all rows for them. removed: readings
// that became too old. Nothing looks for rows by their arrival.
constexpr std::array kTotals{
    "ALTER TABLE totals ADD COLUMN readings BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE totals ADD COLUMN historical BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE totals ADD COLUMN removed BIGINT NOT NULL DEFAULT 0",
    "UPDATE totals SET readings = (SELECT COUNT(*) FROM readings),"
    " historical = (SELECT COUNT(*) FROM readings WHERE historical <> 0)",
    "DROP INDEX readings_by_arrival",
};

// What now() of the clock for ages said last.
constexpr std::array kAges{"ALTER TABLE totals ADD COLUMN age_time BIGINT"};

constexpr std::array kMigrations{Migration{kFirst}, Migration{kTotals}, Migration{kAges}};

[[nodiscard]] Error failure(const QSqlError &error)
{
    return {Errc::Io, QStringLiteral("The historian's database refused its schema: %1.").arg(error.text())};
}

[[nodiscard]] Result<void> apply(QSqlDatabase &database, const Migration &step, int version)
{
    if (!database.transaction())
        return failure(database.lastError());
    QSqlQuery query(database);
    for (const char *statement : step.statements) {
        if (!query.exec(QLatin1StringView(statement))) {
            const Error error = failure(query.lastError());
            database.rollback();
            return error;
        }
    }
    query.prepare(QStringLiteral("UPDATE schema_version SET version = ?"));
    query.addBindValue(version);
    if (!query.exec()) {
        const Error error = failure(query.lastError());
        database.rollback();
        return error;
    }
    if (!database.commit()) {
        const Error error = failure(database.lastError());
        database.rollback();
        return error;
    }
    return {};
}

} // namespace

std::span<const Migration> migrations()
{
    return kMigrations;
}

Result<int> schemaVersion(QSqlDatabase &database)
{
    if (!database.tables().contains(QStringLiteral("schema_version")))
        return 0;
    QSqlQuery query(database);
    if (!query.exec(QStringLiteral("SELECT version FROM schema_version")))
        return failure(query.lastError());
    return query.next() ? query.value(0).toInt() : 0;
}

Result<void> migrate(QSqlDatabase &database, std::span<const Migration> steps)
{
    const auto current = schemaVersion(database);
    if (!current)
        return current.error();
    if (*current > int(steps.size())) {
        return Error{
            Errc::Unsupported,
            QStringLiteral(
                "%1 was written by a newer version (schema %2, this one knows %3); install that version or name another database.")
                .arg(database.databaseName())
                .arg(*current)
                .arg(steps.size())};
    }
    if (*current == 0) {
        QSqlQuery query(database);
        if (!query.exec(QStringLiteral("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)"))
            || !query.exec(QStringLiteral(
                "INSERT INTO schema_version (version) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM schema_version)")))
            return failure(query.lastError());
    }
    for (int version = *current + 1; version <= int(steps.size()); ++version) {
        if (const auto applied = apply(database, steps[size_t(version - 1)], version); !applied)
            return applied.error();
    }
    return {};
}

} // namespace lintel::historian

#include "adapters/sqlite/sqlite_state_store.h"

#include "adapters/sqlite/damaged_store.h"
#include "adapters/sqlite/store_schema.h"

#include <QLoggingCategory>

namespace lintel {

namespace {

Q_LOGGING_CATEGORY(stateLog, "lintel.state")

} // namespace

Result<std::unique_ptr<SqliteStateStore>> SqliteStateStore::open(const QString &path, const Clock &clock,
                                                                 const sqlite::DatabaseOptions &options)
{
    std::unique_ptr<SqliteStateStore> store(new SqliteStateStore);
    bool damaged = false;
    const auto opened = store->openDatabase(path, options, &damaged);
    if (opened)
        return store;
    if (!damaged)
        return opened.error();

    store.reset(new SqliteStateStore);
    const auto aside = sqlite::setAside(path, clock.now());
    if (!aside)
        return aside.error();
    qCWarning(stateLog).noquote()
        << QStringLiteral("%1 It was kept as %2, and the state begins anew.").arg(opened.error().message, *aside);
    if (const auto again = store->openDatabase(path, options, &damaged); !again)
        return again.error();
    return store;
}

Result<void> SqliteStateStore::openDatabase(const QString &path, const sqlite::DatabaseOptions &options, bool *damaged)
{
    auto database = sqlite::Database::open(path, options, damaged);
    if (!database)
        return database.error();
    m_database = *std::move(database);
    const auto load = [this]() -> Result<void> {
        if (const auto migrated = m_database->migrate(sqlite::stateMigrations()); !migrated)
            return migrated.error();
        if (const auto whole = m_database->check("state"); !whole)
            return whole.error();
        const struct {
            sqlite::Statement &statement;
            const char *sql;
        } all[] = {
            {m_load, "SELECT value FROM state WHERE key = ?"},
            {m_save, "INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)"},
            {m_remove, "DELETE FROM state WHERE key = ?"},
            {m_keys, "SELECT key FROM state WHERE key >= ? ORDER BY key"},
        };
        for (const auto &[statement, sql] : all) {
            auto prepared = m_database->prepare(sql);
            if (!prepared)
                return prepared.error();
            statement = *std::move(prepared);
        }
        return {};
    };
    const auto loaded = load();
    *damaged = m_database->isDamaged();
    return loaded;
}

Result<std::optional<QByteArray>> SqliteStateStore::load(const QString &key) const
{
    const auto row = m_load.bind(key).step();
    if (!row)
        return row.error();
    std::optional<QByteArray> value;
    if (*row)
        value = m_load.blob(0);
    m_load.reset();
    return value;
}

Result<void> SqliteStateStore::save(const QString &key, const QByteArray &value)
{
    return m_save.bind(key).bind(value).run();
}

Result<void> SqliteStateStore::remove(const QString &key)
{
    return m_remove.bind(key).run();
}

Result<QStringList> SqliteStateStore::keys(const QString &prefix) const
{
    QStringList found;
    m_keys.bind(prefix);
    for (;;) {
        const auto row = m_keys.step();
        if (!row)
            return row.error();
        const QString key = *row ? m_keys.text(0) : QString();
        if (!*row || !key.startsWith(prefix)) {
            m_keys.reset();
            return found;
        }
        found.append(key);
    }
}

} // namespace lintel

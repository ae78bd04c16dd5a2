// The StateStore of every agent: a small SQLite file of its own, so that a damaged spool does not
// take the birth counter along. A damaged state file is set aside as a spool's is.
//
// Owner: main(). Thread: the one that opened it. Failure: see Database.
#pragma once

#include "adapters/sqlite/database.h"
#include "ports/clock.h"
#include "ports/state_store.h"

#include <memory>

namespace lintel {

class SqliteStateStore final : public StateStore
{
public:
    [[nodiscard]] static Result<std::unique_ptr<SqliteStateStore>> open(const QString &path, const Clock &clock,
                                                                        const sqlite::DatabaseOptions &options = {});

    [[nodiscard]] Result<std::optional<QByteArray>> load(const QString &key) const override;
    [[nodiscard]] Result<void> save(const QString &key, const QByteArray &value) override;
    [[nodiscard]] Result<void> remove(const QString &key) override;
    [[nodiscard]] Result<QStringList> keys(const QString &prefix) const override;

private:
    SqliteStateStore() = default;
    [[nodiscard]] Result<void> openDatabase(const QString &path, const sqlite::DatabaseOptions &options, bool *damaged);

    std::unique_ptr<sqlite::Database> m_database;
    mutable sqlite::Statement m_load;
    sqlite::Statement m_save;
    sqlite::Statement m_remove;
    mutable sqlite::Statement m_keys;
};

} // namespace lintel

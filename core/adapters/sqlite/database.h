// One connection to one SQLite file: opened with the settings every Lintel store uses (write-ahead
// log, a sync at every commit, a small page cache), migrated by number, closed when it goes away.
//
// Owner: the store that keeps its data in it. Thread: the one that opened it, and no other.
// Failure: every function says in one sentence what happened and what to do. Errc::Full = no room
// (disk, quota, file size limit), Conflict = another process holds the file, Unsupported = a newer
// Lintel wrote it, Io = the disk refused or the file is damaged; isDamaged() tells the last two apart.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"

#include <QByteArray>
#include <QByteArrayView>
#include <QString>
#include <QUuid>

#include <memory>
#include <span>

struct sqlite3;
struct sqlite3_stmt;

namespace lintel::sqlite {

class Database;

/// A prepared statement. Bind in order, run, read columns, and it is ready again after reset().
/// A bind that fails is reported by the step that follows. Must not outlive its Database.
class Statement
{
public:
    Statement() = default;
    Statement(Statement &&other) noexcept;
    Statement &operator=(Statement &&other) noexcept;
    ~Statement();

    Statement &bind(qint64 value);
    Statement &bind(quint64 value) { return bind(qint64(value)); }
    Statement &bind(int value) { return bind(qint64(value)); }
    Statement &bind(double value); // NaN is stored as NULL, as SQLite has no NaN
    Statement &bind(const QString &text);
    Statement &bind(const QByteArray &blob);                              // a null array is an empty blob
    Statement &bind(const QUuid &uuid) { return bind(uuid.toRfc4122()); } // as 16 bytes
    Statement &bindNull();

    /// Next row: true, with columns to read; false at the end, when it has reset itself.
    [[nodiscard]] Result<bool> step();
    /// For statements without rows.
    [[nodiscard]] Result<void> run();
    void reset();

    [[nodiscard]] qint64 integer(int column) const;
    [[nodiscard]] quint64 unsignedInteger(int column) const { return quint64(integer(column)); }
    [[nodiscard]] double number(int column) const; // NULL is NaN
    [[nodiscard]] QString text(int column) const;
    [[nodiscard]] QByteArray blob(int column) const;
    [[nodiscard]] QUuid uuid(int column) const { return QUuid::fromRfc4122(blob(column)); }
    [[nodiscard]] bool isNull(int column) const;

private:
    friend class Database;
    Statement(Database &database, sqlite3_stmt *handle) : m_database(&database), m_handle(handle) {}
    void note(int code);

    Database *m_database = nullptr;
    sqlite3_stmt *m_handle = nullptr;
    int m_nextParameter = 1;
    int m_bindError = 0;
};

/// One step of a schema. Its number is its place in the list, beginning at 1, and never changes.
struct Migration {
    const char *sql;
};

struct DatabaseOptions {
    qint64 cacheBytes = 512 * 1024;
    qint64 walBytes = 1024 * 1024; // the log is folded back and cut when it is longer than this
    qint64 maxFileBytes = 0;       // 0 = no limit of our own; beyond it writes fail as Full
    Millis busyTimeout{5'000};
    bool exclusive = true; // nobody else may open the file meanwhile
    QByteArray vfs;        // another file layer, for tests; empty = the system's
};

class Database
{
public:
    /// Makes the file (mode 0600) and its folder when they are not there. When it fails, `damaged`
    /// says whether the file itself is the reason.
    [[nodiscard]] static Result<std::unique_ptr<Database>> open(const QString &path,
                                                                const DatabaseOptions &options = {},
                                                                bool *damaged = nullptr);
    ~Database();
    Database(const Database &) = delete;
    Database &operator=(const Database &) = delete;

    /// Brings the file to the last migration, each in a transaction of its own. A file of a newer
    /// version is Unsupported and stays as it is; so does a file of another program.
    [[nodiscard]] Result<void> migrate(std::span<const Migration> migrations);
    [[nodiscard]] Result<int> schemaVersion();

    [[nodiscard]] Result<Statement> prepare(const char *sql);
    [[nodiscard]] Result<void> execute(const char *sql);
    /// Looks through the pages of one table and its indexes; Io with what was found.
    [[nodiscard]] Result<void> check(const char *table);
    /// Writes the log back into the file and cuts it to nothing.
    [[nodiscard]] Result<void> foldLog();

    /// Rows changed by the statement that ran last.
    [[nodiscard]] qint64 changes() const;
    [[nodiscard]] const QString &path() const { return m_path; }
    /// True once SQLite has called the file corrupt, or not a database.
    [[nodiscard]] bool isDamaged() const { return m_damaged; }

private:
    friend class Statement;
    friend class Transaction;
    Database(sqlite3 *handle, QString path) : m_handle(handle), m_path(std::move(path)) {}
    [[nodiscard]] Result<void> configure(const DatabaseOptions &options);
    [[nodiscard]] Error failure(int code);

    sqlite3 *m_handle = nullptr;
    QString m_path;
    bool m_damaged = false;
};

/// What a commit promises when it returns.
enum class Durability {
    Full, // it is on the disk
    Lazy, // it is in order, and on the disk with the next Full one; a power cut may undo it
};

/// All or nothing: rolls back unless commit() succeeded. One at a time.
class Transaction
{
public:
    [[nodiscard]] static Result<Transaction> begin(Database &database, Durability durability = Durability::Full);
    Transaction(Transaction &&other) noexcept;
    Transaction &operator=(Transaction &&) = delete;
    ~Transaction();

    [[nodiscard]] Result<void> commit();

private:
    Transaction(Database &database, Durability durability) : m_database(&database), m_durability(durability) {}
    void finish();

    Database *m_database;
    Durability m_durability;
};

} // namespace lintel::sqlite

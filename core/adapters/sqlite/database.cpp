#include "adapters/sqlite/database.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace lintel::sqlite {

namespace {

constexpr qint64 kPageBytes = 4096;
constexpr int kApplicationId = 0x4c6e746c; // "Lntl", so that another program's file is recognised

[[nodiscard]] bool isOutOfRoom(int code, int systemError)
{
    const int primary = code & 0xff;
    return primary == SQLITE_FULL
           || ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)
               && (systemError == ENOSPC || systemError == EDQUOT || systemError == EFBIG));
}

/// The same however often it is tried. Not so keys that clash: those are our own.
[[nodiscard]] bool isRefusedContent(int code)
{
    return code == SQLITE_MISMATCH || code == SQLITE_CONSTRAINT_CHECK || code == SQLITE_CONSTRAINT_NOTNULL
           || code == SQLITE_CONSTRAINT_TRIGGER || code == SQLITE_CONSTRAINT_DATATYPE;
}

[[nodiscard]] Error describe(int code, int systemError, const QString &path, const QString &detail)
{
    if (isOutOfRoom(code, systemError)) {
        return {Errc::Full,
                QStringLiteral("disk full: %1 cannot grow; free some space on its file system or raise its limit.")
                    .arg(path)};
    }
    const QString reason = systemError != 0    ? QString::fromLocal8Bit(std::strerror(systemError))
                           : !detail.isEmpty() ? detail
                                               : QString::fromUtf8(sqlite3_errstr(code));
    if (isRefusedContent(code))
        return {Errc::Malformed, QStringLiteral("%1 does not take such content: %2.").arg(path, detail)};
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return {Errc::Conflict,
                QStringLiteral("%1 is in use by another process; stop that one or name another file.").arg(path)};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return {
            Errc::Io,
            QStringLiteral("%1 is damaged (%2); restart the program, which sets the file aside and begins a new one.")
                .arg(path, detail)};
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return {Errc::Io, QStringLiteral(
                              "%1 cannot be opened for writing (%2); check that it and its folder belong to this user.")
                              .arg(path, reason)};
    case SQLITE_IOERR:
        return {Errc::Io, QStringLiteral("The disk refused an access to %1 (%2); check the disk.").arg(path, reason)};
    case SQLITE_NOMEM:
        return {Errc::Unavailable,
                QStringLiteral("There was not enough memory to work on %1; try again later.").arg(path)};
    case SQLITE_TOOBIG:
        return {Errc::OutOfRange, QStringLiteral("A value is too large for %1; store it in smaller parts.").arg(path)};
    default: return {Errc::Io, QStringLiteral("SQLite refused a request on %1: %2.").arg(path, detail)};
    }
}

/// The file and the entry in its folder exist on the disk, and nobody else may read them.
[[nodiscard]] Result<void> makeFile(const QString &path)
{
    const QString folder = QFileInfo(path).absolutePath();
    errno = 0;
    if (!QDir().mkpath(folder)) {
        const int systemError = errno != 0 ? errno : EIO;
        return Error{
            systemError == ENOSPC || systemError == EDQUOT ? Errc::Full : Errc::Io,
            QStringLiteral("The folder %1 cannot be made (%2); check the permissions and the room of the one above.")
                .arg(folder, QString::fromLocal8Bit(std::strerror(systemError)))};
    }
    const int file = ::open(QFile::encodeName(path).constData(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return describe(SQLITE_CANTOPEN, errno, path, {});
    ::close(file);
    const int directory = ::open(QFile::encodeName(folder).constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        ::fsync(directory);
        ::close(directory);
    }
    return {};
}

} // namespace

// --- Statement -----------------------------------------------------------------------------------

Statement::Statement(Statement &&other) noexcept
    : m_database(other.m_database), m_handle(std::exchange(other.m_handle, nullptr)),
      m_nextParameter(other.m_nextParameter), m_bindError(other.m_bindError)
{}

Statement &Statement::operator=(Statement &&other) noexcept
{
    std::swap(m_database, other.m_database);
    std::swap(m_handle, other.m_handle);
    std::swap(m_nextParameter, other.m_nextParameter);
    std::swap(m_bindError, other.m_bindError);
    return *this;
}

Statement::~Statement()
{
    sqlite3_finalize(m_handle);
}

void Statement::note(int code)
{
    ++m_nextParameter;
    if (m_bindError == SQLITE_OK)
        m_bindError = code;
}

Statement &Statement::bind(qint64 value)
{
    note(sqlite3_bind_int64(m_handle, m_nextParameter, value));
    return *this;
}

Statement &Statement::bind(double value)
{
    note(sqlite3_bind_double(m_handle, m_nextParameter, value));
    return *this;
}

Statement &Statement::bind(const QString &text)
{
    const QByteArray utf8 = text.toUtf8();
    note(sqlite3_bind_text64(m_handle, m_nextParameter, utf8.constData(), sqlite3_uint64(utf8.size()), SQLITE_TRANSIENT,
                             SQLITE_UTF8));
    return *this;
}

Statement &Statement::bind(const QByteArray &blob)
{
    note(sqlite3_bind_blob64(m_handle, m_nextParameter, blob.constData(), sqlite3_uint64(blob.size()),
                             SQLITE_TRANSIENT));
    return *this;
}

Statement &Statement::bindNull()
{
    note(sqlite3_bind_null(m_handle, m_nextParameter));
    return *this;
}

Result<bool> Statement::step()
{
    if (m_bindError != SQLITE_OK) {
        const Error error = m_database->failure(m_bindError);
        reset();
        return error;
    }
    errno = 0;
    const int code = sqlite3_step(m_handle);
    if (code == SQLITE_ROW)
        return true;
    if (code == SQLITE_DONE) {
        reset();
        return false;
    }
    const Error error = m_database->failure(code);
    reset();
    return error;
}

Result<void> Statement::run()
{
    const auto stepped = step();
    if (!stepped)
        return stepped.error();
    reset();
    return {};
}

void Statement::reset()
{
    sqlite3_reset(m_handle);
    sqlite3_clear_bindings(m_handle);
    m_nextParameter = 1;
    m_bindError = SQLITE_OK;
}

qint64 Statement::integer(int column) const
{
    return sqlite3_column_int64(m_handle, column);
}

double Statement::number(int column) const
{
    return isNull(column) ? std::numeric_limits<double>::quiet_NaN() : sqlite3_column_double(m_handle, column);
}

QString Statement::text(int column) const
{
    const auto *utf8 = reinterpret_cast<const char *>(sqlite3_column_text(m_handle, column));
    return QString::fromUtf8(utf8, sqlite3_column_bytes(m_handle, column));
}

QByteArray Statement::blob(int column) const
{
    const auto *bytes = static_cast<const char *>(sqlite3_column_blob(m_handle, column));
    return QByteArray(bytes, sqlite3_column_bytes(m_handle, column));
}

bool Statement::isNull(int column) const
{
    return sqlite3_column_type(m_handle, column) == SQLITE_NULL;
}

// --- Database ------------------------------------------------------------------------------------

Result<std::unique_ptr<Database>> Database::open(const QString &path, const DatabaseOptions &options, bool *damaged)
{
    if (const auto made = makeFile(path); !made)
        return made.error();
    sqlite3 *handle = nullptr;
    errno = 0;
    const int code = sqlite3_open_v2(QFile::encodeName(path).constData(), &handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                     options.vfs.isEmpty() ? nullptr : options.vfs.constData());
    std::unique_ptr<Database> database(new Database(handle, path));
    if (code != SQLITE_OK)
        return database->failure(code);
    if (const auto configured = database->configure(options); !configured) {
        if (damaged)
            *damaged = database->isDamaged();
        return configured.error();
    }
    return database;
}

Database::~Database()
{
    sqlite3_close_v2(m_handle);
}

Result<void> Database::configure(const DatabaseOptions &options)
{
    sqlite3_busy_timeout(m_handle, int(options.busyTimeout.count()));
    // A misspelt column must not turn into a string, and a crafted file must not run functions.
    sqlite3_db_config(m_handle, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    sqlite3_db_config(m_handle, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
    sqlite3_db_config(m_handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);

    // The exclusive lock comes first: then the log's index lives in our memory and needs no file.
    const QByteArray sql =
        QStringLiteral(
            "PRAGMA locking_mode=%1; PRAGMA page_size=%2; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "PRAGMA cache_size=-%3; PRAGMA wal_autocheckpoint=%4; PRAGMA journal_size_limit=%5;"
            "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA foreign_keys=ON; PRAGMA cell_size_check=ON;")
            .arg(options.exclusive ? QStringLiteral("EXCLUSIVE") : QStringLiteral("NORMAL"))
            .arg(kPageBytes)
            .arg(options.cacheBytes / 1024)
            .arg(options.walBytes / kPageBytes)
            .arg(options.walBytes)
            .toLatin1();
    if (const auto set = execute(sql.constData()); !set)
        return set.error();
    if (options.maxFileBytes <= 0)
        return {};
    return execute(
        QStringLiteral("PRAGMA max_page_count=%1").arg(options.maxFileBytes / kPageBytes).toLatin1().constData());
}

Result<int> Database::schemaVersion()
{
    auto query = prepare("PRAGMA user_version");
    if (!query)
        return query.error();
    const auto row = query->step();
    if (!row)
        return row.error();
    return int(query->integer(0));
}

Result<void> Database::migrate(std::span<const Migration> migrations)
{
    auto identity =
        prepare("SELECT (SELECT application_id FROM pragma_application_id), (SELECT COUNT(*) FROM sqlite_schema)");
    if (!identity)
        return identity.error();
    if (const auto row = identity->step(); !row)
        return row.error();
    const bool fresh = identity->integer(0) == 0 && identity->integer(1) == 0;
    if (!fresh && identity->integer(0) != kApplicationId)
        return Error{Errc::Unsupported,
                     QStringLiteral("%1 is a database of another program; name another file.").arg(m_path)};
    identity->reset();

    const auto current = schemaVersion();
    if (!current)
        return current.error();
    if (*current > int(migrations.size())) {
        return Error{
            Errc::Unsupported,
            QStringLiteral(
                "%1 was written by a newer version (schema %2, this one knows %3); install that version or name another file.")
                .arg(m_path)
                .arg(*current)
                .arg(migrations.size())};
    }
    for (int version = *current + 1; version <= int(migrations.size()); ++version) {
        auto transaction = Transaction::begin(*this);
        if (!transaction)
            return transaction.error();
        if (const auto done = execute(migrations[size_t(version - 1)].sql); !done)
            return done.error();
        const QByteArray mark = QStringLiteral("PRAGMA application_id=%1; PRAGMA user_version=%2")
                                    .arg(kApplicationId)
                                    .arg(version)
                                    .toLatin1();
        if (const auto marked = execute(mark.constData()); !marked)
            return marked.error();
        if (const auto committed = transaction->commit(); !committed)
            return committed.error();
    }
    return {};
}

Result<Statement> Database::prepare(const char *sql)
{
    sqlite3_stmt *handle = nullptr;
    errno = 0;
    const int code = sqlite3_prepare_v3(m_handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
    if (code != SQLITE_OK)
        return failure(code);
    return Statement(*this, handle);
}

Result<void> Database::execute(const char *sql)
{
    errno = 0;
    const int code = sqlite3_exec(m_handle, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK)
        return failure(code);
    return {};
}

Result<void> Database::check(const char *table)
{
    auto query = prepare(QStringLiteral("PRAGMA quick_check(%1)").arg(QLatin1StringView(table)).toLatin1().constData());
    if (!query)
        return query.error();
    const auto row = query->step();
    if (!row)
        return row.error();
    const QString verdict = query->text(0);
    if (verdict == QLatin1StringView("ok"))
        return {};
    m_damaged = true;
    return describe(SQLITE_CORRUPT, 0, m_path, verdict.simplified());
}

Result<void> Database::foldLog()
{
    errno = 0;
    const int code = sqlite3_wal_checkpoint_v2(m_handle, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    if (code != SQLITE_OK)
        return failure(code);
    return {};
}

qint64 Database::changes() const
{
    return sqlite3_changes64(m_handle);
}

/// SQLite does not keep the reason of a failed commit, so the callers clear errno before they ask.
Error Database::failure(int code)
{
    const int lastError = errno;
    const int primary = code & 0xff;
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
        m_damaged = true;
    const bool system = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_FULL;
    const int keptError = m_handle ? sqlite3_system_errno(m_handle) : 0;
    const int systemError = !system ? 0 : lastError != 0 ? lastError : keptError;
    const QString detail =
        m_handle ? QString::fromUtf8(sqlite3_errmsg(m_handle)) : QString::fromUtf8(sqlite3_errstr(code));
    const int exact = m_handle && primary == SQLITE_CONSTRAINT ? sqlite3_extended_errcode(m_handle) : code;
    return describe(exact, systemError, m_path, detail);
}

// --- Transaction ---------------------------------------------------------------------------------

Result<Transaction> Transaction::begin(Database &database, Durability durability)
{
    // In WAL mode NORMAL leaves out exactly one thing: the sync of the log at this commit.
    if (durability == Durability::Lazy) {
        if (const auto set = database.execute("PRAGMA synchronous=NORMAL"); !set)
            return set.error();
    }
    Transaction transaction(database, durability);
    if (const auto begun = database.execute("BEGIN IMMEDIATE"); !begun)
        return begun.error();
    return transaction;
}

Transaction::Transaction(Transaction &&other) noexcept
    : m_database(std::exchange(other.m_database, nullptr)), m_durability(other.m_durability)
{}

Transaction::~Transaction()
{
    finish();
}

Result<void> Transaction::commit()
{
    const auto committed = m_database->execute("COMMIT");
    finish();
    return committed;
}

void Transaction::finish()
{
    if (!m_database)
        return;
    Database &database = *std::exchange(m_database, nullptr);
    // A failed statement may have rolled back already; then there is nothing left to do.
    if (sqlite3_get_autocommit(database.m_handle) == 0)
        sqlite3_exec(database.m_handle, "ROLLBACK", nullptr, nullptr, nullptr);
    if (m_durability == Durability::Lazy)
        sqlite3_exec(database.m_handle, "PRAGMA synchronous=FULL", nullptr, nullptr, nullptr);
}

} // namespace lintel::sqlite

// The connection, what is kept in memory, and transactions.
#include "historian_change.h"
#include "historian_schema.h"
#include "historian_sql.h"
#include "ports/lock_file.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QSqlError>
#include <QVariant>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace lintel::historian {

QString Historian::nextConnectionName()
{
    static std::atomic<int> number{0};
    return QStringLiteral("lintel-historian-%1").arg(++number);
}

Historian::Historian(QString connection, const Clock &clock) : m_connection(std::move(connection)), m_clock(clock) {}

Historian::~Historian()
{
    m_writes.reset(); // statements go before their connection
    m_database.close();
    m_database = QSqlDatabase();
    QSqlDatabase::removeDatabase(m_connection);
}

Result<std::unique_ptr<Historian>> Historian::open(const HistorianOptions &options, const Clock &clock)
{
    std::unique_ptr<Historian> historian(new Historian(nextConnectionName(), clock));
    if (const auto connected = historian->connect(options); !connected)
        return connected.error();
    if (const auto locked = historian->lockDatabase(); !locked) // not by the reader that counts beside this one
        return locked.error();
    if (const auto migrated = migrate(historian->m_database); !migrated)
        return migrated.error();
    if (const auto loaded = historian->load(); !loaded)
        return loaded.error();
    return historian;
}

Result<void> Historian::connect(const HistorianOptions &options)
{
    m_path = options.database;
    m_keptFreeBytes = options.keptFreeBytes;
    const QString folder = QFileInfo(m_path).absolutePath();
    if (!QDir().mkpath(folder))
        return Error{
            Errc::Io,
            QStringLiteral("The folder %1 cannot be made; check the permissions of the one above.").arg(folder)};
    // Nobody else may read what a building does; the log files beside it get the mode of the file.
    const int file = ::open(QFile::encodeName(m_path).constData(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        return Error{
            Errc::Io,
            QStringLiteral("%1 cannot be opened for writing (%2); check that it and its folder belong to this user.")
                .arg(m_path, qt_error_string(errno))};
    }
    ::close(file);
    m_database = QSqlDatabase::addDatabase(QStringLiteral("QSQLITE"), m_connection);
    m_database.setDatabaseName(m_path);
    m_database.setConnectOptions(QStringLiteral("QSQLITE_BUSY_TIMEOUT=5000"));
    if (!m_database.open())
        return failure(m_database.lastError());
    for (const QString &setting : sql::connectionSettings(options.cacheBytes)) {
        QSqlQuery query(m_database);
        if (!query.exec(setting))
            return failure(query.lastError());
    }
    return {};
}

/// SQLite itself would let two of them write in turn, each with its own memory of what has arrived.
Result<void> Historian::lockDatabase()
{
    // By the file's own name, so that a link to it is no second database.
    auto lock = LockFile::take(
        QFileInfo(m_path).canonicalFilePath() + QStringLiteral(".lock"),
        QStringLiteral("%1 is in use by another historian; stop that one or name another database.").arg(m_path));
    if (!lock)
        return lock.error();
    m_lock = *std::move(lock);
    return {};
}

Result<void> Historian::load()
{
    m_writes = std::make_unique<Writes>(Writes{QSqlQuery(m_database), QSqlQuery(m_database), QSqlQuery(m_database)});
    const std::pair<QSqlQuery *, const char *> statements[] = {
        {&m_writes->reading, sql::kInsertReading},
        {&m_writes->readingExists, sql::kReadingExists},
        {&m_writes->ledger, sql::kInsertLedger},
    };
    for (const auto &[query, text] : statements) {
        query->setForwardOnly(true);
        if (!query->prepare(QLatin1StringView(text)))
            return failure(query->lastError());
    }

    auto next = select(sql::kNextIds, {});
    if (!next)
        return next.error();
    if (next->next()) {
        m_nextDevice = next->value(0).toLongLong();
        m_nextPoint = next->value(1).toLongLong();
        m_nextGap = next->value(2).toLongLong();
    }
    auto streams = select(sql::kStreams, {});
    if (!streams)
        return streams.error();
    while (streams->next()) {
        const sparkplug::NodeId node{streams->value(1).toString(), streams->value(2).toString()};
        m_streams.insert(QUuid(streams->value(0).toString()),
                         Stream{node, ReceivedNumbers(streams->value(3).toULongLong())});
        m_nodesWithSpool.insert(node);
    }
    auto ranges = select(sql::kStreamRanges, {});
    if (!ranges)
        return ranges.error();
    while (ranges->next())
        m_streams[QUuid(ranges->value(0).toString())].received.take(
            {ranges->value(1).toULongLong(), ranges->value(2).toULongLong()});
    return {};
}

Error Historian::failure(const QSqlError &error) const
{
    const QString native = error.nativeErrorCode();
    const QString detail = error.databaseText().isEmpty() ? error.driverText() : error.databaseText();
    if (sql::isDiskFull(native))
        return {Errc::Full,
                QStringLiteral("disk full: %1 cannot grow; free some space on its file system.").arg(m_path)};
    if (sql::isBusy(native))
        return {Errc::Conflict,
                QStringLiteral("%1 is being written by another process; stop that one or name another database.")
                    .arg(m_path)};
    if (sql::isDamaged(native))
        return {Errc::Io, QStringLiteral("%1 is damaged (%2); restore it from a copy or move it away and start again.")
                              .arg(m_path, detail)};
    if (sql::isRefusedContent(native))
        return {Errc::Malformed,
                QStringLiteral("The historian's database %1 does not take such content: %2.").arg(m_path, detail)};
    return {Errc::Io, QStringLiteral("The historian's database %1 refused a request: %2.").arg(m_path, detail)};
}

Result<void> Historian::run(QSqlQuery &query) const
{
    if (!query.exec())
        return failure(query.lastError());
    return {};
}

Result<QSqlQuery> Historian::select(const char *text, const QVariantList &values) const
{
    QSqlQuery query(m_database);
    query.setForwardOnly(true);
    if (!query.prepare(QLatin1StringView(text)))
        return failure(query.lastError());
    for (const QVariant &value : values)
        query.addBindValue(value);
    if (!query.exec())
        return failure(query.lastError());
    return query;
}

Result<void> Historian::inTransaction(const std::function<Result<void>()> &work)
{
    // As statements, because QSqlDatabase::commit() does not say why it failed: a full disk shows only here.
    if (const auto begun = select("BEGIN", {}); !begun)
        return begun.error();
    Result<void> result = work();
    if (result) {
        if (const auto committed = select("COMMIT", {}); !committed)
            result = committed.error();
    }
    if (!result) {
        (void)select("ROLLBACK", {}); // refused where the database has done it itself
        forgetIds();
    }
    return result;
}

/// Before it is too late: what is under way and what removes need room, too.
Result<void> Historian::checkRoom() const
{
    constexpr qint64 kMost = 64 * 1024 * 1024;
    constexpr qint64 kPart = 50;
    struct statvfs disk {
    };
    if (::statvfs(QFile::encodeName(QFileInfo(m_path).absolutePath()).constData(), &disk) != 0)
        return {}; // then writing says what is wrong
    const auto block = qint64(disk.f_frsize);
    const qint64 free = qint64(disk.f_bavail) * block;
    const qint64 kept = m_keptFreeBytes >= 0 ? m_keptFreeBytes : std::min(kMost, qint64(disk.f_blocks) * block / kPart);
    if (free >= kept)
        return {};
    return Error{
        Errc::Full,
        QStringLiteral("disk full: %1 KiB are free beside %2, and %3 KiB are kept free; free some space on its "
                       "file system, or set historian.max_size before it is needed.")
            .arg(free / 1024)
            .arg(m_path)
            .arg(kept / 1024)};
}

/// Ids that a rolled back transaction gave are not in the database.
void Historian::forgetIds()
{
    m_deviceIds.clear();
    m_owners.clear();
    m_pointIds.clear();
}

} // namespace lintel::historian

#include "adapters/sqlite/damaged_store.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>

namespace lintel::sqlite {

namespace {

constexpr int kKeptCopies = 2;

const QString kWalSuffix = QStringLiteral("-wal");

[[nodiscard]] QString freeName(const QString &wanted)
{
    QString name = wanted;
    for (int i = 2; QFile::exists(name); ++i)
        name = QStringLiteral("%1-%2").arg(wanted).arg(i);
    return name;
}

void removeOldCopies(const QString &path)
{
    const QFileInfo file(path);
    QDir folder(file.absolutePath());
    QStringList copies =
        folder.entryList({file.fileName() + QStringLiteral(".damaged-*")}, QDir::Files, QDir::Name | QDir::Reversed);
    copies.removeIf([](const QString &name) { return name.endsWith(kWalSuffix); });
    for (qsizetype i = kKeptCopies; i < copies.size(); ++i) {
        folder.remove(copies[i]);
        folder.remove(copies[i] + kWalSuffix);
    }
}

} // namespace

Salvage salvage(Database &database)
{
    Salvage found;
    auto tables = SpoolTables::prepare(database);
    if (!tables)
        return found;
    if (auto totals = tables->totals())
        found.totals = *totals;
    if (auto received = tables->received())
        found.received = *received;
    return found;
}

Result<QString> setAside(const QString &path, Timestamp now)
{
    QString when = toIso8601(now).section(QLatin1Char('.'), 0, 0);
    when.remove(QLatin1Char('-')).remove(QLatin1Char(':'));
    const QString aside = freeName(QStringLiteral("%1.damaged-%2Z").arg(path, when));
    if (!QFile::rename(path, aside)) {
        return Error{Errc::Io,
                     QStringLiteral("%1 is damaged and cannot be renamed to %2; move it away and start again.")
                         .arg(path, aside)};
    }
    // An old log beside a new file would be taken for its own.
    const QString wal = path + kWalSuffix;
    if (QFile::exists(wal) && !QFile::rename(wal, aside + kWalSuffix))
        return Error{Errc::Io,
                     QStringLiteral("%1 belongs to a damaged file and cannot be renamed; move it away and start again.")
                         .arg(wal)};
    removeOldCopies(path);
    return aside;
}

} // namespace lintel::sqlite

#include "demo/work_folder.h"

#include <QFileInfo>
#include <QStorageInfo>

#include <sys/file.h>
#include <unistd.h>

namespace lintel::demo {

using namespace Qt::StringLiterals;

namespace {

const auto kForm = u"lintel-demo-XXXXXX"_s;
const auto kAllForms = u"lintel-demo-??????"_s;
const auto kLockName = u"owner.lock"_s;
constexpr qint64 kAlmostNothing = 1'000'000; // bytes

/// The kernel lets go of it when the process ends; children do not inherit it (Qt opens with O_CLOEXEC).
bool lock(QFile &file)
{
    return flock(file.handle(), LOCK_EX | LOCK_NB) == 0;
}

QString megabytes(qint64 bytes)
{
    return QString::number(bytes / 1'000'000);
}

QStorageInfo storageOf(const QString &path)
{
    QFileInfo there(QDir::current().absoluteFilePath(path));
    while (!there.exists() && !there.isRoot())
        there = QFileInfo(there.absolutePath());
    return QStorageInfo(there.absoluteFilePath());
}

} // namespace

Result<std::unique_ptr<WorkFolder>> WorkFolder::make(const QDir &parent)
{
    auto folder = std::unique_ptr<WorkFolder>(new WorkFolder(parent.absoluteFilePath(kForm)));
    if (!folder->m_dir.isValid())
        return Error{Errc::Io, u"No temporary folder can be made in \"%1\" (%2); name one with --keep."_s.arg(
                                   parent.absolutePath(), folder->m_dir.errorString())};
    folder->m_lock.setFileName(folder->m_dir.filePath(kLockName));
    if (!folder->m_lock.open(QIODevice::WriteOnly) || !lock(folder->m_lock))
        return Error{Errc::Io, u"\"%1\" cannot be written (%2); name a folder with --keep."_s.arg(
                                   folder->m_lock.fileName(), folder->m_lock.errorString())};
    return folder;
}

int removeLeftFolders(const QDir &parent)
{
    int removed = 0;
    const QFileInfoList found = parent.entryInfoList({kAllForms}, QDir::Dirs | QDir::NoSymLinks | QDir::NoDotAndDotDot);
    for (const QFileInfo &folder : found) {
        if (folder.ownerId() != getuid())
            continue;
        // One without a lock is just being made, or no demo's.
        QFile owner(QDir(folder.absoluteFilePath()).filePath(kLockName));
        if (!owner.exists() || !owner.open(QIODevice::ReadWrite | QIODevice::ExistingOnly) || !lock(owner))
            continue;
        removed += QDir(folder.absoluteFilePath()).removeRecursively() ? 1 : 0;
    }
    return removed;
}

Result<void> checkFreeSpace(const QString &folder, qint64 neededBytes)
{
    const QStorageInfo storage = storageOf(folder);
    if (!storage.isValid() || storage.bytesAvailable() >= neededBytes)
        return {};
    return Error{
        Errc::Full,
        u"\"%1\" has %2 MB free, and the demo needs %3 MB; free some, or name a folder on another disk with --keep."_s
            .arg(folder, megabytes(storage.bytesAvailable()), megabytes(neededBytes))};
}

QString whyNothingWasSaid(const QString &logFile)
{
    const QStorageInfo storage = storageOf(logFile);
    if (storage.isValid() && storage.bytesAvailable() < kAlmostNothing)
        return u"the disk of \"%1\" is full; free some room, or name a folder on another disk with --keep."_s.arg(
            storage.rootPath());
    return u"it gave no reason; \"%1\" is all that it said."_s.arg(logFile);
}

} // namespace lintel::demo

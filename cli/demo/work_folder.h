// The folder in which a demo without --keep works: in the temporary folder, for this user only, removed
// with the object. A lock in it tells the next demo whether its owner still lives, so that what a
// demo that was killed has left, keys among it, does not stay. Free functions beside it look after
// the disk. Thread: its owner's.
#pragma once

#include "domain/result.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>

#include <memory>

namespace lintel::demo {

/// What a building of eight sensors writes in a long run, with room to spare.
inline constexpr qint64 kNeededBytes = 200 * 1'000'000;

class WorkFolder
{
public:
    /// A new one in `parent`; Io when it cannot be made.
    [[nodiscard]] static Result<std::unique_ptr<WorkFolder>> make(const QDir &parent);

    [[nodiscard]] QString path() const { return m_dir.path(); }

private:
    explicit WorkFolder(const QString &form) : m_dir(form) {}

    QTemporaryDir m_dir;
    QFile m_lock; // held while the owner lives, however it ends
};

/// Removes the folders that demos of this user have left in `parent` and whose owners are gone; how many.
int removeLeftFolders(const QDir &parent);

/// Full, with what to do, when the file system of `folder` (or of what there is of it) has less room.
[[nodiscard]] Result<void> checkFreeSpace(const QString &folder, qint64 neededBytes = kNeededBytes);

/// A reason for a process that ended without a word in its log: the disk, or where to look.
[[nodiscard]] QString whyNothingWasSaid(const QString &logFile);

} // namespace lintel::demo

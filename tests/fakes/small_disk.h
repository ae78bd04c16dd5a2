// A disk of a few megabytes that can be full: a file system in memory of its own, so that ENOSPC is real.
//
// It takes the right to mount. enterOwnMounts(), called first in main(), gets that from a user namespace where
// the system lets users have one, and as root makes the mounts end with this process, however that ends. Where
// neither is allowed isMounted() is false; a test says so and skips, or does with what it has.
// Thread: one; enterOwnMounts() before there are others.
#pragma once

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QTemporaryDir>

#include <cerrno>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace lintel::test {

/// What this process mounts from now on is seen by itself and its children only.
inline void enterOwnMounts()
{
    const auto write = [](const char *path, const QByteArray &text) {
        const int file = ::open(path, O_WRONLY | O_CLOEXEC);
        const bool isWritten = file >= 0 && ::write(file, text.constData(), size_t(text.size())) == text.size();
        ::close(file);
        return isWritten;
    };
    const QByteArray user = QByteArray::number(::geteuid());
    const QByteArray group = QByteArray::number(::getegid());
    if (::geteuid() == 0) {
        if (::unshare(CLONE_NEWNS) != 0)
            return;
    } else if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !write("/proc/self/setgroups", "deny")
               || !write("/proc/self/uid_map", user + ' ' + user + " 1")
               || !write("/proc/self/gid_map", group + ' ' + group + " 1")) {
        return;
    }
    (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
}

class SmallDisk
{
public:
    /// `size` as mount takes it: "4m".
    explicit SmallDisk(const QString &size)
        : m_isMounted(::mount("tmpfs", QFile::encodeName(m_dir.path()).constData(), "tmpfs", 0,
                              QByteArray("size=" + size.toLatin1() + ",mode=700").constData())
                      == 0)
    {}
    SmallDisk(const SmallDisk &) = delete;
    SmallDisk &operator=(const SmallDisk &) = delete;
    ~SmallDisk()
    {
        if (m_isMounted)
            ::umount2(QFile::encodeName(m_dir.path()).constData(), MNT_DETACH);
    }

    [[nodiscard]] bool isMounted() const { return m_isMounted; }
    [[nodiscard]] QString path(const QString &name) const { return m_dir.filePath(name); }
    /// Makes `folder` a link to this disk, so that what runs there can be removed before the disk is.
    [[nodiscard]] bool linkAt(const QString &folder) const
    {
        return QDir().mkpath(QFileInfo(folder).absolutePath()) && QFile::link(m_dir.path(), folder);
    }
    /// To the last block, also when something was freed since the last time.
    [[nodiscard]] bool fill() const
    {
        const int file =
            ::open(QFile::encodeName(filler()).constData(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        const QByteArray block(4096, 'x');
        while (file >= 0 && ::write(file, block.constData(), size_t(block.size())) > 0) {
        }
        const bool isFull = file >= 0 && errno == ENOSPC;
        ::close(file);
        return isFull;
    }
    [[nodiscard]] bool free() const { return QFile::remove(filler()); }

private:
    [[nodiscard]] QString filler() const { return path(QStringLiteral("filler")); }

    QTemporaryDir m_dir;
    bool m_isMounted = false;
};

} // namespace lintel::test

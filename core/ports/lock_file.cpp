#include "ports/lock_file.h"

#include <QFile>

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace lintel {

using namespace Qt::StringLiterals;

Result<std::unique_ptr<LockFile>> LockFile::take(const QString &path, const QString &whenHeld)
{
    const int descriptor = ::open(QFile::encodeName(path).constData(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        const int reason = errno;
        if (reason == ENOSPC || reason == EDQUOT)
            return Error{Errc::Full, u"disk full: %1 cannot be made; free some space on its file system."_s.arg(path)};
        return Error{Errc::Io, u"%1 cannot be made (%2); check that it and its folder belong to this user."_s.arg(
                                   path, qt_error_string(reason))};
    }
    std::unique_ptr<LockFile> lock(new LockFile(descriptor));
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        return lock;
    const int reason = errno;
    if (reason == EWOULDBLOCK)
        return Error{Errc::Conflict, whenHeld};
    return Error{Errc::Io,
                 u"%1 cannot be locked (%2); keep it on a disk of this machine."_s.arg(path, qt_error_string(reason))};
}

LockFile::~LockFile()
{
    ::close(m_descriptor);
}

} // namespace lintel

#include "authority/state_lock.h"

#include "tls/identity_files.h"

#include <QDir>
#include <QFile>

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace lintel::authority {

using namespace Qt::StringLiterals;

Result<std::unique_ptr<StateLock>> StateLock::take(const QString &stateDir)
{
    if (const auto made = tls::makePrivateDirectory(stateDir); !made)
        return made.error();
    const QString path = QDir(stateDir).filePath(u"lock"_s);
    const int descriptor = ::open(QFile::encodeName(path).constData(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return Error{Errc::Io, u"%1 cannot be made: %2. Check the permissions of the state's folder."_s.arg(
                                   path, qt_error_string(errno))};
    std::unique_ptr<StateLock> lock(new StateLock(descriptor));
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0)
        return Error{
            Errc::Conflict,
            u"An authority runs on the state in %1; stop it first, or give this one another state."_s.arg(stateDir)};
    return lock;
}

StateLock::~StateLock()
{
    ::close(m_descriptor);
}

} // namespace lintel::authority

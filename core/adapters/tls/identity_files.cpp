#include "tls/identity_files.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QSaveFile>
#include <QStringList>

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
constexpr qint64 kMaxFileBytes = 1024 * 1024;
constexpr QFile::Permissions kPrivate = QFile::ReadOwner | QFile::WriteOwner;
constexpr QFile::Permissions kPublic = kPrivate | QFile::ReadGroup | QFile::ReadOther;

Result<void> writeFile(const QString &path, const QByteArray &bytes, QFile::Permissions permissions)
{
    QSaveFile file(path);
    // QSaveFile's temporary file has mode 0600, so the key is never readable by others.
    if (!file.open(QIODevice::WriteOnly) || !file.setPermissions(permissions) || file.write(bytes) != bytes.size()
        || !file.commit())
        return Error{Errc::Io, u"%1 cannot be written: %2."_s.arg(path, file.errorString())};
    return {};
}
} // namespace

QString svidFileName()
{
    return u"svid.pem"_s;
}

QString svidKeyFileName()
{
    return u"svid.key"_s;
}

QString bundleFileName(const TrustDomain &domain)
{
    return domain.name() + u".pem"_s;
}

Result<QByteArray> readWholeFile(const QString &path)
{
    QFile file(path);
    if (!file.exists())
        return Error{Errc::NotFound, u"%1 does not exist."_s.arg(path)};
    if (!file.open(QIODevice::ReadOnly))
        return Error{Errc::Io, u"%1 cannot be read: %2."_s.arg(path, file.errorString())};
    QByteArray bytes = file.read(kMaxFileBytes + 1);
    if (bytes.size() > kMaxFileBytes)
        return Error{Errc::Malformed, u"%1 is larger than 1 MiB, so it is no identity file."_s.arg(path)};
    return bytes;
}

Result<QByteArray> readPrivateFile(const QString &path)
{
    const QFile::Permissions others = QFile::ReadGroup | QFile::WriteGroup | QFile::ReadOther | QFile::WriteOther;
    if (QFileInfo(path).permissions() & others)
        return Error{Errc::Denied, u"Others may read or write the secret %1; run: chmod 600 %1"_s.arg(path)};
    return readWholeFile(path);
}

Result<void> writePrivateFile(const QString &path, const QByteArray &bytes)
{
    return writeFile(path, bytes, kPrivate);
}

Result<void> writePublicFile(const QString &path, const QByteArray &bytes)
{
    return writeFile(path, bytes, kPublic);
}

Result<void> makePrivateDirectory(const QString &path)
{
    if (QFileInfo(path).isDir())
        return {};
    const Error cannot{Errc::Io, u"The directory %1 cannot be made; name a place that you may write to."_s.arg(path)};
    if (path.isEmpty())
        return cannot;
    QStringList missing;
    for (QString at = QDir::cleanPath(QDir(path).absolutePath()); !QFileInfo(at).isDir();
         at = QFileInfo(at).absolutePath())
        missing.prepend(at);
    for (const QString &directory : std::as_const(missing))
        if (!QDir().mkdir(directory, kPrivate | QFile::ExeOwner))
            return cannot;
    return {};
}

Result<void> syncToDisk(const QString &path)
{
    const int file = ::open(QFile::encodeName(path).constData(), O_RDONLY | O_CLOEXEC);
    const bool done = file >= 0 && ::fsync(file) == 0;
    const int reason = errno;
    if (file >= 0)
        ::close(file);
    // Some file systems sync no directories; they have nothing to sync.
    if (done || (file >= 0 && reason == EINVAL))
        return {};
    return Error{Errc::Io, u"%1 cannot be brought to the disk: %2."_s.arg(path, qt_error_string(reason))};
}

} // namespace lintel::tls

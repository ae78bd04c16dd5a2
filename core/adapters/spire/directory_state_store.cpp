#include "spire/directory_state_store.h"

#include "tls/identity_files.h"

#include <QDir>
#include <QUrl>

namespace lintel::spire {

using namespace Qt::StringLiterals;

namespace {

const QString kSuffix = u".state"_s;

} // namespace

QString DirectoryStateStore::fileOf(const QString &key) const
{
    // One file name a key, whatever stands in it.
    return m_dir + u'/' + QString::fromLatin1(QUrl::toPercentEncoding(key)) + kSuffix;
}

Result<std::optional<QByteArray>> DirectoryStateStore::load(const QString &key) const
{
    auto bytes = tls::readWholeFile(fileOf(key));
    if (bytes)
        return std::optional(*bytes);
    if (bytes.error().code == Errc::NotFound)
        return std::optional<QByteArray>();
    return bytes.error();
}

Result<void> DirectoryStateStore::save(const QString &key, const QByteArray &value)
{
    if (const auto made = tls::makePrivateDirectory(m_dir); !made)
        return made.error();
    return tls::writePrivateFile(fileOf(key), value);
}

Result<void> DirectoryStateStore::remove(const QString &key)
{
    QFile file(fileOf(key));
    if (file.exists() && !file.remove())
        return Error{Errc::Io, u"%1 cannot be removed: %2"_s.arg(file.fileName(), file.errorString())};
    return {};
}

Result<QStringList> DirectoryStateStore::keys(const QString &prefix) const
{
    QStringList found;
    // Also of keys that begin with a dot.
    for (const QString &name : QDir(m_dir).entryList({u'*' + kSuffix}, QDir::Files | QDir::Hidden)) {
        const QString key = QUrl::fromPercentEncoding(name.chopped(kSuffix.size()).toLatin1());
        if (key.startsWith(prefix))
            found.append(key);
    }
    found.sort();
    return found;
}

} // namespace lintel::spire

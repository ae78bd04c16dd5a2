#include "authority/state_lock.h"

#include "ports/lock_file.h"
#include "tls/identity_files.h"

#include <QDir>

namespace lintel::authority {

using namespace Qt::StringLiterals;

Result<std::unique_ptr<StateLock>> StateLock::take(const QString &stateDir)
{
    if (const auto made = tls::makePrivateDirectory(stateDir); !made)
        return made.error();
    auto file = LockFile::take(
        QDir(stateDir).filePath(u"lock"_s),
        u"An authority runs on the state in %1; stop it first, or give this one another state."_s.arg(stateDir));
    if (!file)
        return file.error();
    return std::unique_ptr<StateLock>(new StateLock(*std::move(file)));
}

StateLock::StateLock(std::unique_ptr<LockFile> file) : m_file(std::move(file)) {}

StateLock::~StateLock() = default;

} // namespace lintel::authority

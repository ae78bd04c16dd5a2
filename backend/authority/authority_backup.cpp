// Backup of a running authority, and putting one back (authority.h).
#include "authority/authority.h"

#include "authority/authority_private.h"
#include "tls/identity_files.h"

#include <QCryptographicHash>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QJsonDocument>
#include <QJsonObject>

#include <cerrno>
#include <cstdio>

namespace lintel::authority {

using namespace Qt::StringLiterals;

namespace {
const QString kManifest = u"manifest.json"_s;
const QString kDatabase = u"authority.db"_s;
const QString kKeys = u"keys"_s;
constexpr int kFormat = 1;

Result<QString> hashOf(const QString &path)
{
    QFile file(path);
    QCryptographicHash hash(QCryptographicHash::Sha256);
    if (!file.open(QIODevice::ReadOnly) || !hash.addData(&file))
        return Error{Errc::Io, u"%1 cannot be read: %2."_s.arg(path, file.errorString())};
    return QString::fromLatin1(hash.result().toHex());
}

/// Over what is there. Not on the disk before the folder is.
Result<void> moveTo(const QString &from, const QString &to)
{
    if (std::rename(QFile::encodeName(from).constData(), QFile::encodeName(to).constData()) == 0)
        return {};
    return Error{Errc::Io,
                 u"%1 cannot be moved to %2: %3; check the permissions there."_s.arg(from, to, qt_error_string(errno))};
}

/// Whole and on the disk under its name, or not under its name at all.
Result<void> copyPrivate(const QString &from, const QString &to)
{
    const QString part = to + u".part"_s;
    QFile source(from);
    QFile target(part);
    if (!source.open(QIODevice::ReadOnly))
        return Error{Errc::Io, u"%1 cannot be read: %2."_s.arg(from, source.errorString())};
    if (!target.open(QIODevice::WriteOnly | QIODevice::Truncate)
        || !target.setPermissions(QFile::ReadOwner | QFile::WriteOwner))
        return Error{Errc::Io, u"%1 cannot be written: %2."_s.arg(to, target.errorString())};
    while (!source.atEnd()) {
        const QByteArray block = source.read(64 * 1024);
        if (block.isEmpty() || target.write(block) != block.size())
            return Error{Errc::Io, u"%1 cannot be copied to %2: %3."_s.arg(from, to, target.errorString())};
    }
    if (!target.flush())
        return Error{Errc::Io, u"%1 cannot be written: %2."_s.arg(to, target.errorString())};
    target.close();
    if (const auto synced = tls::syncToDisk(part); !synced)
        return synced;
    return moveTo(part, to);
}

/// Files of the backup by relative path, with their hashes, after all of them were found whole.
using FileHashes = QMap<QString, QString>;
Result<FileHashes> checkedFiles(const QString &dir, const TrustDomain &domain)
{
    const auto text = tls::readWholeFile(QDir(dir).filePath(kManifest));
    if (!text)
        return Error{text.error().code, u"%1 is no backup of an authority: %2"_s.arg(dir, text.error().message)};
    const QJsonObject manifest = QJsonDocument::fromJson(*text).object();
    if (manifest.value("format"_L1).toInt() != kFormat)
        return Error{Errc::Unsupported, u"%1 was written by another version; use that one to put it back."_s.arg(dir)};
    if (manifest.value("domain"_L1).toString() != domain.name())
        return Error{Errc::Conflict, u"%1 is a backup of %2, not of %3."_s.arg(
                                         dir, manifest.value("domain"_L1).toString(), domain.name())};
    const QJsonObject files = manifest.value("files"_L1).toObject();
    FileHashes checked;
    const QStringList names = files.keys();
    for (const QString &name : names) {
        if (name != kDatabase && (!name.startsWith(kKeys + u'/') || name.count(u'/') != 1 || name.contains(".."_L1)))
            return Error{Errc::Malformed, u"The backup names a file that cannot be part of it: %1"_s.arg(name)};
        const auto hash = hashOf(QDir(dir).filePath(name));
        if (!hash)
            return hash.error();
        if (*hash != files.value(name).toString())
            return Error{Errc::Io, u"%1 in the backup is damaged; use another backup."_s.arg(name)};
        checked.insert(name, *hash);
    }
    if (!names.contains(kDatabase))
        return Error{Errc::Malformed, u"The backup in %1 has no database."_s.arg(dir)};
    return checked;
}

/// A key under the name of one in the backup must be that key: the authority would not start with another.
Result<void> checkKeysThere(const FileHashes &files, const QString &stateDir)
{
    for (auto it = files.cbegin(); it != files.cend(); ++it) {
        const QString there = QDir(stateDir).filePath(it.key());
        if (it.key() == kDatabase || !QFileInfo::exists(there))
            continue;
        const auto hash = hashOf(there);
        if (!hash)
            return hash.error();
        if (*hash != it.value())
            return Error{Errc::Conflict,
                         u"%1 is another key than the one in the backup; move it away first."_s.arg(there)};
    }
    return {};
}
} // namespace

Result<void> Authority::backup(const QString &dir, const Actor &actor)
{
    if (QFileInfo::exists(dir) && !QDir(dir).isEmpty())
        return Error{Errc::Conflict, u"%1 is not empty; name a new directory for each backup."_s.arg(dir)};
    if (const auto made = tls::makePrivateDirectory(dir); !made)
        return made;
    if (const auto made = tls::makePrivateDirectory(QDir(dir).filePath(kKeys)); !made)
        return made;
    // Written down first, so that the copy tells of itself.
    if (const auto written = d->change(actor, u"authority.backup"_s, dir, {}, [] { return Result<void>(); }); !written)
        return written;
    if (const auto copied = d->store->copyTo(QDir(dir).filePath(kDatabase)); !copied)
        return copied;
    QStringList names{kDatabase};
    const QStringList keyFiles = d->keys->backupFiles();
    for (const QString &file : keyFiles) {
        const QString name = kKeys + u'/' + QFileInfo(file).fileName();
        if (const auto copied = copyPrivate(file, QDir(dir).filePath(name)); !copied)
            return copied;
        names.append(name);
    }
    QJsonObject files;
    for (const QString &name : std::as_const(names)) {
        const auto hash = hashOf(QDir(dir).filePath(name));
        if (!hash)
            return hash.error();
        files.insert(name, *hash);
    }
    const QJsonObject manifest{{u"format"_s, kFormat},
                               {u"domain"_s, domain().name()},
                               {u"at"_s, toIso8601(d->now())},
                               {u"keys"_s, d->keys->description()},
                               {u"files"_s, files}};
    // Last, so that what a power cut leaves is a backup, or says that it is none.
    for (const QString &path : {QDir(dir).filePath(kDatabase), QDir(dir).filePath(kKeys), dir})
        if (const auto synced = tls::syncToDisk(path); !synced)
            return synced;
    const QString file = QDir(dir).filePath(kManifest);
    if (const auto written = tls::writePrivateFile(file, QJsonDocument(manifest).toJson()); !written)
        return written;
    for (const QString &path : {file, dir, QFileInfo(dir).absolutePath()})
        if (const auto synced = tls::syncToDisk(path); !synced)
            return synced;
    return {};
}

Result<void> restoreBackup(const QString &backupDir, const AuthorityConfig &config, const QByteArray &denyListJws,
                           Timestamp now)
{
    const auto files = checkedFiles(backupDir, config.domain);
    if (!files)
        return files.error();
    if (QFileInfo::exists(Store::fileIn(config.stateDir)))
        return Error{Errc::Conflict, u"There is a state in %1 already; move it away first."_s.arg(config.stateDir)};
    if (auto same = checkKeysThere(*files, config.stateDir); !same)
        return same;
    for (const QString &folder : {config.stateDir, config.keysDir()})
        if (const auto made = tls::makePrivateDirectory(folder); !made)
            return made;
    // Into a folder beside it, which becomes the state only when all of it is right.
    const QString workDir = QDir(config.stateDir).filePath(u"restore"_s);
    QDir(workDir).removeRecursively();
    if (const auto made = tls::makePrivateDirectory(workDir); !made)
        return made;
    if (const auto copied = copyPrivate(QDir(backupDir).filePath(kDatabase), Store::fileIn(workDir)); !copied)
        return copied;
    {
        auto store = Store::open(workDir);
        if (!store)
            return store.error();
        const auto caKeys = (*store)->caKeys();
        if (!caKeys)
            return caKeys.error();
        tls::DenyList published{config.domain, 0, {}, {}};
        if (!denyListJws.isEmpty()) {
            QList<tls::JwtAuthority> keys;
            for (const CaKey &key : *caKeys)
                if (key.kind == CaKind::Jwt)
                    keys.append({key.label, key.publicKeyDer});
            auto list = tls::verifyDenyList(denyListJws, config.domain, keys, 0);
            if (!list)
                return Error{list.error().code,
                             u"The deny list cannot be used (%1) Put back without it, and revoke by hand what "
                             "was revoked after the backup."_s.arg(list.error().message)};
            // A key of the backup has signed it, so it is younger than the backup by such a key's life at most, and
            // whoever was revoked since is still on it (deniedUntil).
            published = *list;
        }
        auto transaction = (*store)->transaction();
        if (!transaction)
            return transaction.error();
        if (const auto merged = (*store)->mergeDenyList(published); !merged)
            return merged;
        // It may be another machine, and much later.
        if (const auto unset = (*store)->setMeta(kClockMark, {}); !unset)
            return unset;
        for (const QString &key : {u"bundle.sequence"_s, u"deny.sequence"_s})
            if (const auto number = (*store)->nextNumber(key, now); !number)
                return number.error();
        const auto written =
            (*store)->audit(now, u"operator"_s, u"authority.restore"_s, backupDir,
                            denyListJws.isEmpty() ? u"Without a deny list: revocations after the backup are lost."_s
                                                  : u"With deny list %1."_s.arg(published.sequence));
        if (!written)
            return written;
        if (const auto committed = transaction->commit(); !committed)
            return committed;
        if (const auto folded = (*store)->foldLog(); !folded)
            return folded;
    }
    for (auto it = files->cbegin(); it != files->cend(); ++it) {
        const QString target = QDir(config.stateDir).filePath(it.key());
        if (it.key() == kDatabase || QFileInfo::exists(target))
            continue;
        if (const auto copied = copyPrivate(QDir(backupDir).filePath(it.key()), target); !copied)
            return copied;
    }
    // Whoever finds the database after a power cut finds all its keys.
    for (const QString &path : {config.keysDir(), Store::fileIn(workDir), config.stateDir})
        if (const auto synced = tls::syncToDisk(path); !synced)
            return synced;
    if (const auto moved = moveTo(Store::fileIn(workDir), Store::fileIn(config.stateDir)); !moved)
        return moved;
    QDir(workDir).removeRecursively();
    if (const auto synced = tls::syncToDisk(config.stateDir); !synced)
        return synced;
    return {};
}

} // namespace lintel::authority

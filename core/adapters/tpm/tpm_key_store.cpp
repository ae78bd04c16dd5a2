#include "tpm/tpm_key_store.h"

#include "tls/file_key_store.h"
#include "tls/identity_files.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;

TpmKeyStore::TpmKeyStore(std::shared_ptr<TpmDevice> device, QString dir)
    : m_device(std::move(device)), m_dir(std::move(dir))
{}

Result<QString> TpmKeyStore::fileOf(const QString &label) const
{
    const auto legal = [](QChar c) {
        const char16_t u = c.unicode();
        return (u >= u'a' && u <= u'z') || (u >= u'A' && u <= u'Z') || (u >= u'0' && u <= u'9') || u == u'-';
    };
    if (label.isEmpty() || !std::all_of(label.cbegin(), label.cend(), legal))
        return Error{Errc::Malformed, u"\"%1\" cannot name a key: letters, digits and '-' only."_s.arg(label)};
    return QDir(m_dir).filePath(label + u".tpm"_s);
}

Result<std::shared_ptr<SigningKey>> TpmKeyStore::signerOf(const std::shared_ptr<TpmKey> &key) const
{
    auto evpKey = m_device->evpKey(key);
    if (!evpKey)
        return evpKey.error();
    return tls::signingKeyFrom(*std::move(evpKey));
}

Result<std::shared_ptr<SigningKey>> TpmKeyStore::create(const QString &label)
{
    const auto file = fileOf(label);
    if (!file)
        return file.error();
    if (QFileInfo::exists(*file))
        return Error{Errc::Conflict, u"The key %1 exists already; it is not written over."_s.arg(*file)};
    if (const auto made = tls::makePrivateDirectory(m_dir); !made)
        return made.error();
    const auto key = m_device->createKey();
    if (!key)
        return key.error();
    if (const auto written = tls::writePrivateFile(*file, TpmDevice::wrappedFormOf(**key)); !written)
        return written.error();
    // What is signed with it may be on the disk sooner than the name of its file.
    if (const auto synced = tls::syncToDisk(m_dir); !synced)
        return synced.error();
    return signerOf(*key);
}

Result<std::shared_ptr<SigningKey>> TpmKeyStore::open(const QString &label)
{
    const auto file = fileOf(label);
    if (!file)
        return file.error();
    const auto wrapped = tls::readWholeFile(*file);
    if (!wrapped)
        return wrapped.error();
    const auto key = m_device->openKey(*wrapped);
    if (!key)
        return Error{key.error().code, u"%1: %2"_s.arg(*file, key.error().message)};
    return signerOf(*key);
}

Result<void> TpmKeyStore::remove(const QString &label)
{
    const auto file = fileOf(label);
    if (!file)
        return file.error();
    if (QFileInfo::exists(*file) && !QFile::remove(*file))
        return Error{Errc::Io, u"The key %1 cannot be removed; check the permissions of its folder."_s.arg(*file)};
    return {};
}

QString TpmKeyStore::description() const
{
    return u"the TPM (%1)"_s.arg(m_device->manufacturer());
}

QStringList TpmKeyStore::backupFiles() const
{
    QStringList files;
    const QStringList names = QDir(m_dir).entryList({u"*.tpm"_s}, QDir::Files, QDir::Name);
    for (const QString &name : names)
        files.append(QDir(m_dir).filePath(name));
    return files;
}

} // namespace lintel

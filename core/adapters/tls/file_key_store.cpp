#include "tls/file_key_store.h"

#include "tls/der.h"
#include "tls/identity_files.h"
#include "tls/public_key.h"
#include "tls/x509.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>

#include <algorithm>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
class EvpSigningKey final : public SigningKey
{
public:
    EvpSigningKey(std::shared_ptr<EVP_PKEY> key, QByteArray publicKeyDer)
        : m_key(std::move(key)), m_publicKeyDer(std::move(publicKeyDer))
    {}

    QByteArray publicKeyDer() const override { return m_publicKeyDer; }

    Result<QByteArray> sign(const QByteArray &message) const override
    {
        const MdCtxPtr context{EVP_MD_CTX_new()};
        const auto *data = reinterpret_cast<const unsigned char *>(message.constData());
        QByteArray signature(EVP_PKEY_get_size(m_key.get()), Qt::Uninitialized);
        auto size = size_t(signature.size());
        if (!context || EVP_DigestSignInit(context.get(), nullptr, sha256(), nullptr, m_key.get()) != 1
            || EVP_DigestSign(context.get(), reinterpret_cast<unsigned char *>(signature.data()), &size, data,
                              size_t(message.size()))
                   != 1)
            return Error{Errc::Unavailable, u"The key cannot sign now: %1."_s.arg(opensslReason())};
        signature.truncate(qsizetype(size));
        return signature;
    }

private:
    std::shared_ptr<EVP_PKEY> m_key;
    QByteArray m_publicKeyDer;
};
} // namespace

Result<std::shared_ptr<SigningKey>> signingKeyFrom(std::shared_ptr<EVP_PKEY> key)
{
    QByteArray publicKey = key ? publicKeyToDer(key.get()) : QByteArray();
    if (!der::isP256(publicKey))
        return Error{Errc::Unsupported, u"A signing key must be EC on P-256; this one is not."_s};
    return std::shared_ptr<SigningKey>(std::make_shared<EvpSigningKey>(std::move(key), std::move(publicKey)));
}

Result<std::shared_ptr<EVP_PKEY>> newSoftwareKey()
{
    std::shared_ptr<EVP_PKEY> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    if (!key)
        return Error{Errc::Unavailable, u"A key cannot be made: %1."_s.arg(opensslReason())};
    return key;
}

FileKeyStore::FileKeyStore(QString dir) : m_dir(std::move(dir)) {}

Result<QString> FileKeyStore::fileOf(const QString &label) const
{
    const auto legal = [](QChar c) {
        const char16_t u = c.unicode();
        return (u >= u'a' && u <= u'z') || (u >= u'A' && u <= u'Z') || (u >= u'0' && u <= u'9') || u == u'-';
    };
    if (label.isEmpty() || !std::all_of(label.cbegin(), label.cend(), legal))
        return Error{Errc::Malformed, u"\"%1\" cannot name a key: letters, digits and '-' only."_s.arg(label)};
    return QDir(m_dir).filePath(label + u".key"_s);
}

Result<std::shared_ptr<SigningKey>> FileKeyStore::create(const QString &label)
{
    const auto file = fileOf(label);
    if (!file)
        return file.error();
    if (QFileInfo::exists(*file))
        return Error{Errc::Conflict, u"The key %1 exists already; it is not written over."_s.arg(*file)};
    if (const auto made = makePrivateDirectory(m_dir); !made)
        return made.error();
    const auto key = newSoftwareKey();
    if (!key)
        return key.error();
    const auto pem = privateKeyToPem(**key);
    if (!pem)
        return pem.error();
    if (const auto written = writePrivateFile(*file, *pem); !written)
        return written.error();
    // What is signed with it may be on the disk sooner than the name of its file.
    if (const auto synced = syncToDisk(m_dir); !synced)
        return synced.error();
    return signingKeyFrom(*key);
}

Result<std::shared_ptr<SigningKey>> FileKeyStore::open(const QString &label)
{
    const auto file = fileOf(label);
    if (!file)
        return file.error();
    const auto pem = readPrivateFile(*file);
    if (!pem)
        return pem.error();
    const auto key = privateKeyFromPem(*pem);
    if (!key)
        return Error{key.error().code, u"%1: %2"_s.arg(*file, key.error().message)};
    return signingKeyFrom(*key);
}

Result<void> FileKeyStore::remove(const QString &label)
{
    const auto file = fileOf(label);
    if (!file)
        return file.error();
    if (QFileInfo::exists(*file) && !QFile::remove(*file))
        return Error{Errc::Io, u"The key %1 cannot be removed; check the permissions of its folder."_s.arg(*file)};
    return {};
}

QString FileKeyStore::description() const
{
    return u"files in %1"_s.arg(m_dir);
}

QStringList FileKeyStore::backupFiles() const
{
    QStringList files;
    const QStringList names = QDir(m_dir).entryList({u"*.key"_s}, QDir::Files, QDir::Name);
    for (const QString &name : names)
        files.append(QDir(m_dir).filePath(name));
    return files;
}

} // namespace lintel::tls

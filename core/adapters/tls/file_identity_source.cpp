#include "tls/file_identity_source.h"

#include "tls/identity_files.h"
#include "tls/issuer_end.h"
#include "tls/x509.h"

#include <QDir>
#include <QFile>

#include <sys/stat.h>

namespace lintel::tls {

using namespace Qt::StringLiterals;

namespace {
QStringList identityFiles(const QString &dir)
{
    return QDir(dir).entryList({u"*.pem"_s, svidKeyFileName()}, QDir::Files | QDir::Readable, QDir::Name);
}

/// Changes whenever a file is written or replaced; cheap enough for once a second.
QByteArray fingerprintOf(const QString &dir)
{
    QByteArray text;
    const QStringList names = identityFiles(dir);
    for (const QString &name : names) {
        struct stat info {
        };
        if (::stat(QFile::encodeName(QDir(dir).filePath(name)).constData(), &info) != 0)
            continue;
        for (const qint64 number :
             {static_cast<qint64>(info.st_ino), static_cast<qint64>(info.st_size), static_cast<qint64>(info.st_mode),
              static_cast<qint64>(info.st_mtim.tv_sec), static_cast<qint64>(info.st_mtim.tv_nsec)})
            text += QByteArray::number(number) + ' ';
        text += name.toUtf8() + '\n';
    }
    return text;
}

/// A key that others may read is nobody's proof of anything any more.
Result<void> keyIsPrivate(const QString &file)
{
    const auto others = QFile::ReadGroup | QFile::WriteGroup | QFile::ReadOther | QFile::WriteOther;
    if (!(QFile::permissions(file) & others))
        return {};
    return Error{
        Errc::Denied,
        u"The private key %1 is refused, because its group or others may read or write it; run: chmod 600 '%1'"_s.arg(
            file)};
}

Result<X509Svid> readSvid(const QString &dir)
{
    const QString certificateFile = QDir(dir).filePath(svidFileName());
    const QString keyFile = QDir(dir).filePath(svidKeyFileName());
    const auto pem = readWholeFile(certificateFile);
    if (!pem)
        return pem.error();
    const auto chain = certificatesFromPem(*pem);
    if (!chain)
        return Error{chain.error().code, u"%1: %2"_s.arg(certificateFile, chain.error().message)};
    if (const auto isPrivate = keyIsPrivate(keyFile); !isPrivate)
        return isPrivate.error();
    const auto keyPem = readWholeFile(keyFile);
    if (!keyPem)
        return keyPem.error();
    auto key = privateKeyFromPem(*keyPem);
    if (!key)
        return Error{key.error().code, u"%1: %2"_s.arg(keyFile, key.error().message)};
    auto svid = makeSvid(*chain, *key);
    if (!svid)
        return Error{svid.error().code, u"%1: %2"_s.arg(certificateFile, svid.error().message)};
    return svid;
}

Result<TrustBundles> readBundles(const QString &dir)
{
    TrustBundles bundles;
    const QStringList names = identityFiles(dir);
    for (const QString &name : names) {
        if (name == svidFileName() || name == svidKeyFileName())
            continue;
        const auto domain = TrustDomain::parse(name.chopped(4));
        if (!domain)
            return Error{Errc::Malformed, u"%1 is not named after a trust domain. %2"_s.arg(QDir(dir).filePath(name),
                                                                                            domain.error().message)};
        const auto pem = readWholeFile(QDir(dir).filePath(name));
        if (!pem)
            return pem.error();
        const auto roots = certificatesFromPem(*pem);
        if (!roots)
            return Error{roots.error().code, u"%1: %2"_s.arg(QDir(dir).filePath(name), roots.error().message)};
        bundles.insert(*domain, *roots);
    }
    if (bundles.isEmpty())
        return Error{Errc::NotFound, u"%1 holds no trust bundle (<trust domain>.pem)."_s.arg(dir)};
    return bundles;
}
} // namespace

FileIdentitySource::FileIdentitySource(QString dir, std::chrono::milliseconds pollInterval, QObject *parent)
    : IdentitySource(parent), m_dir(std::move(dir))
{
    refresh();
    connect(&m_timer, &QTimer::timeout, this, &FileIdentitySource::refresh);
    m_timer.start(pollInterval);
}

Result<std::shared_ptr<const IdentitySnapshot>> FileIdentitySource::current() const
{
    const QMutexLocker lock(&m_mutex);
    if (!m_current)
        return m_missing;
    return m_current;
}

IdentityStatus FileIdentitySource::status() const
{
    IdentityStatus status = IdentitySource::status();
    status.attestation = QStringLiteral("files");
    status.proof = QStringLiteral("files that lie in a folder: not attested");
    const QMutexLocker lock(&m_mutex);
    if (m_current)
        status.issuerExpiresAt = issuerEnd(*m_current);
    return status;
}

void FileIdentitySource::refresh()
{
    QByteArray fingerprint = fingerprintOf(m_dir);
    if (fingerprint == m_fingerprint && (m_current || m_problem))
        return;
    m_fingerprint = std::move(fingerprint);

    auto svid = readSvid(m_dir);
    if (!svid)
        return report(svid.error());
    auto bundles = readBundles(m_dir);
    if (!bundles)
        return report(bundles.error());
    adopt(std::make_shared<const IdentitySnapshot>(IdentitySnapshot{std::move(*svid), std::move(*bundles)}));
    report({});
}

void FileIdentitySource::report(std::optional<Error> problem)
{
    {
        const QMutexLocker lock(&m_mutex);
        if (!m_current && problem)
            m_missing = *problem;
    }
    const bool isNew = problem && (!m_problem || m_problem->message != problem->message);
    m_problem = std::move(problem);
    if (isNew)
        Q_EMIT problemFound(*m_problem);
}

void FileIdentitySource::adopt(std::shared_ptr<const IdentitySnapshot> fresh)
{
    const auto previous = m_current;
    {
        const QMutexLocker lock(&m_mutex);
        m_current = fresh;
    }
    if (!previous || previous->svid.chainDer != fresh->svid.chainDer)
        Q_EMIT svidChanged();
    if (!previous || previous->bundles != fresh->bundles)
        Q_EMIT bundlesChanged();
}

} // namespace lintel::tls

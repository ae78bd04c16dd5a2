#include "broker-plugin/watched_files.h"

#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QSet>

#include <sys/stat.h>

namespace lintel::broker {

using namespace Qt::StringLiterals;

namespace {
const auto kJson = u".json"_s;
const auto kPem = u".pem"_s;
const auto kBrokerPem = u"broker.pem"_s; // the broker's own key and chain, as an agent writes them

QStringList bundlePaths(const QString &dir)
{
    QStringList paths;
    const QStringList names = QDir(dir).entryList({u'*' + kJson, u'*' + kPem}, QDir::Files, QDir::Name);
    for (const QString &name : names)
        if (name != tls::svidFileName() && name != kBrokerPem) // lie beside the bundles where all is in one folder
            paths.append(dir + u'/' + name);
    return paths;
}
} // namespace

QByteArray fingerprintOf(const QStringList &paths)
{
    QByteArray print;
    for (const QString &path : paths) {
        struct stat facts {
        };
        const QByteArray name = QFile::encodeName(path);
        print += name + '\0';
        if (::stat(name.constData(), &facts) != 0)
            continue;
        for (const qint64 part : {qint64(facts.st_ino), qint64(facts.st_size), qint64(facts.st_mtim.tv_sec),
                                  qint64(facts.st_mtim.tv_nsec), qint64(facts.st_ctim.tv_nsec)})
            print += QByteArray::number(part) + ' ';
    }
    return print;
}

Result<tls::BundleDocument> TrustFiles::read(const QString &path, const TrustDomain &domain) const
{
    const auto bytes = tls::readWholeFile(path);
    if (!bytes)
        return bytes.error();
    if (path.endsWith(kPem)) {
        const auto roots = tls::certificatesFromPem(*bytes);
        if (!roots)
            return roots.error();
        tls::BundleDocument document;
        document.x509Authorities = *roots;
        return document;
    }
    auto document = tls::parseBundle(*bytes);
    const auto known = m_documents.constFind(domain);
    if (document && known != m_documents.constEnd() && known->sequence)
        if (const auto allowed = tls::mayReplace(*known, *document); !allowed)
            return allowed.error();
    return document;
}

bool TrustFiles::refresh(bool force)
{
    const QFileInfo folder(m_dir);
    if (folder.isDir() && !folder.isReadable())
        return false; // nothing is known, so nothing changes
    const QStringList paths = bundlePaths(m_dir);
    if (!folder.isDir() && !m_documents.isEmpty()) {
        if (!m_fingerprint.isEmpty())
            m_log(u"The folder \"%1\" is gone; the trust bundles stay as they were."_s.arg(m_dir));
        m_fingerprint.clear();
        return false;
    }
    const QByteArray fingerprint = fingerprintOf(paths);
    if (!force && fingerprint == m_fingerprint)
        return false;
    m_fingerprint = fingerprint;

    QHash<TrustDomain, tls::BundleDocument> fresh;
    for (const QString &path : paths) { // .json comes before .pem of the same domain, and wins
        const QString name = path.sliced(m_dir.size() + 1);
        const auto domain = TrustDomain::parse(name.first(name.lastIndexOf(u'.')));
        if (!domain || fresh.contains(*domain))
            continue;
        if (const auto document = read(path, *domain)) {
            fresh.insert(*domain, *document);
            continue;
        } else {
            m_log(u"The trust bundle \"%1\" is not used: %2"_s.arg(path, document.error().message));
        }
        if (const auto known = m_documents.constFind(*domain); known != m_documents.constEnd())
            fresh.insert(*domain, *known);
    }
    if (fresh == m_documents)
        return false;
    QStringList domains;
    for (auto it = fresh.cbegin(); it != fresh.cend(); ++it)
        domains.append(u"%1 (%2 roots)"_s.arg(it.key().name()).arg(it->x509Authorities.size()));
    domains.sort();
    m_documents = std::move(fresh);
    m_log(u"Trust bundles in use: %1."_s.arg(domains.isEmpty() ? u"none, so everybody is refused"_s
                                                               : domains.join(u", ")));
    return true;
}

TrustBundles TrustFiles::bundles() const
{
    TrustBundles bundles;
    for (auto it = m_documents.cbegin(); it != m_documents.cend(); ++it)
        bundles.insert(it.key(), it->x509Authorities);
    return bundles;
}

tls::JwtBundles TrustFiles::jwtKeys() const
{
    tls::JwtBundles keys;
    for (auto it = m_documents.cbegin(); it != m_documents.cend(); ++it)
        keys.insert(it.key(), it->jwtAuthorities);
    return keys;
}

QString DenyFiles::fileName(const TrustDomain &domain)
{
    return domain.name() + u".jws"_s;
}

QString DenyFiles::pathOf(const QString &dir, const TrustDomain &domain) const
{
    return dir.isEmpty() ? QString() : dir + u'/' + fileName(domain);
}

QList<tls::DenyList> DenyFiles::refresh(const tls::JwtBundles &keys, bool keysChanged)
{
    QList<tls::DenyList> accepted;
    if (m_dir.isEmpty())
        return accepted;
    QStringList paths;
    for (auto it = keys.cbegin(); it != keys.cend(); ++it)
        paths.append(pathOf(m_dir, it.key()));
    paths.sort();
    const QByteArray fingerprint = fingerprintOf(paths);
    if (!keysChanged && fingerprint == m_fingerprint)
        return accepted;
    m_fingerprint = fingerprint;
    if (keysChanged)
        m_seen.clear();
    for (auto it = keys.cbegin(); it != keys.cend(); ++it) {
        if (!m_sequences.contains(it.key()))
            consider(pathOf(m_stateDir, it.key()), it.key(), keys, Source::Remembered, accepted);
        consider(pathOf(m_dir, it.key()), it.key(), keys, Source::Incoming, accepted);
    }
    return accepted;
}

void DenyFiles::consider(const QString &path, const TrustDomain &domain, const tls::JwtBundles &keys, Source source,
                         QList<tls::DenyList> &accepted)
{
    if (path.isEmpty() || !QFile::exists(path))
        return;
    const auto bytes = tls::readWholeFile(path);
    if (!bytes) {
        m_log(u"The deny list \"%1\" cannot be read: %2"_s.arg(path, bytes.error().message));
        return;
    }
    if (m_seen.value(path) == *bytes)
        return;
    m_seen.insert(path, *bytes);
    const auto known = m_sequences.constFind(domain);
    auto list = tls::verifyDenyList(bytes->trimmed(), domain, keys.value(domain), m_sequences.value(domain));
    if (!list) {
        m_log(u"The deny list \"%1\" is ignored, the last good one stays: %2"_s.arg(path, list.error().message));
        return;
    }
    if (known != m_sequences.constEnd() && *known == list->sequence && source == Source::Incoming
        && list->sequence != 0)
        return; // the one in use, judged again because keys changed
    m_sequences.insert(domain, list->sequence);
    m_log(u"Deny list %1 of %2 is in use: %3 entries."_s.arg(QString::number(list->sequence), domain.name(),
                                                             QString::number(list->entries.size())));
    if (source == Source::Incoming && !m_stateDir.isEmpty())
        if (auto kept = tls::writePrivateFile(pathOf(m_stateDir, domain), *bytes); !kept)
            m_log(u"The deny list of %1 cannot be kept for the next start: %2"_s.arg(domain.name(),
                                                                                     kept.error().message));
    accepted.append(std::move(*list));
}

} // namespace lintel::broker

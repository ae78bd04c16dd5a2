#include "broker-plugin/plugin_service.h"

#include "broker-plugin/broker_status.h"
#include "tls/identity_files.h"
#include "tls/x509.h"

#include <QDir>
#include <QFile>

#include <cstdio>

namespace lintel::broker {

using namespace Qt::StringLiterals;

namespace {
constexpr std::chrono::milliseconds kLookEvery{50}; // a revocation must not wait
constexpr std::chrono::seconds kStatusEvery{1};

/// Replaces the file in one step. Not synced to disk: the status is of use to the living only, and
/// a slow flash must not hold up every message of the broker.
bool replaceFile(const QString &path, const QByteArray &bytes)
{
    const QString fresh = path + u".new"_s;
    QFile file(fresh);
    if (!file.open(QIODevice::WriteOnly | QIODevice::Truncate) || file.write(bytes) != bytes.size() || !file.flush())
        return false;
    file.close();
    return std::rename(QFile::encodeName(fresh).constData(), QFile::encodeName(path).constData()) == 0;
}
} // namespace

PluginService::PluginService(PluginOptions options, const Clock &clock, LogLine log, UseIdentity useIdentity)
    : m_options(std::move(options)), m_clock(clock), m_log(std::move(log)), m_useIdentity(std::move(useIdentity)),
      m_time(clock, m_log), m_guard(m_log), m_trust(m_options.bundlesDir, m_log),
      m_denyFiles(m_options.denyListsDir, m_options.stateDir, m_log)
{}

Result<void> PluginService::start()
{
    const auto bytes = tls::readWholeFile(m_options.rolesFile);
    if (!bytes)
        return bytes.error();
    if (auto roles = parseRoles(*bytes); !roles)
        return roles.error();
    if (!m_options.stateDir.isEmpty())
        if (auto made = tls::makePrivateDirectory(m_options.stateDir); !made)
            return made;
    if (!m_options.certificateFile.isEmpty()) { // Mosquitto has just read the same files itself
        m_identityPrint = fingerprintOf({m_options.certificateFile, m_options.keyFile});
        if (const auto chain = tls::readWholeFile(m_options.certificateFile))
            noteCertificate(*chain);
    }
    readFiles(true);
    return {};
}

QList<Kick> PluginService::tick()
{
    const auto now = m_clock.monotonic();
    if (now >= m_nextLook) {
        m_nextLook = now + kLookEvery;
        readFiles(false);
    }
    if (now >= m_nextStatus) {
        m_nextStatus = now + kStatusEvery;
        writeStatus();
    }
    return m_guard.due(m_time.now());
}

void PluginService::reload()
{
    readFiles(true);
}

void PluginService::stop()
{
    writeStatus();
}

void PluginService::readFiles(bool force)
{
    const bool trustChanged = m_trust.refresh(force);
    if (trustChanged)
        m_guard.setBundles(m_trust.bundles());
    const QList<tls::DenyList> lists = m_denyFiles.refresh(m_trust.jwtKeys(), trustChanged);
    for (const tls::DenyList &list : lists) {
        m_guard.setDenyList(list);
        if (list.issuer == m_ownDomain)
            m_time.takeSigned(list.issuedAt);
    }
    readRoles(force);
    readIdentity();
}

void PluginService::readRoles(bool force)
{
    const QByteArray print = fingerprintOf({m_options.rolesFile});
    if (!force && print == m_rolesPrint)
        return;
    m_rolesPrint = print;
    const auto bytes = tls::readWholeFile(m_options.rolesFile);
    const auto roles = bytes ? parseRoles(*bytes) : Result<BrokerRoles>(bytes.error());
    if (!roles) {
        m_log(u"The roles stay as they were: %1"_s.arg(roles.error().message));
        return;
    }
    m_guard.setRoles(*roles);
    m_log(u"Roles of \"%1\" are in use."_s.arg(m_options.rolesFile));
}

void PluginService::readIdentity()
{
    if (m_options.certificateFile.isEmpty())
        return;
    const QByteArray print = fingerprintOf({m_options.certificateFile, m_options.keyFile});
    if (print == m_identityPrint)
        return;
    const auto chain = tls::readWholeFile(m_options.certificateFile);
    const auto key = tls::readWholeFile(m_options.keyFile);
    if (!chain || !key)
        return; // in the middle of being replaced; looked at again
    m_identityPrint = print;
    const auto used = m_useIdentity(*chain, *key);
    if (used)
        noteCertificate(*chain);
    m_log(used ? u"The broker's certificate was renewed."_s
               : u"The broker's certificate stays as it was: %1"_s.arg(used.error().message));
}

/// Tells the time, to the authority's word; see JudgingTime.
void PluginService::noteCertificate(const QByteArray &chainPem)
{
    const auto chain = tls::certificatesFromPem(chainPem);
    const QByteArray leaf = chain ? chain->value(0) : QByteArray();
    const auto id = tls::leafSpiffeId(leaf);
    const auto facts = tls::describeCertificate(leaf);
    if (!id || !facts)
        return m_log(u"The broker's certificate \"%1\" is no SVID, so it does not tell how late it is."_s.arg(
            m_options.certificateFile));
    m_ownDomain = id->trustDomain();
    m_time.takeCertificate(facts->notBefore, facts->notAfter);
}

void PluginService::writeStatus()
{
    if (m_options.statusFile.isEmpty() || m_written == m_guard.revision())
        return;
    const bool written = replaceFile(m_options.statusFile, printStatus(statusOf(m_guard, m_clock.now())));
    if (written)
        m_written = m_guard.revision();
    if (!written && !m_statusFailed)
        m_log(u"The status file \"%1\" cannot be written; make its folder writable for the broker's user."_s.arg(
            m_options.statusFile));
    m_statusFailed = !written;
}

} // namespace lintel::broker

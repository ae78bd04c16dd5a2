// What the plugin reads from disk while the broker runs: trust bundles and deny lists. Each is
// looked at when its folder changes; what cannot be used leaves the last good one in place and is
// told once. One thread.
#pragma once

#include "ports/identity_source.h"
#include "tls/bundle_document.h"
#include "tls/deny_list.h"

#include <functional>

namespace lintel::broker {

using LogLine = std::function<void(const QString &sentence)>;

/// Names, sizes, times and inodes of some files: equal as long as nobody replaced one.
[[nodiscard]] QByteArray fingerprintOf(const QStringList &paths);

/// <trust domain>.json (SPIFFE bundle document) or <trust domain>.pem (roots only) in one folder. A
/// document with a lower sequence than the one in use is refused.
class TrustFiles
{
public:
    TrustFiles(QString dir, LogLine log) : m_dir(std::move(dir)), m_log(std::move(log)) {}

    /// Whether something changed; `force` reads even when nothing seems to have.
    bool refresh(bool force = false);
    [[nodiscard]] TrustBundles bundles() const;
    [[nodiscard]] tls::JwtBundles jwtKeys() const;

private:
    [[nodiscard]] Result<tls::BundleDocument> read(const QString &path, const TrustDomain &domain) const;

    QString m_dir;
    LogLine m_log;
    QByteArray m_fingerprint;
    QHash<TrustDomain, tls::BundleDocument> m_documents;
};

/// <trust domain>.jws in one folder, and a copy of each accepted one in another, so that a restart
/// does not forget what was revoked.
class DenyFiles
{
public:
    DenyFiles(QString dir, QString stateDir, LogLine log)
        : m_dir(std::move(dir)), m_stateDir(std::move(stateDir)), m_log(std::move(log))
    {}

    [[nodiscard]] static QString fileName(const TrustDomain &domain); // "building-1.smart.local.jws"

    /// The lists that came new since the last call. `keysChanged`: judge again what was refused.
    [[nodiscard]] QList<tls::DenyList> refresh(const tls::JwtBundles &keys, bool keysChanged);

private:
    enum class Source { Incoming, Remembered };
    void consider(const QString &path, const TrustDomain &domain, const tls::JwtBundles &keys, Source source,
                  QList<tls::DenyList> &accepted);
    [[nodiscard]] QString pathOf(const QString &dir, const TrustDomain &domain) const;

    QString m_dir;
    QString m_stateDir;
    LogLine m_log;
    QByteArray m_fingerprint;
    QHash<TrustDomain, quint64> m_sequences;
    QHash<QString, QByteArray> m_seen; // by path: what was judged last
};

} // namespace lintel::broker

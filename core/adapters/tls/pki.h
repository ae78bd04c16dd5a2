// A small certificate authority in files: one root per trust domain, and X.509-SVIDs signed by it
// (SPIFFE X509-SVID.md). For a building in a box: the demo, tests, the first day of a site. Keys
// are P-256. Values; any thread, one at a time.
#pragma once

#include "ports/identity_source.h"

#include <QByteArray>
#include <QString>

#include <chrono>
#include <memory>

namespace lintel::tls {

class Pki
{
public:
    static constexpr std::chrono::seconds kMinTtl = std::chrono::hours{1};
    static constexpr std::chrono::seconds kMaxTtl = std::chrono::hours{24};
    static constexpr std::chrono::hours kRootLifetime{24 * 365};

    /// A new root: self-signed, its URI SAN is the trust domain, critical CA:TRUE and key usage,
    /// and a critical name constraint on the trust domain.
    [[nodiscard]] static Result<Pki> create(const TrustDomain &domain, Timestamp now);
    /// Reads what save() wrote.
    [[nodiscard]] static Result<Pki> load(const QString &dir, const TrustDomain &domain);
    /// The trust domains whose roots lie in `dir`, sorted.
    [[nodiscard]] static QList<TrustDomain> domainsIn(const QString &dir);
    /// Whether a root of this domain lies in `dir` already.
    [[nodiscard]] static bool exists(const QString &dir, const TrustDomain &domain);

    /// Writes <dir>/<trust domain>/root.pem and root.key (0600), each atomically.
    [[nodiscard]] Result<void> save(const QString &dir) const;

    /// What issue() asks of an ID and a lifetime, for those who want to know first. Malformed: an ID without a
    /// path; OutOfRange: lifetime outside of 1 h … 24 h.
    [[nodiscard]] static Result<void> mayIssue(const SpiffeId &id, std::chrono::seconds ttl);
    /// An SVID with a key of its own, a random 128-bit serial, and a start one minute back, since
    /// clocks differ. Denied: ID of another domain; else as mayIssue().
    [[nodiscard]] Result<X509Svid> issue(const SpiffeId &id, std::chrono::seconds ttl, Timestamp now) const;

    [[nodiscard]] const TrustDomain &domain() const { return m_domain; }
    [[nodiscard]] const QByteArray &rootDer() const { return m_rootDer; }

private:
    Pki(TrustDomain domain, QByteArray rootDer, std::shared_ptr<EVP_PKEY> key);

    TrustDomain m_domain;
    QByteArray m_rootDer;
    std::shared_ptr<EVP_PKEY> m_key;
};

/// What FileIdentitySource reads: svid.pem, svid.key (0600), <trust domain>.pem. Each file is
/// replaced atomically; the certificate comes last. Creates `dir` with mode 0700.
[[nodiscard]] Result<void> writeIdentity(const QString &dir, const X509Svid &svid, const TrustBundles &bundles);
/// Of that the <trust domain>.pem. Creates `dir` with mode 0700.
[[nodiscard]] Result<void> writeRoots(const QString &dir, const TrustBundles &bundles);
/// Key and chain in one PEM file of mode 0600, so that whatever happens they belong together.
[[nodiscard]] Result<void> writeKeyAndChain(const QString &file, const X509Svid &svid);

} // namespace lintel::tls

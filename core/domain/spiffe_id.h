// A SPIFFE ID, parsed by the letter of the standard SPIFFE-ID.md (sections 2.1 to 2.4).
// Values only; any thread.
#pragma once

#include "domain/result.h"

#include <QHashFunctions>
#include <QString>
#include <QStringView>

namespace lintel {

/// The authority part of a SPIFFE ID: lower-case letters, digits, '.', '-', '_', at most 255 bytes.
class TrustDomain
{
public:
    [[nodiscard]] static Result<TrustDomain> parse(QStringView name);
    [[nodiscard]] const QString &name() const { return m_name; }
    [[nodiscard]] bool isEmpty() const { return m_name.isEmpty(); }

    friend bool operator==(const TrustDomain &, const TrustDomain &) = default;
    friend auto operator<=>(const TrustDomain &a, const TrustDomain &b) { return a.m_name.compare(b.m_name) <=> 0; }
    friend size_t qHash(const TrustDomain &t, size_t seed = 0) { return qHash(t.m_name, seed); }

private:
    friend class SpiffeId;
    QString m_name;
};

/// spiffe://<trust domain><path>; the path is empty (the trust domain itself) or /a/b/c.
class SpiffeId
{
public:
    /// Refuses as Malformed, with the rule that was broken, whatever section 2 does not allow:
    /// upper case in the trust domain, ports, user info, percent encoding, empty, "." and ".."
    /// segments, a trailing slash, query, fragment, more than 2,048 bytes.
    [[nodiscard]] static Result<SpiffeId> parse(QStringView text);

    [[nodiscard]] const TrustDomain &trustDomain() const { return m_trustDomain; }
    [[nodiscard]] const QString &path() const { return m_path; } // "" or "/agent/gateway"
    [[nodiscard]] QString toString() const;
    [[nodiscard]] bool isEmpty() const { return m_trustDomain.isEmpty(); }
    [[nodiscard]] bool isMemberOf(const TrustDomain &domain) const { return m_trustDomain == domain; }

    friend bool operator==(const SpiffeId &, const SpiffeId &) = default;
    friend size_t qHash(const SpiffeId &id, size_t seed = 0) { return qHashMulti(seed, id.m_trustDomain, id.m_path); }

private:
    TrustDomain m_trustDomain;
    QString m_path;
};

} // namespace lintel

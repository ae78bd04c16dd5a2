// JWT-SVIDs that were issued already, by entry and audience, until half of their life is over. A
// bounded number; one thread.
#pragma once

#include "workload-api/workload_issuer.h"

#include <optional>

namespace lintel::workloads {

class JwtCache
{
public:
    /// The order of the audience is of no account.
    [[nodiscard]] std::optional<QByteArray> find(const QString &entryId, const QStringList &audience,
                                                 Timestamp now) const;
    void keep(const QString &entryId, const QStringList &audience, const IssuedToken &token, Timestamp now);
    /// Forgets tokens of entries that are not in `entryIds`, and those that `keys` would not verify.
    void retain(const QSet<QString> &entryIds, const QList<tls::JwtAuthority> &keys);

private:
    using Key = QPair<QString, QStringList>;
    [[nodiscard]] static Key keyOf(const QString &entryId, const QStringList &audience);
    QHash<Key, IssuedToken> m_tokens;
};

} // namespace lintel::workloads

// How lists and maps stand in a column of the authority's tables, and how rows are read. Private to the store.
#pragma once

#include "adapters/sqlite/database.h"
#include "authority/records.h"

#include <type_traits>

namespace lintel::authority {

[[nodiscard]] QString toColumn(const QStringList &texts);
[[nodiscard]] QStringList textsOf(const QString &column);
[[nodiscard]] QString toColumn(const Selectors &selectors);
[[nodiscard]] Selectors selectorsOf(const QString &column);
[[nodiscard]] QString toColumn(const QList<TrustDomain> &domains);
[[nodiscard]] QList<TrustDomain> domainsOf(const QString &column);
[[nodiscard]] QString toColumn(const QMap<int, QByteArray> &pcrs);
[[nodiscard]] QMap<int, QByteArray> pcrsOf(const QString &column);
[[nodiscard]] QString toColumn(const QMap<int, QList<QByteArray>> &references);
[[nodiscard]] QMap<int, QList<QByteArray>> referencesOf(const QString &column);
[[nodiscard]] SpiffeId idOf(const QString &column); // empty when there is none

/// The path of an agent's ID: how it attested, and by what, which is the hash of its chip's key or a token.
[[nodiscard]] QString agentPath(const char *type, const QString &what = {});

/// Steps through what `query` has left; `take` reads the row that it stands on.
template <class Take>
[[nodiscard]] Result<void> forEachRow(sqlite::Statement &query, const Take &take)
{
    while (true) {
        const auto row = query.step();
        if (!row)
            return row.error();
        if (!*row)
            return {};
        take(query);
    }
}

/// The same as a list of what `read` makes of each row.
template <class Read>
[[nodiscard]] auto collect(sqlite::Statement &query, const Read &read)
    -> Result<QList<std::invoke_result_t<Read, const sqlite::Statement &>>>
{
    QList<std::invoke_result_t<Read, const sqlite::Statement &>> all;
    const auto done = forEachRow(query, [&](const sqlite::Statement &row) { all.append(read(row)); });
    if (!done)
        return done.error();
    return all;
}

} // namespace lintel::authority

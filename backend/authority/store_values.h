// How lists and maps stand in a column of the authority's tables. Private to the store.
#pragma once

#include "authority/records.h"

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

} // namespace lintel::authority

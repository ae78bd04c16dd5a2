// A table for people: columns as wide as their longest cell, two blanks between. Pure; any thread.
#pragma once

#include "domain/timestamp.h"

#include <QList>
#include <QStringList>

namespace lintel::cli {

[[nodiscard]] QString textTable(const QStringList &head, const QList<QStringList> &rows);
/// "key:  value" lines; empty values are left out.
[[nodiscard]] QString textFacts(const QList<std::pair<QString, QString>> &facts);
/// ISO 8601, or "-" for a time that never was (0).
[[nodiscard]] QString shownTime(qint64 epochMillis);
/// "in 42 min", "3 h ago".
[[nodiscard]] QString shownDistance(Timestamp at, Timestamp now);

} // namespace lintel::cli

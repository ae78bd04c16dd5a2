// The arguments of lintelctl's authority commands: words ("revoke hvac-001") and options in any order.
// Values and pure functions; any thread.
#pragma once

#include "domain/result.h"

#include <QHash>
#include <QList>
#include <QStringList>

namespace lintel::cli {

struct Option {
    QString name;      // without "--"
    QString valueName; // empty: a flag
    QString meaning;
    bool repeats = false;
};

class Arguments
{
public:
    /// Malformed: an option that is not among these, or one without its value; ends with where to read on
    /// (`help`). --json and --help are known everywhere. A value that begins with "--" is written with "=".
    [[nodiscard]] static Result<Arguments> parse(const QList<Option> &options, const QStringList &arguments,
                                                 const QString &help);

    [[nodiscard]] const QStringList &words() const { return m_words; }
    [[nodiscard]] bool has(const QString &name) const { return m_values.contains(name); }
    [[nodiscard]] QString value(const QString &name, const QString &otherwise = {}) const;
    [[nodiscard]] QStringList values(const QString &name) const { return m_values.value(name); }
    [[nodiscard]] bool json() const { return has(QStringLiteral("json")); }

private:
    QStringList m_words;
    QHash<QString, QStringList> m_values;
};

/// One line an option, for a help text.
[[nodiscard]] QString describe(const QList<Option> &options);

} // namespace lintel::cli

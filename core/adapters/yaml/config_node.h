// A configuration file as a tree of values that remember where they stood.
//
// parseConfig() reads one YAML 1.1 document with libyaml and keeps the subset that configuration
// needs: maps with plain keys, lists and scalars. It refuses what makes such files dangerous or
// ambiguous: aliases, anchors, tags, several documents, duplicate keys, nesting beyond 16, more
// than 1 MiB or 20,000 values. Errors carry "file:line: ".
//
// Values only; any thread. Nothing throws.
#pragma once

#include "domain/result.h"

#include <QByteArray>
#include <QList>
#include <QString>

#include <memory>

namespace lintel::config {

struct Entry;

struct Node {
    enum class Type { Null, Scalar, List, Map };

    Type type = Type::Null;
    QString scalar;       // Scalar only, as written, without quotes
    bool quoted = false;  // written with quotes: never a number or a bool in disguise
    int line = 0;         // 1-based
    QList<Node> items;    // List only
    QList<Entry> entries; // Map only, in the order of the file

    /// The value of a key of a map; null when there is none.
    [[nodiscard]] const Node *find(QStringView key) const;
    /// "a list", "text \"abc\"": for messages. A scalar's text is shortened.
    [[nodiscard]] QString describe() const;
};

struct Entry {
    QString key;
    int line = 0;
    Node value;
};

/// A parsed file. The root is a map (an empty file is an empty map).
struct Document {
    QString file; // for messages, as it was given
    Node root;
};

/// `file` stands in messages only.
[[nodiscard]] Result<Document> parseConfig(const QByteArray &yaml, const QString &file);
/// NotFound when there is no such file, Io when it cannot be read.
[[nodiscard]] Result<Document> readConfigFile(const QString &path);

} // namespace lintel::config

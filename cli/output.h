// How lintelctl talks: results to standard output, everything else to standard error.
// Any thread; each call writes at once.
#pragma once

#include "domain/result.h"

#include <QCborMap>
#include <QJsonObject>
#include <QString>

namespace lintel::cli {

void printOut(const QString &text);
/// A help text, as helpLines() makes it.
void printHelp(const QString &text);
void printError(const QString &text);
/// {"error": {"code": "denied", "message": "…"}} on standard output with `json`, else the sentence
/// on standard error.
void reportError(const Error &error, bool json);
void printJson(const QJsonObject &object);
/// No line beyond 100 columns, none that ends in blanks. What is too long goes on below where its text
/// begins: the second column of an option, eight columns in below a command, else the line's own indent.
[[nodiscard]] QString helpLines(const QString &text);
/// "1 reading", "8 readings", "0 readings".
[[nodiscard]] QString counted(quint64 count, const QString &one, const QString &many);
/// For people: "key: value" lines, lists and maps indented.
[[nodiscard]] QString humanText(const QCborMap &map);

} // namespace lintel::cli

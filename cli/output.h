// How lintelctl talks: results to standard output, everything else to standard error.
// Any thread; each call writes at once.
#pragma once

#include "domain/result.h"

#include <QCborMap>
#include <QJsonObject>
#include <QString>

namespace lintel::cli {

void printOut(const QString &text);
void printError(const QString &text);
/// {"error": {"code": "denied", "message": "…"}} on standard output with `json`, else the sentence
/// on standard error.
void reportError(const Error &error, bool json);
void printJson(const QJsonObject &object);
/// For people: "key: value" lines, lists and maps indented.
[[nodiscard]] QString humanText(const QCborMap &map);

} // namespace lintel::cli

// What every program's command line has in common: options are known, have their values, and nothing
// stands there that is no option; help and answers are printed alike. Free functions; any thread.
#pragma once

#include "domain/result.h"

#include <QCommandLineParser>
#include <QStringList>

#include <cstdio>

namespace lintel {

/// Parses `arguments` (without the program's name) with the options that `parser` knows. Malformed: one
/// sentence that ends with where to read on, `help` ("lintelctl call --help"). An option that stands where
/// a value belongs ("--keep --json") is a missing value; a value that begins with "--" is written with "=".
[[nodiscard]] Result<void> parseArguments(QCommandLineParser &parser, const QList<QCommandLineOption> &options,
                                          const QStringList &arguments, const QString &help);

/// One line an option for a help text: name and value, then from `column` on what it is for.
[[nodiscard]] QString optionLines(const QList<QCommandLineOption> &options, int column);

/// As UTF-8 and at once; `stream` is stdout or stderr.
void writeText(std::FILE *stream, const QString &text);

} // namespace lintel

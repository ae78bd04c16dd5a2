// What every program's command line has in common: options are known, have their values, and nothing
// stands there that is no option. Free functions; any thread.
#pragma once

#include "domain/result.h"

#include <QCommandLineParser>
#include <QStringList>

namespace lintel {

/// Parses `arguments` (without the program's name) with the options that `parser` knows. Malformed: one
/// sentence that ends with where to read on, `help` ("lintelctl call --help"). An option that stands where
/// a value belongs ("--keep --json") is a missing value; a value that begins with "--" is written with "=".
[[nodiscard]] Result<void> parseArguments(QCommandLineParser &parser, const QList<QCommandLineOption> &options,
                                          const QStringList &arguments, const QString &help);

} // namespace lintel

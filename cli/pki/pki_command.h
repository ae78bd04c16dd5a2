// "lintelctl pki": makes the roots and SVIDs of a demo, a test or the first day of a site, in
// files. Any thread.
#pragma once

#include <QStringList>

namespace lintel::cli {

/// `arguments` are what follows "pki". Writes to standard output and standard error; returns the
/// exit code: 0 done, 1 failed, 2 wrong arguments.
[[nodiscard]] int runPki(const QStringList &arguments);

} // namespace lintel::cli

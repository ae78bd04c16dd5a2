// `lintelctl call`: one capability call, its answer as JSON on standard output. Needs QCoreApplication.
#pragma once

#include <QStringList>

namespace lintel::cli {

[[nodiscard]] int runCall(const QStringList &arguments);

} // namespace lintel::cli

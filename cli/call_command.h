// `lintelctl call`: one capability call, its answer on standard output. Needs QCoreApplication.
#pragma once

#include <QStringList>

namespace lintel::cli {

[[nodiscard]] int runCall(const QStringList &arguments);

} // namespace lintel::cli

// `lintelctl demo`: a whole building on this machine. Needs QCoreApplication.
#pragma once

#include <QStringList>

namespace lintel::cli {

[[nodiscard]] int runDemo(const QStringList &arguments);

} // namespace lintel::cli

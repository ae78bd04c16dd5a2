// `lintelctl buffer`: looks into a spool file while its agent does not run. Needs QCoreApplication.
#pragma once

#include <QStringList>

namespace lintel::cli {

[[nodiscard]] int runBuffer(const QStringList &arguments);

} // namespace lintel::cli

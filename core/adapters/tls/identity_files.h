// The files in which an identity lies on disk, named in one place, and how they are read and
// written: atomically, private keys with mode 0600 from the first byte on. Any thread.
#pragma once

#include "domain/result.h"
#include "domain/spiffe_id.h"

#include <QByteArray>
#include <QString>

namespace lintel::tls {

[[nodiscard]] QString svidFileName();    // leaf first, then intermediates
[[nodiscard]] QString svidKeyFileName(); // PKCS #8
[[nodiscard]] QString bundleFileName(const TrustDomain &domain);

/// NotFound or Io with the path and the system's reason; refuses files over 1 MiB.
[[nodiscard]] Result<QByteArray> readWholeFile(const QString &path);
/// The same for a secret. Denied: others may read or write it.
[[nodiscard]] Result<QByteArray> readPrivateFile(const QString &path);
[[nodiscard]] Result<void> writePrivateFile(const QString &path, const QByteArray &bytes);
[[nodiscard]] Result<void> writePublicFile(const QString &path, const QByteArray &bytes);
/// With mode 0700, also each missing directory above it; an existing directory is left as it is.
[[nodiscard]] Result<void> makePrivateDirectory(const QString &path);

/// What was written to this file, or made, renamed and removed in this directory, outlasts a power cut from now on.
[[nodiscard]] Result<void> syncToDisk(const QString &path);

} // namespace lintel::tls

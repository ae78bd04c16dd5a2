// The identity of a service, by its configuration: files, an agent's Workload API, or its own
// attestation to the authority. The main thread; needs QCoreApplication.
#pragma once

#include "process/service_main.h"

#include <memory>

namespace lintel::spire {
class EmbeddedIdentitySource;
}

namespace lintel::service {

/// The identity that the configuration names, and that is this agent's own: see checkIdentity() and
/// checkIsSelf(). One that is not there yet is only logged, with what happens `meanwhile`; so is what
/// is found wrong with it later, that it has ended, and that it is back, once each. Another's
/// certificate that comes later is none (see OwnIdentity).
[[nodiscard]] Result<std::unique_ptr<IdentitySource>> openIdentity(const Program &program, const CommonConfig &config,
                                                                   const QString &meanwhile);

/// The source behind it when the process fetches its identity itself; null with other providers.
[[nodiscard]] spire::EmbeddedIdentitySource *embeddedIn(IdentitySource &identity);

} // namespace lintel::service

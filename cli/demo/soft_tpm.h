// The TPMs of the demo's devices: one swtpm process each, with an endorsement certificate of a vendor
// that lives as long as the demo does. Files and settings only; the processes are the building's.
// Free functions; the main thread.
#pragma once

#include "demo/child_process.h"
#include "demo/demo_plan.h"

namespace lintel::demo {

/// NotFound with what to install.
[[nodiscard]] Result<void> findSoftTpm();
/// The vendor's folders and settings, before the first TPM is made.
[[nodiscard]] Result<void> makeTpmVendor(const DemoPlan &plan);
/// The vendor's certificates, where the building's authority looks for them; when the first is made.
[[nodiscard]] Result<void> publishTpmVendor(const DemoPlan &plan);
[[nodiscard]] QString tpmVendorDir(const DemoPlan &plan);

/// Its folder, made here, and the process that makes endorsement key and certificate, and ends.
[[nodiscard]] Result<ChildSpec> tpmFactory(const DemoPlan &plan, const QString &device);
[[nodiscard]] ChildSpec tpmProcess(const DemoPlan &plan, const QString &device);
/// By which an authority knows the chip: of the certificate that came with it.
[[nodiscard]] Result<QString> endorsementHash(const DemoPlan &plan, const QString &device);

} // namespace lintel::demo

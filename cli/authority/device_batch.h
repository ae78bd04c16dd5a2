// One command on one device or on several. Asks the authority; main thread.
#pragma once

#include "authority/device_view.h"

namespace lintel::cli {

/// The first text that stands there more than once; empty: none does.
[[nodiscard]] QString firstTwice(const QStringList &texts);

/// Calls the administration's method `name` for each word of `arguments`, with what `requestFor` makes for the
/// device of that index. `told` says in whole lines what has happened to a device.
///
/// Of one device the answer is that device, or the error. Of several each is done by itself, as each is an act of
/// its own in the audit trail: the answer has {"devices": [...]} with a device, or {"device", "error"}, for each in
/// their order, and exit code 1 when one failed. An authority that does not answer is asked no further; the error is
/// the answer when nothing was done by then.
[[nodiscard]] Result<Answer> onEachDevice(const Arguments &arguments, const char *name,
                                          const std::function<wire::DeviceRequest(qsizetype)> &requestFor,
                                          const std::function<QString(const wire::Device &)> &told);

} // namespace lintel::cli

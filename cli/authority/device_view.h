// A device of the authority as lintelctl shows it. Pure; any thread.
#pragma once

#include "authority/group.h"

#include "lintel_authority.pb.h"

namespace lintel::cli {

namespace wire = ::lintel::authority::v1;

[[nodiscard]] QString stateWord(wire::DeviceState state);
[[nodiscard]] QJsonObject deviceJson(const wire::Device &device);
[[nodiscard]] QString deviceText(const wire::Device &device);
[[nodiscard]] Answer deviceAnswer(const wire::Device &device, const QString &sentence);

/// --name, --kind, --site, --space, --tag, --hardware, --release.
[[nodiscard]] QList<Option> factOptions();
void takeFacts(const Arguments &arguments, wire::Enrolment *out);

} // namespace lintel::cli

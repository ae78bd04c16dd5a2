// The STATE message of a host application: {"online":true,"timestamp":1763719260000}
// (Sparkplug B 3.0, section 6.4.25). Values only; any thread.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"

#include <QByteArray>

namespace lintel::sparkplug {

struct HostState {
    bool online = false;
    Timestamp timestamp{}; // of the CONNECT whose will the host registered; of the moment when it leaves

    friend bool operator==(const HostState &, const HostState &) = default;
};

[[nodiscard]] QByteArray encodeState(const HostState &state);
/// Refuses as Malformed whatever is not a JSON object with a boolean and a whole number of
/// milliseconds since 1970.
[[nodiscard]] Result<HostState> decodeState(const QByteArray &json);

} // namespace lintel::sparkplug

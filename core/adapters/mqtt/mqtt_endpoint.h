// Where a broker is and who it must be. Values only; any thread.
#pragma once

#include "domain/spiffe_id.h"
#include "ports/backoff.h"

#include <QString>

#include <chrono>

namespace lintel {

struct MqttEndpoint {
    QString host; // name or address; it finds the broker and proves nothing
    quint16 port = 8883;
    SpiffeId broker; // who must answer there
    BackoffPolicy backoff;
    std::chrono::milliseconds connectTimeout{10'000}; // name lookup, TCP, TLS and CONNACK together
};

} // namespace lintel

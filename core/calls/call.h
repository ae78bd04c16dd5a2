// Capability calls: a request and its one answer, beside Sparkplug on the same connection.
//
// Request  lintel/v1/req/<callee>/<caller>/<method>         CBOR {corr, expires, args}
// Response lintel/v1/rsp/<caller>/<callee>/<correlation>    CBOR {corr, status, data | error}
// QoS 1. The broker lets a client write only its own caller segment, so the callee knows who
// calls. A caller repeats a request until it expires; the callee answers a repeated correlation
// from memory for ten minutes and does not run it again.
#pragma once

#include "domain/principal.h"
#include "domain/result.h"
#include "domain/timestamp.h"

#include <QByteArray>
#include <QByteArrayView>
#include <QCborMap>
#include <QString>

#include <functional>

namespace lintel {

struct CallRequest {
    QString correlation; // [A-Za-z0-9-]{1,64}, unique per caller
    Timestamp expires{};
    QCborMap args;
};

struct CallResponse {
    QString correlation;
    Result<QCborMap> outcome; // status "completed" with data, or "failed" with code and sentence
};

[[nodiscard]] QByteArray encode(const CallRequest &request);
[[nodiscard]] Result<CallRequest> decodeCallRequest(QByteArrayView bytes);
[[nodiscard]] QByteArray encode(const CallResponse &response);
[[nodiscard]] Result<CallResponse> decodeCallResponse(QByteArrayView bytes);

/// "malformed", "not_found", … : the error code as it stands on the wire and in JSON output.
[[nodiscard]] QString wireName(Errc code);

} // namespace lintel

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

#include <optional>

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

/// No call lives longer than the callee remembers its answer; a longer timeout is cut to this.
inline constexpr Millis maxCallTimeout = std::chrono::minutes{10};
/// Larger requests and responses are refused before they are parsed.
inline constexpr qsizetype maxCallBytes = 4 * 1024 * 1024;

/// A correlation that cannot stand in a topic is Malformed on the other side.
[[nodiscard]] QByteArray encode(const CallRequest &request);
/// Malformed, with what is wrong; keys that this version does not know are ignored.
[[nodiscard]] Result<CallRequest> decodeCallRequest(QByteArrayView bytes);
[[nodiscard]] QByteArray encode(const CallResponse &response);
/// Malformed as above. A "failed" response decodes well: its outcome is the callee's error.
[[nodiscard]] Result<CallResponse> decodeCallResponse(QByteArrayView bytes);

/// The correlation of a request that is otherwise broken, so that the caller can be told.
[[nodiscard]] std::optional<QString> correlationOf(QByteArrayView bytes);

/// "malformed", "not_found", … : the error code as it stands on the wire and in JSON output.
[[nodiscard]] QString wireName(Errc code);
/// The way back; nothing for a name that this version does not know.
[[nodiscard]] std::optional<Errc> errcFromWireName(QStringView name);

} // namespace lintel

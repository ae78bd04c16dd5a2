// What the authority's work costs without a network, in this process, by processor time; and how many
// signatures OpenSSL makes here, the limit that nothing can pass.
#pragma once

#include <QJsonObject>

namespace lintel::bench {

/// ECDSA P-256 on one processor, by OpenSSL alone.
struct RawRates {
    double signaturesPerSecond = 0;
    double verificationsPerSecond = 0;
};
[[nodiscard]] RawRates measureRawRates();

/// Microseconds of processor time for each kind of work.
[[nodiscard]] QJsonObject measureCore();

} // namespace lintel::bench

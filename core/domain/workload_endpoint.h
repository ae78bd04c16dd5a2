// Where a SPIFFE Workload API is served, as SPIFFE_ENDPOINT_SOCKET writes it (SPIFFE_Workload_Endpoint.md
// section 4): "unix:///path/of/socket", or "tcp://address:port" with an IP address. Nothing else may stand in it.
// A value; any thread. A text that is no such address is Malformed, in one sentence that tells what to write.
#pragma once

#include "domain/result.h"

#include <QString>

namespace lintel {

class WorkloadEndpoint
{
public:
    /// Percent-encoding is undone in the path, as in every URI (RFC 3986 section 2).
    [[nodiscard]] static Result<WorkloadEndpoint> parse(const QString &text);

    /// Absolute, 107 bytes at most; empty for one over TCP.
    [[nodiscard]] const QString &socketPath() const { return m_path; }
    [[nodiscard]] bool isLocalSocket() const { return !m_path.isEmpty(); }
    /// The address and port of one over TCP, "127.0.0.1:8081" or "[::1]:8081"; empty for a socket.
    [[nodiscard]] const QString &tcpAddress() const { return m_tcpAddress; }

private:
    QString m_path;
    QString m_tcpAddress;
};

} // namespace lintel

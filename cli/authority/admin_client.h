// Asks an authority on this machine over its administration socket and waits for the answer. One object
// a command, on the thread that made it; needs QCoreApplication.
#pragma once

#include "grpc/grpc_channel.h"
#include "spire/wire.h"

#include <QString>

#include <chrono>

namespace lintel::cli {

class AdminClient
{
public:
    explicit AdminClient(const QString &socket);

    /// The bytes that answer; Unavailable: no authority there (with what to do), or what it says itself.
    [[nodiscard]] Result<QByteArray> ask(const QByteArray &path, const QByteArray &request);

    template <class Response, class Request>
    [[nodiscard]] Result<Response> call(const QByteArray &path, const Request &request)
    {
        const auto bytes = ask(path, spire::serialize(request));
        if (!bytes)
            return bytes.error();
        return spire::parse<Response>(*bytes);
    }

private:
    QString m_socket;
    grpc::Channel m_channel;
};

/// A status inside of an answer ("results[0].status").
[[nodiscard]] Result<void> resultOf(const ::spire::api::types::Status &status);

/// Makes the federation, or puts it in the place of the one that there is with that domain.
[[nodiscard]] Result<void> federate(AdminClient &client, const ::spire::api::types::FederationRelationship &wanted);

} // namespace lintel::cli

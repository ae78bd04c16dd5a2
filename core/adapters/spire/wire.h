// Between generated messages and our values. Private to this folder and to the services that answer.
// Pure functions; any thread.
#pragma once

#include "domain/result.h"
#include "domain/spiffe_id.h"
#include "grpc/grpc_types.h"
#include "tls/bundle_document.h"

#include "spire_types.pb.h"

#include <QByteArray>
#include <QString>

#include <string>

namespace lintel::spire {

[[nodiscard]] inline QByteArray bytesOf(const std::string &text)
{
    return {text.data(), qsizetype(text.size())};
}
[[nodiscard]] inline std::string stringOf(const QByteArray &bytes)
{
    return bytes.toStdString();
}
[[nodiscard]] inline QString textOf(const std::string &text)
{
    return QString::fromUtf8(text.data(), qsizetype(text.size()));
}

template <class Message>
[[nodiscard]] QByteArray serialize(const Message &message)
{
    return bytesOf(message.SerializeAsString());
}
/// The same with maps in the order of their keys: equal messages are equal bytes.
[[nodiscard]] QByteArray serializeStable(const google::protobuf::MessageLite &message);
/// Malformed when it is no such message.
template <class Message>
[[nodiscard]] Result<Message> parse(const QByteArray &bytes)
{
    Message message;
    if (!message.ParseFromArray(bytes.constData(), int(bytes.size())))
        return Error{Errc::Malformed, QStringLiteral("The message is not of the type that this method has.")};
    return message;
}

[[nodiscard]] Result<SpiffeId> spiffeIdOf(const ::spire::api::types::SPIFFEID &id);
void setSpiffeId(::spire::api::types::SPIFFEID *out, const SpiffeId &id);

/// Leaf first.
[[nodiscard]] QList<QByteArray> chainOf(const ::spire::api::types::X509SVID &svid);
/// The trust domains of an entry, with and without "spiffe://"; what is none is left out.
[[nodiscard]] QList<TrustDomain> federatesWithOf(const ::spire::api::types::Entry &entry);
/// Without tainted keys. Denied when it is not about `domain`.
[[nodiscard]] Result<tls::BundleDocument> bundleOf(const ::spire::api::types::Bundle &bundle,
                                                   const TrustDomain &domain);

/// What is said of a bundle that tls::mayReplace() refused with `why`.
[[nodiscard]] Error olderBundle(const TrustDomain &domain, const Error &why);

/// A refusal as gRPC says it, with SPIRE's reason for agents in its details.
[[nodiscard]] grpc::Status permissionDenied(const QString &message,
                                            ::spire::api::types::PermissionDeniedDetails::Reason reason);
/// The reason in the details of a PermissionDenied; UNKNOWN without one.
[[nodiscard]] ::spire::api::types::PermissionDeniedDetails::Reason denialReason(const grpc::Status &status);

/// What an authority's refusal means for this side: `doing` begins the sentence ("Attesting").
[[nodiscard]] Error errorOf(const grpc::Status &status, const QString &doing);

} // namespace lintel::spire

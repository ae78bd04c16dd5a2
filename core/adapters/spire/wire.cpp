#include "spire/wire.h"

#include "grpc_health.pb.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace lintel::spire {

using namespace Qt::StringLiterals;
using Details = ::spire::api::types::PermissionDeniedDetails;

namespace {

constexpr const char *kDetailsType = "type.googleapis.com/spire.api.types.PermissionDeniedDetails";

QString whatToDo(Details::Reason reason)
{
    switch (reason) {
    case Details::AGENT_BANNED: return u"The authority has revoked this device; enrol it anew if that was a mistake."_s;
    case Details::AGENT_EXPIRED: return u"The agent's SVID had expired; it attests again."_s;
    case Details::AGENT_NOT_ATTESTED:
    case Details::AGENT_MUST_REATTEST: return u"The authority wants this device to attest again."_s;
    case Details::AGENT_NOT_ACTIVE: return u"Another SVID of this agent is in use; it attests again."_s;
    default: return {};
    }
}

Errc codeOf(grpc::StatusCode code)
{
    using grpc::StatusCode;
    switch (code) {
    case StatusCode::InvalidArgument: return Errc::Malformed;
    case StatusCode::NotFound: return Errc::NotFound;
    case StatusCode::AlreadyExists:
    case StatusCode::Aborted:
    case StatusCode::FailedPrecondition: return Errc::Conflict;
    case StatusCode::PermissionDenied:
    case StatusCode::Unauthenticated: return Errc::Denied;
    case StatusCode::ResourceExhausted: return Errc::Full;
    case StatusCode::DeadlineExceeded: return Errc::Timeout;
    case StatusCode::Unimplemented: return Errc::Unsupported;
    case StatusCode::OutOfRange: return Errc::OutOfRange;
    default: return Errc::Unavailable;
    }
}

} // namespace

QByteArray serializeStable(const google::protobuf::MessageLite &message)
{
    std::string bytes;
    {
        google::protobuf::io::StringOutputStream stream(&bytes);
        google::protobuf::io::CodedOutputStream coded(&stream);
        coded.SetSerializationDeterministic(true);
        message.SerializeToCodedStream(&coded);
    }
    return bytesOf(bytes);
}

Result<SpiffeId> spiffeIdOf(const ::spire::api::types::SPIFFEID &id)
{
    return SpiffeId::parse(u"spiffe://"_s + textOf(id.trust_domain()) + textOf(id.path()));
}

void setSpiffeId(::spire::api::types::SPIFFEID *out, const SpiffeId &id)
{
    out->set_trust_domain(id.trustDomain().name().toStdString());
    out->set_path(id.path().toStdString());
}

QList<QByteArray> chainOf(const ::spire::api::types::X509SVID &svid)
{
    QList<QByteArray> chain;
    for (const std::string &der : svid.cert_chain())
        chain.append(bytesOf(der));
    return chain;
}

QList<TrustDomain> federatesWithOf(const ::spire::api::types::Entry &entry)
{
    QList<TrustDomain> domains;
    for (const std::string &text : entry.federates_with()) {
        QString name = textOf(text);
        if (name.startsWith("spiffe://"_L1))
            name.remove(0, 9);
        if (const auto domain = TrustDomain::parse(name))
            domains.append(*domain);
    }
    return domains;
}

Result<tls::BundleDocument> bundleOf(const ::spire::api::types::Bundle &bundle, const TrustDomain &domain)
{
    if (textOf(bundle.trust_domain()) != domain.name())
        return Error{Errc::Denied, u"The authority answered with the bundle of \"%1\" when asked for %2."_s.arg(
                                       textOf(bundle.trust_domain()), domain.name())};
    tls::BundleDocument document;
    for (const auto &certificate : bundle.x509_authorities()) {
        if (!certificate.tainted())
            document.x509Authorities.append(bytesOf(certificate.asn1()));
    }
    for (const auto &key : bundle.jwt_authorities()) {
        if (!key.tainted())
            document.jwtAuthorities.append({textOf(key.key_id()), bytesOf(key.public_key())});
    }
    if (bundle.sequence_number() > 0) // older SPIRE servers count nothing
        document.sequence = bundle.sequence_number();
    if (bundle.refresh_hint() > 0)
        document.refreshHint = std::chrono::seconds{bundle.refresh_hint()};
    return document;
}

Error olderBundle(const TrustDomain &domain, const Error &why)
{
    return {Errc::Conflict,
            u"The bundle of %1 stays as it was: %2 If its authority was put back from a copy, "
            u"see \"A trust bundle with a lower number\" in docs/lintelctl.md."_s.arg(domain.name(), why.message)};
}

grpc::Status permissionDenied(const QString &message, Details::Reason reason)
{
    Details details;
    details.set_reason(reason);
    grpc::wire::RpcStatus status;
    status.set_code(int(grpc::StatusCode::PermissionDenied));
    status.set_message(message.toStdString());
    auto *any = status.add_details();
    any->set_type_url(kDetailsType);
    any->set_value(details.SerializeAsString());
    return {grpc::StatusCode::PermissionDenied, message, serialize(status)};
}

Details::Reason denialReason(const grpc::Status &status)
{
    const auto wire = parse<grpc::wire::RpcStatus>(status.details);
    if (!wire)
        return Details::UNKNOWN;
    for (const auto &any : wire->details()) {
        if (any.type_url() != kDetailsType)
            continue;
        if (const auto details = parse<Details>(bytesOf(any.value())))
            return details->reason();
    }
    return Details::UNKNOWN;
}

Error errorOf(const grpc::Status &status, const QString &doing)
{
    QString sentence = u"%1 failed: %2"_s.arg(doing, status.message.isEmpty() ? u"no reason given"_s : status.message);
    if (!sentence.endsWith(u'.'))
        sentence += u'.';
    if (status.code == grpc::StatusCode::PermissionDenied) {
        if (const QString hint = whatToDo(denialReason(status)); !hint.isEmpty())
            sentence += u' ' + hint;
    }
    return {codeOf(status.code), sentence};
}

} // namespace lintel::spire

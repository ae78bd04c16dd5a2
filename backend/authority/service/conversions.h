// Between the authority's records and the messages of its services. Pure functions; any thread.
#pragma once

#include "authority/authority.h"
#include "grpc/grpc_server.h"
#include "spire/wire.h"

#include "lintel_authority.pb.h"
#include "spire_agent.pb.h"
#include "spire_entry.pb.h"

namespace lintel::authority {

namespace types = ::spire::api::types;
namespace wire = ::lintel::authority::v1;

/// A trust domain as SPIRE's clients write it: by its name, or as its SPIFFE ID.
[[nodiscard]] Result<TrustDomain> trustDomainOf(const std::string &name);

/// The gRPC status that a refusal becomes; `ok` for none.
[[nodiscard]] grpc::Status statusOf(const Error &error);
[[nodiscard]] inline grpc::UnaryReply refusal(const Error &error)
{
    return {statusOf(error), {}};
}
template <class Message>
[[nodiscard]] grpc::UnaryReply reply(const Message &message)
{
    return {{}, spire::serialize(message)};
}
/// An empty message: every "Nothing".
[[nodiscard]] inline grpc::UnaryReply replyNothing()
{
    return {};
}

void fill(types::Status *out, const grpc::Status &status);
void fill(types::X509SVID *out, const IssuedSvid &svid);
void fill(types::JWTSVID *out, const JwtIssued &jwt);
void fill(types::Agent *out, const Agent &agent, const types::AgentMask *mask);
void fill(types::Entry *out, const Entry &entry, const types::EntryMask *mask);
void fill(types::Bundle *out, const TrustDomain &domain, const tls::BundleDocument &bundle,
          const types::BundleMask *mask);
void fill(types::FederationRelationship *out, const FederationRelationship &relationship);
void fill(wire::Device *out, const Device &device);
void fill(wire::ReferenceValues *out, const ReferenceValues &values);
void fill(wire::ListAttestationsResponse::Attestation *out, const AttestationRecord &record, bool withEvidence);

[[nodiscard]] Selectors selectorsOf(const google::protobuf::RepeatedPtrField<types::Selector> &selectors);
[[nodiscard]] Result<Entry> entryOf(const types::Entry &entry);
/// `known` with the fields that the mask names taken from `fresh`.
[[nodiscard]] Entry merged(const Entry &known, const Entry &fresh, const types::EntryMask *mask);
[[nodiscard]] Result<tls::BundleDocument> bundleOf(const types::Bundle &bundle);
[[nodiscard]] Result<FederationRelationship> relationshipOf(const types::FederationRelationship &relationship);
[[nodiscard]] ReferenceValues referenceOf(const wire::ReferenceValues &values);
[[nodiscard]] DeviceFacts factsOf(const wire::Enrolment &enrolment);

/// How a filter's list stands to a record's.
template <class T>
[[nodiscard]] bool matches(const QList<T> &wanted, const QList<T> &has, types::Match how)
{
    const auto contains = [](const QList<T> &all, const QList<T> &some) {
        return std::all_of(some.begin(), some.end(), [&all](const T &one) { return all.contains(one); });
    };
    switch (how) {
    case types::SUBSET: return contains(wanted, has);
    case types::SUPERSET: return contains(has, wanted);
    case types::ANY:
        return std::any_of(wanted.begin(), wanted.end(), [&has](const T &one) { return has.contains(one); });
    default: return contains(wanted, has) && contains(has, wanted);
    }
}

/// One page of `all`: its first index, and the token of the next page (empty: that was the last).
struct Page {
    qsizetype begin = 0;
    qsizetype end = 0;
    std::string next;
};
[[nodiscard]] Result<Page> pageOf(qsizetype count, int size, const std::string &token);

/// The address of a caller without its port: limits count machines, not connections.
[[nodiscard]] QString hostOf(const QString &address);

} // namespace lintel::authority

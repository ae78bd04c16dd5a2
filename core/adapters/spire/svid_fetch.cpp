#include "spire/svid_fetch.h"

#include "spire/server_methods.h"
#include "spire/wire.h"
#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"
#include "tls/signed_time.h"
#include "tls/x509.h"

#include "lintel_authority.pb.h"
#include "spire_agent.pb.h"
#include "spire_bundle.pb.h"
#include "spire_entry.pb.h"
#include "spire_svid.pb.h"

#include <QCryptographicHash>
#include <QRandomGenerator>

#include <algorithm>

namespace lintel::spire {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace agentApi = ::spire::api::server::agent::v1;
namespace entryApi = ::spire::api::server::entry::v1;
namespace svidApi = ::spire::api::server::svid::v1;
namespace bundleApi = ::spire::api::server::bundle::v1;
namespace types = ::spire::api::types;
namespace authority = ::lintel::authority::v1;

namespace {

constexpr auto kErrandTime = 60s; // a chip may need seconds for each of its keys
constexpr auto kCallTime = 15s;
constexpr int kMaxChallenges = 4;
constexpr int kNonceBytes = 32;

} // namespace

SvidFetch::SvidFetch(FetchOrder order, Attestor &attestor, const TimeFloor &time, QObject *parent)
    : QObject(parent), m_order(std::move(order)), m_attestor(attestor), m_time(time)
{
    m_patience.setSingleShot(true);
    connect(&m_patience, &QTimer::timeout, this, [this] {
        fail({Errc::Timeout, u"The authority at %1 did not finish within %2 s."_s.arg(m_order.authority)
                                 .arg(std::chrono::seconds{kErrandTime}.count())});
    });
    m_introduction = std::make_unique<grpc::Channel>(
        grpc::ChannelTarget{m_order.authority, [this] {
                                return tlsAs(m_order.renewAs ? std::optional(m_order.renewAs->svid) : std::nullopt);
                            }});
    m_asAgent = std::make_unique<grpc::Channel>(
        grpc::ChannelTarget{m_order.authority, [this] { return tlsAs(m_result.agent.svid); }});
}

SvidFetch::~SvidFetch() = default;

void SvidFetch::start()
{
    m_patience.start(kErrandTime);
    auto key = m_order.retryKey ? Result<std::shared_ptr<EVP_PKEY>>(m_order.retryKey) : m_attestor.newKey();
    if (!key)
        return fail(key.error());
    m_key = *key;
    const auto signer = tls::signingKeyFrom(m_key);
    if (!signer)
        return fail(signer.error());
    auto csr = tls::makeCsr(**signer);
    if (!csr)
        return fail(csr.error());
    m_csr = *csr;
    if (m_order.renewAs)
        renew();
    else
        attest();
}

Result<grpc::ClientTls> SvidFetch::tlsAs(const std::optional<X509Svid> &own) const
{
    grpc::ClientTls tls;
    tls.own = own;
    tls.expectedServer = m_order.authorityId;
    const TrustDomain &domain = m_order.authorityId.trustDomain();
    tls.bundles = {{domain, m_order.known.value(domain).x509Authorities}};
    tls.verifyAt = m_time.now();
    tls.mayBeBehindBy = m_time.doubt();
    return tls;
}

void SvidFetch::attest()
{
    const auto payload = m_attestor.begin();
    if (!payload)
        return fail(payload.error());
    agentApi::AttestAgentRequest request;
    auto *params = request.mutable_params();
    params->mutable_data()->set_type(m_attestor.type().toStdString());
    params->mutable_data()->set_payload(stringOf(*payload));
    params->mutable_params()->set_csr(stringOf(m_csr));

    m_attestation = m_introduction->start(method::agent("AttestAgent"), {}, kErrandTime);
    connect(m_attestation, &grpc::ClientCall::messageReceived, this, &SvidFetch::onAttestMessage);
    connect(m_attestation, &grpc::ClientCall::finished, this, [this](const grpc::Status &status) {
        m_attestation = nullptr;
        if (m_result.agent.svid.key == nullptr)
            fail(status.isOk() ? Error{Errc::Unavailable, u"The authority ended the attestation without an answer."_s}
                               : errorOf(status, u"Attesting this device"_s));
    });
    m_attestation->send(serialize(request));
}

void SvidFetch::onAttestMessage(const QByteArray &message)
{
    if (m_isOver)
        return;
    const auto response = parse<agentApi::AttestAgentResponse>(message);
    if (!response)
        return fail(response.error());
    if (response->has_result()) {
        m_attestation->closeSending();
        return becomeAgent(chainOf(response->result().svid()), response->result().reattestable());
    }
    answerChallenge(bytesOf(response->challenge()));
}

void SvidFetch::answerChallenge(const QByteArray &challenge)
{
    if (++m_challenges > kMaxChallenges)
        return fail({Errc::Malformed, u"The authority asks more than %1 challenges."_s.arg(kMaxChallenges)});
    const auto binding = this->binding();
    if (!binding)
        return fail(binding.error());
    const auto answer = m_attestor.answer(challenge, *binding);
    if (!answer)
        return fail(answer.error());
    if (m_attestation == nullptr) // the chip was slower than the authority's patience
        return;
    agentApi::AttestAgentRequest request;
    request.set_challenge_response(stringOf(*answer));
    m_attestation->send(serialize(request));
}

Result<AttestationBinding> SvidFetch::binding() const
{
    const auto exported = m_introduction->exportKeyingMaterial(kChannelBindingLabel, kChannelBindingBytes);
    if (exported)
        return AttestationBinding{*exported, m_csr, ChannelBinding::Exporter};
    if (exported.error().code != Errc::Unsupported)
        return exported.error();
    const QByteArray shown = m_introduction->serverCertificate();
    return AttestationBinding{QCryptographicHash::hash(shown, QCryptographicHash::Sha256), m_csr,
                              ChannelBinding::ServerCertificate};
}

void SvidFetch::renew()
{
    agentApi::RenewAgentRequest request;
    request.mutable_params()->set_csr(stringOf(m_csr));
    m_introduction->unary(method::agent("RenewAgent"), serialize(request), kCallTime, this,
                          [this](const grpc::Status &status, const QByteArray &message) {
                              if (!status.isOk())
                                  return fail(errorOf(status, u"Renewing this agent"_s));
                              const auto response = parse<agentApi::RenewAgentResponse>(message);
                              if (!response)
                                  return fail(response.error());
                              becomeAgent(chainOf(response->svid()), m_order.renewAs->canReattest);
                          });
}

void SvidFetch::becomeAgent(const QList<QByteArray> &chainDer, bool canReattest)
{
    auto svid = tls::makeSvid(chainDer, m_key);
    if (!svid)
        return fail(svid.error());
    if (!svid->id.isMemberOf(m_order.authorityId.trustDomain()))
        return fail({Errc::Denied, u"The authority of %1 answered with an agent of %2."_s.arg(
                                       m_order.authorityId.trustDomain().name(), svid->id.trustDomain().name())});
    m_result.agent = {*svid, canReattest};
    Q_EMIT becameAgent(m_result.agent);
    askEntries();
}

void SvidFetch::askEntries()
{
    entryApi::GetAuthorizedEntriesRequest request;
    auto *mask = request.mutable_output_mask();
    mask->set_spiffe_id(true);
    mask->set_federates_with(true);
    m_asAgent->unary(method::entry("GetAuthorizedEntries"), serialize(request), kCallTime, this,
                     [this](const grpc::Status &status, const QByteArray &message) {
                         if (!status.isOk())
                             return fail(errorOf(status, u"Asking for this device's entry"_s));
                         onEntries(message);
                     });
}

void SvidFetch::onEntries(const QByteArray &message)
{
    const auto response = parse<entryApi::GetAuthorizedEntriesResponse>(message);
    if (!response)
        return fail(response.error());
    for (const types::Entry &entry : response->entries()) {
        const auto id = spiffeIdOf(entry.spiffe_id());
        if (!id || *id != m_order.wanted)
            continue;
        m_federatesWith = federatesWithOf(entry);
        return askSvid(bytesOf(entry.id()));
    }
    fail({Errc::NotFound,
          u"The authority knows this device, but not as %1: enrol it under that name (lintelctl enroll), "
          u"or correct agent.spiffe_id."_s.arg(m_order.wanted.toString())});
}

void SvidFetch::askSvid(const QByteArray &entryId)
{
    svidApi::BatchNewX509SVIDRequest request;
    auto *params = request.add_params();
    params->set_entry_id(stringOf(entryId));
    params->set_csr(stringOf(m_csr));
    m_asAgent->unary(method::svid("BatchNewX509SVID"), serialize(request), kCallTime, this,
                     [this](const grpc::Status &status, const QByteArray &message) {
                         if (!status.isOk())
                             return fail(errorOf(status, u"Asking for the SVID"_s));
                         onSvid(message);
                     });
}

void SvidFetch::onSvid(const QByteArray &message)
{
    const auto response = parse<svidApi::BatchNewX509SVIDResponse>(message);
    if (!response)
        return fail(response.error());
    if (response->results_size() != 1)
        return fail(
            {Errc::Malformed, u"The authority answered %1 SVIDs to one request."_s.arg(response->results_size())});
    const auto &result = response->results(0);
    if (result.status().code() != 0)
        return fail(errorOf({grpc::StatusCode(result.status().code()), textOf(result.status().message()), {}},
                            u"Asking for the SVID"_s));
    auto svid = tls::makeSvid(chainOf(result.svid()), m_key);
    if (!svid)
        return fail(svid.error());
    if (svid->id != m_order.wanted)
        return fail({Errc::Denied,
                     u"The authority issued %1 instead of %2."_s.arg(svid->id.toString(), m_order.wanted.toString())});
    m_result.snapshot.svid = *svid;
    askBundle();
}

/// The one that is known stays when the new one is older: with roots that were taken out of use, somebody
/// could pose as anybody.
Result<tls::BundleDocument> SvidFetch::takeBundle(const QByteArray &message, const TrustDomain &domain)
{
    const auto wire = parse<types::Bundle>(message);
    if (!wire)
        return wire.error();
    auto fresh = bundleOf(*wire, domain);
    const auto known = m_order.known.constFind(domain);
    if (!fresh || known == m_order.known.constEnd())
        return fresh;
    const auto allowed = tls::mayReplace(*known, *fresh);
    if (allowed)
        return fresh;
    if (!m_result.refusedBundle)
        m_result.refusedBundle = olderBundle(domain, allowed.error());
    return *known;
}

void SvidFetch::askBundle()
{
    m_asAgent->unary(method::bundle("GetBundle"), {}, kCallTime, this,
                     [this](const grpc::Status &status, const QByteArray &message) {
                         if (!status.isOk())
                             return fail(errorOf(status, u"Asking for the trust bundle"_s));
                         const TrustDomain &own = m_order.authorityId.trustDomain();
                         auto document = takeBundle(message, own);
                         if (!document)
                             return fail(document.error());
                         if (document->x509Authorities.isEmpty())
                             return fail({Errc::Malformed, u"The authority's trust bundle has no root."_s});
                         m_result.documents.insert(own, *document);
                         askFederated();
                     });
}

void SvidFetch::askFederated()
{
    if (m_federatesWith.isEmpty())
        return askTime();
    const TrustDomain domain = m_federatesWith.takeFirst();
    bundleApi::GetFederatedBundleRequest request;
    request.set_trust_domain(domain.name().toStdString());
    m_asAgent->unary(method::bundle("GetFederatedBundle"), serialize(request), kCallTime, this,
                     [this, domain](const grpc::Status &status, const QByteArray &message) {
                         // One that is not there yet comes with a later errand.
                         if (!status.isOk() && status.code != grpc::StatusCode::NotFound)
                             return fail(errorOf(status, u"Asking for the bundle of %1"_s.arg(domain.name())));
                         if (status.isOk()) {
                             auto document = takeBundle(message, domain);
                             if (!document)
                                 return fail(document.error());
                             m_result.documents.insert(domain, *document);
                         }
                         askFederated();
                     });
}

void SvidFetch::askTime()
{
    m_timeNonce.resize(kNonceBytes);
    QRandomGenerator::system()->generate(m_timeNonce.begin(), m_timeNonce.end());
    authority::TimeRequest request;
    request.set_nonce(stringOf(m_timeNonce));
    m_asAgent->unary(method::trust("GetTime"), serialize(request), kCallTime, this,
                     [this](const grpc::Status &status, const QByteArray &message) {
                         // SPIRE has no such method, and a time that does not verify is no time.
                         const auto response = status.isOk() ? parse<authority::TimeResponse>(message)
                                                             : Result<authority::TimeResponse>(Error{});
                         if (response) {
                             const TrustDomain &own = m_order.authorityId.trustDomain();
                             const auto time = tls::verifyTime(bytesOf(response->jws()), own, m_timeNonce,
                                                               m_result.documents.value(own).jwtAuthorities);
                             if (time)
                                 m_result.signedTime = *time;
                         }
                         conclude();
                     });
}

void SvidFetch::conclude()
{
    for (auto it = m_result.documents.cbegin(); it != m_result.documents.cend(); ++it)
        m_result.snapshot.bundles.insert(it.key(), it.value().x509Authorities);
    const X509Svid &svid = m_result.snapshot.svid;
    const Timestamp at = std::max(m_result.signedTime.value_or(m_time.now()), m_time.now());
    const auto verified = tls::verifyPeer(svid.chainDer, svid.id, m_result.snapshot.bundles, tls::PeerRole::Client,
                                          std::max(at, svid.notBefore));
    if (!verified)
        return fail(
            {Errc::Denied, u"The authority's SVID does not fit its own bundle: %1"_s.arg(verified.error().message)});
    if (std::exchange(m_isOver, true))
        return;
    m_patience.stop();
    Q_EMIT done(m_result);
}

void SvidFetch::fail(const Error &why)
{
    if (std::exchange(m_isOver, true))
        return;
    m_patience.stop();
    if (m_attestation != nullptr)
        m_attestation->cancel();
    // Not from inside a call into this object.
    QTimer::singleShot(0, this, [this, why] { Q_EMIT failed(why); });
}

} // namespace lintel::spire

#include "demo/authority_desk.h"

#include "authority/admin_client.h"
#include "authority/bundle_view.h"
#include "spire/server_methods.h"
#include "tls/certificate_writer.h"
#include "tls/file_key_store.h"
#include "tls/identity_files.h"

#include "lintel_authority.pb.h"
#include "spire_bundle.pb.h"
#include "spire_svid.pb.h"
#include "spire_trustdomain.pb.h"

namespace lintel::demo {

using namespace Qt::StringLiterals;
namespace method = spire::method;
namespace bundleApi = ::spire::api::server::bundle::v1;
namespace domainApi = ::spire::api::server::trustdomain::v1;
namespace svidApi = ::spire::api::server::svid::v1;
namespace types = ::spire::api::types;
namespace wire = ::lintel::authority::v1;

namespace {

constexpr qint64 kTokenSeconds = 3'600; // the agent starts within a minute, on a busy machine too

void fill(wire::Enrolment *out, const DeviceFacts &facts)
{
    out->set_name(facts.name.toStdString());
    out->set_kind(facts.kind.toStdString());
    out->set_space(facts.space.toStdString());
    out->set_site(QString(ids::kSite).toStdString());
}

std::string textOf(QLatin1StringView text)
{
    return {text.data(), size_t(text.size())};
}

} // namespace

AuthorityDesk::AuthorityDesk(const QString &socket, QLatin1StringView domain)
    : m_client(std::make_unique<cli::AdminClient>(socket)), m_domain(domain)
{}

AuthorityDesk::~AuthorityDesk() = default;

Result<void> AuthorityDesk::check()
{
    const auto answer = m_client->ask(method::admin("GetStatus"), {});
    return answer ? Result<void>() : Result<void>(answer.error());
}

Result<tls::BundleDocument> AuthorityDesk::bundle()
{
    const auto answer = m_client->call<types::Bundle>(method::bundle("GetBundle"), bundleApi::GetBundleRequest());
    if (!answer)
        return answer.error();
    return cli::bundleOf(*answer);
}

Result<void> AuthorityDesk::federate(QLatin1StringView with, quint16 port, const tls::BundleDocument &firstBundle)
{
    types::FederationRelationship wanted;
    wanted.set_trust_domain(textOf(with));
    wanted.set_bundle_endpoint_url(u"https://127.0.0.1:%1/"_s.arg(port).toStdString());
    wanted.mutable_https_spiffe()->set_endpoint_spiffe_id(u"spiffe://%1/spire/server"_s.arg(with).toStdString());
    cli::fill(wanted.mutable_trust_domain_bundle(), with, firstBundle);
    return cli::federate(*m_client, wanted);
}

Result<void> AuthorityDesk::enroll(const QString &endorsementHash, const DeviceFacts &facts)
{
    wire::EnrollRequest request;
    fill(request.mutable_enrolment(), facts);
    request.mutable_enrolment()->set_ek_hash(endorsementHash.toStdString());
    const auto device = m_client->call<wire::Device>(method::admin("Enroll"), request);
    return device ? Result<void>() : Result<void>(device.error());
}

Result<void> AuthorityDesk::createToken(const DeviceFacts &facts, const QString &file)
{
    wire::CreateTokenRequest request;
    fill(request.mutable_enrolment(), facts);
    request.set_ttl_s(kTokenSeconds);
    const auto token = m_client->call<wire::CreateTokenResponse>(method::admin("CreateToken"), request);
    if (!token)
        return token.error();
    return tls::writePrivateFile(file, QByteArray::fromStdString(token->token()) + '\n');
}

Result<X509Svid> AuthorityDesk::mint(QLatin1StringView id, std::chrono::seconds ttl)
{
    X509Svid svid;
    const auto parsed = SpiffeId::parse(QString(id));
    if (!parsed)
        return parsed.error();
    svid.id = *parsed;
    const auto key = tls::newSoftwareKey();
    if (!key)
        return key.error();
    svid.key = *key;
    const auto signer = tls::signingKeyFrom(*key);
    if (!signer)
        return signer.error();
    const auto csr = tls::makeCsr(**signer, svid.id);
    if (!csr)
        return csr.error();
    svidApi::MintX509SVIDRequest request;
    request.set_csr(csr->toStdString());
    request.set_ttl(int(ttl.count()));
    const auto minted = m_client->call<svidApi::MintX509SVIDResponse>(method::svid("MintX509SVID"), request);
    if (!minted)
        return minted.error();
    svid.chainDer = spire::chainOf(minted->svid());
    return svid;
}

Result<RevokedDevice> AuthorityDesk::askAbout(const QString &device, const char *method, const QString &reason)
{
    wire::DeviceRequest request;
    request.set_device(device.toStdString());
    request.set_reason(reason.toStdString());
    const auto answer = m_client->call<wire::Device>(method::admin(method), request);
    if (!answer)
        return answer.error();
    RevokedDevice facts;
    if (answer->state() == wire::REVOKED)
        facts.revokedAt = fromEpochMillis(answer->revoked_at_ms());
    if (answer->last_accepted_at_ms() != 0)
        facts.lastAccepted = fromEpochMillis(answer->last_accepted_at_ms());
    return facts;
}

Result<RevokedDevice> AuthorityDesk::revoke(const QString &device, const QString &reason)
{
    return askAbout(device, "RevokeDevice", reason);
}

Result<RevokedDevice> AuthorityDesk::device(const QString &device)
{
    return askAbout(device, "GetDevice", {});
}

Result<int> AuthorityDesk::attestedDevices()
{
    int count = 0;
    wire::ListDevicesRequest request;
    do {
        const auto page = m_client->call<wire::ListDevicesResponse>(method::admin("ListDevices"), request);
        if (!page)
            return page.error();
        for (const wire::Device &device : page->devices()) {
            if (device.verdict() == wire::IDENTITY_VERIFIED || device.verdict() == wire::MEASURED)
                ++count;
        }
        request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return count;
}

} // namespace lintel::demo

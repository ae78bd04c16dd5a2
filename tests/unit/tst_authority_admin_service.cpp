// What an authority's services offer beside agents, entries and SVIDs, a call at a time: bundles, federation, Lintel's
// own administration, and what brokers' agents hear. And what holds for every method.
#include "fakes/served_authority.h"
#include "tls/deny_list.h"
#include "tls/pki.h"

#include "grpc_health.pb.h"
#include "lintel_authority.pb.h"
#include "spire_bundle.pb.h"
#include "spire_trustdomain.pb.h"

#include <QSignalSpy>

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = lintel::spire::method;
namespace types = ::spire::api::types;
namespace bundles = ::spire::api::server::bundle::v1;
namespace federation = ::spire::api::server::trustdomain::v1;
namespace own = ::lintel::authority::v1;
using lintel::spire::textOf;

namespace {

types::Bundle bundleOf(const QByteArray &domain)
{
    types::Bundle bundle;
    bundle.set_trust_domain(domain.toStdString());
    const auto pki = tls::Pki::create(*TrustDomain::parse(QString::fromLatin1(domain)), FakeClock().now());
    bundle.add_x509_authorities()->set_asn1(pki->rootDer().toStdString());
    auto *key = bundle.add_jwt_authorities();
    key->set_key_id("k1");
    key->set_public_key(DeviceKey().signer->publicKeyDer().toStdString());
    bundle.set_sequence_number(3);
    return bundle;
}

types::FederationRelationship relationshipWith(const std::string &domain)
{
    types::FederationRelationship relationship;
    relationship.set_trust_domain(domain);
    relationship.set_bundle_endpoint_url("https://" + domain + ":8443/");
    relationship.mutable_https_spiffe()->set_endpoint_spiffe_id("spiffe://" + domain + "/spire/server");
    return relationship;
}

template <class Results>
QList<int> codesOf(const Answer &answer)
{
    QList<int> codes;
    const auto results = answer.as<Results>();
    for (const auto &result : results.results())
        codes.append(result.status().code());
    return codes;
}

constexpr int kOk = 0;
constexpr int kMalformed = int(grpc::StatusCode::InvalidArgument);
constexpr int kUnknown = int(grpc::StatusCode::NotFound);
constexpr int kExists = int(grpc::StatusCode::AlreadyExists);
constexpr int kDenied = int(grpc::StatusCode::PermissionDenied);

own::DeviceRequest requestFor(const std::string &device)
{
    own::DeviceRequest request;
    request.set_device(device);
    return request;
}

/// Methods of the socket; those in the second list read no message.
const QList<QByteArray> &administration()
{
    static const QList<QByteArray> all = [] {
        QList<QByteArray> paths;
        for (const char *name : {"CountAgents", "ListAgents", "GetAgent", "BanAgent", "DeleteAgent", "CreateJoinToken"})
            paths.append(method::agent(name));
        for (const char *name :
             {"CountEntries", "ListEntries", "GetEntry", "BatchCreateEntry", "BatchUpdateEntry", "BatchDeleteEntry"})
            paths.append(method::entry(name));
        for (const char *name : {"MintX509SVID", "MintJWTSVID"})
            paths.append(method::svid(name));
        for (const char *name : {"ListFederatedBundles", "BatchCreateFederatedBundle", "BatchUpdateFederatedBundle",
                                 "BatchSetFederatedBundle", "BatchDeleteFederatedBundle"})
            paths.append(method::bundle(name));
        for (const char *name :
             {"ListFederationRelationships", "GetFederationRelationship", "BatchCreateFederationRelationship",
              "BatchUpdateFederationRelationship", "BatchDeleteFederationRelationship", "RefreshBundle"})
            paths.append(method::trustDomain(name));
        for (const char *name :
             {"Enroll", "EnrollBatch", "CreateToken", "ListDevices", "GetDevice", "ApproveDevice", "RejectDevice",
              "RevokeDevice", "ReattestDevice", "SetHardware", "AcceptBoot", "ListAttestations", "Backup", "ListAudit",
              "ListRefusals", "SetReferenceValues", "RemoveReferenceValues"})
            paths.append(method::admin(name));
        return paths;
    }();
    return all;
}
const QList<QByteArray> &administrationWithoutMessage()
{
    static const QList<QByteArray> all{
        method::bundle("CountBundles"),       method::debug("GetInfo"),        method::health("Check"),
        method::admin("GetStatus"),           method::admin("ListFederation"), method::admin("ListAuthorities"),
        method::admin("ListReferenceValues"), method::admin("AcceptClock")};
    return all;
}

} // namespace

class TestAuthorityAdminService : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- Every method ---
    void methods_refuseBytesThatAreNoMessage()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const QByteArray garbage = "\x0a\xff\xff\xff\xff";
        for (const QByteArray &path : administration()) {
            const Answer answer = ask(*f.admin, path, garbage);
            QVERIFY2(answer.status.code == grpc::StatusCode::InvalidArgument, path.constData());
        }
        const auto agent = f.as(f.chip);
        for (const QByteArray &path :
             {method::agent("PostStatus"), method::entry("GetAuthorizedEntries"), method::svid("BatchNewX509SVID"),
              method::svid("NewJWTSVID"), method::bundle("GetBundle"), method::bundle("GetFederatedBundle"),
              method::trust("GetTime"), method::trust("ReportLastAccepted")}) {
            const Answer answer = ask(*agent, path, garbage);
            QVERIFY2(answer.status.code == grpc::StatusCode::InvalidArgument, path.constData());
        }
    }
    void administration_isOnTheSocketAlone()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const auto agent = f.as(f.chip);
        for (const QByteArray &path : administration() + administrationWithoutMessage()) {
            const Answer answer = ask(*agent, path, QByteArray());
            QVERIFY2(answer.status.code == grpc::StatusCode::Unimplemented, path.constData());
        }
    }
    void administration_ofAnUnknownUserIsRefused()
    {
        grpc::Peer peer;
        VERIFY_ERROR(AuthorityService::actorOf(peer), Errc::Denied);
        peer.process = grpc::UnixPeer{};
        peer.process->uid = 1'001;
        QCOMPARE(*AuthorityService::actorOf(peer), u"operator:uid 1001"_s);
    }

    // --- Bundles ---
    void getBundle_isForEverybodyWithWhatTheMaskNames()
    {
        ServedAuthority f;
        VERIFY_OK(f.serve());
        const auto stranger = f.as(std::nullopt);
        const Answer answer = ask(*stranger, method::bundle("GetBundle"), QByteArray());
        COMPARE_STATUS(answer, Ok);
        const auto known = f.authority->bundle();
        const auto bundle = answer.as<types::Bundle>();
        QCOMPARE(textOf(bundle.trust_domain()), f.config.domain.name());
        QCOMPARE(bundle.x509_authorities_size(), int(known->x509Authorities.size()));
        QCOMPARE(QByteArray::fromStdString(bundle.x509_authorities(0).asn1()), known->x509Authorities.first());
        QCOMPARE(bundle.sequence_number(), *known->sequence);
        QVERIFY(bundle.jwt_authorities_size() > 0);
        bundles::GetBundleRequest request;
        request.mutable_output_mask()->set_jwt_authorities(true);
        const auto masked = ask(*f.admin, method::bundle("GetBundle"), request).as<types::Bundle>();
        QVERIFY(masked.x509_authorities().empty() && masked.jwt_authorities_size() > 0);
        QVERIFY(masked.sequence_number() == 0 && masked.refresh_hint() == 0);
    }
    void federatedBundles_areSetByOperatorsAndReadByAgents()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        bundles::FederatedBundles wanted;
        for (const char *domain : {"cloud.example", "cloud.example", "partner.example", "building-1.smart.local"})
            *wanted.add_bundle() = bundleOf(domain);
        const Answer made = ask(*f.admin, method::bundle("BatchCreateFederatedBundle"), wanted);
        COMPARE_STATUS(made, Ok);
        QCOMPARE(codesOf<bundles::FederatedBundleResults>(made), (QList<int>{kOk, kExists, kOk, kDenied}));
        const auto count = ask(*f.admin, method::bundle("CountBundles"), QByteArray());
        QCOMPARE(count.as<bundles::CountBundlesResponse>().count(), 3);

        bundles::ListFederatedBundlesRequest list;
        list.set_page_size(1);
        list.mutable_output_mask()->set_sequence_number(true);
        QStringList names;
        do {
            const auto page =
                ask(*f.admin, method::bundle("ListFederatedBundles"), list).as<bundles::ListFederatedBundlesResponse>();
            QCOMPARE(page.bundles_size(), 1);
            QVERIFY(page.bundles(0).sequence_number() == 3 && page.bundles(0).x509_authorities().empty());
            names.append(textOf(page.bundles(0).trust_domain()));
            list.set_page_token(page.next_page_token());
        } while (!list.page_token().empty() && names.size() < 9);
        QCOMPARE(names, (QStringList{u"cloud.example"_s, u"partner.example"_s}));

        const auto agent = f.as(f.chip);
        bundles::GetFederatedBundleRequest get;
        get.set_trust_domain("cloud.example");
        for (grpc::Channel *channel : {agent.get(), f.admin.get()}) {
            const Answer answer = ask(*channel, method::bundle("GetFederatedBundle"), get);
            COMPARE_STATUS(answer, Ok);
            QCOMPARE(answer.as<types::Bundle>().x509_authorities(0).asn1(),
                     wanted.bundle(0).x509_authorities(0).asn1());
        }
        get.set_trust_domain("unknown.example");
        COMPARE_STATUS(ask(*agent, method::bundle("GetFederatedBundle"), get), NotFound);
        get.set_trust_domain("building-1.smart.local");
        COMPARE_STATUS(ask(*agent, method::bundle("GetFederatedBundle"), get), InvalidArgument);

        bundles::BatchUpdateFederatedBundleRequest update;
        *update.add_bundle() = bundleOf("cloud.example");
        *update.add_bundle() = bundleOf("unknown.example");
        QCOMPARE(codesOf<bundles::FederatedBundleResults>(
                     ask(*f.admin, method::bundle("BatchUpdateFederatedBundle"), update)),
                 (QList<int>{kOk, kUnknown}));
        bundles::FederatedBundles set;
        *set.add_bundle() = bundleOf("cloud.example");
        *set.add_bundle() = bundleOf("third.example");
        set.add_bundle()->set_trust_domain("no domain");
        QCOMPARE(
            codesOf<bundles::FederatedBundleResults>(ask(*f.admin, method::bundle("BatchSetFederatedBundle"), set)),
            (QList<int>{kOk, kOk, kMalformed}));

        // One that entries name goes only with their consent.
        Entry entry = f.entry(u"/w/one"_s, f.joined.id, 1);
        entry.federatesWith = {*TrustDomain::parse(u"cloud.example")};
        VERIFY_OK(f.authority->updateEntry(entry, f.actor));
        bundles::BatchDeleteFederatedBundleRequest remove;
        remove.add_trust_domains("cloud.example");
        remove.add_trust_domains("third.example");
        remove.add_trust_domains("unknown.example");
        const QList<int> codes = codesOf<bundles::BatchDeleteFederatedBundleResponse>(
            ask(*f.admin, method::bundle("BatchDeleteFederatedBundle"), remove));
        QCOMPARE(codes, (QList<int>{kExists, kOk, kUnknown}));
        remove.set_mode(bundles::BatchDeleteFederatedBundleRequest::DISSOCIATE);
        QCOMPARE(codesOf<bundles::BatchDeleteFederatedBundleResponse>(
                     ask(*f.admin, method::bundle("BatchDeleteFederatedBundle"), remove))
                     .first(),
                 kOk);
        QVERIFY(f.authority->entry(entry.id)->federatesWith.isEmpty());
    }
    void federationRelationships_areKept()
    {
        ServedAuthority f;
        VERIFY_OK(f.serve());
        QSignalSpy wanted(f.service.get(), &AuthorityService::refreshWanted);
        federation::BatchCreateFederationRelationshipRequest create;
        *create.add_federation_relationships() = relationshipWith("cloud.example");
        *create.add_federation_relationships() = relationshipWith("cloud.example");
        *create.add_federation_relationships() = relationshipWith("partner.example");
        create.mutable_federation_relationships(2)->clear_https_spiffe();
        create.mutable_federation_relationships(2)->mutable_https_web();
        *create.add_federation_relationships() = relationshipWith("third.example");
        create.mutable_federation_relationships(3)->set_bundle_endpoint_url("http://third.example/");
        const Answer made = ask(*f.admin, method::trustDomain("BatchCreateFederationRelationship"), create);
        COMPARE_STATUS(made, Ok);
        QCOMPARE(codesOf<federation::FederationRelationshipResults>(made), (QList<int>{kOk, kExists, kOk, kMalformed}));
        QCOMPARE(wanted.count(), 2);

        federation::ListFederationRelationshipsRequest list;
        list.set_page_size(1);
        int pages = 0;
        do {
            const auto page = ask(*f.admin, method::trustDomain("ListFederationRelationships"), list)
                                  .as<federation::ListFederationRelationshipsResponse>();
            QCOMPARE(page.federation_relationships_size(), 1);
            list.set_page_token(page.next_page_token());
        } while (++pages < 9 && !list.page_token().empty());
        QCOMPARE(pages, 2);
        federation::GetFederationRelationshipRequest get;
        get.set_trust_domain("partner.example");
        const Answer one = ask(*f.admin, method::trustDomain("GetFederationRelationship"), get);
        COMPARE_STATUS(one, Ok);
        QVERIFY(one.as<types::FederationRelationship>().has_https_web());
        get.set_trust_domain("unknown.example");
        COMPARE_STATUS(ask(*f.admin, method::trustDomain("GetFederationRelationship"), get), NotFound);

        federation::BatchUpdateFederationRelationshipRequest update;
        *update.add_federation_relationships() = relationshipWith("partner.example");
        *update.add_federation_relationships() = relationshipWith("unknown.example");
        QCOMPARE(codesOf<federation::FederationRelationshipResults>(
                     ask(*f.admin, method::trustDomain("BatchUpdateFederationRelationship"), update)),
                 (QList<int>{kOk, kUnknown}));
        federation::RefreshBundleRequest refresh;
        refresh.set_trust_domain("partner.example");
        wanted.clear();
        COMPARE_STATUS(ask(*f.admin, method::trustDomain("RefreshBundle"), refresh), Ok);
        QCOMPARE(wanted.count(), 1);
        refresh.set_trust_domain("unknown.example");
        COMPARE_STATUS(ask(*f.admin, method::trustDomain("RefreshBundle"), refresh), NotFound);

        VERIFY_OK(f.authority->noteRefresh(*TrustDomain::parse(u"partner.example"), u"away"_s));
        const auto state = ask(*f.admin, method::admin("ListFederation"), QByteArray()).as<own::FederationState>();
        QCOMPARE(state.domains_size(), 2);
        QCOMPARE(textOf(state.domains(1).problem()), u"away"_s);
        federation::BatchDeleteFederationRelationshipRequest remove;
        remove.add_trust_domains("partner.example");
        remove.add_trust_domains("unknown.example");
        QCOMPARE(codesOf<federation::BatchDeleteFederationRelationshipResponse>(
                     ask(*f.admin, method::trustDomain("BatchDeleteFederationRelationship"), remove)),
                 (QList<int>{kOk, kUnknown}));
        QCOMPARE(f.authority->relationships()->size(), 1);
    }

    // --- Debug, health ---
    void getInfoAndHealth_answerSpireServersCommands()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const auto info = ask(*f.admin, method::debug("GetInfo"), QByteArray()).as<federation::InfoResponse>();
        QCOMPARE(info.agents_count(), 2);
        QCOMPARE(info.entries_count(), int(f.authority->entries()->size()));
        QCOMPARE(textOf(info.svid_chain(0).id().path()), u"/spire/server"_s);
        using Health = ::lintel::grpc::wire::HealthCheckResponse;
        VERIFY_OK(f.authority->tick());
        QCOMPARE(ask(*f.admin, method::health("Check"), QByteArray()).as<Health>().status(), Health::SERVING);
        const auto stream = open(*f.admin, method::health("Watch"));
        stream->call->send({});
        QTRY_VERIFY(!stream->messages.isEmpty());
        QCOMPARE(lintel::spire::parse<Health>(stream->messages.last())->status(), Health::SERVING);
        QVERIFY(!stream->end);
    }

    // --- Lintel's own administration ---
    void devices_areEnrolledShownAndRevoked()
    {
        ServedAuthority f;
        VERIFY_OK(f.serve());
        own::EnrollRequest enroll;
        enroll.mutable_enrolment()->set_ek_hash(ekHashOf(1).toStdString());
        enroll.mutable_enrolment()->set_name("hvac-001");
        const Answer enrolled = ask(*f.admin, method::admin("Enroll"), enroll);
        COMPARE_STATUS(enrolled, Ok);
        QCOMPARE(textOf(enrolled.as<own::Device>().spiffe_id()), f.id(u"/agent/hvac-001"_s).toString());
        COMPARE_STATUS(ask(*f.admin, method::admin("Enroll"), enroll), AlreadyExists);

        own::EnrollBatchRequest batch;
        batch.set_csv("hash,name\n" + ekHashOf(2).toStdString() + ",hvac-002\nxyz,hvac-003\n");
        auto outcome = ask(*f.admin, method::admin("EnrollBatch"), batch).as<own::EnrollBatchResponse>();
        QVERIFY(outcome.enrolled() == 0 && outcome.problems_size() == 1 && outcome.problems(0).line() == 3);
        batch.set_csv("hash,name\n" + ekHashOf(2).toStdString() + ",hvac-002\n");
        outcome = ask(*f.admin, method::admin("EnrollBatch"), batch).as<own::EnrollBatchResponse>();
        QCOMPARE(outcome.enrolled(), 1);
        own::CreateTokenRequest token;
        token.set_ttl_s(60);
        token.mutable_enrolment()->set_name("hvac-004");
        const auto made = ask(*f.admin, method::admin("CreateToken"), token).as<own::CreateTokenResponse>();
        QVERIFY(!made.token().empty());
        QCOMPARE(textOf(made.spiffe_id()), f.id(u"/agent/hvac-004"_s).toString());
        QCOMPARE(made.expires_at_ms(), toEpochMillis(f.clock.now() + 60s));
        token.mutable_enrolment()->set_name("a/b");
        COMPARE_STATUS(ask(*f.admin, method::admin("CreateToken"), token), InvalidArgument);

        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(5), DeviceKey())), Errc::Unavailable); // waits
        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(6), DeviceKey())), Errc::Unavailable);
        auto reject = requestFor(ekHashOf(6).toStdString());
        reject.set_reason("not ours");
        COMPARE_STATUS(ask(*f.admin, method::admin("RejectDevice"), reject), Ok);
        QCOMPARE(f.authority->device(ekHashOf(6))->state, DeviceState::Revoked);
        COMPARE_STATUS(ask(*f.admin, method::admin("RejectDevice"), requestFor("hvac-001")), AlreadyExists);
        own::ListDevicesRequest list;
        list.set_page_size(3);
        auto page = ask(*f.admin, method::admin("ListDevices"), list).as<own::ListDevicesResponse>();
        QCOMPARE(page.devices_size(), 3);
        list.set_page_token(page.next_page_token());
        page = ask(*f.admin, method::admin("ListDevices"), list).as<own::ListDevicesResponse>();
        QVERIFY(page.devices_size() == 2 && page.next_page_token().empty());
        list.Clear();
        list.set_state(own::PENDING);
        page = ask(*f.admin, method::admin("ListDevices"), list).as<own::ListDevicesResponse>();
        QCOMPARE(page.devices_size(), 1);
        QCOMPARE(textOf(page.devices(0).ek_hash()), ekHashOf(5));

        auto approve = requestFor(ekHashOf(5).toStdString());
        approve.mutable_enrolment()->set_name("hvac-005");
        COMPARE_STATUS(ask(*f.admin, method::admin("ApproveDevice"), approve), Ok);
        COMPARE_STATUS(ask(*f.admin, method::admin("ApproveDevice"), approve), AlreadyExists);
        const DeviceKey key;
        auto node = f.node(ekHashOf(5), key);
        node.keyIsInTpm = true;
        const X509Svid agent = f.agentSvid(node, key);
        const Answer shown = ask(*f.admin, method::admin("GetDevice"), requestFor("hvac-005"));
        COMPARE_STATUS(shown, Ok);
        const auto device = shown.as<own::Device>();
        QCOMPARE(device.svid_expires_at_ms(), toEpochMillis(agent.notAfter));
        QVERIFY(device.key_in_tpm() && device.attestation_type() == "lintel_tpm" && device.state() == own::APPROVED);
        COMPARE_STATUS(ask(*f.admin, method::admin("GetDevice"), requestFor("none")), NotFound);
        COMPARE_STATUS(ask(*f.admin, method::admin("ReattestDevice"), requestFor("hvac-005")), Ok);
        VERIFY_ERROR(f.authority->agent(agent.id), Errc::NotFound);
        COMPARE_STATUS(ask(*f.admin, method::admin("ReattestDevice"), requestFor("hvac-004")), FailedPrecondition);
        auto revoke = requestFor("hvac-005");
        revoke.set_reason("stolen");
        const Answer revoked = ask(*f.admin, method::admin("RevokeDevice"), revoke);
        COMPARE_STATUS(revoked, Ok);
        QCOMPARE(textOf(revoked.as<own::Device>().revoke_reason()), u"stolen"_s);
        QCOMPARE(revoked.as<own::Device>().state(), own::REVOKED);
        COMPARE_STATUS(ask(*f.admin, method::admin("RevokeDevice"), revoke), AlreadyExists);

        const auto status = ask(*f.admin, method::admin("GetStatus"), QByteArray()).as<own::StatusResponse>();
        QCOMPARE(textOf(status.version()), u"1.2.3"_s);
        QVERIFY(status.devices() == 3 && status.devices_pending() == 0 && status.devices_revoked() == 2);
        QVERIFY(status.issuing_ca_expires_at_ms() > status.now_ms() && status.runway_ms() > 0);
        const auto keys = ask(*f.admin, method::admin("ListAuthorities"), QByteArray()).as<own::AuthorityKeys>();
        QVERIFY(keys.keys_size() >= 3);

        // A clock that jumps is told; a person may say that it is right. In the first hour each step is followed.
        COMPARE_STATUS(ask(*f.admin, method::admin("AcceptClock"), QByteArray()), Ok);
        QVERIFY(status.problem().empty() && status.clock().empty());
        const Timestamp before = f.clock.now();
        f.clock.setNow(before + 24h * 2);
        const auto jumped = ask(*f.admin, method::admin("GetStatus"), QByteArray()).as<own::StatusResponse>();
        QVERIFY(textOf(jumped.problem()).contains("jumped 2 days"_L1) && jumped.problem() == jumped.clock());
        const Answer accepted = ask(*f.admin, method::admin("AcceptClock"), QByteArray());
        COMPARE_STATUS(accepted, Ok);
        QCOMPARE(accepted.as<own::ClockAccepted>().before_ms(), toEpochMillis(before));
        QCOMPARE(accepted.as<own::ClockAccepted>().now_ms(), toEpochMillis(f.clock.now()));
        QVERIFY(ask(*f.admin, method::admin("GetStatus"), QByteArray()).as<own::StatusResponse>().problem().empty());
    }
    void boots_areComparedAcceptedAndListed()
    {
        ServedAuthority f;
        VERIFY_OK(f.serve());
        VERIFY_OK(f.authority->enroll(ekHashOf(1), factsOf(u"hvac-001"_s), f.actor));
        const QByteArray value(32, '\x11');
        own::ReferenceValues values;
        values.set_hardware("board");
        values.set_release("1.0");
        (*values.mutable_pcrs())[4] = value.toStdString();
        COMPARE_STATUS(ask(*f.admin, method::admin("SetReferenceValues"), values), Ok);
        auto set = requestFor("hvac-001");
        set.mutable_enrolment()->set_hardware("board");
        set.mutable_enrolment()->set_release("1.0");
        COMPARE_STATUS(ask(*f.admin, method::admin("SetHardware"), set), Ok);
        own::AcceptBootRequest accept;
        accept.set_device("hvac-001");
        COMPARE_STATUS(ask(*f.admin, method::admin("AcceptBoot"), accept), AlreadyExists); // nothing measured
        auto node = f.node(ekHashOf(1), DeviceKey());
        node.quote = "quote";
        node.pcrs = {{4, QByteArray(32, '\x22')}};
        VERIFY_OK(f.authority->attest(node));
        const Answer accepted = ask(*f.admin, method::admin("AcceptBoot"), accept);
        COMPARE_STATUS(accepted, Ok);
        QCOMPARE(accepted.as<own::ReferenceValues>().registers(0).values_size(), 2);

        own::ListAttestationsRequest list;
        list.set_device("hvac-001");
        auto records = ask(*f.admin, method::admin("ListAttestations"), list).as<own::ListAttestationsResponse>();
        QCOMPARE(records.attestations_size(), 1);
        QCOMPARE(records.attestations(0).verdict(), own::MEASUREMENT_DIFFERS);
        QVERIFY(records.attestations(0).quote().empty());
        list.set_evidence(true);
        records = ask(*f.admin, method::admin("ListAttestations"), list).as<own::ListAttestationsResponse>();
        QCOMPARE(textOf(records.attestations(0).quote()), u"quote"_s);
        const auto all =
            ask(*f.admin, method::admin("ListReferenceValues"), QByteArray()).as<own::ReferenceValuesList>();
        QCOMPARE(all.values_size(), 1);
        COMPARE_STATUS(ask(*f.admin, method::admin("RemoveReferenceValues"), values), Ok);
        COMPARE_STATUS(ask(*f.admin, method::admin("RemoveReferenceValues"), values), NotFound);
    }
    void auditRefusalsAndBackup_areReadable()
    {
        ServedAuthority f;
        VERIFY_OK(f.serve());
        VERIFY_OK(f.authority->enroll(ekHashOf(1), factsOf(u"hvac-001"_s), f.actor));
        VERIFY_OK(f.authority->enroll(ekHashOf(2), factsOf(u"hvac-002"_s), f.actor));
        own::ListAuditRequest request;
        request.set_subject(f.id(u"/agent/hvac-002"_s).toString().toStdString());
        auto audit = ask(*f.admin, method::admin("ListAudit"), request).as<own::ListAuditResponse>();
        QCOMPARE(audit.records_size(), 1);
        QCOMPARE(textOf(audit.records(0).action()), u"device.enroll"_s);
        QVERIFY(audit.chain_intact());
        // Also when a whole page of others comes before it; and by the name that every command takes.
        request.set_subject("hvac-002");
        request.set_limit(1);
        audit = ask(*f.admin, method::admin("ListAudit"), request).as<own::ListAuditResponse>();
        QCOMPARE(audit.records_size(), 1);
        QCOMPARE(textOf(audit.records(0).subject()), f.id(u"/agent/hvac-002"_s).toString());
        request.Clear();
        request.set_after(audit.records(0).seq() - 1);
        request.set_limit(1);
        audit = ask(*f.admin, method::admin("ListAudit"), request).as<own::ListAuditResponse>();
        QCOMPARE(audit.records_size(), 1);
        QCOMPARE(textOf(audit.records(0).subject()), f.id(u"/agent/hvac-002"_s).toString());

        f.authority->noteRefusal(u"192.0.2.9"_s, u"chip"_s, u"no"_s);
        const auto refusals =
            ask(*f.admin, method::admin("ListRefusals"), QByteArray()).as<own::ListRefusalsResponse>();
        QCOMPARE(refusals.refusals_size(), 1);
        QCOMPARE(textOf(refusals.refusals(0).address()), u"192.0.2.9"_s);
        own::BackupRequest backup;
        backup.set_path("relative");
        COMPARE_STATUS(ask(*f.admin, method::admin("Backup"), backup), InvalidArgument);
        backup.set_path(f.dir.filePath(u"backup"_s).toStdString());
        COMPARE_STATUS(ask(*f.admin, method::admin("Backup"), backup), Ok);
        QVERIFY(QFileInfo::exists(f.dir.filePath(u"backup"_s)));
    }

    // --- Trust ---
    void brokersAgents_hearWhoIsRevokedAndWhoWaits()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        DeviceFacts gateway = factsOf(u"gateway"_s);
        gateway.kind = u"gateway"_s;
        VERIFY_OK(f.authority->enroll(ekHashOf(9), gateway, f.actor));
        const DeviceKey key;
        const auto broker = f.as(f.agentSvid(f.node(ekHashOf(9), key), key));
        const auto sensor = f.as(f.chip);
        const auto stream = open(*broker, method::trust("WatchDenyList"));
        stream->call->send({});
        QTRY_COMPARE(stream->messages.size(), 1);
        VERIFY_OK(f.authority->enroll(ekHashOf(3), factsOf(u"hvac-003"_s), f.actor));
        VERIFY_OK(f.authority->revoke(u"hvac-003"_s, u"stolen"_s, f.actor));
        const auto namesIt = [&] {
            const auto document = lintel::spire::parse<own::DenyListDocument>(stream->messages.last());
            const auto list = tls::verifyDenyList(QByteArray::fromStdString(document->jws()), f.config.domain,
                                                  f.authority->bundle()->jwtAuthorities, 0);
            return list && list->sequence == document->sequence()
                   && list->find(f.id(u"/agent/hvac-003"_s), {}, f.clock.now()) != nullptr;
        };
        QTRY_VERIFY(namesIt());

        own::ReportLastAcceptedRequest report;
        report.add_items()->set_spiffe_id(f.id(u"/agent/hvac-003"_s).toString().toStdString());
        report.mutable_items(0)->set_at_ms(toEpochMillis(f.clock.now()));
        COMPARE_STATUS(ask(*sensor, method::trust("ReportLastAccepted"), report), PermissionDenied);
        COMPARE_STATUS(ask(*broker, method::trust("ReportLastAccepted"), report), Ok);
        QCOMPARE(f.authority->device(u"hvac-003"_s)->lastAcceptedAt, f.clock.now());

        VERIFY_ERROR(f.authority->attest(f.node(ekHashOf(5), DeviceKey())), Errc::Unavailable);
        COMPARE_STATUS(ask(*sensor, method::trust("ListWaiting"), QByteArray()), PermissionDenied);
        const auto waiting = ask(*broker, method::trust("ListWaiting"), QByteArray()).as<own::ListWaitingResponse>();
        QVERIFY(waiting.total() == 1 && waiting.devices_size() == 1);
        QCOMPARE(textOf(waiting.devices(0).ek_hash()), ekHashOf(5));
    }
    void getTime_isSignedOverTheNonce()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const auto agent = f.as(f.chip);
        own::TimeRequest request;
        request.set_nonce(std::string(15, 'n'));
        COMPARE_STATUS(ask(*agent, method::trust("GetTime"), request), InvalidArgument);
        request.set_nonce(std::string(65, 'n'));
        COMPARE_STATUS(ask(*agent, method::trust("GetTime"), request), InvalidArgument);
        request.set_nonce(std::string(16, 'n'));
        const Answer answer = ask(*agent, method::trust("GetTime"), request);
        COMPARE_STATUS(answer, Ok);
        const auto parts = QByteArray::fromStdString(answer.as<own::TimeResponse>().jws()).split('.');
        QCOMPARE(parts.size(), 3);
        const auto payload = QByteArray::fromBase64(parts.at(1), QByteArray::Base64UrlEncoding);
        QVERIFY2(payload.contains(QByteArray(16, 'n').toHex()), payload.constData());
    }
};

QTEST_GUILESS_MAIN(TestAuthorityAdminService)
#include "tst_authority_admin_service.moc"

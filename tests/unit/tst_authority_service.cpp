// SPIRE's server API as agents and spire-server's command line use it, a call at a time: agents, and why somebody is
// refused. tst_authority_entry_service and tst_authority_admin_service have the rest.
#include "fakes/served_authority.h"

#include "spire_agent.pb.h"

using namespace lintel;
using namespace lintel::authority;
using namespace lintel::test;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = lintel::spire::method;
namespace types = ::spire::api::types;
namespace agents = ::spire::api::server::agent::v1;
using lintel::spire::setSpiffeId;
using lintel::spire::textOf;

namespace {

template <class Request>
Request about(const SpiffeId &id)
{
    Request request;
    setSpiffeId(request.mutable_id(), id);
    return request;
}

/// google.rpc.Status{7, message, [Any{type, PermissionDeniedDetails{reason}}]}, by hand.
QByteArray detailsOf(const QString &message, int reason)
{
    const auto field = [](char tag, const QByteArray &bytes) {
        return QByteArray(1, tag) + QByteArray(1, char(bytes.size())) + bytes;
    };
    const QByteArray any = field('\x0a', "type.googleapis.com/spire.api.types.PermissionDeniedDetails")
                           + field('\x12', QByteArray("\x08") + char(reason));
    const QByteArray text = message.toUtf8();
    QByteArray length(1, char(text.size() & 0x7f));
    if (text.size() > 0x7f)
        length = QByteArray(1, char((text.size() & 0x7f) | 0x80)) + char(text.size() >> 7);
    return "\x08\x07\x12" + length + text + field('\x1a', any);
}

} // namespace

class TestAuthorityService : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- Agent: administration ---
    void countAgents_countsWhatTheFilterLets()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        VERIFY_OK(f.authority->banAgent(f.joined.id, f.actor));
        const auto count = [&f](const auto &change) {
            agents::CountAgentsRequest request;
            change(*request.mutable_filter());
            const Answer answer = ask(*f.admin, method::agent("CountAgents"), request);
            return answer.status.isOk() ? answer.as<agents::CountAgentsResponse>().count() : -1;
        };
        QCOMPARE(count([](auto &) {}), 2);
        QCOMPARE(count([](auto &filter) { filter.set_by_attestation_type("lintel_tpm"); }), 1);
        QCOMPARE(count([](auto &filter) { filter.set_by_attestation_type("x509pop"); }), 0);
        QCOMPARE(count([](auto &filter) { filter.mutable_by_banned()->set_value(true); }), 1);
        QCOMPARE(count([](auto &filter) { filter.mutable_by_banned()->set_value(false); }), 1);
        QCOMPARE(count([](auto &filter) { filter.mutable_by_can_reattest()->set_value(true); }), 1);
        QCOMPARE(count([](auto &filter) { filter.set_by_expires_before("2026-01-15 00:30:00 +0000 UTC"); }), 0);
        QCOMPARE(count([](auto &filter) { filter.set_by_expires_before("2026-01-15 03:30:00 +0200 EET"); }), 2);
        QCOMPARE(count([](auto &filter) { filter.set_by_expires_before("tomorrow"); }), -1);
        QCOMPARE(count([](auto &filter) {
                     filter.mutable_by_selector_match()->set_match(types::SUPERSET);
                     auto *selector = filter.mutable_by_selector_match()->add_selectors();
                     selector->set_type("lintel_tpm");
                     selector->set_value("ek:" + ekHashOf(1).toStdString());
                 }),
                 1);
    }
    void listAgents_comesInPagesAndWithWhatTheMaskNames()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        agents::ListAgentsRequest request;
        request.set_page_size(1);
        request.mutable_output_mask()->set_banned(true);
        request.mutable_output_mask()->set_can_reattest(true);
        QSet<QString> seen;
        for (int page = 1; page <= 2; ++page) {
            const Answer answer = ask(*f.admin, method::agent("ListAgents"), request);
            COMPARE_STATUS(answer, Ok);
            const auto list = answer.as<agents::ListAgentsResponse>();
            QCOMPARE(list.agents_size(), 1);
            seen.insert(textOf(list.agents(0).id().path()));
            QVERIFY(list.agents(0).attestation_type().empty() && list.agents(0).x509svid_serial_number().empty());
            QVERIFY(list.agents(0).selectors().empty() && list.agents(0).x509svid_expires_at() == 0);
            QCOMPARE(list.next_page_token().empty(), page == 2);
            request.set_page_token(list.next_page_token());
        }
        QCOMPARE(seen, (QSet<QString>{f.chip.id.path(), f.joined.id.path()}));
        request.set_page_token("-5");
        COMPARE_STATUS(ask(*f.admin, method::agent("ListAgents"), request), InvalidArgument);
    }
    void getAgent_tellsAllOfOne()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        auto request = about<agents::GetAgentRequest>(f.chip.id);
        const Answer answer = ask(*f.admin, method::agent("GetAgent"), request);
        COMPARE_STATUS(answer, Ok);
        const auto agent = answer.as<types::Agent>();
        QCOMPARE(textOf(agent.attestation_type()), u"lintel_tpm"_s);
        QCOMPARE(textOf(agent.x509svid_serial_number()), f.authority->agent(f.chip.id)->serial);
        QCOMPARE(agent.x509svid_expires_at(), toEpochMillis(f.chip.notAfter) / 1'000);
        QVERIFY(agent.can_reattest() && !agent.banned() && agent.selectors_size() > 0);
        request.mutable_output_mask()->set_attestation_type(true);
        const auto masked = ask(*f.admin, method::agent("GetAgent"), request).as<types::Agent>();
        QCOMPARE(textOf(masked.attestation_type()), u"lintel_tpm"_s);
        QVERIFY(masked.selectors().empty() && !masked.can_reattest() && masked.x509svid_serial_number().empty());
        const auto nobody = about<agents::GetAgentRequest>(f.id(u"/spire/agent/tpm/none"_s));
        COMPARE_STATUS(ask(*f.admin, method::agent("GetAgent"), nobody), NotFound);
        COMPARE_STATUS(ask(*f.admin, method::agent("GetAgent"), agents::GetAgentRequest{}), InvalidArgument);
    }
    void banAgent_endsItUntilItIsEvicted()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const auto request = about<agents::AgentId>(f.chip.id);
        COMPARE_STATUS(ask(*f.admin, method::agent("BanAgent"), request), Ok);
        QVERIFY(f.authority->agent(f.chip.id)->isBanned);
        QCOMPARE(f.authority->audit()->last().action, u"agent.ban"_s);
        QCOMPARE(f.authority->audit()->last().actor, u"operator:uid %1"_s.arg(::getuid()));
        COMPARE_STATUS(ask(*f.admin, method::agent("DeleteAgent"), request), Ok);
        COMPARE_STATUS(ask(*f.admin, method::agent("DeleteAgent"), request), NotFound);
        COMPARE_STATUS(ask(*f.admin, method::agent("BanAgent"), request), NotFound);
        VERIFY_OK(f.authority->attest(f.node(ekHashOf(1), f.chipKey)));
    }
    void createJoinToken_isGoodForOneAgent()
    {
        ServedAuthority f;
        VERIFY_OK(f.serve());
        agents::CreateJoinTokenRequest request;
        request.set_ttl(600);
        request.set_token("a-token");
        setSpiffeId(request.mutable_agent_id(), f.id(u"/node/one"_s));
        const Answer answer = ask(*f.admin, method::agent("CreateJoinToken"), request);
        COMPARE_STATUS(answer, Ok);
        QCOMPARE(textOf(answer.as<types::JoinToken>().value()), u"a-token"_s);
        QCOMPARE(answer.as<types::JoinToken>().expires_at(), toEpochMillis(f.clock.now() + 600s) / 1'000);
        COMPARE_STATUS(ask(*f.admin, method::agent("CreateJoinToken"), request), AlreadyExists);
        request.Clear();
        COMPARE_STATUS(ask(*f.admin, method::agent("CreateJoinToken"), request), InvalidArgument); // no life
        request.set_ttl(60);
        const auto random = ask(*f.admin, method::agent("CreateJoinToken"), request).as<types::JoinToken>();
        QVERIFY(random.value().size() >= 16);

        // As an agent brings it: payload, request, SVID.
        const DeviceKey key;
        const auto channel = f.as(std::nullopt);
        const auto attest = [&](const std::string &token, const QByteArray &csr) {
            agents::AttestAgentRequest join;
            join.mutable_params()->mutable_data()->set_type("join_token");
            join.mutable_params()->mutable_data()->set_payload(token);
            join.mutable_params()->mutable_params()->set_csr(csr.toStdString());
            const auto stream = open(*channel, method::agent("AttestAgent"));
            stream->call->send(lintel::spire::serialize(join));
            (void)QTest::qWaitFor([&] { return stream->end.has_value(); }, 60'000);
            return *stream;
        };
        const Stream joined = attest("a-token", key.csr);
        QVERIFY(joined.end && joined.end->isOk());
        const auto result = lintel::spire::parse<agents::AttestAgentResponse>(joined.messages.value(0));
        QVERIFY(result && result->has_result() && !result->result().reattestable());
        QCOMPARE(textOf(result->result().svid().id().path()), u"/spire/agent/join_token/a-token"_s);
        QCOMPARE(result->result().svid().cert_chain_size(), 2);
        const auto codeOf = [](const Stream &stream) { return stream.end ? int(stream.end->code) : -1; };
        QCOMPARE(codeOf(attest("a-token", DeviceKey().csr)), int(grpc::StatusCode::InvalidArgument)); // spent
        QCOMPARE(codeOf(attest("another", key.csr)), int(grpc::StatusCode::InvalidArgument));
        QCOMPARE(codeOf(attest("", key.csr)), int(grpc::StatusCode::InvalidArgument));
        QCOMPARE(codeOf(attest(random.value(), "no request")), int(grpc::StatusCode::InvalidArgument));
        const auto early = open(*channel, method::agent("AttestAgent"));
        agents::AttestAgentRequest answerFirst;
        answerFirst.set_challenge_response("x");
        early->call->send(lintel::spire::serialize(answerFirst));
        QTRY_VERIFY(early->end);
        QCOMPARE(int(early->end->code), int(grpc::StatusCode::InvalidArgument));
    }

    // --- Agent: agents themselves ---
    void renewAgent_isForThoseWhoCannotAttestAgain()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        agents::RenewAgentRequest request;
        const DeviceKey next;
        request.mutable_params()->set_csr(next.csr.toStdString());
        const auto asJoined = f.as(f.joined);
        const Answer renewed = ask(*asJoined, method::agent("RenewAgent"), request);
        COMPARE_STATUS(renewed, Ok);
        QCOMPARE(textOf(renewed.as<agents::RenewAgentResponse>().svid().id().path()), f.joined.id.path());
        QByteArray broken = next.csr;
        broken[broken.size() - 3] = char(broken[broken.size() - 3] ^ 1);
        request.mutable_params()->set_csr(broken.toStdString());
        COMPARE_STATUS(ask(*asJoined, method::agent("RenewAgent"), request), PermissionDenied);
        request.mutable_params()->set_csr("");
        COMPARE_STATUS(ask(*asJoined, method::agent("RenewAgent"), request), InvalidArgument);
    }
    void postStatus_isWhatGetAgentTells()
    {
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        agents::PostStatusRequest request;
        request.set_agent_version("1.15.0");
        COMPARE_STATUS(ask(*f.as(f.chip), method::agent("PostStatus"), request), Ok);
        const auto agent =
            ask(*f.admin, method::agent("GetAgent"), about<agents::GetAgentRequest>(f.chip.id)).as<types::Agent>();
        QCOMPARE(textOf(agent.agent_version()), u"1.15.0"_s);
    }
    void denials_carryTheirReasonInTheDetails_data()
    {
        QTest::addColumn<QString>("what");
        QTest::addColumn<int>("reason");
        for (const auto &[name, reason] :
             {std::pair{"expired", 1}, {"evicted", 2}, {"replaced", 3}, {"banned", 4}, {"must attest again", 5}})
            QTest::newRow(name) << QString::fromLatin1(name) << reason;
    }
    void denials_carryTheirReasonInTheDetails()
    {
        QFETCH(const QString, what);
        QFETCH(const int, reason);
        TwoAgents f;
        VERIFY_OK(f.serveBoth());
        const auto channel = f.as(f.chip);
        COMPARE_STATUS(ask(*channel, method::entry("GetAuthorizedEntries"), QByteArray()), Ok);
        QByteArray path = method::entry("GetAuthorizedEntries");
        if (what == "expired"_L1) {
            f.clock.advance(1h); // on a connection that is open
        } else if (what == "replaced"_L1) {
            const X509Svid fresh = f.agentSvid(f.node(ekHashOf(1), f.chipKey), f.chipKey);
            COMPARE_STATUS(ask(*f.as(fresh), path, QByteArray()), Ok); // in use from here on
        } else if (what == "must attest again"_L1) {
            path = method::agent("RenewAgent");
        } else if (what == "banned"_L1) {
            VERIFY_OK(f.authority->banAgent(f.chip.id, f.actor));
        } else {
            VERIFY_OK(f.authority->deleteAgent(f.chip.id, f.actor));
        }
        Answer refused = ask(*channel, path, QByteArray());
        if (refused.status.code == grpc::StatusCode::Unavailable) // whoever was removed is soon disconnected
            refused = ask(*channel, path, QByteArray());
        COMPARE_STATUS(refused, PermissionDenied);
        QVERIFY(!refused.status.message.isEmpty());
        QCOMPARE(refused.status.details.toHex(), detailsOf(refused.status.message, reason).toHex());

        // Streams say it as well.
        if (what != "expired"_L1 && what != "replaced"_L1)
            return;
        for (const QByteArray &streamed : {method::entry("SyncAuthorizedEntries"), method::trust("WatchDenyList")}) {
            const auto stream = open(*channel, streamed);
            stream->call->send({});
            QTRY_VERIFY(stream->end);
            QCOMPARE(stream->end->details.toHex(), detailsOf(stream->end->message, reason).toHex());
        }
    }
    void strangers_reachNoAgentsMethod()
    {
        ServedAuthority f;
        VERIFY_OK(f.serve());
        const auto stranger = f.as(std::nullopt);
        for (const QByteArray &path :
             {method::agent("RenewAgent"), method::agent("PostStatus"), method::entry("GetAuthorizedEntries"),
              method::entry("SyncAuthorizedEntries"), method::svid("BatchNewX509SVID"), method::svid("NewJWTSVID"),
              method::bundle("GetFederatedBundle"), method::trust("WatchDenyList"), method::trust("GetTime"),
              method::trust("ReportLastAccepted"), method::trust("ListWaiting")}) {
            const Answer answer = ask(*stranger, path, QByteArray());
            QVERIFY2(answer.status.code == grpc::StatusCode::PermissionDenied, path.constData());
        }
    }
};

QTEST_GUILESS_MAIN(TestAuthorityService)
#include "tst_authority_service.moc"

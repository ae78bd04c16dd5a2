#include "authority/service/authority_service.h"
#include "authority/service/conversions.h"
#include "spire/server_methods.h"

#include <QDateTime>

namespace lintel::authority {

using namespace Qt::StringLiterals;
namespace api = ::spire::api::server::agent::v1;
namespace method = spire::method;
using spire::bytesOf;
using spire::textOf;

namespace {

/// SPIRE's command line prints a time as "2006-01-02 15:04:05 -0700 -07".
std::optional<Timestamp> timeOf(const std::string &text)
{
    const QDateTime time = QDateTime::fromString(textOf(text).left(19), u"yyyy-MM-dd HH:mm:ss"_s);
    if (!time.isValid())
        return {};
    const QString zone = textOf(text).section(u' ', 2, 2); // "+0100"
    const int minutes = zone.mid(1, 2).toInt() * 60 + zone.mid(3, 2).toInt();
    const QDateTime utc(time.date(), time.time(), Qt::UTC);
    return fromEpochMillis(utc.toMSecsSinceEpoch() - (zone.startsWith(u'-') ? -1 : 1) * minutes * 60'000LL);
}

Result<QList<Agent>> filtered(Authority &authority, const api::AgentFilter &filter)
{
    AgentFilter wanted;
    wanted.attestationType = textOf(filter.by_attestation_type());
    if (filter.has_by_banned())
        wanted.isBanned = filter.by_banned().value();
    if (filter.has_by_can_reattest())
        wanted.canReattest = filter.by_can_reattest().value();
    if (!filter.by_expires_before().empty()) {
        wanted.expiresBefore = timeOf(filter.by_expires_before());
        if (!wanted.expiresBefore)
            return Error{Errc::Malformed, u"by_expires_before is no time; write 2026-01-31 12:00:00 +0000."_s};
    }
    auto agents = authority.agents(wanted);
    if (!agents || !filter.has_by_selector_match())
        return agents;
    const Selectors selectors = selectorsOf(filter.by_selector_match().selectors());
    const types::Match how = filter.by_selector_match().match();
    agents->removeIf([&](const Agent &agent) { return !matches(selectors, agent.selectors, how); });
    return agents;
}

} // namespace

void AuthorityService::serveAgentMethods()
{
    m_agents.handleStream(method::agent("AttestAgent"), [this](std::shared_ptr<grpc::ServerCall> call) {
        AttestCall::serve(std::move(call), m_authority, m_terms);
    });
    forAgents(
        method::agent("RenewAgent"),
        [this](const QByteArray &bytes, const Agent &agent) {
            const auto request = spire::parse<api::RenewAgentRequest>(bytes);
            if (!request)
                return refusal(request.error());
            if (agent.canReattest)
                return grpc::UnaryReply{
                    refusalOf(AgentDenial::MustReattest,
                              u"%1 gets a new SVID by attesting again, not by renewal."_s.arg(agent.id.toString())),
                    {}};
            const auto renewed = m_authority.renewAgent(agent.id, bytesOf(request->params().csr()));
            if (!renewed)
                return refusal(renewed.error());
            api::RenewAgentResponse response;
            fill(response.mutable_svid(), renewed->svid);
            return reply(response);
        },
        Cost::Write);
    forAgents(
        method::agent("PostStatus"),
        [this](const QByteArray &bytes, const Agent &agent) {
            const auto request = spire::parse<api::PostStatusRequest>(bytes);
            if (!request)
                return refusal(request.error());
            const auto noted = m_authority.notePosted(agent.id, textOf(request->agent_version()));
            return noted ? replyNothing() : refusal(noted.error());
        },
        Cost::Write);

    forAdministrators(method::agent("CountAgents"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<api::CountAgentsRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto agents = filtered(m_authority, request->filter());
        if (!agents)
            return refusal(agents.error());
        api::CountAgentsResponse response;
        response.set_count(int(agents->size()));
        return reply(response);
    });
    forAdministrators(method::agent("ListAgents"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<api::ListAgentsRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto agents = filtered(m_authority, request->filter());
        if (!agents)
            return refusal(agents.error());
        const auto page = pageOf(agents->size(), request->page_size(), request->page_token());
        if (!page)
            return refusal(page.error());
        api::ListAgentsResponse response;
        response.set_next_page_token(page->next);
        const auto *mask = request->has_output_mask() ? &request->output_mask() : nullptr;
        for (qsizetype i = page->begin; i < page->end; ++i)
            fill(response.add_agents(), agents->at(i), mask);
        return reply(response);
    });
    forAdministrators(method::agent("GetAgent"), [this](const QByteArray &bytes, const Actor &) {
        const auto request = spire::parse<api::GetAgentRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const auto id = spire::spiffeIdOf(request->id());
        if (!id)
            return refusal(id.error());
        const auto agent = m_authority.agent(*id);
        if (!agent)
            return refusal(agent.error());
        types::Agent response;
        fill(&response, *agent, request->has_output_mask() ? &request->output_mask() : nullptr);
        return reply(response);
    });
    const auto byId = [this](const char *name, auto act) {
        forAdministrators(method::agent(name), [act](const QByteArray &bytes, const Actor &actor) {
            const auto request = spire::parse<api::AgentId>(bytes);
            if (!request)
                return refusal(request.error());
            const auto id = spire::spiffeIdOf(request->id());
            if (!id)
                return refusal(id.error());
            const auto done = act(*id, actor);
            return done ? replyNothing() : refusal(done.error());
        });
    };
    byId("BanAgent", [this](const SpiffeId &id, const Actor &actor) { return m_authority.banAgent(id, actor); });
    byId("DeleteAgent", [this](const SpiffeId &id, const Actor &actor) { return m_authority.deleteAgent(id, actor); });

    forAdministrators(method::agent("CreateJoinToken"), [this](const QByteArray &bytes, const Actor &actor) {
        const auto request = spire::parse<api::CreateJoinTokenRequest>(bytes);
        if (!request)
            return refusal(request.error());
        SpiffeId device;
        if (request->has_agent_id()) {
            const auto id = spire::spiffeIdOf(request->agent_id());
            if (!id)
                return refusal(id.error());
            device = *id;
        }
        const auto token =
            m_authority.createToken(std::chrono::seconds{request->ttl()}, device, actor, {}, textOf(request->token()));
        if (!token)
            return refusal(token.error());
        types::JoinToken response;
        response.set_value(token->token.toStdString());
        response.set_expires_at(toEpochMillis(token->expiresAt) / 1000);
        return reply(response);
    });
}

} // namespace lintel::authority

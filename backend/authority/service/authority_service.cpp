#include "authority/service/authority_service.h"

#include "authority/service/conversions.h"
#include "spire/server_methods.h"

#include "grpc_health.pb.h"
#include "spire_trustdomain.pb.h"

#include <QTimer>

namespace lintel::authority {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace method = spire::method;
namespace health = ::lintel::grpc::wire;
namespace trustApi = ::spire::api::server::trustdomain::v1;

namespace {

constexpr auto kFarewell = 100ms;

grpc::ServerLimits agentLimits()
{
    grpc::ServerLimits limits;
    limits.maxConnections = 20'000;
    limits.maxBufferedBytes = 192 * 1024 * 1024; // each of them may have some streams that stay open
    return limits;
}

RateLimits agentRates(const AuthorityConfig &config)
{
    RateLimits rates;
    rates.signaturesPerAgentPerSecond = config.signaturesPerAgent;
    rates.signaturesPerAgentBurst = 2.0 * config.signaturesPerAgent;
    rates.writesPerAgentPerSecond = config.writesPerAgent / 60.0;
    rates.writesPerAgentBurst = config.writesPerAgent;
    return rates;
}

Result<grpc::ServerTls> tlsOf(IdentitySource &identity, const Clock &clock)
{
    const auto current = identity.current();
    if (!current)
        return current.error();
    return grpc::ServerTls{(*current)->svid, (*current)->bundles, clock.now()};
}

} // namespace

AuthorityService::AuthorityService(Authority &authority, AttestationTerms terms, const QString &version,
                                   QObject *parent)
    : QObject(parent), m_authority(authority), m_terms(std::move(terms)), m_version(version),
      m_limiter(*m_terms.clock, agentRates(authority.config())), m_agents(agentLimits()),
      m_administration(grpc::ServerLimits{}), m_bundles(grpc::ServerLimits{})
{
    m_uptime.start();
    for (grpc::Server *server : {&m_agents, &m_administration, &m_bundles}) {
        connect(server, &grpc::Server::noticed, this, &AuthorityService::noticed);
        connect(server, &grpc::Server::closed, this, [this] {
            if (--m_open == 0)
                Q_EMIT closed();
        });
    }
    serveAgentMethods();
    serveEntryMethods();
    serveSvidMethods();
    serveBundleMethods();
    serveFederationMethods();
    serveDeviceMethods();
    serveBootMethods();
    serveTrustMethods();
    serveHealth();
    connect(&m_authority, &Authority::denyListChanged, this, &AuthorityService::pushDenyList);
    connect(&m_authority, &Authority::federatedDenyListChanged, this, &AuthorityService::pushFederatedDenyList);
    connect(&m_authority, &Authority::relationshipsChanged, this, &AuthorityService::dismissFormerPartners);
    connect(&m_authority, &Authority::agentRemoved, this, [this](const SpiffeId &agent) {
        for (const Watcher &watcher : m_watchers.values()) {
            if (watcher.agent != agent)
                continue;
            watcher.call->finish(spire::permissionDenied(u"This agent was removed."_s,
                                                         types::PermissionDeniedDetails::AGENT_NOT_ATTESTED));
            m_watchers.remove(watcher.call.get());
        }
        // What was said last (the deny list that names it) still goes out.
        QTimer::singleShot(kFarewell, this, [this, agent] { m_agents.disconnectPeer(agent); });
    });
}

Result<quint16> AuthorityService::listenForAgents(const QString &address, quint16 port)
{
    const auto listening =
        m_agents.listenTcp(address, port, [this] { return tlsOf(m_authority.identity(), *m_terms.clock); });
    if (listening) {
        ++m_open;
        m_agentPort = *listening;
    }
    return listening;
}

Result<void> AuthorityService::listenForAdministration(const QString &socketPath, uint mode)
{
    const auto listening = m_administration.listenUnix(socketPath, mode);
    if (listening)
        ++m_open;
    return listening;
}

Result<quint16> AuthorityService::listenForBundles(const QString &address, quint16 port,
                                                   std::function<Result<grpc::ServerTls>()> tls)
{
    m_bundles.serveDocument("/", [this]() -> Result<grpc::Document> {
        const auto text = bundleForPartners();
        if (!text)
            return text.error();
        return grpc::Document{*text};
    });
    if (!tls)
        tls = [this] { return tlsOf(m_authority.identity(), *m_terms.clock); };
    const auto listening = m_bundles.listenHttps(address, port, std::move(tls));
    if (listening)
        ++m_open;
    return listening;
}

void AuthorityService::close(std::chrono::milliseconds grace)
{
    m_agents.close(grace);
    m_administration.close(grace);
    m_bundles.close(grace);
}

int AuthorityService::connectionCount() const
{
    return m_agents.connectionCount() + m_administration.connectionCount();
}

grpc::Status AuthorityService::refusalOf(AgentDenial denial, const QString &message)
{
    using Details = types::PermissionDeniedDetails;
    Details::Reason reason = Details::UNKNOWN;
    switch (denial) {
    case AgentDenial::None: break;
    case AgentDenial::Expired: reason = Details::AGENT_EXPIRED; break;
    case AgentDenial::NotAttested: reason = Details::AGENT_NOT_ATTESTED; break;
    case AgentDenial::NotActive: reason = Details::AGENT_NOT_ACTIVE; break;
    case AgentDenial::Banned: reason = Details::AGENT_BANNED; break;
    case AgentDenial::MustReattest: reason = Details::AGENT_MUST_REATTEST; break;
    }
    return spire::permissionDenied(message, reason);
}

Result<Agent> AuthorityService::callerOf(const grpc::ServerCall &call, grpc::Status *refusal)
{
    if (call.peer().chainDer.isEmpty()) {
        *refusal = {grpc::StatusCode::PermissionDenied, u"This method needs an agent's SVID."_s, {}};
        return Error{Errc::Denied, refusal->message};
    }
    AgentCheck check = m_authority.checkAgent(call.peer().chainDer.first());
    if (check.denial == AgentDenial::None)
        return check.agent;
    *refusal = refusalOf(check.denial, check.message);
    return Error{Errc::Denied, check.message};
}

Result<void> AuthorityService::admit(const Agent &agent, Cost cost, qsizetype count)
{
    switch (cost) {
    case Cost::Nothing: break;
    case Cost::Write: return m_limiter.admitWrite(agent.id.toString());
    case Cost::Signature: return m_limiter.admitSignatures(agent.id.toString(), count);
    }
    return {};
}

void AuthorityService::forAgentsLater(const QByteArray &path, LaterHandler handler, Cost cost)
{
    m_agents.handleUnaryLater(path, [this, cost, handler = std::move(handler)](
                                        const QByteArray &request, const std::shared_ptr<grpc::ServerCall> &call) {
        grpc::Status refused;
        const auto agent = callerOf(*call, &refused);
        if (!agent)
            return call->finish(refused);
        if (const auto admitted = admit(*agent, cost); !admitted)
            return call->finish(statusOf(admitted.error()));
        handler(request, *agent, call);
    });
}

void AuthorityService::forAgents(const QByteArray &path, AgentHandler handler, Cost cost)
{
    m_agents.handleUnary(path,
                         [this, cost, handler = std::move(handler)](const QByteArray &request,
                                                                    const grpc::ServerCall &call) -> grpc::UnaryReply {
                             grpc::Status refused;
                             const auto agent = callerOf(call, &refused);
                             if (!agent)
                                 return {refused, {}};
                             if (const auto admitted = admit(*agent, cost); !admitted)
                                 return refusal(admitted.error());
                             return handler(request, *agent);
                         });
}

Result<Actor> AuthorityService::actorOf(const grpc::Peer &peer)
{
    if (!peer.process)
        return Error{Errc::Denied, u"The system does not say which user calls, so nothing is done for this call."_s};
    return u"operator:uid %1"_s.arg(peer.process->uid);
}

void AuthorityService::forAdministrators(const QByteArray &path, AdminHandler handler)
{
    m_administration.handleUnary(
        path, [handler = std::move(handler)](const QByteArray &request, const grpc::ServerCall &call) {
            const auto actor = actorOf(call.peer());
            return actor ? handler(request, *actor) : refusal(actor.error());
        });
}

QByteArray AuthorityService::healthNow() const
{
    health::HealthCheckResponse response;
    response.set_status(m_authority.health() ? health::HealthCheckResponse::SERVING
                                             : health::HealthCheckResponse::NOT_SERVING);
    return spire::serialize(response);
}

void AuthorityService::watchHealth(const std::shared_ptr<grpc::ServerCall> &call)
{
    connect(call.get(), &grpc::ServerCall::messageReceived, this,
            [this, raw = call.get(), watcher = std::weak_ptr(call)] {
                m_healthWatchers.insert(raw, watcher.lock());
                raw->send(healthNow());
            });
    connect(
        call.get(), &grpc::ServerCall::cancelled, this, [this, raw = call.get()] { m_healthWatchers.remove(raw); },
        Qt::QueuedConnection);
}

void AuthorityService::serveHealth()
{
    m_administration.handleUnary(method::health("Check"),
                                 [this](const QByteArray &, const grpc::ServerCall &) -> grpc::UnaryReply {
                                     return {{}, healthNow()};
                                 });
    m_administration.handleStream(method::health("Watch"),
                                  [this](const std::shared_ptr<grpc::ServerCall> &call) { watchHealth(call); });
    connect(&m_authority, &Authority::healthChanged, this, [this] {
        const QByteArray state = healthNow();
        for (const auto &watcher : std::as_const(m_healthWatchers))
            watcher->send(state);
    });
    forAdministrators(method::debug("GetInfo"), [this](const QByteArray &, const Actor &) -> grpc::UnaryReply {
        const auto status = m_authority.status();
        const auto federated = m_authority.federatedBundles();
        const auto identity = m_authority.identity().current();
        if (!status)
            return refusal(status.error());
        if (!federated)
            return refusal(federated.error());
        trustApi::InfoResponse response;
        response.set_uptime(int(m_uptime.elapsed() / 1000));
        response.set_agents_count(status->agents);
        response.set_entries_count(status->entries);
        response.set_federated_bundles_count(int(federated->size()));
        if (identity) {
            auto *certificate = response.add_svid_chain();
            spire::setSpiffeId(certificate->mutable_id(), (*identity)->svid.id);
            certificate->set_expires_at(toEpochMillis((*identity)->svid.notAfter) / 1000);
        }
        return reply(response);
    });
}

} // namespace lintel::authority

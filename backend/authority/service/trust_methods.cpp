#include "authority/service/authority_service.h"
#include "authority/service/conversions.h"
#include "spire/server_methods.h"

namespace lintel::authority {

using namespace Qt::StringLiterals;
namespace method = spire::method;
using spire::bytesOf;
using spire::textOf;

namespace {

constexpr int kMinNonce = 16;
constexpr int kMaxNonce = 64;
constexpr int kMaxReports = 1'000;

/// Whoever runs a domain's broker may say what it accepted.
bool runsBroker(const QList<Entry> &entries)
{
    return std::any_of(entries.begin(), entries.end(),
                       [](const Entry &entry) { return entry.spiffeId.path() == "/broker"_L1; });
}

} // namespace

Result<QByteArray> AuthorityService::denyListDocument()
{
    const auto jws = m_authority.denyListJws();
    if (!jws)
        return jws.error();
    const auto sequence = m_authority.denyListSequence();
    if (!sequence)
        return sequence.error();
    wire::DenyListDocument document;
    document.set_jws(jws->toStdString());
    document.set_sequence(*sequence);
    return spire::serialize(document);
}

void AuthorityService::watchDenyList(const std::shared_ptr<grpc::ServerCall> &call)
{
    grpc::Status refused;
    const auto agent = callerOf(*call, &refused);
    if (!agent)
        return call->finish(refused);
    const auto document = denyListDocument();
    if (!document)
        return call->finish(statusOf(document.error()));
    m_watchers.insert(call.get(), call);
    m_watcherIds.insert(call.get(), agent->id);
    connect(
        call.get(), &grpc::ServerCall::cancelled, this,
        [this, raw = call.get()] {
            m_watcherIds.remove(raw);
            m_watchers.remove(raw);
        },
        Qt::QueuedConnection);
    call->send(*document);
}

void AuthorityService::pushDenyList()
{
    const auto document = denyListDocument();
    if (!document) {
        Q_EMIT noticed(document.error());
        return;
    }
    for (const auto &call : m_watchers.values())
        call->send(*document);
}

void AuthorityService::serveTrustMethods()
{
    m_agents.handleStream(method::trust("WatchDenyList"),
                          [this](const std::shared_ptr<grpc::ServerCall> &call) { watchDenyList(call); });
    forAgents(method::trust("GetTime"), [this](const QByteArray &bytes, const Agent &) {
        const auto request = spire::parse<wire::TimeRequest>(bytes);
        if (!request)
            return refusal(request.error());
        const QByteArray nonce = bytesOf(request->nonce());
        if (nonce.size() < kMinNonce || nonce.size() > kMaxNonce)
            return refusal({Errc::Malformed, u"The nonce must have %1 to %2 bytes."_s.arg(kMinNonce).arg(kMaxNonce)});
        const auto jws = m_authority.signedTime(nonce);
        if (!jws)
            return refusal(jws.error());
        wire::TimeResponse response;
        response.set_jws(jws->toStdString());
        return reply(response);
    });
    forAgents(method::trust("ReportLastAccepted"), [this](const QByteArray &bytes, const Agent &agent) {
        const auto request = spire::parse<wire::ReportLastAcceptedRequest>(bytes);
        if (!request)
            return refusal(request.error());
        if (request->items_size() > kMaxReports)
            return refusal({Errc::Full, u"At most %1 identities in one report."_s.arg(kMaxReports)});
        const auto entries = m_authority.authorizedEntries(agent);
        if (!entries)
            return refusal(entries.error());
        if (!runsBroker(*entries))
            return refusal({Errc::Denied, u"Only the agent of a broker may say what a broker accepted."_s});
        for (const auto &item : request->items()) {
            const auto id = SpiffeId::parse(textOf(item.spiffe_id()));
            if (!id)
                return refusal(id.error());
            const auto noted = m_authority.noteLastAccepted(*id, fromEpochMillis(item.at_ms()), agent.id.toString());
            if (!noted && noted.error().code != Errc::NotFound)
                return refusal(noted.error());
        }
        return replyNothing();
    });
}

} // namespace lintel::authority

#include "authority/service/authority_service.h"
#include "authority/service/conversions.h"
#include "spire/server_methods.h"

#include <QJsonDocument>
#include <QJsonObject>

#include <algorithm>

namespace lintel::authority {

using namespace Qt::StringLiterals;
namespace method = spire::method;
using spire::bytesOf;
using spire::textOf;

namespace {

constexpr int kMinNonce = 16;
constexpr int kMaxNonce = 64;
constexpr int kMaxReports = 1'000;
constexpr int kMaxWaiting = 100; // in one answer

/// Whoever runs a domain's broker may say what it accepted, and tells its people who waits.
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

QByteArray AuthorityService::federatedDocument(const TrustDomain &domain) const
{
    wire::DenyListDocument document;
    document.set_jws(m_authority.federatedDenyLists().value(domain).toStdString());
    document.set_trust_domain(domain.name().toStdString());
    return spire::serialize(document);
}

/// A JWK set may have members of our own (RFC 7517 section 5): where partners hear of our deny list.
Result<QByteArray> AuthorityService::bundleForPartners()
{
    const auto bundle = m_authority.bundle();
    if (!bundle)
        return bundle.error();
    const auto text = tls::printBundle(*bundle);
    if (!text || m_agentPort == 0)
        return text;
    QJsonObject document = QJsonDocument::fromJson(*text).object();
    document.insert(QString::fromUtf16(spire::kDenyListPort), int(m_agentPort));
    return QJsonDocument(document).toJson(QJsonDocument::Compact);
}

std::optional<TrustDomain> AuthorityService::partnerIn(const grpc::ServerCall &call)
{
    const auto &id = call.peer().id; // verified by TLS with the bundle of its own domain
    if (!id || id->path() != QStringView(spire::kServerPath) || id->trustDomain() == m_authority.domain())
        return std::nullopt;
    const auto relationships = m_authority.relationships();
    if (!relationships)
        return std::nullopt;
    const bool isPartner = std::any_of(relationships->begin(), relationships->end(),
                                       [&id](const auto &one) { return one.domain == id->trustDomain(); });
    return isPartner ? std::optional(id->trustDomain()) : std::nullopt;
}

void AuthorityService::watchDenyList(const std::shared_ptr<grpc::ServerCall> &call)
{
    Watcher watcher{call, {}, partnerIn(*call), false, {}};
    if (!watcher.partner) {
        grpc::Status refused;
        const auto agent = callerOf(*call, &refused);
        if (!agent)
            return call->finish(refused);
        watcher.agent = agent->id;
    }
    if (const auto document = denyListDocument(); !document)
        return call->finish(statusOf(document.error()));
    endOthersLike(watcher);
    watcher.isBehind = true;
    if (!watcher.partner) { // partners know what others say from them
        const auto domains = m_authority.federatedDenyLists().keys();
        watcher.behind = QSet(domains.cbegin(), domains.cend());
    }
    connect(
        call.get(), &grpc::ServerCall::cancelled, this, [this, raw = call.get()] { m_watchers.remove(raw); },
        Qt::QueuedConnection);
    connect(call.get(), &grpc::ServerCall::drained, this, [this, raw = call.get()] {
        if (const auto drained = m_watchers.find(raw); drained != m_watchers.end())
            sendNews(*drained);
    });
    sendNews(*m_watchers.insert(call.get(), watcher));
}

/// One agent, one stream: a device that comes back does not wait for its old connection to be missed.
void AuthorityService::endOthersLike(const Watcher &watcher)
{
    const auto all = m_watchers.values();
    for (const Watcher &other : all) {
        if (other.agent != watcher.agent || other.partner != watcher.partner)
            continue;
        other.call->finish(
            {grpc::StatusCode::Aborted, u"A newer stream of this agent takes the place of this one."_s, {}});
        m_watchers.remove(other.call.get());
    }
}

/// Whoever does not read gets the newest lists later, not every one between.
void AuthorityService::sendNews(Watcher &watcher)
{
    if (watcher.call->queuedBytes() > 0)
        return;
    if (watcher.isBehind) {
        const auto document = denyListDocument();
        if (!document) {
            Q_EMIT noticed(document.error());
            return;
        }
        watcher.isBehind = false;
        return watcher.call->send(*document);
    }
    const auto known = m_authority.federatedDenyLists();
    while (!watcher.behind.isEmpty()) {
        const TrustDomain domain = *watcher.behind.cbegin();
        watcher.behind.remove(domain);
        if (known.contains(domain))
            return watcher.call->send(federatedDocument(domain));
    }
}

void AuthorityService::pushDenyList()
{
    for (auto watcher = m_watchers.begin(); watcher != m_watchers.end(); ++watcher) {
        watcher->isBehind = true;
        sendNews(*watcher);
    }
}

void AuthorityService::pushFederatedDenyList(const TrustDomain &domain)
{
    for (auto watcher = m_watchers.begin(); watcher != m_watchers.end(); ++watcher) {
        if (watcher->partner)
            continue;
        watcher->behind.insert(domain);
        sendNews(*watcher);
    }
}

void AuthorityService::dismissFormerPartners()
{
    for (const Watcher &watcher : m_watchers.values()) {
        if (!watcher.partner || partnerIn(*watcher.call))
            continue;
        watcher.call->finish({grpc::StatusCode::PermissionDenied, u"We do not federate any more."_s, {}});
        m_watchers.remove(watcher.call.get());
    }
}

void AuthorityService::serveTrustMethods()
{
    m_agents.handleStream(method::trust("WatchDenyList"),
                          [this](const std::shared_ptr<grpc::ServerCall> &call) { watchDenyList(call); });
    forAgentsLater(
        method::trust("GetTime"),
        [this](const QByteArray &bytes, const Agent &agent, const std::shared_ptr<grpc::ServerCall> &call) {
            const auto request = spire::parse<wire::TimeRequest>(bytes);
            if (!request)
                return call->finish(statusOf(request.error()));
            const QByteArray nonce = bytesOf(request->nonce());
            if (nonce.size() < kMinNonce || nonce.size() > kMaxNonce)
                return call->finish(statusOf(
                    {Errc::Malformed, u"The nonce must have %1 to %2 bytes."_s.arg(kMinNonce).arg(kMaxNonce)}));
            m_authority.signedTimeLater(agent, nonce, [call](const Result<QByteArray> &jws) {
                if (!jws)
                    return call->finish(statusOf(jws.error()));
                wire::TimeResponse response;
                response.set_jws(jws->toStdString());
                call->send(spire::serialize(response));
                call->finish({});
            });
        },
        Cost::Signature);
    forAgents(
        method::trust("ReportLastAccepted"),
        [this](const QByteArray &bytes, const Agent &agent) {
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
            QHash<SpiffeId, Timestamp> accepted;
            for (const auto &item : request->items()) {
                const auto id = SpiffeId::parse(textOf(item.spiffe_id()));
                if (!id)
                    return refusal(id.error());
                Timestamp &at = accepted[*id];
                at = qMax(at, fromEpochMillis(item.at_ms()));
            }
            const auto noted = m_authority.noteLastAccepted(accepted, agent.id.toString());
            return noted ? replyNothing() : refusal(noted.error());
        },
        Cost::Write);
    forAgents(method::trust("ListWaiting"), [this](const QByteArray &, const Agent &agent) {
        const auto entries = m_authority.authorizedEntries(agent);
        if (!entries)
            return refusal(entries.error());
        if (!runsBroker(*entries))
            return refusal({Errc::Denied, u"Only the agent of a broker may hear who waits for approval."_s});
        const auto waiting = m_authority.waiting(kMaxWaiting);
        if (!waiting)
            return refusal(waiting.error());
        wire::ListWaitingResponse response;
        response.set_total(waiting->total);
        for (const WaitingDevice &device : waiting->latest) {
            auto *out = response.add_devices();
            out->set_ek_hash(device.ekHash.toStdString());
            out->set_ek_issuer(device.vendor.toStdString());
            out->set_first_seen_at_ms(toEpochMillis(device.firstAt));
            out->set_last_seen_at_ms(toEpochMillis(device.lastAt));
            out->set_address(device.address.toStdString());
            out->set_attempts(device.attempts);
        }
        return reply(response);
    });
}

} // namespace lintel::authority

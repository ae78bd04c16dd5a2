#include "spire/deny_list_watch.h"

#include "spire/server_methods.h"
#include "spire/wire.h"

#include "lintel_authority.pb.h"

#include <utility>

namespace lintel::spire {

using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
namespace authority = ::lintel::authority::v1;

namespace {

constexpr auto kCallTime = 15s;
// A stream over a dead network says nothing: somebody must ask.
constexpr auto kPulse = 20s;

} // namespace

Result<grpc::ClientTls> tlsAsAgent(const EmbeddedIdentitySource &identity, const SpiffeId &authority)
{
    const auto agent = identity.agentSvid();
    if (!agent)
        return agent.error();
    if (agent->notAfter <= identity.trustedNow())
        return Error{Errc::Unavailable, identity.status().sentence};
    grpc::ClientTls tls;
    tls.own = *agent;
    tls.expectedServer = authority;
    const auto documents = identity.documents();
    for (auto it = documents.cbegin(); it != documents.cend(); ++it)
        tls.bundles.insert(it.key(), it.value().x509Authorities);
    tls.verifyAt = identity.trustedNow();
    return tls;
}

DenyListWatch::DenyListWatch(grpc::Channel &channel, EmbeddedIdentitySource &identity, TrustDomain domain,
                             QObject *parent)
    : QObject(parent), m_channel(channel), m_identity(identity), m_domain(std::move(domain))
{
    m_again.setSingleShot(true);
    connect(&m_again, &QTimer::timeout, this, &DenyListWatch::begin);
    connect(&m_pulse, &QTimer::timeout, this, &DenyListWatch::checkPulse);
}

DenyListWatch::~DenyListWatch()
{
    if (m_stream != nullptr)
        m_stream->disconnect(this);
}

void DenyListWatch::begin()
{
    m_again.stop();
    m_pulse.start(kPulse);
    if (m_stream != nullptr) {
        m_stream->disconnect(this);
        m_stream->cancel();
    }
    m_channel.reset(); // the authority refuses an SVID that was replaced by a newer one
    m_stream = m_channel.start(method::trust("WatchDenyList"));
    connect(m_stream, &grpc::ClientCall::messageReceived, this, &DenyListWatch::onMessage);
    connect(m_stream, &grpc::ClientCall::finished, this, &DenyListWatch::onEnded);
    m_stream->send({}); // the request has no fields
    m_stream->closeSending();
}

void DenyListWatch::onMessage(const QByteArray &message)
{
    m_isWatching = true;
    m_backoff.reset();
    Q_EMIT restored();
    const auto document = parse<authority::DenyListDocument>(message);
    if (!document) {
        Q_EMIT refused(document.error());
        return;
    }
    TrustDomain domain = m_domain;
    if (!document->trust_domain().empty()) {
        const auto named = TrustDomain::parse(textOf(document->trust_domain()));
        if (!named) {
            Q_EMIT refused(named.error());
            return;
        }
        domain = *named;
    }
    take(domain, bytesOf(document->jws()));
}

void DenyListWatch::onEnded(const grpc::Status &status)
{
    m_stream = nullptr;
    m_isWatching = false;
    // SPIRE has no deny list: nothing will ever come, and that is no trouble.
    if (status.code == grpc::StatusCode::Unimplemented)
        return;
    // A server that closed in order says Ok or Unavailable once; only a second time is worth a sentence.
    if (!m_backoff.isFresh() && m_identity.current())
        Q_EMIT interrupted(errorOf(status, u"Watching the authority's deny list"_s));
    m_again.start(m_backoff.next());
}

/// Any call that is answered at all proves that the connection lives.
void DenyListWatch::checkPulse()
{
    if (m_stream == nullptr)
        return;
    authority::TimeRequest request;
    request.set_nonce(std::string(32, '\0'));
    m_channel.unary(method::trust("GetTime"), serialize(request), kCallTime, this,
                    [this](const grpc::Status &status, const QByteArray &) {
                        if (status.code != grpc::StatusCode::DeadlineExceeded || m_stream == nullptr)
                            return;
                        m_stream->disconnect(this);
                        m_stream->cancel();
                        m_channel.reset();
                        onEnded(status);
                    });
}

void DenyListWatch::take(const TrustDomain &domain, const QByteArray &jws)
{
    const auto keys = m_identity.documents().value(domain).jwtAuthorities;
    const auto known = m_lists.find(domain);
    const auto list = tls::verifyDenyList(jws, domain, keys, known == m_lists.end() ? 0 : known->second.sequence);
    if (!list) {
        // Perhaps the key is newer than our bundle.
        if (list.error().code == Errc::Denied) {
            m_unsigned[domain] = jws;
            if (std::exchange(m_hurriedFor[domain], jws) != jws) // once: the next errand may bring no other keys
                m_identity.hurry();
        }
        Q_EMIT refused(
            {list.error().code, u"The deny list of %1 is not used: %2"_s.arg(domain.name(), list.error().message)});
        return;
    }
    m_unsigned.erase(domain);
    m_lists.insert_or_assign(domain, *list);
    Q_EMIT accepted(*list, jws);
}

void DenyListWatch::judgeAgain()
{
    const auto waiting = std::exchange(m_unsigned, {});
    for (const auto &[domain, jws] : waiting)
        take(domain, jws);
}

void DenyListWatch::remember(const tls::DenyList &list)
{
    const auto known = m_lists.find(list.issuer);
    if (known == m_lists.end() || known->second.sequence < list.sequence)
        m_lists.insert_or_assign(list.issuer, list);
}

} // namespace lintel::spire

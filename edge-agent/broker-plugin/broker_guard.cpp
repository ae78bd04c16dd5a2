#include "broker-plugin/broker_guard.h"

#include "domain/principal.h"
#include "tls/x509.h"

#include <algorithm>

namespace lintel::broker {

using namespace Qt::StringLiterals;

namespace {
constexpr std::chrono::seconds kTellDenialEvery{60}; // a client that tries again and again fills no log

/// What a client sent, for a line of the log.
QString shown(std::string_view text)
{
    QString safe = QString::fromUtf8(QByteArrayView(text.substr(0, 160)));
    for (QChar &c : safe)
        if (!c.isPrint())
            c = u'?';
    return safe;
}

quint64 &countOf(auto &counts, auto what)
{
    return counts[static_cast<size_t>(what)];
}

QString verb(Action action)
{
    switch (action) {
    case Action::Publish: return u"publish to"_s;
    case Action::Receive: return u"receive"_s;
    case Action::Subscribe: return u"subscribe to"_s;
    case Action::Will: return u"leave a will or retained message in"_s;
    }
    return {};
}
} // namespace

QLatin1StringView nameOf(Action action)
{
    constexpr std::array names{"publish"_L1, "receive"_L1, "subscribe"_L1, "will"_L1};
    static_assert(names.size() == kActions);
    return names[static_cast<size_t>(action)];
}

QLatin1StringView nameOf(KickReason reason)
{
    constexpr std::array names{"expired"_L1, "denied"_L1, "no_role"_L1, "domain_removed"_L1, "root_removed"_L1};
    static_assert(names.size() == kKickReasons);
    return names[static_cast<size_t>(reason)];
}

void BrokerGuard::setRoles(BrokerRoles roles)
{
    m_roles = std::move(roles);
    m_changed = true;
    ++m_revision;
    for (auto &[name, known] : m_known) {
        known.grants = grantsFor(known.peer.id, m_roles);
        known.facts.role = known.grants ? known.grants->role : QString();
    }
}

void BrokerGuard::setBundles(TrustBundles bundles)
{
    for (auto old = m_bundles.cbegin(); old != m_bundles.cend(); ++old) {
        const QList<QByteArray> left = bundles.value(old.key());
        if (!std::all_of(old->begin(), old->end(), [&](const QByteArray &root) { return left.contains(root); }))
            ++m_rootsLost;
    }
    m_bundles = std::move(bundles);
    m_changed = true;
}

void BrokerGuard::setDenyList(const tls::DenyList &list)
{
    m_denyLists.insert(list.issuer, list);
    m_changed = true;
    ++m_revision;
}

const tls::DenyEntry *BrokerGuard::deniedBy(const Peer &peer) const
{
    // Only the list of the client's own domain counts: no domain can lock out another's members.
    const auto list = m_denyLists.constFind(peer.id.trustDomain());
    return list == m_denyLists.constEnd() ? nullptr : list->find(peer.id, peer.serial, peer.notBefore);
}

bool BrokerGuard::hasLostItsRoot(const Peer &peer, Timestamp now) const
{
    return peer.rootsLost != m_rootsLost
           && !tls::verifyPeer(peer.chainDer, peer.id, m_bundles, tls::PeerRole::Client, now);
}

Error BrokerGuard::refuse(Refusal cause, const Refused &whom, const QString &sentence)
{
    ++countOf(m_counters.refused, cause);
    ++m_revision;
    m_refusals.add({cause, whom.who, whom.isProved, whom.from, sentence, {}, whom.at, 0});
    m_log(u"Refused %1 (%2): %3"_s.arg(whom.from, nameOf(cause), sentence));
    return {Errc::Denied, sentence};
}

Result<Peer> BrokerGuard::verifyChain(const QList<QByteArray> &chainDer, const QString &from, Timestamp now)
{
    Refused whom{from, from, false, now};
    if (chainDer.isEmpty())
        return refuse(Refusal::NoCertificate, whom, u"It showed no certificate; give the client its SVID."_s);
    const auto id = tls::leafSpiffeId(chainDer.first());
    if (!id)
        return refuse(Refusal::BadCertificate, whom, id.error().message);
    whom.who = id->toString();
    if (!m_bundles.contains(id->trustDomain()))
        return refuse(Refusal::ForeignDomain, whom,
                      u"%1 belongs to a trust domain whose bundle is not here; federate with %2, or give the client "
                      "an identity of this site."_s.arg(id->toString(), id->trustDomain().name()));
    const auto facts = tls::describeCertificate(chainDer.first());
    if (!facts)
        return refuse(Refusal::BadCertificate, whom, facts.error().message);
    if (facts->notAfter <= now)
        return refuse(Refusal::Expired, whom,
                      u"The certificate of %1 ended at %2; renew it, and look at the clocks of both."_s.arg(
                          id->toString(), toIso8601(facts->notAfter)));
    if (const auto valid = tls::verifyPeer(chainDer, *id, m_bundles, tls::PeerRole::Client, now); !valid)
        return refuse(Refusal::NotTrusted, whom, valid.error().message);
    return Peer{*id, facts->serial, facts->notBefore, facts->notAfter, chainDer, m_rootsLost};
}

Result<void> BrokerGuard::connect(SessionKey session, const std::optional<Peer> &peer, std::string_view clientId,
                                  const QString &from, Moment now)
{
    disconnected(session); // the broker reuses its objects
    if (!peer)
        return refuse(Refusal::NoCertificate, {from, clientId.empty() ? from : shown(clientId), false, now.time},
                      u"Its certificate was not verified by this plugin; connect by TLS to a listener with "
                      "require_certificate true, without resuming an older connection."_s);
    const QString who = peer->id.toString();
    const Refused whom{from, who, true, now.time};
    if (peer->notAfter <= now.time)
        return refuse(Refusal::Expired, whom,
                      u"The certificate of %1 ended at %2; renew it."_s.arg(who, toIso8601(peer->notAfter)));
    if (const tls::DenyEntry *entry = deniedBy(*peer))
        return refuse(Refusal::Denied, whom,
                      u"%1 was revoked at %2 (%3); enrol it anew if it is to come back."_s.arg(
                          who, toIso8601(entry->revokedAt), entry->reason));
    if (hasLostItsRoot(*peer, now.time)) // between handshake and CONNECT
        return refuse(Refusal::NotTrusted, whom,
                      u"The root behind the certificate of %1 was taken out of its domain's bundle."_s.arg(who));
    const QString principal = Principal(peer->id).toString();
    if (clientId != std::string_view(principal.toStdString()))
        return refuse(Refusal::ClientId, whom,
                      u"%1 asked for the client id \"%2\"; its own is \"%3\"."_s.arg(who, shown(clientId), principal));
    auto grants = grantsFor(peer->id, m_roles);
    if (!grants)
        return refuse(Refusal::NoRole, whom,
                      u"%1 has no role on this broker; name it in the broker's roles file."_s.arg(who));

    Session fresh{*peer, who.toStdString(), std::string(clientId), now.running + (peer->notAfter - now.time)};
    Known &known = m_known[fresh.name];
    fresh.known = &known;
    known.peer = *peer;
    known.facts.role = grants->role;
    known.facts.serial = peer->serial;
    known.facts.connectedAt = now.time;
    known.facts.expiresAt = peer->notAfter;
    known.facts.connected = true;
    known.grants = std::move(grants);
    ++known.sessions;
    m_nextExpiry = m_sessions.empty() ? peer->notAfter : std::min(m_nextExpiry, peer->notAfter);
    m_nextEnd = m_sessions.empty() ? fresh.endsAt : std::min(m_nextEnd, fresh.endsAt);
    m_sessions.emplace(session, std::move(fresh));
    ++m_counters.connects;
    ++m_revision;
    return {};
}

void BrokerGuard::disconnected(SessionKey session)
{
    const auto found = m_sessions.find(session);
    if (found == m_sessions.end())
        return; // refused before
    Known &known = *found->second.known;
    known.facts.connected = --known.sessions > 0;
    m_sessions.erase(found);
    ++m_revision;
}

/// The second one holds when the clock was set back.
bool BrokerGuard::isOver(const Session &session, Moment now)
{
    return session.peer.notAfter <= now.time || session.endsAt <= now.running;
}

std::optional<Kick> BrokerGuard::reasonToEnd(const Session &session, Moment now) const
{
    const QString who = session.peer.id.toString();
    const auto kick = [&session](KickReason reason, const QString &why) { return Kick{session.clientId, reason, why}; };
    if (const tls::DenyEntry *entry = deniedBy(session.peer)) {
        const auto last = session.known->facts.lastAccepted;
        return kick(KickReason::Denied,
                    u"%1 was revoked at %2 (%3); its last message was accepted at %4."_s.arg(
                        who, toIso8601(entry->revokedAt), entry->reason, last ? toIso8601(*last) : u"no time"_s));
    }
    if (isOver(session, now))
        return kick(KickReason::Expired, u"The certificate of %1 ended at %2; it reconnects with a new one."_s.arg(
                                             who, toIso8601(session.peer.notAfter)));
    if (!session.known->grants)
        return kick(KickReason::NoRole, u"%1 has no role on this broker any more."_s.arg(who));
    if (!m_bundles.contains(session.peer.id.trustDomain()))
        return kick(KickReason::DomainRemoved, u"The bundle of %1's trust domain was removed."_s.arg(who));
    if (hasLostItsRoot(session.peer, now.time))
        return kick(KickReason::RootRemoved,
                    u"The root behind the certificate of %1 was taken out of its domain's bundle."_s.arg(who));
    return std::nullopt;
}

QList<Kick> BrokerGuard::due(Moment now)
{
    QList<Kick> kicks;
    if (m_sessions.empty() || (!m_changed && now.time < m_nextExpiry && now.running < m_nextEnd))
        return kicks;
    m_changed = false;
    m_nextExpiry = Timestamp::max();
    m_nextEnd = Millis::max();
    for (auto &[key, session] : m_sessions) {
        if (auto kick = reasonToEnd(session, now)) {
            session.ended = true;
            kicks.append(std::move(*kick));
        }
        session.peer.rootsLost = m_rootsLost;
        m_nextExpiry = std::min(m_nextExpiry, session.peer.notAfter);
        m_nextEnd = std::min(m_nextEnd, session.endsAt);
    }
    return kicks;
}

void BrokerGuard::kicked(const Kick &kick)
{
    ++countOf(m_counters.kicked, kick.reason);
    ++m_revision;
    m_log(u"Ended the session of %1 (%2): %3"_s.arg(shown(kick.clientId), nameOf(kick.reason), kick.why));
}

bool BrokerGuard::mayAct(SessionKey key, const char *principal, Action action, std::string_view topic, Moment now,
                         bool retain)
{
    const bool keeps = retain && (action == Action::Publish || action == Action::Will);
    const auto found = m_sessions.find(key);
    if (found == m_sessions.end() || !principal || found->second.name != principal || found->second.ended) {
        const auto known = principal ? m_known.find(std::string_view(principal)) : m_known.end();
        Known *const who = known == m_known.end() ? nullptr : &known->second; // else: nobody connect() has let in
        const bool allowed = who && mayActWithoutSession(*who, action, topic) && (!keeps || mayRetain(topic));
        if (!allowed)
            countDenial(who, action == Action::Publish ? Action::Will : action, topic, now.time);
        return allowed;
    }
    Known &known = *found->second.known;
    if (isOver(found->second, now)) { // and due() has not yet come to say so, as after a suspend
        ++countOf(m_counters.denied, action);
        ++m_revision;
        return false;
    }
    bool allowed = false;
    if (known.grants) {
        switch (action) {
        case Action::Publish:
        case Action::Will: allowed = mayPublish(*known.grants, topic); break;
        case Action::Receive: allowed = mayReceive(*known.grants, topic); break;
        case Action::Subscribe: allowed = maySubscribe(*known.grants, topic); break;
        }
    }
    if (!allowed || (keeps && !mayRetain(topic))) {
        countDenial(&known, keeps ? Action::Will : action, topic, now.time);
        return false;
    }
    if (action == Action::Publish) {
        ++m_counters.published;
        ++m_revision;
        known.facts.lastAccepted = now.time;
    }
    return true;
}

bool BrokerGuard::mayActWithoutSession(Known &known, Action action, std::string_view topic) const
{
    if (!known.grants || action == Action::Subscribe)
        return false;
    const bool denied = deniedBy(known.peer) != nullptr;
    if (action == Action::Receive)
        return !denied && mayReceive(*known.grants, topic);
    return denied ? isLastWord(*known.grants, topic) : mayPublish(*known.grants, topic);
}

void BrokerGuard::countDenial(Known *known, Action action, std::string_view topic, Timestamp now)
{
    ++countOf(m_counters.denied, action);
    ++m_revision;
    if (!known || action == Action::Receive)
        return; // a wider subscription than the role: quietly not delivered
    ++known->denials;
    if (known->denialToldAt != Timestamp{} && now - known->denialToldAt < kTellDenialEvery)
        return;
    known->denialToldAt = now;
    m_log(u"%1 (%2) may not %3 \"%4\"; refused %5 times so far. If it should, change its role in the roles file."_s.arg(
        known->peer.id.toString(), known->facts.role.isEmpty() ? u"no role"_s : known->facts.role, verb(action),
        shown(topic), QString::number(known->denials)));
}

QMap<QString, PrincipalFacts> BrokerGuard::principals() const
{
    QMap<QString, PrincipalFacts> all;
    for (const auto &[name, known] : m_known)
        all.insert(QString::fromStdString(name), known.facts);
    return all;
}

std::optional<Timestamp> BrokerGuard::firstExpiry() const
{
    std::optional<Timestamp> first;
    for (const auto &[key, session] : m_sessions)
        first = std::min(first.value_or(Timestamp::max()), session.peer.notAfter);
    return first;
}

} // namespace lintel::broker

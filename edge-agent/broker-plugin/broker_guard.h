// Who may connect to the broker, and what each session may say and hear: the decisions of the
// plugin without Mosquitto's interface. Owns the sessions, the trust bundles, the roles and the
// deny lists; counts what it decides.
//
// One thread: the broker's only one. Time comes in from outside (judging_time.h says what time that is). A
// refusal is an Error whose sentence goes to the log; the client learns no more than "not authorised".
#pragma once

#include "broker-plugin/judging_time.h"
#include "broker-plugin/refusal_list.h"
#include "broker-plugin/topic_table.h"
#include "mqtt/broker_roles.h"
#include "ports/identity_source.h"
#include "tls/deny_list.h"

#include <QMap>

#include <array>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

namespace lintel::broker {

/// A client whose certificate the handshake has verified.
struct Peer {
    SpiffeId id;
    QString serial;
    Timestamp notBefore{};
    Timestamp notAfter{};
    QList<QByteArray> chainDer{}; // as it was shown, for when a root is taken out
    quint64 rootsLost = 0;        // how often that had happened when it was verified
};

enum class Action { Publish, Receive, Subscribe, Will };
enum class KickReason { Expired, Denied, NoRole, DomainRemoved, RootRemoved };
inline constexpr size_t kActions = 4;
inline constexpr size_t kKickReasons = 5;

struct BrokerCounters {
    quint64 connects = 0;
    quint64 published = 0; // messages accepted of live sessions
    std::array<quint64, kRefusals> refused{};
    std::array<quint64, kActions> denied{};
    std::array<quint64, kKickReasons> kicked{};
    friend bool operator==(const BrokerCounters &, const BrokerCounters &) = default;
};

[[nodiscard]] QLatin1StringView nameOf(Action action);
[[nodiscard]] QLatin1StringView nameOf(KickReason reason);

struct Kick {
    std::string clientId;
    KickReason reason = KickReason::Expired;
    QString why; // one sentence
};

/// What is known of a principal since the broker started, for "revoked at, last message at".
struct PrincipalFacts {
    QString role;
    QString serial;
    bool connected = false;
    Timestamp connectedAt{};
    Timestamp expiresAt{};
    std::optional<Timestamp> lastAccepted;
    friend bool operator==(const PrincipalFacts &, const PrincipalFacts &) = default;
};

class BrokerGuard
{
public:
    using SessionKey = const void *; // the broker's own object of a client
    using Log = std::function<void(const QString &sentence)>;

    explicit BrokerGuard(Log log) : m_log(std::move(log)) {}

    // --- what is configured; each takes effect at once, on live sessions with the next due()

    void setRoles(BrokerRoles roles);
    /// Whoever came in by a root that is gone has to leave.
    void setBundles(TrustBundles bundles);
    /// One list for each trust domain; it can only refuse members of its own domain.
    void setDenyList(const tls::DenyList &list);
    [[nodiscard]] const QHash<TrustDomain, tls::DenyList> &denyLists() const { return m_denyLists; }
    [[nodiscard]] const TrustBundles &bundles() const { return m_bundles; }

    // --- connections

    /// During the handshake: leaf rules, a known trust domain, and a chain to that domain's own
    /// roots. Denied, counted and logged.
    [[nodiscard]] Result<Peer> verifyChain(const QList<QByteArray> &chainDer, const QString &from, Timestamp now);
    /// With CONNECT: `peer` as the handshake left it. The client id must be the principal.
    [[nodiscard]] Result<void> connect(SessionKey session, const std::optional<Peer> &peer, std::string_view clientId,
                                       const QString &from, Moment now);
    void disconnected(SessionKey session);
    /// Sessions that must end now.
    [[nodiscard]] QList<Kick> due(Moment now);
    void kicked(const Kick &kick);

    // --- topics

    /// `principal` is the name that the broker keeps for the client (the SPIFFE ID that connect()
    /// admitted). What comes from no live session is a will, or the source of a retained message:
    /// it follows the same table, and of a revoked client only its last word is heard. `retain`: the broker is
    /// asked to keep the message.
    [[nodiscard]] bool mayAct(SessionKey session, const char *principal, Action action, std::string_view topic,
                              Moment now, bool retain = false);

    [[nodiscard]] const BrokerCounters &counters() const { return m_counters; }
    [[nodiscard]] QList<RefusedClient> latestRefusals() const { return m_refusals.latest(); }
    /// Another number whenever something changed that a status tells.
    [[nodiscard]] quint64 revision() const { return m_revision; }
    [[nodiscard]] qsizetype sessionCount() const { return static_cast<qsizetype>(m_sessions.size()); }
    /// By SPIFFE ID.
    [[nodiscard]] QMap<QString, PrincipalFacts> principals() const;
    /// The end of the first SVID that ends; nothing without sessions.
    [[nodiscard]] std::optional<Timestamp> firstExpiry() const;

private:
    struct Known {
        Peer peer; // of its last connection
        std::optional<TopicGrants> grants;
        PrincipalFacts facts;
        int sessions = 0;
        quint64 denials = 0;
        Timestamp denialToldAt{};
    };
    struct Session {
        Peer peer;
        std::string name; // the SPIFFE ID as text: what the broker keeps as user name
        std::string clientId;
        Millis endsAt{0};       // Moment::running: when what its certificate had left has passed
        Known *known = nullptr; // in m_known, whose nodes stay where they are
        bool ended = false;     // due() has said so; until the broker closes it, nothing more
    };

    [[nodiscard]] const tls::DenyEntry *deniedBy(const Peer &peer) const;
    [[nodiscard]] bool hasLostItsRoot(const Peer &peer, Timestamp now) const;
    /// Whom, as far as it is known; `isProved`: by a verified certificate.
    struct Refused {
        QString from;
        QString who;
        bool isProved = false;
        Timestamp at{};
    };
    [[nodiscard]] Error refuse(Refusal cause, const Refused &whom, const QString &sentence);
    [[nodiscard]] static bool isOver(const Session &session, Moment now);
    [[nodiscard]] std::optional<Kick> reasonToEnd(const Session &session, Moment now) const;
    [[nodiscard]] bool mayActWithoutSession(Known &known, Action action, std::string_view topic) const;
    void countDenial(Known *known, Action action, std::string_view topic, Timestamp now);

    Log m_log;
    BrokerRoles m_roles;
    TrustBundles m_bundles;
    quint64 m_rootsLost = 0; // how often roots were taken out
    QHash<TrustDomain, tls::DenyList> m_denyLists;
    std::unordered_map<SessionKey, Session> m_sessions;
    std::map<std::string, Known, std::less<>> m_known; // by SPIFFE ID: everybody who was here
    BrokerCounters m_counters;
    RefusalList m_refusals;
    quint64 m_revision = 0;
    bool m_changed = true;    // roles, bundles or lists: every session is looked at again
    Timestamp m_nextExpiry{}; // of any session, by both clocks
    Millis m_nextEnd{0};
};

} // namespace lintel::broker

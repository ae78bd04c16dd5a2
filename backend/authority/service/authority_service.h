// The authority on the network: SPIRE's server API for agents over TLS, the same with administration
// and Lintel's own methods on a Unix socket, and the SPIFFE bundle endpoint.
//
// Owned by main, with its Authority, on one thread. Over TLS only agents' methods exist, and all but
// AttestAgent and GetBundle need an agent's SVID that is known here and in order (WatchDenyList is for
// authorities of federated domains, too); the socket is
// for whoever may open it (mode 0600 or a group's), and each call is audited with its user.
#pragma once

#include "authority/authority.h"
#include "authority/service/attest_call.h"
#include "grpc/grpc_server.h"

#include <QElapsedTimer>
#include <QHash>
#include <QObject>
#include <QSet>

#include <functional>
#include <memory>
#include <optional>

namespace lintel::authority {

class AuthorityService final : public QObject
{
    Q_OBJECT
public:
    AuthorityService(Authority &authority, AttestationTerms terms, const QString &version, QObject *parent = nullptr);

    /// Port 0 = any; returns the port.
    [[nodiscard]] Result<quint16> listenForAgents(const QString &address, quint16 port);
    [[nodiscard]] Result<void> listenForAdministration(const QString &socketPath, uint mode);
    /// The bundle endpoint (SPIFFE_Federation.md section 5.2) with `tls`, or, without it, with the
    /// authority's own SVID (profile https_spiffe). The document is at "/".
    [[nodiscard]] Result<quint16> listenForBundles(const QString &address, quint16 port,
                                                   std::function<Result<grpc::ServerTls>()> tls = {});
    void close(std::chrono::milliseconds grace);
    [[nodiscard]] int connectionCount() const;
    /// Who calls on the socket, for the audit trail. Denied: the kernel does not say.
    [[nodiscard]] static Result<Actor> actorOf(const grpc::Peer &peer);

Q_SIGNALS:
    void closed();
    void noticed(const lintel::Error &what);
    /// Somebody asks that the bundle of `domain` be fetched now.
    void refreshWanted(const lintel::TrustDomain &domain);

private:
    using AgentHandler = std::function<grpc::UnaryReply(const QByteArray &request, const Agent &agent)>;
    using AdminHandler = std::function<grpc::UnaryReply(const QByteArray &request, const Actor &actor)>;
    using LaterHandler = std::function<void(const QByteArray &request, const Agent &agent,
                                            const std::shared_ptr<grpc::ServerCall> &call)>;
    /// What a call costs us, beside reading: of which bucket of its agent it is taken.
    enum class Cost { Nothing, Write, Signature };
    void forAgents(const QByteArray &path, AgentHandler handler, Cost cost = Cost::Nothing);
    void forAgentsLater(const QByteArray &path, LaterHandler handler, Cost cost = Cost::Nothing);
    [[nodiscard]] Result<void> admit(const Agent &agent, Cost cost, qsizetype count = 1);
    void forAdministrators(const QByteArray &path, AdminHandler handler);
    [[nodiscard]] static grpc::Status refusalOf(AgentDenial denial, const QString &message);
    [[nodiscard]] Result<Agent> callerOf(const grpc::ServerCall &call, grpc::Status *refusal);

    void serveAgentMethods();
    void serveEntryMethods();
    void serveSvidMethods();
    void serveBundleMethods();
    void serveFederationMethods();
    void serveDeviceMethods();
    void serveBootMethods();
    void serveTrustMethods();
    void serveHealth();

    void serveEntryStream(const std::shared_ptr<grpc::ServerCall> &call);
    void issueSvids(const QByteArray &request, const Agent &agent, const std::shared_ptr<grpc::ServerCall> &call);
    [[nodiscard]] QByteArray healthNow() const;
    void watchHealth(const std::shared_ptr<grpc::ServerCall> &call);
    void watchDenyList(const std::shared_ptr<grpc::ServerCall> &call);
    void pushDenyList();
    void pushFederatedDenyList(const TrustDomain &domain);
    void dismissFormerPartners();
    /// The domain of a federated authority that calls; nothing for everybody else.
    [[nodiscard]] std::optional<TrustDomain> partnerIn(const grpc::ServerCall &call);
    [[nodiscard]] Result<QByteArray> denyListDocument();
    [[nodiscard]] QByteArray federatedDocument(const TrustDomain &domain) const;
    [[nodiscard]] Result<QByteArray> bundleForPartners();
    [[nodiscard]] grpc::UnaryReply status();
    [[nodiscard]] grpc::UnaryReply federationState();
    [[nodiscard]] Result<QList<Entry>> entriesFor(const Agent &agent);
    [[nodiscard]] grpc::UnaryReply showDevice(const QByteArray &request);
    [[nodiscard]] grpc::UnaryReply createToken(const QByteArray &request, const Actor &actor);
    [[nodiscard]] grpc::UnaryReply enroll(const QByteArray &request, const Actor &actor);

    Authority &m_authority;
    AttestationTerms m_terms;
    QString m_version;
    RateLimiter m_limiter; // of agents
    QElapsedTimer m_uptime;
    grpc::Server m_agents;
    grpc::Server m_administration;
    grpc::Server m_bundles;
    int m_open = 0; // servers that have not closed yet
    quint16 m_agentPort = 0;
    struct Watcher {
        std::shared_ptr<grpc::ServerCall> call;
        SpiffeId agent;                     // of ours; it hears of federated domains as well
        std::optional<TrustDomain> partner; // or the authority of this one
        bool isBehind = false;              // our own list has to be sent, …
        QSet<TrustDomain> behind;           // … and those of these domains: the newest, when there is room
    };
    void sendNews(Watcher &watcher);
    void endOthersLike(const Watcher &watcher);
    QHash<grpc::ServerCall *, Watcher> m_watchers; // of the deny list
    QHash<grpc::ServerCall *, std::shared_ptr<grpc::ServerCall>> m_healthWatchers;
};

} // namespace lintel::authority

// The SPIFFE Workload API (SPIFFE_Workload_API.md, SPIFFE_Workload_Endpoint.md): programs on this
// host get their X.509 and JWT SVIDs and trust bundles over a Unix socket, without a credential of
// their own. Who they are the kernel says (CallerAttestor); what they get the authority's entries say.
//
// Owned by the gateway's main, on one thread with its issuer. Everything that a caller did wrong ends
// its own call with the standard's status code; what an operator should know comes as noticed().
#pragma once

#include "grpc/grpc_server.h"
#include "workload-api/caller_attestor.h"
#include "workload-api/jwt_cache.h"
#include "workload-api/svid_cache.h"
#include "workload-api/workload_messages.h"

#include <functional>
#include <map>

namespace lintel::workloads {

struct WorkloadServerOptions {
    /// Identities of Lintel's own processes, which are never handed out.
    QSet<SpiffeId> excluded;
    /// How long a caller waits for an SVID that is still to come, before Unavailable.
    Millis patience{10'000};
};

class WorkloadServer final : public QObject
{
    Q_OBJECT
public:
    /// Both outlive it.
    WorkloadServer(WorkloadIssuer &issuer, WorkloadServerOptions options, const Clock &clock,
                   QObject *parent = nullptr);
    ~WorkloadServer() override;

    /// Whoever can open the socket may ask: mode 0777, since attestation decides. The folder that it
    /// lies in must belong to us alone.
    [[nodiscard]] Result<void> listen(const QString &socketPath, uint mode = 0777);
    void close(std::chrono::milliseconds grace);

    /// A deny list that was verified (tls::verifyDenyList). Streams and tokens of what it names end
    /// before this returns.
    void setDenyList(const tls::DenyList &list);

    struct Counts {
        int streams = 0;
        qsizetype entries = 0;
        qsizetype svids = 0; // of those entries, ready to be handed out
        quint64 refused = 0; // callers without an identity
    };
    [[nodiscard]] Counts counts() const;

Q_SIGNALS:
    void closed();
    void noticed(const lintel::Error &what);
    /// For the audit: somebody was given X.509-SVIDs or tokens of these IDs.
    void handedOut(const QString &caller, const QStringList &ids);

private:
    enum class Topic { X509Svid, X509Bundles, JwtBundles };
    struct Stream {
        std::shared_ptr<grpc::ServerCall> call;
        Topic topic;
        Caller caller;
        QByteArray lastSent;
        bool isLate = false; // patience is over
    };
    struct Answer {
        enum class Kind { Message, NotYet, Refused };
        Kind kind = Kind::NotYet;
        QByteArray message;
        QStringList ids;
        QString why;
    };
    struct TokenErrand;
    /// What somebody may have, as far as it is known.
    struct Found {
        QList<WorkloadEntry> entries;
        bool isAll = true; // false: another entry asks for the hash of the executable, which is being read
    };
    using UseEntries = std::function<void(const Caller &caller, const QList<WorkloadEntry> &entries)>;
    /// A call that waits for that hash.
    struct Parked {
        Caller caller;
        std::shared_ptr<grpc::ServerCall> call;
        UseEntries use;
    };

    void serveStream(const char *name, Topic topic);
    void serveUnary(const char *name,
                    void (WorkloadServer::*handler)(const std::shared_ptr<grpc::ServerCall> &, const QByteArray &));
    void onSubscribed(const std::shared_ptr<grpc::ServerCall> &call, Topic topic);
    void push(Stream &stream);
    void pushAll();
    void pushSoon();
    void fetchToken(const std::shared_ptr<grpc::ServerCall> &call, const QByteArray &message);
    void validateToken(const std::shared_ptr<grpc::ServerCall> &call, const QByteArray &message);

    [[nodiscard]] std::optional<Caller> attest(grpc::ServerCall &call);
    [[nodiscard]] Found entriesOf(Caller &caller);
    /// Now, or as soon as it is known which they are. The call is ended when there are none.
    void withEntries(const std::shared_ptr<grpc::ServerCall> &call, const UseEntries &use);
    void useEntries(Parked &parked, const QList<WorkloadEntry> &entries);
    void onHashKnown();
    void settleHints(QList<WorkloadEntry> &entries);
    [[nodiscard]] bool tellOnce(const QString &what);
    [[nodiscard]] Bundles bundlesOf(const QList<WorkloadEntry> &entries) const;
    [[nodiscard]] Answer answer(Stream &stream);
    [[nodiscard]] Answer x509Answer(const QList<WorkloadEntry> &entries, bool isLate) const;
    void fetchTokens(const std::shared_ptr<grpc::ServerCall> &call, const Caller &caller,
                     const QList<WorkloadEntry> &entries, const QStringList &audience);
    void takeKeptTokens(TokenErrand &errand) const;
    [[nodiscard]] bool maySendErrand(quint32 user) const;
    void sendErrand(const std::shared_ptr<TokenErrand> &errand);
    void finishErrand(const std::shared_ptr<TokenErrand> &errand);
    void answerErrand(TokenErrand &errand);
    // errands that wait until others of the same user are back
    void queueErrand(const std::shared_ptr<TokenErrand> &errand);
    [[nodiscard]] std::shared_ptr<TokenErrand> takeWaiting(const grpc::ServerCall *call);
    [[nodiscard]] std::shared_ptr<TokenErrand> nextWaiting();
    void sendWaiting();
    void refuse(grpc::ServerCall &call, const Caller &caller);

    WorkloadIssuer &m_issuer;
    WorkloadServerOptions m_options;
    const Clock &m_clock;
    CallerAttestor m_attestor;
    SvidCache m_svids;
    JwtCache m_tokens;
    QHash<grpc::ServerCall *, std::shared_ptr<Stream>> m_streams;
    QTimer m_pushSoon;
    QHash<grpc::ServerCall *, std::shared_ptr<Parked>> m_parked;
    QHash<quint32, int> m_tokenErrands; // that are under way, by user
    int m_allTokenErrands = 0;
    std::map<quint32, QList<std::shared_ptr<TokenErrand>>> m_waitingErrands; // by user, none empty
    qsizetype m_allWaitingErrands = 0;
    quint32 m_lastErrandUser = 0; // whose waiting errand was sent last
    quint64 m_refused = 0;
    QSet<QString> m_told;  // what was noticed() and need not be said again
    grpc::Server m_server; // last: its calls end before what they use
};

} // namespace lintel::workloads

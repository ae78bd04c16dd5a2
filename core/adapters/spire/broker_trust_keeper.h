// Keeps the files of a broker that stands beside this agent: the trust bundles of the domains whose
// clients may connect, their deny lists, and the broker's own SVID; and tells the authority what the
// broker last accepted of those who are revoked. The broker's plugin takes each file over by itself.
//
// Speaks to the authority as the agent that this process is (EmbeddedIdentitySource::agentSvid()).
// Without it the files stay as they are and attempts go on with back-off. Lives on the thread that
// made it; nothing blocks but the signature in a TLS handshake.
#pragma once

#include "grpc/grpc_channel.h"
#include "identity/svid_keeper.h"
#include "spire/deny_list_watch.h"
#include "spire/embedded_identity_source.h"
#include "spire/waiting_devices.h"
#include "tls/deny_list.h"

#include <QMap>
#include <QObject>
#include <QTimer>

#include <functional>
#include <map>
#include <memory>
#include <optional>

namespace lintel::spire {

struct BrokerTrustOptions {
    QString authority; // host:port
    SpiffeId authorityId;
    SpiffeId broker;      // whose SVID to keep
    QString bundlesDir;   // <trust domain>.json
    QString denyListsDir; // <trust domain>.jws
    QString identityFile; // the broker's key and chain, PEM, 0600: in one file, they never part
    RenewalPolicy renewal;
    quint32 seed = 0;
};

/// What is known of somebody at the broker.
struct BrokerPrincipal {
    QString serial; // of its certificate
    Timestamp lastAccepted{};
};
/// By SPIFFE ID; from the status file of the broker's plugin.
using ReadPrincipals = std::function<Result<QMap<QString, BrokerPrincipal>>()>;

struct BrokerTrustStatus {
    SvidKeeper::State certificate = SvidKeeper::State::Waiting;
    Timestamp certificateExpiresAt{}; // zero: there is none
    quint64 rotations = 0;
    bool isWatching = false;  // the authority's deny list comes as it changes
    quint64 denySequence = 0; // of the own domain's list in the file
    qsizetype denied = 0;     // entries in all lists
    qsizetype denyLists = 0;  // trust domains whose list is there
    qsizetype bundles = 0;    // trust domains whose clients may connect
    quint64 reported = 0;     // times that the authority was told what was last accepted
    QString problem;          // one sentence; empty: none
};

class BrokerTrustKeeper final : public QObject
{
    Q_OBJECT
public:
    /// `identity` and `clock` outlive it.
    BrokerTrustKeeper(BrokerTrustOptions options, EmbeddedIdentitySource &identity, ReadPrincipals readPrincipals,
                      const Clock &clock, QObject *parent = nullptr);
    ~BrokerTrustKeeper() override;

    /// Reads what lies there, then begins.
    void start();
    [[nodiscard]] BrokerTrustStatus status() const;
    /// What the authority says of who is revoked; for others in this process who have to obey it, too.
    [[nodiscard]] const DenyListWatch &denyLists() const { return m_watch; }
    /// Who waits for approval there.
    [[nodiscard]] const WaitingDevicesWatch &waitingDevices() const { return m_waiting; }

Q_SIGNALS:
    /// Once per new sentence.
    void trouble(const lintel::Error &what);
    void notice(const QString &what);

private:
    void onIdentity();
    [[nodiscard]] TrustBundles knownRoots() const;
    // deny list
    void takeDenyList(const tls::DenyList &list, const QByteArray &jws);
    void writeAgain();
    void readDenyLists();
    [[nodiscard]] bool isDenied(const SpiffeId &id, const QString &serial) const;
    // bundles
    void writeBundles();
    // the broker's SVID
    void step();
    void readCertificate();
    void tellOfOldFiles();
    [[nodiscard]] Result<void> verify(const QList<QByteArray> &chainDer) const;
    void askEntry();
    void askSvid(const QByteArray &entryId);
    void takeSvid(const QByteArray &response);
    void fetchFailed(const Error &why);
    // last accepted
    void report();
    // what is wrong: one sentence for each part
    enum class Part { Watch, DenyList, Bundles, Certificate, OldFiles, Report };
    void troubled(Part part, const Error &what);
    void fine(Part part);

    BrokerTrustOptions m_options;
    EmbeddedIdentitySource &m_identity;
    ReadPrincipals m_readPrincipals;
    SvidKeeper m_keeper; // by the identity's time: only what an authority signed raises its floor
    grpc::Channel m_channel;
    QTimer m_step;
    QTimer m_reportTimer;
    DenyListWatch m_watch;
    WaitingDevicesWatch m_waiting{m_channel, m_identity};
    struct Unwritten {
        tls::DenyList list;
        QByteArray jws;
    };
    std::map<TrustDomain, Unwritten> m_unwritten; // lists that the disk did not take
    QHash<TrustDomain, quint64> m_told;           // numbers of the lists that were notice()
    qsizetype m_bundles = 0;
    QList<QByteArray> m_keptChain;   // found at the start, and not yet judged by a bundle
    std::shared_ptr<EVP_PKEY> m_key; // of the request that is under way
    bool m_isReporting = false;
    QHash<QString, Timestamp> m_reported; // by SPIFFE ID
    quint64 m_reports = 0;
    QMap<Part, QString> m_problems;
};

} // namespace lintel::spire

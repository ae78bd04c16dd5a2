// What the parts of Authority share. Private to this folder.
#pragma once

#include "authority/authority.h"
#include "authority/clock_watch.h"
#include "authority/refusal_log.h"
#include "authority/signing_pool.h"
#include "authority/store.h"
#include "authority/waiting_notes.h"

#include <QCache>
#include <QMultiHash>

namespace lintel::authority {

/// Under these the store counts our deny lists and our bundles.
inline const QString kDenyNumber = QStringLiteral("deny.sequence");
inline const QString kBundleNumber = QStringLiteral("bundle.sequence");
/// The last time that was sure (ClockMark).
inline const QString kClockMark = QStringLiteral("clock.mark");
/// Written at each tick, so that a full disk is noticed before somebody needs it.
inline const QString kTickedAt = QStringLiteral("ticked.at");
/// The actor of what nobody asked for.
inline const QString kSelf = QStringLiteral("authority");

/// The entries in memory: every agent asks for its own every five seconds.
class EntryTable
{
public:
    void assign(const QList<Entry> &entries);
    void put(const Entry &entry);
    void remove(const QString &id);
    [[nodiscard]] const Entry *find(const QString &id) const;
    [[nodiscard]] QList<Entry> childrenOf(const SpiffeId &parent) const;
    [[nodiscard]] QList<Entry> withId(const SpiffeId &id) const;
    [[nodiscard]] QList<Entry> all() const;
    [[nodiscard]] qsizetype size() const { return m_entries.size(); }
    /// Another one after each change.
    [[nodiscard]] quint64 revision() const { return m_revision; }

private:
    quint64 m_revision = 0;
    QHash<QString, Entry> m_entries;
    QMultiHash<SpiffeId, QString> m_byParent;
    QMultiHash<SpiffeId, QString> m_bySpiffeId;
};

/// As its domain's authority signed it.
struct FederatedDenyList {
    quint64 sequence = 0;
    QByteArray jws;
};

/// What one agent may fetch, by entry id, as long as neither the entries nor its selectors change.
struct AuthorizedSet {
    quint64 revision = 0;
    Selectors selectors;
    QMap<QString, Entry> entries; // mostly one: a hash has room for 48 from the beginning, 16 KiB an agent
};

struct BootJudgement {
    BootVerdict verdict = BootVerdict::NotMeasured;
    QString reason; // a sentence
};

/// What a broker said of a revoked identity.
struct LastAccepted {
    Timestamp revokedAt{};
    Timestamp at{};
    Actor broker;
};

struct TickOutcome {
    bool keysChanged = false;
    bool entriesWentAway = false;
    bool denyListChanged = false;
    bool refusalsWritten = false;
};

struct LeafFacts {
    SpiffeId id;
    QString serial;
    Timestamp notAfter{};
};

/// A token that is to be signed.
struct JwtOrder {
    tls::JwtSvid svid;
    CertificateAuthority::JwtSigner signer;
};

struct Authority::Private {
    Private(const AuthorityConfig &settings, std::unique_ptr<KeyStore> keyStore, std::unique_ptr<Store> opened,
            const Clock &theClock);

    AuthorityConfig config;
    ClockWatch clock;
    ClockWatch::State clockTold = ClockWatch::State::Sure; // what the audit trail knows
    bool hasClockMark = false;                             // stored: some time has been sure for long
    QString bootId;
    std::unique_ptr<KeyStore> keys;
    std::unique_ptr<Store> store;
    CertificateAuthority ca;
    RateLimiter limiter;
    SigningPool pool;
    ServerIdentity identity;
    EntryTable entries;
    QMap<TrustDomain, tls::BundleDocument> federated;
    QMap<TrustDomain, FederatedDenyList> federatedDenials;
    QHash<SpiffeId, Timestamp> lastSeen;         // what tick() will write down
    QHash<SpiffeId, Timestamp> noOlderSvid;      // SVIDs of these begin here at the earliest
    QCache<QByteArray, LeafFacts> leaves{4'000}; // parsing a certificate costs more than finding its agent
    QCache<SpiffeId, std::shared_ptr<const AuthorizedSet>> authorizedSets{50'000}; // cost: entries
    QByteArray denyJws;                                                            // empty: to be signed anew
    QString denyKeyId;
    RefusalLog refusalLog;
    Timestamp refusalsStoredAt{};
    std::optional<Error> tickProblem;                 // why the last tick failed
    bool caIsUnread = false;                          // what it holds in memory is not what is on disk
    bool wasWell = false;                             // as healthChanged() told last
    QHash<SpiffeId, Timestamp> lastAcceptedToldAt;    // when the audit trail heard of it
    QHash<SpiffeId, LastAccepted> lastAcceptedUntold; // what it hears with the next tick
    WaitingNotes waitingNotes;
    Timestamp waitingStoredAt{}; // what came before is on disk
    Timestamp tickedAt{};        // by the time that it went by then
    qint64 auditChecked = 0;     // up to this record the trail's chain was whole, …
    QByteArray auditCheckedHash; // … and this was its hash
    quint64 svidsIssued = 0;
    quint64 jwtsIssued = 0;
    quint64 attestations = 0;

    [[nodiscard]] Timestamp now() const { return clock.now(); }
    [[nodiscard]] Result<void> beginClock();
    /// Nothing speaks against believing the wall clock, once it was steady for long enough.
    [[nodiscard]] bool wallMayBeSure() const { return isPlausible(clock.wall()) && ca.hasRootAt(clock.wall()); }
    /// Nobody goes by this authority yet, and its clock has not been steady for an hour since it was begun.
    [[nodiscard]] Result<bool> isUnused();
    /// Unavailable while it is not: whoever has no clock would believe the time for good.
    [[nodiscard]] Result<void> checkClockIsSure() const;
    [[nodiscard]] Result<void> tellOfClock(ClockWatch::State state);
    /// There are keys that may sign now.
    [[nodiscard]] Result<void> checkKeys() const;
    [[nodiscard]] Result<SpiffeId> makeId(const QString &path) const;
    [[nodiscard]] Result<SpiffeId> agentIdFor(const QString &type, const QString &what) const;
    /// Of a chip, by either attestation: those that there are.
    [[nodiscard]] Result<QList<Agent>> agentsOf(const QString &ekHash);
    /// As which agents a device may be connected: by its last attestation, and by the other one.
    [[nodiscard]] Result<QList<SpiffeId>> agentIdsOf(const Device &device);
    [[nodiscard]] Result<void> audit(const Actor &actor, const QString &action, const QString &subject,
                                     const QString &details = {});
    /// begin, change and its audit record, commit: all or nothing.
    template <class Change>
    [[nodiscard]] Result<void> change(const Actor &actor, const QString &action, const QString &subject,
                                      const QString &details, const Change &body)
    {
        auto transaction = store->transaction();
        if (!transaction)
            return transaction.error();
        if (const Result<void> done = body(); !done)
            return done.error();
        if (const auto written = audit(actor, action, subject, details); !written)
            return written.error();
        return transaction->commit();
    }
    [[nodiscard]] Result<void> loadEntries();
    [[nodiscard]] Result<void> loadFederated();
    [[nodiscard]] TrustBundles trustBundles() const;
    [[nodiscard]] Result<void> renewServerSvid();
    [[nodiscard]] SvidOrder orderFor(const SpiffeId &id, const QByteArray &publicKeyDer, std::chrono::seconds ttl,
                                     const QStringList &dnsNames = {}) const;
    [[nodiscard]] std::shared_ptr<const AuthorizedSet> authorized(const Agent &agent);
    [[nodiscard]] static bool isCurrent(const Entry &entry, Timestamp at)
    {
        return entry.expiresAt == Timestamp{} || entry.expiresAt > at;
    }
    [[nodiscard]] Result<JwtIssued> signJwt(const SpiffeId &id, const QStringList &audience, std::chrono::seconds ttl);
    [[nodiscard]] Result<JwtOrder> prepareJwt(const SpiffeId &id, const QStringList &audience,
                                              std::chrono::seconds ttl) const;
    [[nodiscard]] static Result<JwtIssued> signJwt(const JwtOrder &order); // any thread

    // Devices; the caller holds a transaction.
    [[nodiscard]] Result<Device> findDevice(const QString &which);
    [[nodiscard]] Result<SpiffeId> freeDeviceId(const DeviceFacts &facts, qint64 exceptDevice);
    [[nodiscard]] Result<void> admitDevice(Device &device);
    [[nodiscard]] static bool isGateway(const DeviceFacts &facts);
    [[nodiscard]] Result<void> putBrokerEntry(qint64 deviceId, const SpiffeId &agentId);
    [[nodiscard]] Result<Device> enrollOne(const QString &ekHash, const DeviceFacts &facts, const Actor &actor,
                                           const QString &vendor = {});
    [[nodiscard]] Result<void> revokeOne(Device &device, const QString &why);
    /// Full: nobody else may join the queue, or nobody else from there.
    [[nodiscard]] Result<void> checkQueueRoom(const QString &network);
    [[nodiscard]] Result<void> keepQueue(const CaMoment &moment);
    /// Full: the list that the store holds by now could not be published. The caller holds a transaction.
    [[nodiscard]] Result<void> checkDenyListRoom();
    [[nodiscard]] Timestamp deniedUntil(Timestamp revokedAt) const;
    [[nodiscard]] Result<void> refuseRevoked(const SpiffeId &id);
    [[nodiscard]] Result<bool> refuseRevokedDevice(const SpiffeId &id); // whether it is a device's at all
    [[nodiscard]] Result<void> auditLastAccepted(const SpiffeId &id, const LastAccepted &what);
    [[nodiscard]] Result<std::optional<LastAccepted>> newsOf(const SpiffeId &id, Timestamp at, const Actor &broker);
    [[nodiscard]] Result<void> storeNews(const QHash<SpiffeId, LastAccepted> &news);
    [[nodiscard]] Result<TickOutcome> tickOnDisk(const ClockWatch::Reading &reading);
    /// What is over by a time that is sure.
    [[nodiscard]] Result<void> forgetWhatIsOver(Timestamp at, TickOutcome *outcome);
    [[nodiscard]] Result<bool> readmitProgram(const SpiffeId &id); // whether it had been revoked
    /// Denied: the device has shown more of itself before.
    [[nodiscard]] Result<void> checkStrength(const AttestedNode &node, const Device &device) const;
    [[nodiscard]] Result<BootJudgement> judgeBoot(const AttestedNode &node, const DeviceFacts &facts);
    [[nodiscard]] bool refusalsAreDue() const;
    [[nodiscard]] Result<void> storeRefusals(bool isDue);
    [[nodiscard]] Result<void> loadLimits();
    /// Both: whoever is let in or sent away changes entries and limits together.
    [[nodiscard]] Result<void> loadAdmissions();
};

[[nodiscard]] QString describe(BootVerdict verdict);
/// For people: its SPIFFE ID, or, while it has none, its EK hash.
[[nodiscard]] QString shown(const Device &device);
[[nodiscard]] QString randomToken();

} // namespace lintel::authority

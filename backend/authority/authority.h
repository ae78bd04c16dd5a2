// The authority of one trust domain: who is enrolled, who has proved what it is, and what it is
// given for that. No network: services (gRPC) and lintelctl's socket ask it, tests ask it directly.
// What is said in SPIRE's terms (agent, entry, join token) follows SPIRE's public server API.
//
// Owned by main. Lives on one thread with all its functions; signing is spread over threads of its own,
// and only what is called …Later may be done after the function has returned. A change and its audit record are one
// transaction, on disk when the function returns; only an attestation, which a power cut makes a
// device repeat, reaches the disk with the next one. Errors: Denied = policy says no,
// NotFound, Conflict = it contradicts what is stored, Full = try later (rate limit, full queue),
// Unavailable = the key store or the CA cannot sign now, Io = the disk.
#pragma once

#include "authority/authority_config.h"
#include "authority/ca.h"
#include "authority/rate_limiter.h"
#include "authority/records.h"
#include "authority/runway.h"
#include "authority/server_identity.h"
#include "ports/clock.h"
#include "ports/key_store.h"
#include "tls/deny_list.h"
#include "tls/jwt_svid.h"

#include <QObject>

#include <functional>
#include <memory>

namespace lintel::authority {

class Store;

/// Who did it, for the audit trail: "operator:root", "agent:spiffe://…".
using Actor = QString;

/// A device that has proved that it has this endorsement key. The service has checked `vendor`: it names who
/// made the chip, by an EK certificate that belongs to this very EK and chains to a known maker.
struct FirstContact {
    QString ekHash;
    QString vendor; // empty: no such certificate
    QString address;
};

/// What a finished attestation has proved.
struct AttestedNode {
    QString type;   // "tpm", "lintel_tpm" or "join_token"
    QString ekHash; // of the TPM types
    QString vendor; // as in FirstContact
    QString token;  // of "join_token"
    QString address;
    QByteArray csrDer;
    bool keyIsInTpm = false; // certified: the CSR's key was made in this TPM and cannot leave it
    Selectors selectors;     // beyond those that the authority adds itself (ek hash, boot verdict)
    QByteArray quote;        // TPMS_ATTEST and TPMT_SIGNATURE; empty: not measured
    QByteArray quoteSignature;
    QMap<int, QByteArray> pcrs;
    QByteArray eventLog;     // of the firmware, if one came
    QString eventLogProblem; // why it does not lead to those registers, in a sentence; empty when it does
};

struct AgentSvid {
    Agent agent;
    IssuedSvid svid;
};

/// Why an agent's call is refused; the numbers of SPIRE's PermissionDeniedDetails.
enum class AgentDenial { None = 0, Expired = 1, NotActive = 2, NotAttested = 3, Banned = 4, MustReattest = 5 };

struct AgentCheck {
    AgentDenial denial = AgentDenial::None;
    QString message; // empty when there is no denial
    Agent agent;     // when there is none
};

struct SvidRequest {
    QString entryId;
    QByteArray csrDer;
};

struct JwtIssued {
    tls::JwtSvid svid;
    QByteArray token;
};

struct BatchProblem {
    int line = 0; // of the CSV text, from 1
    QString message;
};
struct BatchOutcome {
    int enrolled = 0;
    QList<BatchProblem> problems; // when there are any, nothing was enrolled
};

struct RevocationReport {
    Device device;
    quint64 denyListSequence = 0;
};

struct AuthorityStatus {
    TrustDomain domain;
    int agents = 0;
    int entries = 0;
    int approvedDevices = 0;
    int pendingDevices = 0;
    int revokedDevices = 0;
    quint64 bundleSequence = 0;
    quint64 denyListSequence = 0;
    quint64 svidsIssued = 0; // since the start, also below
    quint64 jwtsIssued = 0;
    quint64 attestations = 0;
    QString keyStore;
    QList<CaStatus> authorities;
    RunwayReport runway;
    QString problem;       // why it is not well, as health() says; empty: it is
    QString clockSentence; // what of its clock is not sure; empty: all is
};

/// What the authority went by, and what it goes by now.
struct ClockAccepted {
    Timestamp before{};
    Timestamp now{};
};

class Authority : public QObject
{
    Q_OBJECT
public:
    /// Opens (or begins) the state in config.stateDir and readies the CA: makes the first root and
    /// issuing CA, opens their keys. Unsupported: a newer version wrote the state.
    [[nodiscard]] static Result<std::unique_ptr<Authority>> open(const AuthorityConfig &config,
                                                                 std::unique_ptr<KeyStore> keys, const Clock &clock);
    ~Authority() override;

    /// What time demands: CA and JWT key rotation, expiry of tokens, agents' SVIDs, entries and deny
    /// entries. Call once a minute.
    [[nodiscard]] Result<void> tick();
    /// Whether it can do its work: the last tick succeeded (the disk takes what is written), there are keys
    /// that may sign now, and the clock has neither jumped nor gone back. The error says what is wrong.
    [[nodiscard]] Result<void> health() const;
    /// The time that it goes by: not the machine's where that one has jumped (clock_watch.h). Any thread.
    [[nodiscard]] const Clock &clock() const;
    /// An operator says that the machine's clock is right, whatever is over by it. Unavailable: before 2020, or it
    /// is believed, and there are no keys that may sign all the same.
    [[nodiscard]] Result<ClockAccepted> acceptClock(const Actor &actor);

    [[nodiscard]] const AuthorityConfig &config() const { return m_config; }
    [[nodiscard]] const TrustDomain &domain() const { return m_config.domain; }
    [[nodiscard]] Result<AuthorityStatus> status();

    // --- The authority's own identity -----------------------------------------------------------
    /// spiffe://td/spire/server, renewed by tick() at half life, with all bundles. For the server.
    [[nodiscard]] IdentitySource &identity();

    // --- Attestation ----------------------------------------------------------------------------
    /// First of all, before anything of a call is read: is this connection or address asking too often? Full.
    [[nodiscard]] Result<void> admitCall(const QString &connection, const QString &address);
    /// Before any expensive work: is this key or address asking too often? Full.
    [[nodiscard]] Result<void> admit(const QString &ekHashOrToken, const QString &address);
    /// Unsupported: there is no such attestation, or it is switched off here.
    [[nodiscard]] Result<void> checkType(const QString &type) const;
    /// Is it let in? The device, or one without an id for a chip that is new here and may join the queue.
    /// Unavailable: it waits for approval; Denied: revoked, or not enrolled. These answers are for the chip
    /// itself: whoever only knows its public key has no business with them, so ask once it has proved itself.
    [[nodiscard]] Result<Device> considerDevice(const FirstContact &contact);
    /// Ends an attestation: records it, gives the agent its SVID. The CSR's signature must verify.
    /// A join token is spent by this, but the same key may repeat an attestation whose answer it lost.
    /// A new chip joins the queue here, once it has proved that it has its endorsement key: Unavailable.
    /// Denied: revoked, banned, a wrong token, or a boot that the policy does not accept.
    [[nodiscard]] Result<AgentSvid> attest(const AttestedNode &node);
    /// For the interceptor: is the agent with this certificate (verified by TLS) known and in order?
    /// A renewed SVID that is seen here for the first time puts the old one out of use.
    [[nodiscard]] AgentCheck checkAgent(const QByteArray &leafDer);
    /// For agents that cannot attest again; Denied for those that can: a TPM's key must be certified.
    [[nodiscard]] Result<AgentSvid> renewAgent(const SpiffeId &agent, const QByteArray &csrDer);
    [[nodiscard]] Result<void> notePosted(const SpiffeId &agent, const QString &version);

    // --- For agents -----------------------------------------------------------------------------
    /// The entries that this agent may fetch: its own children and all below, and those of the node
    /// aliases whose selectors it has.
    [[nodiscard]] Result<QList<Entry>> authorizedEntries(const Agent &agent);
    /// One result per request, in their order. NotFound: no such entry for this agent; Malformed:
    /// CSR; Denied: the entry of a device for another key than the attested one.
    [[nodiscard]] Result<QList<Result<IssuedSvid>>> issueX509(const Agent &agent, const QList<SvidRequest> &requests);
    [[nodiscard]] Result<JwtIssued> issueJwt(const Agent &agent, const QString &entryId, const QStringList &audience);
    // The same beside the event loop, which runs on meanwhile; `done` follows, mostly later. An agent that was
    // revoked meanwhile gets Denied, and no SVID of an entry that it has lost. Full: too much of it waits already.
    using SvidsDone = std::function<void(const Result<QList<Result<IssuedSvid>>> &)>;
    void issueX509Later(const Agent &agent, const QList<SvidRequest> &requests, const SvidsDone &done);
    using JwtDone = std::function<void(const Result<JwtIssued> &)>;
    void issueJwtLater(const Agent &agent, const QString &entryId, const QStringList &audience, const JwtDone &done);
    using TimeDone = std::function<void(const Result<QByteArray> &)>;
    void signedTimeLater(const Agent &agent, const QByteArray &nonce, const TimeDone &done);
    /// {"iss","nonce","ms"} signed by a JWT key of the bundle, type "lintel-time+jwt". Unavailable, too, while its own
    /// clock is not sure.
    [[nodiscard]] Result<QByteArray> signedTime(const QByteArray &nonce);

    // --- Bundles and federation -----------------------------------------------------------------
    [[nodiscard]] Result<tls::BundleDocument> bundle();
    [[nodiscard]] Result<std::optional<tls::BundleDocument>> federatedBundle(const TrustDomain &domain);
    [[nodiscard]] Result<QMap<TrustDomain, tls::BundleDocument>> federatedBundles();
    /// Never merged with another domain's. Denied: our own domain; Conflict: a lower sequence,
    /// unless `force` (an operator's hand).
    [[nodiscard]] Result<void> setFederatedBundle(const TrustDomain &domain, const tls::BundleDocument &bundle,
                                                  const Actor &actor, bool force = false);
    /// Conflict while entries name the domain, unless `dissociate`.
    [[nodiscard]] Result<void> deleteFederatedBundle(const TrustDomain &domain, const Actor &actor,
                                                     bool dissociate = false);
    [[nodiscard]] Result<QList<FederationRelationship>> relationships();
    [[nodiscard]] Result<void> setRelationship(const FederationRelationship &relationship, const Actor &actor);
    [[nodiscard]] Result<void> deleteRelationship(const TrustDomain &domain, const Actor &actor);
    /// What the federation client found; `problem` empty: success.
    [[nodiscard]] Result<void> noteRefresh(const TrustDomain &domain, const QString &problem);

    // --- SPIRE administration -------------------------------------------------------------------
    [[nodiscard]] Result<QList<Agent>> agents(const AgentFilter &filter = {});
    [[nodiscard]] Result<Agent> agent(const SpiffeId &id);
    /// With a chip: also the agent that it is, or could become, by the other attestation.
    [[nodiscard]] Result<void> banAgent(const SpiffeId &id, const Actor &actor);
    /// Evicts: it must attest again (and may, also when it was banned).
    [[nodiscard]] Result<void> deleteAgent(const SpiffeId &id, const Actor &actor);
    /// `device` with an ID: also makes the entry that gives the token's agent this ID and, under /agent/,
    /// enrols a device without a chip (it may be another token's device; Conflict: a chip has this ID).
    /// Empty token text: a random one.
    [[nodiscard]] Result<JoinToken> createToken(std::chrono::seconds ttl, const SpiffeId &device, const Actor &actor,
                                                const DeviceFacts &facts = {}, const QString &token = {});
    [[nodiscard]] Result<QList<Entry>> entries(const EntryFilter &filter = {});
    [[nodiscard]] Result<Entry> entry(const QString &id);
    /// Conflict: an entry with the same SPIFFE ID, parent and selectors exists (its id in message).
    [[nodiscard]] Result<Entry> createEntry(const Entry &entry, const Actor &actor);
    [[nodiscard]] Result<std::optional<Entry>> similarEntry(const Entry &entry);
    [[nodiscard]] Result<Entry> updateEntry(const Entry &entry, const Actor &actor);
    [[nodiscard]] Result<void> deleteEntry(const QString &id, const Actor &actor);
    [[nodiscard]] Result<IssuedSvid> mintX509(const QByteArray &csrDer, std::chrono::seconds ttl, const Actor &actor);
    [[nodiscard]] Result<JwtIssued> mintJwt(const SpiffeId &id, const QStringList &audience, std::chrono::seconds ttl,
                                            const Actor &actor);

    // --- Devices --------------------------------------------------------------------------------
    /// Approved at once, since an operator named it. Conflict: this EK or this SPIFFE ID is enrolled
    /// already (a second TPM cannot take over a name).
    /// `vendor`: who made its chip, where a certificate that was verified says so.
    [[nodiscard]] Result<Device> enroll(const QString &ekHash, const DeviceFacts &facts, const Actor &actor,
                                        const QString &vendor = {});
    /// CSV with the head line hash,name,kind,site,space,tags,hardware,release. All rows or none.
    [[nodiscard]] Result<BatchOutcome> enrollBatch(const QByteArray &csv, const Actor &actor);
    [[nodiscard]] Result<QList<Device>> devices(std::optional<DeviceState> state = {});
    /// Who waits for approval: at most `most`, of more the ones that were enqueued last.
    [[nodiscard]] Result<WaitingDevices> waiting(int most);
    /// By EK hash (or 8 and more of its first digits), name or SPIFFE ID.
    [[nodiscard]] Result<Device> device(const QString &which);
    /// Out of the queue, under a name.
    /// Conflict as for enroll().
    [[nodiscard]] Result<Device> approve(const QString &which, const DeviceFacts &facts, const Actor &actor);
    /// Out of the queue, and not let in: it is turned away from now on, as one that was revoked. Conflict: it
    /// does not wait.
    [[nodiscard]] Result<Device> reject(const QString &which, const QString &why, const Actor &actor);
    /// Ban, deny list, entries gone. Only a fresh enroll() or token brings it back. Also the SPIFFE ID of a
    /// workload that has an entry and is no device: a new entry brings it back.
    [[nodiscard]] Result<RevocationReport> revoke(const QString &which, const QString &why, const Actor &actor);
    /// The device must attest again before its next SVID.
    /// A device that has proved its key to be in its TPM must do so each time, unless `mayBeWeaker`: until it
    /// proves it again.
    [[nodiscard]] Result<void> reattest(const QString &which, const Actor &actor, bool mayBeWeaker = false);
    /// A broker says when it last accepted a message of a revoked identity, a device or a workload; kept when it
    /// is later, and never later than now. The audit trail hears of one identity once a minute at most.
    [[nodiscard]] Result<void> noteLastAccepted(const SpiffeId &id, Timestamp at, const Actor &broker);
    /// All of a report in one transaction; identities that are not revoked here are no news and left out.
    [[nodiscard]] Result<void> noteLastAccepted(const QHash<SpiffeId, Timestamp> &accepted, const Actor &broker);
    /// Which reference values its boot is compared with, from its next attestation on.
    [[nodiscard]] Result<Device> setHardware(const QString &which, const QString &hardware, const QString &release,
                                             const Actor &actor);
    [[nodiscard]] Result<void> setReferenceValues(const ReferenceValues &values, const Actor &actor);
    [[nodiscard]] Result<QList<ReferenceValues>> referenceValues();
    [[nodiscard]] Result<void> removeReferenceValues(const QString &hardware, const QString &release,
                                                     const Actor &actor);
    /// The registers of its last attestation are reference values of its hardware and release (which this also
    /// sets, unless empty) from now on: beside those that there are, or instead of them. Conflict: it has shown
    /// no measured boot, or one that its own event log contradicts.
    [[nodiscard]] Result<ReferenceValues> acceptBoot(const QString &which, const QString &hardware,
                                                     const QString &release, bool replaces, const Actor &actor);
    /// Newest first.
    [[nodiscard]] Result<QList<AttestationRecord>> attestations(const QString &ekHash, int newest = 20);

    // --- Deny list ------------------------------------------------------------------------------
    [[nodiscard]] Result<QByteArray> denyListJws();
    [[nodiscard]] Result<quint64> denyListSequence();

    /// The list of a federated domain, verified with that domain's own keys. Denied: nobody of that domain
    /// signed it, or we do not federate with it; Conflict: a lower number than the last one.
    [[nodiscard]] Result<void> setFederatedDenyList(const TrustDomain &domain, const QByteArray &jws,
                                                    const Actor &actor);
    /// As they were signed.
    [[nodiscard]] QMap<TrustDomain, QByteArray> federatedDenyLists() const;

    // --- Audit, backup --------------------------------------------------------------------------
    /// `about` is a device, named as for device() (then what its SPIFFE ID and its TPM were noted under), or
    /// the subject of records as it stands there. Conflict: it means several devices.
    [[nodiscard]] Result<QList<AuditRecord>> audit(qint64 afterNumber = 0, int limit = 1'000,
                                                   const QString &about = {});
    /// An attestation that was turned away. No part of the audit trail, since anybody on the network can
    /// cause it: counted in memory, merged by address and reason, written once a minute, the newest kept.
    void noteRefusal(const QString &address, const QString &subject, const QString &reason);
    /// Newest first, also those that are not written yet.
    [[nodiscard]] Result<QList<Refusal>> refusals(int newest = 1'000);
    /// Io with the number of the first record that does not fit its chain.
    [[nodiscard]] Result<void> checkAudit();
    /// The same of what has come since the last look (the first one: of all), and of `listed`.
    [[nodiscard]] Result<void> checkAudit(const QList<AuditRecord> &listed);
    /// A directory that restoreBackup() reads; consistent, while the authority runs on. Holds the
    /// private keys when they are files.
    [[nodiscard]] Result<void> backup(const QString &dir, const Actor &actor);

Q_SIGNALS:
    void denyListChanged();
    void federatedDenyListChanged(const lintel::TrustDomain &domain);
    void relationshipsChanged();
    void healthChanged();
    void bundleChanged(); // our own, or a federated one
    void entriesChanged();
    /// Its open streams end now.
    void agentRemoved(const lintel::SpiffeId &agent);

private:
    struct Private;
    struct Signing;
    Authority(AuthorityConfig config, std::unique_ptr<Private> parts);
    [[nodiscard]] Result<void> tickNow();
    [[nodiscard]] Result<RevocationReport> revokeProgram(const SpiffeId &id, const QString &why, const Actor &actor);
    AuthorityConfig m_config;
    std::unique_ptr<Private> d;
};

/// Puts a backup in place of an empty state directory; no authority may run on it. Since revocations
/// made after the backup would be lost, `denyListJws` (from any broker, may be empty) brings them back.
/// Every sequence number goes on above what the old authority can have published.
/// Conflict: there is a state already, or another key under the name of one in the backup.
[[nodiscard]] Result<void> restoreBackup(const QString &backupDir, const AuthorityConfig &config,
                                         const QByteArray &denyListJws, Timestamp now);

} // namespace lintel::authority

// Everything the authority keeps, in one SQLite file: rows in, values out, no policy. Whoever
// changes several things at once holds a transaction() around them.
//
// Owned by Authority, on its thread. What fails is the disk's or the file's fault (Io, Full), or
// Conflict where a rule of the tables says that something exists only once.
#pragma once

#include "adapters/sqlite/database.h"
#include "authority/ca.h"
#include "authority/records.h"
#include "tls/deny_list.h"

#include <memory>

namespace lintel::authority {

class Store
{
public:
    /// `<stateDir>/authority.db`. Unsupported: a newer version wrote it.
    /// `vfs`: another file layer, for tests.
    [[nodiscard]] static Result<std::unique_ptr<Store>> open(const QString &stateDir, const QByteArray &vfs = {});
    [[nodiscard]] static QString fileIn(const QString &stateDir);

    [[nodiscard]] Result<sqlite::Transaction> transaction(sqlite::Durability durability = sqlite::Durability::Full)
    {
        return sqlite::Transaction::begin(*m_database, durability);
    }

    // --- Small numbers and texts ----------------------------------------------------------------
    [[nodiscard]] Result<std::optional<QString>> meta(const QString &key);
    [[nodiscard]] Result<void> setMeta(const QString &key, const QString &value);
    [[nodiscard]] Result<quint64> number(const QString &key); // 0 when there is none
    /// The next number under `key`: above the last one, and not below the seconds of `now`, so that
    /// an authority that was put back from a backup goes on above what it had published.
    [[nodiscard]] Result<quint64> nextNumber(const QString &key, Timestamp now);

    // --- Devices --------------------------------------------------------------------------------
    [[nodiscard]] Result<qint64> addDevice(const Device &device);
    [[nodiscard]] Result<void> updateDevice(const Device &device);
    [[nodiscard]] Result<QList<Device>> devices(std::optional<DeviceState> state);
    /// The newest with this key; revoked ones only when no other has it.
    [[nodiscard]] Result<std::optional<Device>> deviceByEk(const QString &ekHash);
    [[nodiscard]] Result<std::optional<Device>> deviceById(const SpiffeId &id);
    [[nodiscard]] Result<std::optional<Device>> deviceByAgent(const SpiffeId &agent);
    [[nodiscard]] Result<QList<Device>> devicesLike(const QString &which);
    [[nodiscard]] Result<int> countDevices(DeviceState state);
    /// In that state, those that were added last first.
    [[nodiscard]] Result<QList<Device>> latestDevices(DeviceState state, int most);

    // --- Queue ----------------------------------------------------------------------------------
    /// When one that waits for approval came last, and from which network (networkOf()).
    [[nodiscard]] Result<void> noteWaiting(const QString &ekHash, const QString &network, Timestamp at);
    [[nodiscard]] Result<int> countWaitingFrom(const QString &network);
    [[nodiscard]] Result<qint64> forgetWaiting(Timestamp notSeenSince, Timestamp now);

    // --- Agents ---------------------------------------------------------------------------------
    [[nodiscard]] Result<void> putAgent(const Agent &agent);
    [[nodiscard]] Result<std::optional<Agent>> agent(const SpiffeId &id);
    [[nodiscard]] Result<QList<Agent>> agents();
    [[nodiscard]] Result<bool> deleteAgent(const SpiffeId &id);
    [[nodiscard]] Result<void> setLastSeen(const SpiffeId &id, Timestamp at);
    [[nodiscard]] Result<void> forgetAgents(Timestamp expiredBefore); // banned ones stay

    // --- Entries --------------------------------------------------------------------------------
    [[nodiscard]] Result<void> putEntry(const Entry &entry, qint64 deviceId);
    [[nodiscard]] Result<QList<Entry>> entries();
    [[nodiscard]] Result<bool> deleteEntry(const QString &id);
    [[nodiscard]] Result<void> deleteEntriesOf(qint64 deviceId);
    [[nodiscard]] Result<qint64> forgetEntries(Timestamp expiredBefore);

    // --- Tokens ---------------------------------------------------------------------------------
    struct TokenRow {
        JoinToken token;
        QByteArray spentBy; // hash of the key that used it; empty: nobody yet
        Timestamp spentAt{};
    };
    [[nodiscard]] Result<void> putToken(const TokenRow &row);
    [[nodiscard]] Result<std::optional<TokenRow>> token(const QString &token);
    [[nodiscard]] Result<bool> deleteToken(const QString &token);
    [[nodiscard]] Result<void> forgetTokens(Timestamp expiredBefore);

    // --- Federation -----------------------------------------------------------------------------
    [[nodiscard]] Result<void> putBundle(const TrustDomain &domain, const QByteArray &document);
    [[nodiscard]] Result<QMap<TrustDomain, QByteArray>> bundles();
    [[nodiscard]] Result<bool> deleteBundle(const TrustDomain &domain); // and its deny list
    [[nodiscard]] Result<void> putFederatedDenyList(const TrustDomain &domain, const QByteArray &jws);
    [[nodiscard]] Result<QMap<TrustDomain, QByteArray>> federatedDenyLists();
    [[nodiscard]] Result<void> putRelationship(const FederationRelationship &relationship);
    [[nodiscard]] Result<QList<FederationRelationship>> relationships();
    [[nodiscard]] Result<bool> deleteRelationship(const TrustDomain &domain);

    // --- CA -------------------------------------------------------------------------------------
    [[nodiscard]] Result<QList<CaKey>> caKeys();
    [[nodiscard]] Result<void> replaceCaKeys(const QList<CaKey> &keys);
    /// Labels of keys that may be in the key store and that no CaKey has: not yet, or no longer.
    [[nodiscard]] Result<QStringList> looseKeys();
    [[nodiscard]] Result<void> addLooseKey(const QString &label);
    [[nodiscard]] Result<void> dropLooseKey(const QString &label);

    // --- Attestation ----------------------------------------------------------------------------
    /// Keeps the newest of each device, and those where something changed; of both a bounded number.
    [[nodiscard]] Result<void> addAttestation(const AttestationRecord &record);
    /// Newest first.
    [[nodiscard]] Result<QList<AttestationRecord>> attestations(const QString &ekHash, int newest);
    /// Event logs that no attestation names any more.
    [[nodiscard]] Result<void> forgetEventLogs();
    [[nodiscard]] Result<void> putReferenceValues(const ReferenceValues &values);
    [[nodiscard]] Result<QList<ReferenceValues>> referenceValues();
    [[nodiscard]] Result<bool> deleteReferenceValues(const QString &hardware, const QString &release);
    /// Only the newest are kept: whoever is refused must not be able to fill the disk.
    [[nodiscard]] Result<void> addRefusals(const QList<Refusal> &refusals);
    /// Newest first.
    [[nodiscard]] Result<QList<Refusal>> refusals(int newest);

    // --- Deny list ------------------------------------------------------------------------------
    /// `origin`: the revoked device because of which this identity is refused. It is refused `until` nothing
    /// that was issued before can be valid any more; zero: until boundDenied() says so.
    [[nodiscard]] Result<void> addDenied(const tls::DenyEntry &entry, const SpiffeId &origin, Timestamp until);
    [[nodiscard]] Result<void> boundDenied(Timestamp until);
    [[nodiscard]] Result<QList<tls::DenyEntry>> denied();
    /// From `before` on the device, and the key, are good again; older SVIDs stay refused `until`
    /// they are over. Returns how many entries this changed.
    [[nodiscard]] Result<qint64> limitDenied(const SpiffeId &origin, const QString &ekHash, Timestamp before,
                                             Timestamp until);
    [[nodiscard]] Result<qint64> forgetDenied(Timestamp now);
    struct Accepted {
        Timestamp revokedAt{};
        Timestamp at{}; // of the last message; zero: not known
    };
    /// Of a revoked device, or of another identity on the deny list; nothing: it is not revoked.
    [[nodiscard]] Result<std::optional<Accepted>> lastAccepted(const SpiffeId &id);
    [[nodiscard]] Result<void> setLastAccepted(const SpiffeId &id, Timestamp at);
    /// Makes known again what a list that was published later than this state says: its devices are
    /// revoked and their agents banned.
    /// Takes away what would give its identity to anybody once the deny list has forgotten it: the entries of
    /// revoked devices and workloads, as a backup or an older version may bring back. Returns how many.
    [[nodiscard]] Result<qint64> deleteEntriesOfRevoked();
    [[nodiscard]] Result<void> mergeDenyList(const tls::DenyList &published);

    // --- Audit ----------------------------------------------------------------------------------
    [[nodiscard]] Result<void> audit(Timestamp at, const QString &actor, const QString &action, const QString &subject,
                                     const QString &details);
    [[nodiscard]] Result<QList<AuditRecord>> auditRecords(qint64 afterNumber, int limit,
                                                          const QStringList &subjects = {});
    [[nodiscard]] static QByteArray auditHash(const QByteArray &previous, const AuditRecord &record);

    /// A copy of all this in another file, as of now.
    [[nodiscard]] Result<void> foldLog() { return m_database->foldLog(); }
    [[nodiscard]] Result<void> copyTo(const QString &file);

private:
    explicit Store(std::unique_ptr<sqlite::Database> database) : m_database(std::move(database)) {}
    [[nodiscard]] Result<QList<Device>> readDevices(sqlite::Statement &query);
    [[nodiscard]] Result<std::optional<Device>> firstDevice(sqlite::Statement &query);
    [[nodiscard]] Result<QList<Agent>> readAgents(sqlite::Statement &query);
    [[nodiscard]] Result<bool> deleteOne(const char *sql, const QString &key);
    [[nodiscard]] Result<void> putOfDomain(const char *sql, const TrustDomain &domain, const QByteArray &bytes);
    [[nodiscard]] Result<QMap<TrustDomain, QByteArray>> allOfDomains(const char *sql);

    std::unique_ptr<sqlite::Database> m_database;
};

} // namespace lintel::authority

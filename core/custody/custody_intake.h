// Takes custody of what a host receives: collects batches for a moment, stores the group in one
// transaction, and only then says what may be acknowledged to whom. The gateway stores into its
// spool, the cloud into its historian; both through CustodyStore.
//
// Owned by the service that owns the host session; its thread. When the store fails nothing new is
// acknowledged: senders with a spool hear how far the store came before, keep their batches and send
// them again. A batch that the store can never take, though it takes others, must not hold up its sender's
// stream for ever: it is set aside, which means that a Loss (Refused) with its number is stored in its place
// and acknowledged. Readings of plain Sparkplug nodes, which nobody keeps, wait here in bounded memory, and
// what does not fit is written down as a Loss as soon as the store works again. While it fails the store
// notes what waits, if it can, so that a process that ends meanwhile takes nothing unseen.
#pragma once

#include "ports/clock.h"
#include "ports/reading_spool.h"
#include "sparkplug/host_session.h"

#include <QHash>
#include <QList>
#include <QObject>
#include <QSet>
#include <QTimer>

#include <optional>
#include <span>

namespace lintel {

/// What the intake needs of a store. Same thread.
class CustodyStore
{
public:
    CustodyStore() = default;
    CustodyStore(const CustodyStore &) = delete;
    CustodyStore &operator=(const CustodyStore &) = delete;
    virtual ~CustodyStore() = default;

    struct Stored {
        quint32 batches = 0;    // new ones
        quint32 duplicates = 0; // known by their receipt, dropped
    };

    /// All or nothing, durable when it returns. A batch whose receipt is known is dropped.
    [[nodiscard]] virtual Result<Stored> append(std::span<const sparkplug::HostBatch> batches) = 0;
    /// Highest n such that 1 … n of that node's stream are stored here or were declared lost. A stream
    /// of the same name from another node is another stream; see ledger.h.
    [[nodiscard]] virtual Msn contiguousReceipt(const sparkplug::NodeId &node, const StreamId &stream) const = 0;
    /// Notes on stable storage, without room, what of plain nodes waits in memory: see ReadingSpool. Batches
    /// without receipt settle it when they are appended. A store that has no such place keeps this.
    [[nodiscard]] virtual Result<void> noteUnstored(const Unstored &) { return {}; }
    /// The sender no longer has what lies below `tail`.
    [[nodiscard]] virtual Result<void> senderDropped(const sparkplug::NodeId &node, const StreamId &stream,
                                                     Msn tail) = 0;
};

class CustodyIntake : public QObject
{
    Q_OBJECT
public:
    struct Limits {
        Millis collect{25};                 // from the end of one group to the next; it waits at most this long
        int maxBatches = 256;               // or until it has so many
        qsizetype maxHeldReadings = 20'000; // of plain nodes, while the store fails
        Millis retryAfter{1'000};           // between attempts while the store fails
    };
    struct Counters {
        quint64 groups = 0;
        quint64 batches = 0;
        quint64 readings = 0;
        quint64 duplicateBatches = 0;
        quint64 refusedBatches = 0;  // not taken because the store failed; their senders keep them
        quint64 lostReadings = 0;    // of plain nodes, while the store failed
        quint64 setAsideBatches = 0; // that the store can never take: written down as lost, acknowledged
        quint64 setAsideReadings = 0;
        quint64 unusableBatches = 0; // neither taken nor set aside, though the store took others
    };

    CustodyIntake(CustodyStore &store, const Clock &clock, Limits limits, QObject *parent = nullptr);
    CustodyIntake(CustodyStore &store, const Clock &clock, QObject *parent = nullptr);

    /// A node was born: settles what its spool no longer has, and tells it where we stand.
    void nodeBorn(const sparkplug::Participant &who);
    /// A node evicted batches while connected.
    void tailMoved(const sparkplug::NodeId &node, const StreamId &stream, Msn tail);
    void take(const sparkplug::HostBatch &batch);
    /// Stores what has been collected now.
    void flush();

    [[nodiscard]] Counters counters() const { return m_counters; }
    [[nodiscard]] bool isFailing() const { return m_failing; }
    /// Why the last batch was set aside; empty when none was since start.
    [[nodiscard]] QString lastSetAside() const { return m_lastSetAside; }
    [[nodiscard]] qsizetype heldReadings() const { return m_heldReadings; }
    [[nodiscard]] qsizetype heldBatches() const;
    /// False: a process that ends now takes readings with it that nobody would know of.
    [[nodiscard]] bool isHeldNoted() const { return m_heldIsNoted; }

Q_SIGNALS:
    /// Everything of `stream` up to `msn` is committed: acknowledge it to `node`.
    void acknowledge(const lintel::sparkplug::NodeId &node, const QUuid &stream, quint64 msn);
    /// A group has been committed.
    void stored();
    void storageFailed(const lintel::Error &why);
    void storageRecovered();
    /// A batch that the store does not take, though it takes others: set aside, or else not
    /// acknowledged. A sentence for the log.
    void trouble(const lintel::Error &what);

private:
    enum class Fate : quint8; // of one batch of a group
    struct GroupOutcome;
    [[nodiscard]] static Fate setAside(CustodyStore &store, const sparkplug::HostBatch &batch, GroupOutcome &outcome);
    [[nodiscard]] static GroupOutcome storeGroup(CustodyStore &store, std::span<const sparkplug::HostBatch> group);
    void settle(const QList<sparkplug::HostBatch> &group, qsizetype notices, const GroupOutcome &outcome);
    [[nodiscard]] Millis untilNextGroup() const;
    void onStored(bool anything);
    void onFailed(const Error &why);
    void holdPlain(const sparkplug::HostBatch &batch);
    void dropOldestHeld();
    void noteLost(const sparkplug::HostBatch &batch);
    void noteHeld(const sparkplug::HostBatch *next = nullptr);
    [[nodiscard]] QList<sparkplug::HostBatch> lossBatches() const;
    void acknowledgeStreams();

    CustodyStore &m_store;
    const Clock &m_clock;
    Limits m_limits;
    QTimer m_timer;
    QList<sparkplug::HostBatch> m_group;
    QSet<std::pair<sparkplug::NodeId, StreamId>> m_streams; // whose batches are in the group
    QHash<QString, Loss> m_lost;                            // by device, until it can be written down
    qsizetype m_heldReadings = 0;
    bool m_heldIsNoted = true;
    bool m_failing = false;
    std::chrono::nanoseconds m_retryAt{};
    std::optional<std::chrono::nanoseconds> m_lastGroup; // when it was stored
    Counters m_counters;
    QString m_lastSetAside;
};

} // namespace lintel

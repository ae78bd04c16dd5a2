// Store and forward: what has been appended survives kill -9, an outage and a full disk until the
// next hop has acknowledged it. If a batch must go, the loss is written down in the same
// transaction; nothing disappears in silence.
//
// The spool numbers batches 1, 2, 3 … (Msn) in one stream (a UUID made with the spool). Custody
// moves only by acknowledge(). Thread: the one that made it. Every adapter passes the suite in
// tests/contract/reading_spool_contract.h.
#pragma once

#include "domain/reading.h"
#include "domain/result.h"

#include <optional>
#include <span>

namespace lintel {

/// Where a batch came from, so that the same batch is never taken twice.
struct Receipt {
    StreamId stream;
    Msn msn = 0;

    friend bool operator==(const Receipt &, const Receipt &) = default;
};

struct IncomingBatch {
    ReadingBatch batch;
    std::optional<Receipt> receipt; // set by a gateway: the sender's stream and number
    /// How many readings of a note (see noteUnstored()) this batch settles, as readings or by its losses, which
    /// are this spool's own then: they go on its loss list.
    quint64 settles = 0;
};

/// Readings that somebody in front of a spool holds in memory because the spool refuses them, and those that
/// had to go meanwhile.
struct Unstored {
    quint64 readings = 0;
    Timestamp from{}; // both at the epoch = unknown
    Timestamp to{};

    friend bool operator==(const Unstored &, const Unstored &) = default;
};

struct StoredBatch {
    Msn msn = 0;
    ReadingBatch batch;
};

struct SpoolStatus {
    StreamId stream;
    Msn head = 0;         // highest number given; 0 = none yet
    Msn tail = 0;         // lowest number still kept unacknowledged; head + 1 = nothing
    Msn acknowledged = 0; // highest cumulative acknowledgement
    quint64 pendingReadings = 0;
    quint64 pendingBatches = 0;
    quint64 totalReadings = 0;    // ever appended to this spool, restarts included
    quint64 droppedReadings = 0;  // ever lost, restarts included
    quint64 duplicateBatches = 0; // refused because their receipt was already there
    qint64 usedBytes = 0;
    qint64 maxBytes = 0;
    quint64 writtenBytes = 0;               // appended since this process opened it, in the measure of usedBytes
    std::optional<Timestamp> oldestPending; // device time of the oldest unacknowledged reading
    quint64 notedReadings = 0;              // noted as held in memory and not settled yet
};

struct SpoolLimits {
    qint64 maxBytes = 64 * 1024 * 1024;
    quint64 maxBatches = 1'000'000;
};

class ReadingSpool
{
public:
    ReadingSpool() = default;
    ReadingSpool(const ReadingSpool &) = delete;
    ReadingSpool &operator=(const ReadingSpool &) = delete;
    virtual ~ReadingSpool() = default;

    struct Appended {
        Msn first = 0; // numbers first … last were given, in the order of the input; 0 = none
        Msn last = 0;
        quint32 duplicates = 0; // batches whose receipt was known; they got no number
        QList<Loss> evicted;    // what had to go to make room; already on the loss list
    };

    /// All or nothing, and on stable storage when it returns: one transaction and one sync for the
    /// whole group, so hand over many at once. Full or Io: nothing was taken; the caller keeps it.
    /// OutOfRange or Malformed: something in the group can never be stored here, as one batch larger
    /// than the whole spool; the others can.
    [[nodiscard]] virtual Result<Appended> append(std::span<const IncomingBatch> batches) = 0;

    /// Writes down, on stable storage and without needing room for it, which readings are nowhere but in
    /// memory; takes the place of the note before. append() settles them (IncomingBatch::settles) in its own
    /// transaction. What is not settled when the process ends, however it ends, becomes a Loss (StorageFailed)
    /// of the next one that opens the spool. On an error the note stands as it was.
    [[nodiscard]] virtual Result<void> noteUnstored(const Unstored &held) = 0;

    /// Unacknowledged batches with msn > after, in order. A batch that cannot be read back is put
    /// on the loss list (Unreadable) and skipped.
    [[nodiscard]] virtual Result<QList<StoredBatch>> read(Msn after, int maxBatches) = 0;

    /// Cumulative: everything up to and including `upTo` belongs to the next hop now. Idempotent;
    /// a number beyond head is OutOfRange and changes nothing.
    [[nodiscard]] virtual Result<void> acknowledge(Msn upTo) = 0;

    /// The highest n such that 1 … n of that stream have been taken or declared lost by its
    /// sender; 0 for an unknown stream. This is what is acknowledged to the previous hop.
    [[nodiscard]] virtual Msn contiguousReceipt(const StreamId &stream) const = 0;
    /// The sender says that numbers below `tail` no longer exist. What of them never arrived goes
    /// on the loss list (NeverSent) and travels on as a Loss of `device`; returns those losses.
    /// Of a stream that was never heard of before nothing is lost: what lies below its tail was
    /// acknowledged to a host before this one, or the sender's own batches declare it lost.
    [[nodiscard]] virtual Result<QList<Loss>> senderDropped(const StreamId &stream, const QString &device,
                                                            Msn tail) = 0;

    [[nodiscard]] virtual SpoolStatus status() const = 0;
    /// What was lost here: the latest `max`, oldest first.
    [[nodiscard]] virtual Result<QList<Loss>> losses(int max) const = 0;
};

} // namespace lintel

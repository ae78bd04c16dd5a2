// A ReadingSpool that forgets everything with the process, and otherwise keeps every promise of
// the port. One thread.
//
// Sizes are those of encodeBatch(), so limits behave as they do on a disk. failWith() makes writes
// fail as a full or broken disk would; makeUnreadable() spoils one stored batch.
#pragma once

#include "ports/reading_spool.h"

#include <QHash>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace lintel {

class MemorySpool final : public ReadingSpool
{
public:
    explicit MemorySpool(SpoolLimits limits = {}, StreamId stream = QUuid::createUuid())
        : m_limits(limits), m_stream(stream)
    {}

    [[nodiscard]] Result<Appended> append(std::span<const IncomingBatch> batches) override
    {
        if (m_failure)
            return *m_failure;
        std::vector<const IncomingBatch *> accepted;
        quint32 duplicates = 0;
        if (const auto checked = sortOut(batches, accepted, duplicates); !checked)
            return checked.error();
        return commit(accepted, duplicates);
    }

    /// As a reserved place on a disk, it works while writes fail.
    [[nodiscard]] Result<void> noteUnstored(const Unstored &held) override
    {
        if (m_noteFailure)
            return *m_noteFailure;
        m_unstored = held;
        return {};
    }
    [[nodiscard]] const Unstored &unstored() const { return m_unstored; }
    void failNotesWith(std::optional<Error> failure) { m_noteFailure = std::move(failure); }

    [[nodiscard]] Result<QList<StoredBatch>> read(Msn after, int maxBatches) override
    {
        QList<StoredBatch> found;
        auto it = m_kept.upper_bound(after);
        while (it != m_kept.end() && found.size() < maxBatches) {
            if (it->second.readable) {
                found.append({it->first, it->second.batch});
                ++it;
                continue;
            }
            m_losses.append(lossOf(it, std::next(it), LossReason::Unreadable));
            it = dropLost(it);
        }
        return found;
    }

    [[nodiscard]] Result<void> acknowledge(Msn upTo) override
    {
        if (upTo > m_head) {
            return Error{Errc::OutOfRange,
                         QStringLiteral("Batch %1 cannot be acknowledged: the spool has given numbers up to %2 only.")
                             .arg(upTo)
                             .arg(m_head)};
        }
        if (m_failure)
            return *m_failure;
        m_acknowledged = std::max(m_acknowledged, upTo);
        while (!m_kept.empty() && m_kept.begin()->first <= upTo)
            m_kept.erase(discount(m_kept.begin()));
        return {};
    }

    [[nodiscard]] Msn contiguousReceipt(const StreamId &stream) const override
    {
        return m_received.value(stream).contiguous;
    }

    /// The losses also go into one new batch of this spool, so that the next hop hears of them.
    [[nodiscard]] Result<QList<Loss>> senderDropped(const StreamId &stream, const QString &device, Msn tail) override
    {
        if (m_failure)
            return *m_failure;
        if (!m_received.contains(stream)) {
            if (tail > 1)
                m_received[stream].contiguous = tail - 1;
            return QList<Loss>{};
        }
        Received received = m_received.value(stream);
        QList<Loss> lost;
        while (received.contiguous + 1 < tail) {
            const Msn first = received.contiguous + 1;
            const Msn next = received.beyond.empty() ? tail : std::min(tail, *received.beyond.begin());
            lost.append(Loss{device, stream, first, next - 1, 0, {}, {}, LossReason::NeverSent});
            received.contiguous = next - 1;
            received.close();
        }
        if (lost.isEmpty())
            return lost;
        const IncomingBatch notice{ReadingBatch{device, {}, lost}, std::nullopt};
        if (const auto appended = append({&notice, 1}); !appended)
            return appended.error();
        m_received[stream] = received;
        m_losses.append(lost);
        return lost;
    }

    [[nodiscard]] SpoolStatus status() const override
    {
        SpoolStatus status;
        status.stream = m_stream;
        status.head = m_head;
        status.tail = m_kept.empty() ? m_head + 1 : m_kept.begin()->first;
        status.acknowledged = m_acknowledged;
        status.pendingReadings = m_pendingReadings;
        status.pendingBatches = m_kept.size();
        status.totalReadings = m_totalReadings;
        status.droppedReadings = m_droppedReadings;
        status.duplicateBatches = m_duplicates;
        status.usedBytes = m_usedBytes;
        status.maxBytes = m_limits.maxBytes;
        status.writtenBytes = m_writtenBytes;
        status.notedReadings = m_unstored.readings;
        for (const auto &[msn, kept] : m_kept) {
            for (const Reading &reading : kept.batch.readings) {
                if (!status.oldestPending || reading.deviceTime < *status.oldestPending)
                    status.oldestPending = reading.deviceTime;
            }
        }
        return status;
    }

    [[nodiscard]] Result<QList<Loss>> losses(int max) const override
    {
        return m_losses.mid(std::max(qsizetype(0), m_losses.size() - std::max(0, max)));
    }

    /// Every write fails like this until it is set to nothing again.
    void failWith(std::optional<Error> failure) { m_failure = std::move(failure); }
    /// The next read() that meets this batch finds it spoiled.
    void makeUnreadable(Msn msn)
    {
        if (const auto it = m_kept.find(msn); it != m_kept.end())
            it->second.readable = false;
    }

private:
    struct Kept {
        ReadingBatch batch;
        qint64 bytes = 0;
        bool readable = true;
    };
    using KeptBatches = std::map<Msn, Kept>;

    struct Received {
        Msn contiguous = 0;
        std::set<Msn> beyond; // taken, with a hole before them

        [[nodiscard]] bool has(Msn msn) const { return msn <= contiguous || beyond.count(msn) > 0; }
        void take(Msn msn)
        {
            beyond.insert(msn);
            close();
        }
        void close()
        {
            while (!beyond.empty() && *beyond.begin() <= contiguous + 1) {
                contiguous = std::max(contiguous, *beyond.begin());
                beyond.erase(beyond.begin());
            }
        }
    };

    /// Which batches are new, and whether they fit at all; changes nothing.
    [[nodiscard]] Result<void> sortOut(std::span<const IncomingBatch> batches,
                                       std::vector<const IncomingBatch *> &accepted, quint32 &duplicates) const
    {
        QHash<StreamId, std::set<Msn>> inThisGroup;
        qint64 bytes = 0;
        for (const IncomingBatch &incoming : batches) {
            if (const auto &receipt = incoming.receipt) {
                if (receipt->msn == 0)
                    return Error{Errc::OutOfRange,
                                 QStringLiteral("A received batch has the number 0; numbers begin at 1.")};
                const auto known = m_received.constFind(receipt->stream);
                const bool before = known != m_received.constEnd() && known->has(receipt->msn);
                if (before || !inThisGroup[receipt->stream].insert(receipt->msn).second) {
                    ++duplicates;
                    continue;
                }
            }
            bytes += encodeBatch(incoming.batch).size();
            accepted.push_back(&incoming);
        }
        if (accepted.size() == 1 && bytes > m_limits.maxBytes) {
            return Error{Errc::OutOfRange,
                         QStringLiteral("A batch of %1 bytes can never be stored in a spool of %2 bytes.")
                             .arg(bytes)
                             .arg(m_limits.maxBytes)};
        }
        if (bytes > m_limits.maxBytes || accepted.size() > m_limits.maxBatches) {
            return Error{
                Errc::Full,
                QStringLiteral("%1 batches of %2 bytes do not fit into a spool of %3 bytes; hand over fewer at once.")
                    .arg(accepted.size())
                    .arg(bytes)
                    .arg(m_limits.maxBytes)};
        }
        return {};
    }

    Appended commit(const std::vector<const IncomingBatch *> &accepted, quint32 duplicates)
    {
        Appended appended;
        appended.duplicates = duplicates;
        m_duplicates += duplicates;
        for (const IncomingBatch *incoming : accepted) {
            const Msn msn = ++m_head;
            const qint64 bytes = encodeBatch(incoming->batch).size();
            m_kept.emplace(msn, Kept{incoming->batch, bytes, true});
            m_usedBytes += bytes;
            m_writtenBytes += quint64(bytes);
            m_totalReadings += quint64(incoming->batch.readings.size());
            m_pendingReadings += quint64(incoming->batch.readings.size());
            if (incoming->receipt)
                m_received[incoming->receipt->stream].take(incoming->receipt->msn);
            if (incoming->settles > 0)
                settle(*incoming);
            appended.first = appended.first == 0 ? msn : appended.first;
            appended.last = msn;
        }
        appended.evicted = makeRoom();
        return appended;
    }

    void settle(const IncomingBatch &incoming)
    {
        m_unstored.readings -= std::min(m_unstored.readings, incoming.settles);
        if (m_unstored.readings == 0)
            m_unstored = {};
        m_losses.append(incoming.batch.losses);
        for (const Loss &loss : incoming.batch.losses)
            m_droppedReadings += loss.readings;
    }

    QList<Loss> makeRoom()
    {
        auto end = m_kept.begin();
        qint64 bytes = m_usedBytes;
        quint64 count = m_kept.size();
        for (; end != m_kept.end() && (bytes > m_limits.maxBytes || count > m_limits.maxBatches); ++end) {
            bytes -= end->second.bytes;
            --count;
        }
        if (end == m_kept.begin())
            return {};
        const Loss loss = lossOf(m_kept.begin(), end, LossReason::SpoolFull);
        m_losses.append(loss);
        while (m_kept.begin() != end)
            dropLost(m_kept.begin());
        return {loss};
    }

    [[nodiscard]] Loss lossOf(KeptBatches::const_iterator begin, KeptBatches::const_iterator end,
                              LossReason reason) const
    {
        Loss loss{begin->second.batch.device, m_stream, begin->first, std::prev(end)->first, 0, {}, {}, reason};
        bool any = false;
        for (auto it = begin; it != end; ++it) {
            if (it->second.batch.device != loss.device)
                loss.device.clear();
            for (const Reading &reading : it->second.batch.readings) {
                loss.from = any ? std::min(loss.from, reading.deviceTime) : reading.deviceTime;
                loss.to = any ? std::max(loss.to, reading.deviceTime) : reading.deviceTime;
                any = true;
                ++loss.readings;
            }
        }
        return loss;
    }

    /// A lost batch takes its own loss notices with it; they stay on the list here.
    KeptBatches::iterator dropLost(KeptBatches::iterator it)
    {
        m_droppedReadings += quint64(it->second.batch.readings.size());
        m_losses.append(it->second.batch.losses);
        return m_kept.erase(discount(it));
    }

    KeptBatches::iterator discount(KeptBatches::iterator it)
    {
        m_usedBytes -= it->second.bytes;
        m_pendingReadings -= quint64(it->second.batch.readings.size());
        return it;
    }

    SpoolLimits m_limits;
    StreamId m_stream;
    KeptBatches m_kept;
    QHash<StreamId, Received> m_received;
    QList<Loss> m_losses;
    std::optional<Error> m_failure;
    std::optional<Error> m_noteFailure;
    Unstored m_unstored;
    Msn m_head = 0;
    Msn m_acknowledged = 0;
    quint64 m_pendingReadings = 0;
    quint64 m_totalReadings = 0;
    quint64 m_droppedReadings = 0;
    quint64 m_duplicates = 0;
    qint64 m_usedBytes = 0;
    quint64 m_writtenBytes = 0;
};

} // namespace lintel

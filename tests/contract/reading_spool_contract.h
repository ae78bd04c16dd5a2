// What every ReadingSpool promises, as one suite. An adapter's test derives from it, says how to
// make a spool, reopen it and spoil a stored batch, and runs.
#pragma once

#include "ports/reading_spool.h"

#include <QTest>

#include <memory>
#include <vector>

namespace lintel {

class ReadingSpoolContract : public QObject
{
    Q_OBJECT
protected:
    /// An empty spool.
    [[nodiscard]] virtual std::unique_ptr<ReadingSpool> make(SpoolLimits limits) = 0;
    /// The same spool after a restart; null where nothing survives one.
    [[nodiscard]] virtual std::unique_ptr<ReadingSpool> reopen(std::unique_ptr<ReadingSpool> spool,
                                                               SpoolLimits limits) = 0;
    /// Makes one stored batch impossible to read back; returns the spool to go on with.
    [[nodiscard]] virtual std::unique_ptr<ReadingSpool> spoil(std::unique_ptr<ReadingSpool> spool, Msn msn) = 0;

public:
    [[nodiscard]] static ReadingBatch batchOf(int number, const QString &device = QStringLiteral("hvac-001"))
    {
        const Timestamp at = fromEpochMillis(1'760'000'000'000 + number * 1000LL);
        return {device,
                {Reading{QStringLiteral("air_temp"), 20.0 + number, Unit::Celsius, at, Quality::Good, false},
                 Reading{QStringLiteral("fan"), number % 2 == 0, Unit::None, at, Quality::Good, false}},
                {}};
    }
    [[nodiscard]] static std::vector<IncomingBatch> group(int first, int count)
    {
        std::vector<IncomingBatch> batches;
        for (int i = first; i < first + count; ++i)
            batches.push_back({batchOf(i), std::nullopt});
        return batches;
    }
    [[nodiscard]] static IncomingBatch received(const StreamId &stream, Msn msn)
    {
        return {batchOf(int(msn)), Receipt{stream, msn}};
    }

private Q_SLOTS:
    void append_numbersFromOneWithoutHoles()
    {
        const auto spool = make({});
        auto appended = spool->append(group(0, 3));
        QVERIFY(appended);
        QCOMPARE(appended->first, Msn(1));
        QCOMPARE(appended->last, Msn(3));
        appended = spool->append(group(3, 1));
        QVERIFY(appended);
        QCOMPARE(appended->first, Msn(4));
        QCOMPARE(appended->last, Msn(4));
        const SpoolStatus status = spool->status();
        QCOMPARE(status.head, Msn(4));
        QCOMPARE(status.tail, Msn(1));
        QCOMPARE(status.pendingBatches, quint64(4));
        QCOMPARE(status.pendingReadings, quint64(8));
        QCOMPARE(status.totalReadings, quint64(8));
        QVERIFY(status.usedBytes > 0);
        QCOMPARE(status.oldestPending, std::optional(batchOf(0).readings[0].deviceTime));
    }

    void append_ofNothingGivesNoNumber()
    {
        const auto spool = make({});
        const auto appended = spool->append({});
        QVERIFY(appended);
        QCOMPARE(appended->first, Msn(0));
        QCOMPARE(spool->status().head, Msn(0));
        QCOMPARE(spool->status().tail, Msn(1));
        QVERIFY(!spool->status().oldestPending);
    }

    void append_refusesAGroupThatCannotFit()
    {
        const auto spool = make({.maxBytes = 1'000, .maxBatches = 1'000});
        QVERIFY(spool->append(group(0, 1)));
        const auto refused = spool->append(group(1, 500));
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Full);
        QCOMPARE(spool->status().head, Msn(1));
        const auto next = spool->append(group(1, 1));
        QVERIFY(next);
        QCOMPARE(next->first, Msn(2)); // numbering has no hole
    }

    void read_returnsWhatWasAppendedInOrder()
    {
        const auto spool = make({});
        QVERIFY(spool->append(group(0, 10)));
        const auto all = spool->read(0, 100);
        QVERIFY(all);
        QCOMPARE(all->size(), 10);
        for (int i = 0; i < 10; ++i) {
            QCOMPARE((*all)[i].msn, Msn(i + 1));
            QVERIFY((*all)[i].batch == batchOf(i));
        }
        const auto some = spool->read(4, 3);
        QVERIFY(some);
        QCOMPARE(some->size(), 3);
        QCOMPARE(some->first().msn, Msn(5));
        QVERIFY(spool->read(10, 10)->isEmpty());
        QVERIFY(spool->read(0, 0)->isEmpty());
    }

    void append_saysWhatCanNeverBeStored()
    {
        const auto spool = make({.maxBytes = 1'000, .maxBatches = 1'000});
        IncomingBatch huge{batchOf(0), std::nullopt};
        huge.batch.readings[0].value = QString(2'000, u'x');
        const auto refused = spool->append({&huge, 1});
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::OutOfRange); // and not Full: more room will not come
        QCOMPARE(spool->status().head, Msn(0));
        QVERIFY(spool->append(group(0, 1)));
    }

    void acknowledge_isCumulativeAndIdempotent()
    {
        const auto spool = make({});
        QVERIFY(spool->append(group(0, 10)));
        QVERIFY(spool->acknowledge(4));
        QVERIFY(spool->acknowledge(4));
        QVERIFY(spool->acknowledge(2));
        QVERIFY(spool->acknowledge(0));
        SpoolStatus status = spool->status();
        QCOMPARE(status.acknowledged, Msn(4));
        QCOMPARE(status.tail, Msn(5));
        QCOMPARE(status.pendingBatches, quint64(6));
        QCOMPARE(status.oldestPending, std::optional(batchOf(4).readings[0].deviceTime));
        QCOMPARE(spool->read(0, 100)->first().msn, Msn(5));

        const quint64 written = status.writtenBytes;
        QVERIFY(written >= quint64(status.usedBytes) && status.usedBytes > 0);
        QVERIFY(spool->acknowledge(10));
        status = spool->status();
        QCOMPARE(status.writtenBytes, written); // what was written stays written
        QCOMPARE(status.tail, Msn(11));
        QCOMPARE(status.pendingReadings, quint64(0));
        QCOMPARE(status.usedBytes, qint64(0));
        QCOMPARE(status.totalReadings, quint64(20));
        QVERIFY(!status.oldestPending);
        QCOMPARE(spool->append(group(10, 1))->first, Msn(11)); // never goes back
    }

    void acknowledge_refusesANumberBeyondHead()
    {
        const auto spool = make({});
        QVERIFY(spool->append(group(0, 2)));
        const auto refused = spool->acknowledge(3);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::OutOfRange);
        QCOMPARE(spool->status().pendingBatches, quint64(2));
        QCOMPARE(spool->status().acknowledged, Msn(0));
    }

    void fullSpool_evictsTheOldestAndWritesItDown()
    {
        const auto probe = make({});
        QVERIFY(probe->append(group(0, 1)));
        const qint64 one = probe->status().usedBytes;
        const qint64 maxBytes = one * 10 + one / 2;
        const auto spool = make({.maxBytes = maxBytes, .maxBatches = 1'000});
        QList<Loss> evicted;
        for (int i = 0; i < 100; ++i) {
            const auto appended = spool->append(group(i, 1));
            QVERIFY(appended);
            evicted.append(appended->evicted);
            QVERIFY(spool->status().usedBytes <= maxBytes);
        }
        const SpoolStatus status = spool->status();
        QCOMPARE(status.head, Msn(100));
        QVERIFY(status.tail > 85);
        QCOMPARE(status.droppedReadings, quint64((status.tail - 1) * 2));
        QCOMPARE(status.totalReadings, status.droppedReadings + status.pendingReadings);
        verifyCovers(evicted, 1, status.tail - 1, status.stream);
        verifyCovers(*spool->losses(1000), 1, status.tail - 1, status.stream);
        QCOMPARE(spool->losses(1000)->first().reason, LossReason::SpoolFull);
        QCOMPARE(spool->losses(1000)->first().from, batchOf(0).readings[0].deviceTime);
        QCOMPARE(spool->read(0, 100)->first().msn, status.tail);
    }

    void fullSpool_isBoundedByBatchesToo()
    {
        const auto spool = make({.maxBytes = 1'000'000, .maxBatches = 5});
        QVERIFY(spool->append(group(0, 4)));
        const auto appended = spool->append(group(4, 4));
        QVERIFY(appended);
        QCOMPARE(appended->evicted.size(), 1);
        QCOMPARE(appended->evicted[0].first, Msn(1));
        QCOMPARE(appended->evicted[0].last, Msn(3));
        QCOMPARE(appended->evicted[0].readings, quint64(6));
        QCOMPARE(appended->evicted[0].device, QStringLiteral("hvac-001"));
        QCOMPARE(spool->status().pendingBatches, quint64(5));
    }

    void eviction_neverCountsWhatWasAcknowledged()
    {
        const auto spool = make({.maxBytes = 1'000'000, .maxBatches = 5});
        QVERIFY(spool->append(group(0, 5)));
        QVERIFY(spool->acknowledge(5));
        const auto appended = spool->append(group(5, 5));
        QVERIFY(appended);
        QVERIFY(appended->evicted.isEmpty());
        QVERIFY(spool->losses(10)->isEmpty());
        QCOMPARE(spool->status().droppedReadings, quint64(0));
    }

    void eviction_keepsTheLossNoticesThatABatchCarried()
    {
        const auto spool = make({.maxBytes = 1'000'000, .maxBatches = 1});
        IncomingBatch carrier{batchOf(0), std::nullopt};
        const Loss carried{
            QStringLiteral("meter-7"),          QUuid::createUuid(),  5, 9, 12, fromEpochMillis(1'760'000'000'000),
            fromEpochMillis(1'760'000'009'000), LossReason::SpoolFull};
        carrier.batch.losses.append(carried);
        QVERIFY(spool->append({&carrier, 1}));
        QVERIFY(spool->append(group(1, 1)));
        QVERIFY(spool->losses(10)->contains(carried));
    }

    void receipt_isTakenOnce()
    {
        const auto spool = make({});
        const StreamId stream = QUuid::createUuid();
        const std::vector<IncomingBatch> batches{received(stream, 1), received(stream, 2), received(stream, 2)};
        auto appended = spool->append(batches);
        QVERIFY(appended);
        QCOMPARE(appended->last, Msn(2));
        QCOMPARE(appended->duplicates, quint32(1));
        appended = spool->append(batches);
        QVERIFY(appended);
        QCOMPARE(appended->first, Msn(0));
        QCOMPARE(appended->duplicates, quint32(3));
        QCOMPARE(spool->status().duplicateBatches, quint64(4));
        QCOMPARE(spool->status().head, Msn(2));
        // Another sender's numbers are another matter.
        const std::vector<IncomingBatch> other{received(QUuid::createUuid(), 1)};
        QCOMPARE(spool->append(other)->duplicates, quint32(0));
    }

    void receipt_watermarkWaitsForTheHole()
    {
        const auto spool = make({});
        const StreamId stream = QUuid::createUuid();
        QCOMPARE(spool->contiguousReceipt(stream), Msn(0));
        QVERIFY(spool->append(std::vector{received(stream, 1), received(stream, 3), received(stream, 4)}));
        QCOMPARE(spool->contiguousReceipt(stream), Msn(1));
        QVERIFY(spool->append(std::vector{received(stream, 2)}));
        QCOMPARE(spool->contiguousReceipt(stream), Msn(4));
        QCOMPARE(spool->append(std::vector{received(stream, 3)})->duplicates, quint32(1));
    }

    void receipt_zeroIsRefusedAndNothingTaken()
    {
        const auto spool = make({});
        const StreamId stream = QUuid::createUuid();
        const auto refused = spool->append(std::vector{received(stream, 1), received(stream, 0)});
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::OutOfRange);
        QCOMPARE(spool->contiguousReceipt(stream), Msn(0));
        QCOMPARE(spool->status().head, Msn(0));
    }

    void refusedGroup_leavesNoReceipt()
    {
        const auto spool = make({.maxBytes = 1'000'000, .maxBatches = 2});
        const StreamId stream = QUuid::createUuid();
        const std::vector<IncomingBatch> batches{received(stream, 1), received(stream, 2), received(stream, 3)};
        QVERIFY(!spool->append(batches));
        QCOMPARE(spool->contiguousReceipt(stream), Msn(0));
        QCOMPARE(spool->append(std::span(batches).first(2))->duplicates, quint32(0));
    }

    void senderDropped_declaresTheHolesLost()
    {
        const auto spool = make({});
        const StreamId stream = QUuid::createUuid();
        const QString device = QStringLiteral("hvac-001");
        QVERIFY(spool->append(std::vector{received(stream, 1), received(stream, 4)}));
        const auto lost = spool->senderDropped(stream, device, 7);
        QVERIFY(lost);
        const QList<Loss> expected{Loss{device, stream, 2, 3, 0, {}, {}, LossReason::NeverSent},
                                   Loss{device, stream, 5, 6, 0, {}, {}, LossReason::NeverSent}};
        QVERIFY(*lost == expected);
        QVERIFY(*spool->losses(10) == expected);
        QCOMPARE(spool->contiguousReceipt(stream), Msn(6));
        // The next hop hears of it in a batch of its own.
        const auto batches = spool->read(2, 10);
        QVERIFY(batches);
        QCOMPARE(batches->size(), 1);
        QCOMPARE(batches->first().batch.device, device);
        QVERIFY(batches->first().batch.losses == expected);
        // Said again, nothing new.
        QVERIFY(spool->senderDropped(stream, device, 7)->isEmpty());
        QVERIFY(spool->senderDropped(stream, device, 0)->isEmpty());
        QCOMPARE(spool->status().head, Msn(3));
    }

    void senderDropped_losesNothingOfAStreamNeverHeardOf()
    {
        const auto spool = make({});
        const StreamId stream = QUuid::createUuid();
        QVERIFY(spool->senderDropped(stream, QStringLiteral("hvac-001"), 101)->isEmpty());
        QCOMPARE(spool->contiguousReceipt(stream), Msn(100));
        QVERIFY(spool->losses(10)->isEmpty());
        QCOMPARE(spool->status().head, Msn(0));
        // From here on it is known, and holes count.
        QCOMPARE(spool->append(std::vector{received(stream, 101), received(stream, 103)})->duplicates, quint32(0));
        QCOMPARE(spool->senderDropped(stream, QStringLiteral("hvac-001"), 103)->size(), 1);
        QCOMPARE(spool->contiguousReceipt(stream), Msn(103));
    }

    void unreadableBatch_isSkippedAndWrittenDown()
    {
        auto spool = make({});
        QVERIFY(spool->append(group(0, 5)));
        const StreamId stream = spool->status().stream;
        spool = spoil(std::move(spool), 3);
        const auto found = spool->read(0, 5);
        QVERIFY(found);
        QList<Msn> numbers;
        for (const StoredBatch &batch : *found)
            numbers.append(batch.msn);
        QCOMPARE(numbers.mid(0, 4), (QList<Msn>{1, 2, 4, 5}));
        const auto losses = spool->losses(10);
        QVERIFY(losses);
        QCOMPARE(losses->size(), 1);
        QCOMPARE(losses->first().reason, LossReason::Unreadable);
        QCOMPARE(losses->first().stream, stream);
        QCOMPARE(losses->first().first, Msn(3));
        QCOMPARE(losses->first().last, Msn(3));
        QCOMPARE(spool->status().droppedReadings, quint64(2));
    }

    void restart_keepsEverything()
    {
        auto spool = make({});
        const StreamId sender = QUuid::createUuid();
        QVERIFY(spool->append(group(0, 5)));
        QVERIFY(spool->append(std::vector{received(sender, 1), received(sender, 3), received(sender, 3)}));
        const StreamId other = QUuid::createUuid();
        QVERIFY(spool->append(std::vector{received(other, 1)}));
        QVERIFY(spool->senderDropped(other, QStringLiteral("meter-7"), 4));
        QVERIFY(spool->acknowledge(2));
        const SpoolStatus before = spool->status();
        const QList<Loss> losses = *spool->losses(10);
        spool = reopen(std::move(spool), {});
        if (!spool)
            QSKIP("Nothing of this spool survives a restart.");
        const SpoolStatus after = spool->status();
        QCOMPARE(after.stream, before.stream);
        QCOMPARE(after.head, before.head);
        QCOMPARE(after.tail, before.tail);
        QCOMPARE(after.acknowledged, before.acknowledged);
        QCOMPARE(after.pendingReadings, before.pendingReadings);
        QCOMPARE(after.pendingBatches, before.pendingBatches);
        QCOMPARE(after.totalReadings, before.totalReadings);
        QCOMPARE(after.droppedReadings, before.droppedReadings);
        QCOMPARE(after.duplicateBatches, before.duplicateBatches);
        QCOMPARE(after.usedBytes, before.usedBytes);
        QCOMPARE(after.oldestPending, before.oldestPending);
        QVERIFY(*spool->losses(10) == losses);
        QCOMPARE(spool->contiguousReceipt(sender), Msn(1));
        QCOMPARE(spool->append(std::vector{received(sender, 3)})->duplicates, quint32(1));
        QVERIFY(spool->append(std::vector{received(sender, 2)}));
        QCOMPARE(spool->contiguousReceipt(sender), Msn(3));
    }

    void restart_neverReusesNumbers()
    {
        auto spool = make({});
        QVERIFY(spool->append(group(0, 3)));
        QVERIFY(spool->acknowledge(3));
        spool = reopen(std::move(spool), {});
        if (!spool)
            QSKIP("Nothing of this spool survives a restart.");
        QCOMPARE(spool->append(group(3, 1))->first, Msn(4));
    }

private:
    /// The losses, in order, cover exactly first … last of one stream.
    static void verifyCovers(const QList<Loss> &losses, Msn first, Msn last, const StreamId &stream)
    {
        Msn next = first;
        for (const Loss &loss : losses) {
            QCOMPARE(loss.stream, stream);
            QCOMPARE(loss.first, next);
            QVERIFY(loss.last >= loss.first);
            QCOMPARE(loss.readings, quint64(2 * (loss.last - loss.first + 1)));
            next = loss.last + 1;
        }
        QCOMPARE(next, last + 1);
    }
};

} // namespace lintel

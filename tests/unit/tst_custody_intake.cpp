#include "custody/custody_intake.h"
#include "fakes/fake_clock.h"

#include <QSignalSpy>
#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;
using sparkplug::HostBatch;
using sparkplug::NodeId;

namespace {

/// Remembers what it was given; fails when told to.
class RecordingStore final : public CustodyStore
{
public:
    Result<Stored> append(std::span<const HostBatch> batches) override
    {
        ++attempts;
        if (failure)
            return *failure;
        for (const HostBatch &batch : batches) {
            if (noticeFailure && batch.batch.readings.isEmpty())
                return *noticeFailure;
            if (batch.receipt && poison.contains(batch.receipt->msn) && !batch.batch.readings.isEmpty())
                return Error{poisonCode, u"Batch %1 cannot be stored."_s.arg(batch.receipt->msn)};
        }
        if (int(batches.size()) > mostAtOnce)
            return Error{Errc::Full, u"Hand over fewer at once."_s};
        if (room >= 0 && int(batches.size()) > room)
            return Error{Errc::Full, u"The disk is full; make room."_s};
        room -= room >= 0 ? int(batches.size()) : 0;
        groups.append(int(batches.size()));
        Stored stored;
        for (const HostBatch &batch : batches) {
            if (batch.receipt && !numbers[batch.receipt->stream].contains(batch.receipt->msn))
                numbers[batch.receipt->stream].insert(batch.receipt->msn);
            else if (batch.receipt) {
                ++stored.duplicates;
                continue;
            }
            ++stored.batches;
            all.append(batch);
        }
        return stored;
    }
    Msn contiguousReceipt(const NodeId &, const StreamId &stream) const override
    {
        Msn msn = 0;
        while (numbers[stream].contains(msn + 1))
            ++msn;
        return msn;
    }
    Result<void> senderDropped(const NodeId &, const StreamId &stream, Msn tail) override
    {
        if (failure)
            return *failure;
        for (Msn msn = 1; msn < tail; ++msn)
            numbers[stream].insert(msn);
        ++drops;
        return {};
    }

    Result<void> noteUnstored(const Unstored &held) override
    {
        if (noteFailure)
            return *noteFailure;
        note = held;
        return {};
    }

    Unstored note;
    std::optional<Error> noteFailure;
    mutable QHash<StreamId, QSet<Msn>> numbers;
    QList<HostBatch> all;
    QList<int> groups;
    std::optional<Error> failure;
    int drops = 0;
    int attempts = 0;
    std::optional<Error> noticeFailure; // of batches without readings
    QSet<Msn> poison;                   // refused, with everything that comes with them
    Errc poisonCode = Errc::OutOfRange;
    int mostAtOnce = 1'000'000;
    int room = -1; // batches that still fit; -1 = any
};

struct Ack {
    NodeId node;
    StreamId stream;
    Msn msn = 0;
};

const NodeId kNode{u"building-1"_s, u"hvac-001"_s};

Reading reading(qint64 ms, double value = 20.0)
{
    Reading one;
    one.point = u"air_temp"_s;
    one.value = value;
    one.deviceTime = fromEpochMillis(ms);
    return one;
}

HostBatch numbered(const StreamId &stream, Msn msn)
{
    HostBatch batch{kNode, {}, {kNode.node, {reading(qint64(msn) * 1000)}, {}}, Receipt{stream, msn}};
    return batch;
}

HostBatch plain(qint64 ms, const QString &device = u"foreign"_s)
{
    return {{u"building-1"_s, device}, {}, {device, {reading(ms)}, {}}, {}};
}

} // namespace

class TestCustodyIntake : public QObject
{
    Q_OBJECT

private:
    FakeClock m_clock;
    std::unique_ptr<RecordingStore> m_store;
    std::unique_ptr<CustodyIntake> m_intake;
    QList<Ack> m_acks;
    StreamId m_stream = QUuid::createUuid();

private Q_SLOTS:
    void init()
    {
        m_store = std::make_unique<RecordingStore>();
        m_acks.clear();
        make({});
    }

    void take_storesOneGroupAndAcknowledgesOnce()
    {
        for (Msn msn = 1; msn <= 10; ++msn)
            m_intake->take(numbered(m_stream, msn));
        QVERIFY(m_acks.isEmpty());
        QTRY_COMPARE(m_acks.size(), 1);
        QCOMPARE(m_store->groups, QList<int>{10});
        QCOMPARE(m_acks.first().msn, 10u);
        QCOMPARE(m_acks.first().node, kNode);
    }

    void take_storesAtOnceAfterAPause()
    {
        CustodyIntake::Limits limits;
        limits.collect = std::chrono::hours{1};
        make(limits);
        m_intake->take(numbered(m_stream, 1));
        QTRY_COMPARE(m_acks.size(), 1);
        m_clock.advance(std::chrono::hours{1});
        m_intake->take(numbered(m_stream, 2));
        QTRY_COMPARE(m_acks.size(), 2);
        QCOMPARE(m_store->groups, (QList<int>{1, 1}));
    }

    void take_keepsGroupsApart()
    {
        CustodyIntake::Limits limits;
        limits.collect = std::chrono::hours{1};
        make(limits);
        m_intake->take(numbered(m_stream, 1));
        QTRY_COMPARE(m_acks.size(), 1);
        m_intake->take(numbered(m_stream, 2));
        m_intake->take(numbered(m_stream, 3));
        QCoreApplication::processEvents();
        QCOMPARE(m_store->groups, QList<int>{1});
        m_intake->flush();
        QCOMPARE(m_store->groups, (QList<int>{1, 2}));
    }

    void take_commitsAFullGroupAtOnce()
    {
        CustodyIntake::Limits limits;
        limits.maxBatches = 4;
        make(limits);
        for (Msn msn = 1; msn <= 4; ++msn)
            m_intake->take(numbered(m_stream, msn));
        QCOMPARE(m_acks.size(), 1);
        QCOMPARE(m_acks.first().msn, 4u);
    }

    void take_acknowledgesEachNodeOfOneStreamName()
    {
        const NodeId clone{u"building-1"_s, u"hvac-002"_s}; // its memory card was copied
        HostBatch other = numbered(m_stream, 1);
        other.node = clone;
        m_intake->take(numbered(m_stream, 1));
        m_intake->take(other);
        m_intake->flush();
        QCOMPARE(m_acks.size(), 2);
        QVERIFY(m_acks[0].node != m_acks[1].node);
    }

    void take_acknowledgesOnlyUpToTheFirstHole()
    {
        for (const Msn msn : {1u, 2u, 4u})
            m_intake->take(numbered(m_stream, msn));
        m_intake->flush();
        QCOMPARE(m_acks.last().msn, 2u);
        m_intake->take(numbered(m_stream, 3));
        m_intake->flush();
        QCOMPARE(m_acks.last().msn, 4u);
    }

    void take_acknowledgesAgainWhatCameAgain()
    {
        m_intake->take(numbered(m_stream, 1));
        m_intake->flush();
        m_intake->take(numbered(m_stream, 1));
        m_intake->flush();
        QCOMPARE(m_acks.size(), 2);
        QCOMPARE(m_store->all.size(), 1);
        QCOMPARE(m_intake->counters().duplicateBatches, 1u);
    }

    void take_acknowledgesNothingNewWhileTheStoreFails()
    {
        QSignalSpy failed(m_intake.get(), &CustodyIntake::storageFailed);
        QSignalSpy recovered(m_intake.get(), &CustodyIntake::storageRecovered);
        m_store->failure = Error{Errc::Full, u"The disk is full; make room."_s};
        m_intake->take(numbered(m_stream, 1));
        m_intake->flush();
        QVERIFY(m_intake->isFailing());
        QCOMPARE(failed.size(), 1);
        m_intake->take(numbered(m_stream, 2)); // within the pause: not even tried
        QCOMPARE(m_store->attempts, 1);
        QCOMPARE(m_intake->counters().refusedBatches, 2u);
        for (const Ack &ack : std::as_const(m_acks))
            QCOMPARE(ack.msn, 0u);

        m_store->failure.reset();
        m_clock.advance(Millis{1'500});
        m_intake->take(numbered(m_stream, 1)); // its sender sends it again
        m_intake->flush();
        QCOMPARE(m_acks.last().msn, 1u);
        QCOMPARE(recovered.size(), 1);
        QCOMPARE(failed.size(), 1);
    }

    void take_tellsARefusedSenderWhereWeStand()
    {
        CustodyIntake::Limits limits;
        limits.retryAfter = Millis{50};
        make(limits);
        m_intake->take(numbered(m_stream, 1));
        m_intake->flush();
        m_acks.clear();
        m_store->failure = Error{Errc::Full, u"The disk is full; make room."_s};
        m_intake->take(numbered(m_stream, 2));
        m_intake->flush();
        QCOMPARE(m_acks.size(), 1);
        QCOMPARE(m_acks.first().node, kNode);
        QCOMPARE(m_acks.first().stream, m_stream);
        QCOMPARE(m_acks.first().msn, 1u); // what is committed, not what came
        m_acks.clear();
        const StreamId other = QUuid::createUuid();
        for (Msn msn = 1; msn <= 5; ++msn)
            m_intake->take(numbered(other, msn)); // within the pause
        QTRY_COMPARE(m_acks.size(), 1);           // one answer for all of them
        QCOMPARE(m_acks.first().stream, other);
        QCOMPARE(m_acks.first().msn, 0u);
    }

    void take_refusesOnlyTheBatchThatIsRefusedAlone_data()
    {
        QTest::addColumn<Errc>("code");
        QTest::addColumn<bool>("forEver");
        QTest::newRow("out of range") << Errc::OutOfRange << true;
        QTest::newRow("malformed") << Errc::Malformed << true;
        QTest::newRow("no room for this one") << Errc::Full << false;
    }

    void take_refusesOnlyTheBatchThatIsRefusedAlone()
    {
        QFETCH(Errc, code);
        QFETCH(bool, forEver);
        QSignalSpy failed(m_intake.get(), &CustodyIntake::storageFailed);
        QSignalSpy trouble(m_intake.get(), &CustodyIntake::trouble);
        QSignalSpy stored(m_intake.get(), &CustodyIntake::stored);
        m_store->poison = {777};
        m_store->poisonCode = code;
        const StreamId bad = QUuid::createUuid();
        for (Msn msn = 1; msn <= 50; ++msn)
            m_intake->take(numbered(m_stream, msn));
        m_intake->take(numbered(bad, 777));
        m_intake->take(plain(5));
        for (Msn msn = 51; msn <= 100; ++msn)
            m_intake->take(numbered(m_stream, msn));
        m_intake->flush();
        QVERIFY(!m_intake->isFailing());
        QCOMPARE(failed.size(), 0);
        QCOMPARE(m_store->all.size(), forEver ? 102 : 101); // with the notice in its place
        QCOMPARE(m_store->contiguousReceipt(kNode, m_stream), 100u);
        QVERIFY(m_store->attempts < 20);
        QCOMPARE(m_acks.size(), 2); // one a stream
        for (const Ack &ack : std::as_const(m_acks))
            QCOMPARE(ack.msn, ack.stream == m_stream ? 100u : 0u);
        QCOMPARE(trouble.size(), 1);
        const QString sentence = trouble.first().first().value<Error>().message;
        QVERIFY2(sentence.contains(u"777"_s) && sentence.contains(kNode.node), qPrintable(sentence));
        QCOMPARE(stored.size(), 1);
        QCOMPARE(m_intake->counters().readings, 101u);
        QCOMPARE(m_intake->counters().batches, 101u);
        QCOMPARE(m_intake->counters().setAsideBatches, forEver ? 1u : 0u);
        QCOMPARE(m_intake->counters().unusableBatches, forEver ? 0u : 1u);
        QCOMPARE(m_intake->heldReadings(), 0);
    }

    void take_setsAsideWhatTheStoreNeverTakes()
    {
        QSignalSpy trouble(m_intake.get(), &CustodyIntake::trouble);
        m_store->poison = {4};
        for (Msn msn = 1; msn <= 10; ++msn) {
            HostBatch batch = numbered(m_stream, msn);
            batch.batch.readings.append(reading(qint64(msn) * 1000 + 500));
            m_intake->take(batch);
        }
        m_intake->flush();
        QVERIFY(!m_intake->isFailing());
        QCOMPARE(m_acks.last().msn, 10u); // the stream goes on
        QList<Loss> losses;
        for (const HostBatch &batch : std::as_const(m_store->all))
            losses.append(batch.batch.losses);
        const Loss expected{kNode.node,         m_stream, 4, 4, 2, fromEpochMillis(4000), fromEpochMillis(4500),
                            LossReason::Refused};
        QCOMPARE(losses, QList<Loss>{expected});
        QCOMPARE(trouble.size(), 1);
        const QString sentence = trouble.first().first().value<Error>().message;
        QVERIFY2(sentence.startsWith(u"Batch 4 of hvac-001 is set aside"_s), qPrintable(sentence));
        QCOMPARE(m_intake->lastSetAside(), sentence);
        QCOMPARE(m_intake->counters().setAsideBatches, 1u);
        QCOMPARE(m_intake->counters().setAsideReadings, 2u);
        QCOMPARE(m_intake->counters().readings, 18u);
    }

    void take_keepsTheLossesOfWhatIsSetAside()
    {
        HostBatch batch = numbered(m_stream, 3);
        const Loss earlier{kNode.node, m_stream, 1, 2, 7, {}, {}, LossReason::SpoolFull};
        batch.batch.losses.append(earlier);
        m_store->poison = {3};
        m_intake->take(batch);
        m_intake->flush();
        QCOMPARE(m_store->all.size(), 1);
        QCOMPARE(m_store->all.first().batch.losses.size(), 2);
        QCOMPARE(m_store->all.first().batch.losses.first(), earlier);
    }

    void take_setsNothingAsideWhileTheStoreFails()
    {
        m_store->poison = {2};
        m_store->noticeFailure = Error{Errc::Full, u"The disk is full; make room."_s};
        for (Msn msn = 1; msn <= 3; ++msn)
            m_intake->take(numbered(m_stream, msn));
        m_intake->flush();
        QVERIFY(m_intake->isFailing());
        QCOMPARE(m_acks.last().msn, 1u);
        QCOMPARE(m_intake->counters().setAsideBatches, 0u);
        m_store->noticeFailure.reset();
        m_clock.advance(Millis{1'500});
        for (Msn msn = 2; msn <= 3; ++msn)
            m_intake->take(numbered(m_stream, msn));
        m_intake->flush();
        QVERIFY(!m_intake->isFailing());
        QCOMPARE(m_acks.last().msn, 3u);
        QCOMPARE(m_intake->counters().setAsideBatches, 1u);
    }

    void take_handsOverFewerWhenAskedTo()
    {
        m_store->mostAtOnce = 8;
        for (Msn msn = 1; msn <= 30; ++msn)
            m_intake->take(numbered(m_stream, msn));
        m_intake->flush();
        QVERIFY(!m_intake->isFailing());
        QCOMPARE(m_store->groups, QList<int>({7, 8, 7, 8}));
        QCOMPARE(m_acks.last().msn, 30u);
    }

    void take_stopsWhereTheDiskIsFull()
    {
        QSignalSpy failed(m_intake.get(), &CustodyIntake::storageFailed);
        QSignalSpy trouble(m_intake.get(), &CustodyIntake::trouble);
        m_store->room = 10;
        for (Msn msn = 1; msn <= 60; ++msn)
            m_intake->take(numbered(m_stream, msn));
        m_intake->take(plain(5));
        m_intake->flush();
        QVERIFY(m_intake->isFailing());
        QCOMPARE(failed.size(), 1);
        QCOMPARE(trouble.size(), 0); // nothing was wrong with any of them
        QCOMPARE(m_acks.last().msn, 10u);
        QVERIFY(m_store->attempts < 20);
        QCOMPARE(m_intake->counters().refusedBatches, 50u);
        QCOMPARE(m_intake->heldReadings(), 1); // nobody else has it

        m_store->room = -1;
        m_clock.advance(Millis{1'500});
        for (Msn msn = 11; msn <= 60; ++msn)
            m_intake->take(numbered(m_stream, msn));
        m_intake->flush();
        QVERIFY(!m_intake->isFailing());
        QCOMPARE(m_acks.last().msn, 60u);
        QCOMPARE(m_intake->heldReadings(), 0);
        QCOMPARE(m_store->all.size(), 61);
    }

    void take_triesOnlySoOften()
    {
        for (Msn msn = 1; msn <= 255; ++msn) {
            m_store->poison.insert(msn);
            m_intake->take(numbered(m_stream, msn));
        }
        m_intake->flush();
        QVERIFY(m_store->attempts <= 129);
        const auto counters = m_intake->counters();
        QVERIFY(counters.setAsideBatches > 0);
        QCOMPARE(counters.setAsideBatches + counters.refusedBatches, 255u);
        QCOMPARE(m_acks.size(), 1);
        QCOMPARE(m_acks.first().msn, counters.setAsideBatches); // the rest is sent again
    }

    void take_keepsPlainReadingsWhileTheStoreFails()
    {
        m_store->failure = Error{Errc::Full, u"The disk is full; make room."_s};
        for (int i = 0; i < 5; ++i)
            m_intake->take(plain(i));
        m_intake->flush();
        QCOMPARE(m_intake->heldReadings(), 5);
        m_store->failure.reset();
        m_intake->flush();
        QCOMPARE(m_store->all.size(), 5);
        QCOMPARE(m_intake->heldReadings(), 0);
        QVERIFY(!m_intake->isFailing());
    }

    void take_writesDownWhatDidNotFit()
    {
        CustodyIntake::Limits limits;
        limits.maxHeldReadings = 3;
        make(limits);
        m_store->failure = Error{Errc::Full, u"The disk is full; make room."_s};
        for (int i = 1; i <= 8; ++i)
            m_intake->take(plain(i * 1000));
        m_intake->flush();
        m_store->failure.reset();
        m_intake->flush();
        QCOMPARE(m_store->all.size(), 4); // the notice, and three readings
        QCOMPARE(m_store->all.first().batch.losses.size(), 1);
        const Loss loss = m_store->all.first().batch.losses.first();
        QCOMPARE(loss.device, u"foreign"_s);
        QCOMPARE(loss.readings, 5u);
        QCOMPARE(loss.from, fromEpochMillis(1000));
        QCOMPARE(loss.to, fromEpochMillis(5000));
        QVERIFY(loss.reason == LossReason::StorageFailed);
        QCOMPARE(m_intake->counters().lostReadings, 5u);
    }

    void take_notesPlainReadingsBeforeTheyAreHeld()
    {
        CustodyIntake::Limits limits;
        limits.maxHeldReadings = 3;
        make(limits);
        QSignalSpy trouble(m_intake.get(), &CustodyIntake::trouble);
        m_store->failure = Error{Errc::Full, u"The disk is full; make room."_s};
        m_intake->take(plain(1000));
        m_intake->flush();
        QCOMPARE(m_store->note, (Unstored{1, fromEpochMillis(1000), fromEpochMillis(1000)}));
        for (int i = 2; i <= 8; ++i) {
            m_intake->take(plain(i * 1000));
            QCOMPARE(m_store->note, (Unstored{quint64(i), fromEpochMillis(1000), fromEpochMillis(i * 1000)}));
        }
        QVERIFY(m_intake->isHeldNoted());
        QCOMPARE(m_intake->heldBatches(), 3);
        m_store->noteFailure = Error{Errc::Io, u"No note."_s};
        m_intake->take(plain(9000));
        m_intake->take(plain(10'000));
        QVERIFY(!m_intake->isHeldNoted());
        QCOMPARE(trouble.size(), 1);
    }

    void nodeBorn_tellsANewSenderThatBooksAreKept()
    {
        m_intake->nodeBorn(participant(1, 0));
        QCOMPARE(m_acks.size(), 1);
        QCOMPARE(m_acks.first().msn, 0u);
        QCOMPARE(m_store->drops, 0);
    }

    void nodeBorn_settlesWhatTheSenderNoLongerHas()
    {
        m_intake->take(numbered(m_stream, 1));
        m_intake->nodeBorn(participant(5, 9));
        QCOMPARE(m_store->all.size(), 1); // what had arrived was stored first
        QCOMPARE(m_store->drops, 1);
        QCOMPARE(m_acks.last().msn, 4u);
    }

    void nodeBorn_isAnsweredWhileTheStoreFails()
    {
        m_store->failure = Error{Errc::Full, u"The disk is full; make room."_s};
        m_intake->nodeBorn(participant(5, 9)); // settling its tail fails
        QVERIFY(m_intake->isFailing());
        QCOMPARE(m_acks.size(), 1);
        QCOMPARE(m_acks.first().msn, 0u);
        m_intake->nodeBorn(participant(1, 9));
        QCOMPARE(m_acks.size(), 2);
        QCOMPARE(m_acks.last().stream, m_stream);
        QCOMPARE(m_acks.last().msn, 0u);
    }

    void nodeBorn_ignoresPlainNodesAndDevices()
    {
        sparkplug::Participant foreign;
        foreign.node = kNode;
        m_intake->nodeBorn(foreign);
        sparkplug::Participant device = participant(1, 0);
        device.device = u"d"_s;
        m_intake->nodeBorn(device);
        QVERIFY(m_acks.isEmpty());
    }

private:
    void make(CustodyIntake::Limits limits)
    {
        m_intake = std::make_unique<CustodyIntake>(*m_store, m_clock, limits);
        connect(m_intake.get(), &CustodyIntake::acknowledge, this,
                [this](const NodeId &node, const StreamId &stream, Msn msn) {
                    m_acks.append({node, stream, msn});
                });
    }
    sparkplug::Participant participant(Msn tail, Msn head) const
    {
        sparkplug::Participant who;
        who.node = kNode;
        who.online = true;
        who.spool = sparkplug::SpoolOffer{1, m_stream, head, tail, 0};
        return who;
    }
};

QTEST_GUILESS_MAIN(TestCustodyIntake)
#include "tst_custody_intake.moc"

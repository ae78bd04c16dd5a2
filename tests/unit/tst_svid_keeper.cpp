#include "fakes/fake_clock.h"
#include "fakes/memory_state_store.h"
#include "identity/svid_keeper.h"
#include "identity/trust_runway.h"

#include <QtTest>

using namespace lintel;
using namespace std::chrono_literals;

namespace {

struct Bench {
    FakeClock clock;
    TimeFloor time{clock, nullptr};
    SvidKeeper keeper{clock, time, {}, 7};

    void issue(Millis life) { QVERIFY(keeper.succeeded(clock.now(), clock.now() + life)); }
};

const Error kAway{Errc::Unavailable, QStringLiteral("authority away")};

} // namespace

class TestSvidKeeper : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void start_fetchesAtOnce()
    {
        Bench b;
        QCOMPARE(b.keeper.next().step, SvidKeeper::Step::Fetch);
        QCOMPARE(b.keeper.state(), SvidKeeper::State::Waiting);
    }

    void renewal_comesAtHalfLifeGiveOrTakeATenth()
    {
        QSet<qint64> moments;
        for (quint32 seed = 0; seed < 50; ++seed) {
            FakeClock clock;
            const TimeFloor time(clock, nullptr);
            SvidKeeper keeper(clock, time, {}, seed);
            keeper.attemptBegan();
            QVERIFY(keeper.succeeded(clock.now(), clock.now() + 1h));
            const SvidKeeper::Next next = keeper.next();
            QCOMPARE(next.step, SvidKeeper::Step::Wait);
            QVERIFY2(next.in >= 24min && next.in <= 36min, QByteArray::number(next.in.count()));
            moments.insert(next.in.count());
        }
        QVERIFY(moments.size() > 40);
    }

    void attempt_isNotBegunTwice()
    {
        Bench b;
        b.keeper.attemptBegan();
        b.clock.advance(10min);
        QCOMPARE(b.keeper.next().step, SvidKeeper::Step::Wait);
    }

    void authorityAway_keepsServingAndBacksOffUpToFiveSeconds()
    {
        Bench b;
        b.keeper.attemptBegan();
        b.issue(1h);
        b.clock.advance(36min);
        Millis longest{0};
        for (int i = 0; i < 12; ++i) {
            QCOMPARE(b.keeper.next().step, SvidKeeper::Step::Fetch);
            b.keeper.attemptBegan();
            b.keeper.failed(kAway);
            QCOMPARE(b.keeper.state(), SvidKeeper::State::Overdue);
            const SvidKeeper::Next next = b.keeper.next();
            QCOMPARE(next.step, SvidKeeper::Step::Wait);
            QVERIFY(next.in <= 5s);
            longest = std::max(longest, next.in);
            b.clock.advance(next.in);
        }
        QVERIFY(longest >= 2500ms);
        QVERIFY(b.keeper.sentence().contains(u"authority away"));
    }

    void end_isToldOnceAndRecoveryIsPossibleAfterIt()
    {
        Bench b;
        b.keeper.attemptBegan();
        b.issue(60s);
        b.clock.advance(40s);
        b.keeper.attemptBegan();
        b.keeper.failed(kAway);
        b.clock.advance(20s);
        QCOMPARE(b.keeper.next().step, SvidKeeper::Step::Drop);
        QCOMPARE(b.keeper.state(), SvidKeeper::State::Expired);
        QVERIFY(b.keeper.sentence().startsWith(u"identity expired, buffering"));
        QCOMPARE(b.keeper.next().step, SvidKeeper::Step::Fetch);
        b.keeper.attemptBegan();
        b.issue(60s);
        QCOMPARE(b.keeper.state(), SvidKeeper::State::Valid);
        QCOMPARE(b.keeper.rotations(), 1U);
    }

    void end_isNotPutOffByAClockThatIsSetBack()
    {
        Bench b;
        b.keeper.attemptBegan();
        b.issue(60s);
        b.clock.setNow(b.clock.now() - 24h);
        b.clock.advance(60s);
        QCOMPARE(b.keeper.next().step, SvidKeeper::Step::Drop);
    }

    void end_comesAtOnceWhenTheClockJumpsPastIt()
    {
        Bench b;
        b.keeper.attemptBegan();
        b.issue(1h);
        b.clock.setNow(b.clock.now() + 2h);
        QCOMPARE(b.keeper.next().step, SvidKeeper::Step::Drop);
    }

    void expiredSvidFromTheAuthority_isRefusedWithWhatToDo()
    {
        Bench b;
        b.keeper.attemptBegan();
        const auto taken = b.keeper.succeeded(b.clock.now() - 2h, b.clock.now() - 1h);
        QVERIFY(!taken);
        QCOMPARE(taken.error().code, Errc::OutOfRange);
        QVERIFY(taken.error().message.contains(u"set the clock"));
        QCOMPARE(b.keeper.state(), SvidKeeper::State::Waiting);
    }

    void hurry_fetchesNow()
    {
        Bench b;
        b.keeper.attemptBegan();
        b.issue(1h);
        QCOMPARE(b.keeper.next().step, SvidKeeper::Step::Wait);
        b.keeper.hurry();
        QCOMPARE(b.keeper.next().step, SvidKeeper::Step::Fetch);
    }

    void timeFloor_holdsWhileTheClockReads1970AndMovesOn()
    {
        FakeClock clock;
        const Timestamp real = clock.now();
        clock.setNow(Timestamp{});
        MemoryStateStore store;
        {
            TimeFloor time(clock, &store);
            QVERIFY(time.open());
            QVERIFY(time.now() > Timestamp{std::chrono::sys_days{std::chrono::year{2025} / 1 / 1}});
            QVERIFY(time.raise(real));
            clock.advance(90s);
            QCOMPARE(time.now(), real + 90s);
            QVERIFY(time.raise(real - 24h)); // never back
            QCOMPARE(time.now(), real + 90s);
        }
        clock.setNow(Timestamp{});
        TimeFloor again(clock, &store);
        QVERIFY(again.open());
        QCOMPARE(again.now(), real);
        QVERIFY(again.clockIsBehindBy() > 24h);
    }

    void timeFloor_givesWayToAClockThatIsRight()
    {
        FakeClock clock;
        const TimeFloor time(clock, nullptr);
        QCOMPARE(time.now(), clock.now());
        QCOMPARE(time.clockIsBehindBy(), 0ms);
    }

    void timeFloor_doubtsOnlyAClockThatIsBehind()
    {
        FakeClock clock;
        const Timestamp real = clock.now();
        MemoryStateStore store;
        TimeFloor time(clock, &store);
        QVERIFY(time.open());
        QCOMPARE(time.doubt(), Millis{15min});
        clock.setNow(Timestamp{});
        QVERIFY(time.doubt() > Millis{24h * 3'650});
        time.assume(real);
        QCOMPARE(time.now(), real);
        TimeFloor again(clock, &store);
        QVERIFY(again.open());
        QVERIFY(again.now() < real); // what was only assumed is not kept
    }

    void runway_isTheFirstCredentialThatNobodyRenews()
    {
        const Timestamp now{std::chrono::sys_days{std::chrono::year{2026} / 2 / 1}};
        const auto runway = trustRunway({{QStringLiteral("root"), now + 24h * 300, false},
                                         {QStringLiteral("SVID"), now + 40min, true},
                                         {QStringLiteral("issuing CA"), now + 24h * 9, false}},
                                        now);
        QVERIFY(runway);
        QCOMPARE(runway->limitedBy, QStringLiteral("issuing CA"));
        QCOMPARE(runway->left, Millis{24h * 9});
        QVERIFY(!trustRunway({}, now));
    }
};

QTEST_GUILESS_MAIN(TestSvidKeeper)
#include "tst_svid_keeper.moc"

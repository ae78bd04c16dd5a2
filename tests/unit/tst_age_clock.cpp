#include "custody/age_clock.h"
#include "fakes/fake_clock.h"

#include <QTest>

using namespace lintel;
using namespace std::chrono_literals;

class TestAgeClock : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void now_isTheWallClockAsLongAsThatGoesEvenly()
    {
        FakeClock clock;
        AgeClock ages(clock, {}, 24h);
        for (int day = 0; day < 40; ++day) {
            QCOMPARE(ages.now(), clock.now());
            clock.advance(24h);
            clock.setNow(clock.now() + 1s); // drift, corrected
        }
        QCOMPARE(ages.heldBack(), Millis{0});
        QVERIFY(!ages.news());
    }

    void now_goesOnAtTheMonotonicPaceWhenTheClockJumpsAhead()
    {
        FakeClock clock;
        AgeClock ages(clock, {}, 24h);
        const Timestamp start = ages.now();
        clock.setNow(start + 400 * 24h);
        QCOMPARE(ages.now(), start);
        QCOMPARE(ages.heldBack(), Millis{400 * 24h});
        QVERIFY(ages.news());
        QVERIFY(!ages.news()); // once
        clock.advance(1h);
        QCOMPARE(ages.now(), start + 1h);
        clock.setNow(start + 1h);
        QCOMPARE(ages.now(), start + 1h);
        QVERIFY(ages.news());
    }

    void now_isNotTakenAheadByManySmallJumps()
    {
        FakeClock clock;
        AgeClock ages(clock, {}, 24h);
        const Timestamp start = ages.now();
        for (int i = 0; i < 1'000; ++i) {
            clock.advance(1s);
            clock.setNow(clock.now() + 5min);
            (void)ages.now();
        }
        QVERIFY(ages.now() <= start + 1'000s + AgeClock::kSlack + 1min);
    }

    void now_followsTheClockBack()
    {
        FakeClock clock;
        AgeClock ages(clock, {}, 24h);
        (void)ages.now();
        clock.setNow(clock.now() - 48h);
        QCOMPARE(ages.now(), clock.now());
    }

    void now_believesWhatIsSignedButNoMore()
    {
        FakeClock clock;
        std::optional<Timestamp> signedAt;
        AgeClock ages(clock, {}, 24h, [&] { return signedAt; });
        const Timestamp start = ages.now();
        clock.setNow(start + 400 * 24h);
        signedAt = start + 100 * 24h;
        QCOMPARE(ages.now(), start + 100 * 24h);
        signedAt = start + 900 * 24h; // by a clock that is wrong itself: never beyond our own
        QCOMPARE(ages.now(), clock.now());
    }

    void now_afterARestartBelievesTheTimeThatMayHavePassedUnseen()
    {
        FakeClock clock;
        const Timestamp known = clock.now();
        clock.setNow(known + 20h);
        AgeClock ages(clock, known, AgeClock::mostUnseenFor(30 * 24h));
        QCOMPARE(ages.now(), clock.now());
        clock.setNow(known + 40h); // not a second time
        QCOMPARE(ages.now(), known + 20h);

        AgeClock late(clock, known, AgeClock::mostUnseenFor(30 * 24h));
        QCOMPARE(late.now(), known);
        AgeClock brief(clock, known, AgeClock::mostUnseenFor(1h));
        QCOMPARE(brief.now(), known);
    }
};

QTEST_GUILESS_MAIN(TestAgeClock)
#include "tst_age_clock.moc"

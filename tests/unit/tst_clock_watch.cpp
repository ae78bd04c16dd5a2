// Which wall clock an authority believes: jumps, absences, restarts, and a person's word.
#include "authority/clock_watch.h"
#include "fakes/fake_clock.h"

#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;
using State = ClockWatch::State;

namespace {

constexpr auto kTick = 1min;

/// A tick a minute; what the last one said.
ClockWatch::Reading run(ClockWatch &watch, FakeClock &clock, std::chrono::minutes time, bool mayBecomeSure = true)
{
    for (auto passed = 0min; passed < time; passed += kTick) {
        clock.advance(kTick);
        watch.look(mayBecomeSure);
    }
    return watch.reading();
}

void jump(FakeClock &clock, Millis by)
{
    clock.setNow(clock.now() + by);
}

/// One whose first hour is over.
struct Steady {
    FakeClock clock;
    ClockWatch watch{clock};

    Steady() { (void)run(watch, clock, 61min); }
    [[nodiscard]] ClockMark mark() const { return watch.mark(u"a"_s); }
};

} // namespace

class TestClockWatch : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void steadyClock_isFollowed_alsoWhereItIsSetALittle()
    {
        FakeClock clock;
        ClockWatch watch(clock);
        for (const auto by : {0min, 10min, -10min, 14min}) {
            jump(clock, by);
            QVERIFY(run(watch, clock, 61min).isSure());
            QCOMPARE(watch.now(), clock.now());
            QVERIFY(watch.sentence(true).isEmpty());
        }
        clock.advance(24h * 30); // nobody looked
        QVERIFY(watch.look(true).isSure());
    }
    void jump_isNotFollowedBeforeAnHour_data()
    {
        QTest::addColumn<qint64>("hours");
        QTest::addColumn<QString>("words");
        QTest::newRow("ahead") << qint64(12 * 24) << u"jumped 12 days ahead"_s;
        QTest::newRow("back") << qint64(-12 * 24) << u"went back by 12 days"_s;
    }
    void jump_isNotFollowedBeforeAnHour()
    {
        QFETCH(const qint64, hours);
        QFETCH(const QString, words);
        Steady steady;
        auto &[clock, watch] = steady;
        const Timestamp start = clock.now();
        jump(clock, std::chrono::hours{hours});
        QCOMPARE(watch.now(), start); // at once, not with the next tick
        QCOMPARE(watch.reading().state, State::Jumped);
        QVERIFY2(watch.sentence(true).contains(words), qPrintable(watch.sentence(true)));
        QCOMPARE(run(watch, clock, 60min).state, State::Jumped);
        QCOMPARE(watch.now(), start + 60min);
        QVERIFY(run(watch, clock, 2min).isSure());
        QCOMPARE(watch.now(), clock.now());
    }
    void jump_thatIsUndoneIsForgotten()
    {
        Steady steady;
        auto &[clock, watch] = steady;
        jump(clock, 24h * 800);
        QCOMPARE(run(watch, clock, 59min).state, State::Jumped);
        jump(clock, -24h * 800);
        QVERIFY(watch.reading().isSure());
        QVERIFY(watch.look(true).isSure());
        jump(clock, 24h * 800); // another hour begins
        QCOMPARE(run(watch, clock, 30min).state, State::Jumped);
    }
    void jump_toAnotherTimeBeginsItsHourAnew()
    {
        Steady steady;
        auto &[clock, watch] = steady;
        for (int i = 0; i < 5; ++i) {
            jump(clock, 24h);
            QCOMPARE(run(watch, clock, 50min).state, State::Jumped);
        }
        QVERIFY(run(watch, clock, 12min).isSure());
    }
    void jump_inSmallStepsIsOne()
    {
        Steady steady;
        auto &[clock, watch] = steady;
        jump(clock, 14min);
        QVERIFY(run(watch, clock, 5min).isSure());
        jump(clock, 14min);
        QCOMPARE(run(watch, clock, 5min).state, State::Jumped);
    }
    void jump_thatSomethingSpeaksAgainstIsTakenOverByAPersonAlone()
    {
        Steady steady;
        auto &[clock, watch] = steady;
        jump(clock, 24h * 800);
        QCOMPARE(run(watch, clock, 24h * 3, false).state, State::Jumped);
        QVERIFY(watch.sentence(false).contains("only an operator"_L1));
        watch.accept();
        QVERIFY(watch.reading().isSure());
        QCOMPARE(watch.now(), clock.now());
    }
    void newStart_isFollowedAndNotSureForAnHour()
    {
        Steady steady;
        FakeClock &clock = steady.clock;
        const ClockMark mark = steady.mark();
        clock.advance(24h * 21);
        ClockWatch again(clock);
        again.begin(mark, u"b"_s);
        QCOMPARE(again.reading().state, State::Waiting);
        QCOMPARE(again.now(), clock.now());
        QVERIFY2(again.sentence(true).contains("21 days later"_L1), qPrintable(again.sentence(true)));
        QCOMPARE(run(again, clock, 30min).state, State::Waiting);
        jump(clock, -24h * 10); // it is set: followed, and its hour begins
        QCOMPARE(again.now(), clock.now());
        QCOMPARE(run(again, clock, 59min).state, State::Waiting);
        QVERIFY(run(again, clock, 3min).isSure());
    }
    void newStart_whoWasHardlyOffIsSureAtOnce()
    {
        Steady steady;
        FakeClock &clock = steady.clock;
        const ClockMark mark = steady.mark();
        clock.advance(5min);
        ClockWatch again(clock);
        again.begin(mark, u"b"_s);
        QVERIFY(again.reading().isSure());
        // And who becomes so, because a clock that was wrong at the start is set.
        jump(clock, 24h * 12);
        again.begin(mark, u"b"_s);
        QCOMPARE(run(again, clock, 2min).state, State::Waiting);
        jump(clock, -24h * 12);
        QVERIFY(again.look(true).isSure());
    }
    void newStart_withAnEarlierTimeIsSaid()
    {
        Steady steady;
        FakeClock &clock = steady.clock;
        const ClockMark mark = steady.mark();
        jump(clock, -24h * 3);
        ClockWatch again(clock);
        again.begin(mark, u"b"_s);
        QCOMPARE(again.reading().state, State::Behind);
        QVERIFY2(again.sentence(true).contains("3 days behind"_L1), qPrintable(again.sentence(true)));
        QVERIFY(run(again, clock, 61min).isSure());
    }
    void restart_withoutANewStartKnowsHowLongItWas()
    {
        Steady steady;
        FakeClock &clock = steady.clock;
        const ClockMark mark = steady.mark();
        clock.advance(24h * 21);
        ClockWatch again(clock);
        again.begin(mark, u"a"_s);
        QVERIFY(again.reading().isSure());
        const Timestamp now = clock.now();
        jump(clock, 24h * 12);
        ClockWatch third(clock);
        third.begin(mark, u"a"_s);
        QCOMPARE(third.reading().state, State::Jumped);
        QCOMPARE(third.now(), now);
    }
    void restart_whoseMonotonicTimeIsEarlierOrUnknownProvesNothing()
    {
        Steady steady;
        FakeClock &clock = steady.clock;
        ClockMark mark = steady.mark();
        clock.advance(24h);
        *mark.monotonic += 24h * 365;
        ClockWatch again(clock);
        again.begin(mark, u"a"_s);
        QCOMPARE(again.reading().state, State::Waiting);
        mark.monotonic.reset();
        again.begin(mark, u"a"_s);
        QCOMPARE(again.reading().state, State::Waiting);
        mark.monotonic = 0ns;
        mark.bootId.clear(); // a system without boot ids
        again.begin(mark, QString());
        QCOMPARE(again.reading().state, State::Waiting);
    }
    void newStart_withTheTimeOfAFileFollowsTheNetworksTime()
    {
        // No clock that goes on without power: it starts with the time at which it was switched off.
        Steady steady;
        FakeClock &clock = steady.clock;
        const ClockMark mark = steady.mark();
        clock.advance(1min);
        ClockWatch again(clock);
        again.begin(mark, u"b"_s);
        QVERIFY(run(again, clock, 30min).isSure());
        QVERIFY(again.isOnTrial());
        jump(clock, 24h * 21);
        QCOMPARE(again.reading().state, State::Waiting); // at once, not with the next tick
        QCOMPARE(again.now(), clock.now());
        QCOMPARE(run(again, clock, 59min).state, State::Waiting);
        QCOMPARE(again.now(), clock.now());
        QVERIFY(again.isOnTrial());
        QVERIFY(run(again, clock, 3min).isSure());
        QVERIFY(!again.isOnTrial());
        jump(clock, 24h);
        QCOMPARE(again.reading().state, State::Jumped);
    }
    void trial_isOverAfterAnHour()
    {
        Steady steady;
        FakeClock &clock = steady.clock;
        ClockWatch again(clock);
        again.begin(steady.mark(), u"b"_s);
        QVERIFY(run(again, clock, 59min).isSure());
        QVERIFY(again.isOnTrial());
        QVERIFY(run(again, clock, 2min).isSure());
        QVERIFY(!again.isOnTrial());
        jump(clock, 24h * 21);
        QCOMPARE(again.reading().state, State::Jumped);
    }
    void trial_isTheFirstHourOfANewStateToo()
    {
        FakeClock clock;
        ClockWatch watch(clock);
        QVERIFY(watch.reading().isSure());
        QVERIFY(watch.isOnTrial());
        jump(clock, -24h * 400);
        QCOMPARE(watch.look(true).state, State::Behind);
        QCOMPARE(watch.now(), clock.now());
        watch.startOver();
        QVERIFY(watch.reading().isSure());
        QVERIFY(watch.isOnTrial());
        watch.accept();
        QVERIFY(!watch.isOnTrial());
    }
    void trial_goesOnInTheNextProcess()
    {
        FakeClock clock;
        const ClockMark mark = ClockWatch(clock).mark(u"a"_s);
        QVERIFY(mark.bootId.isEmpty());
        clock.advance(1min);
        ClockWatch again(clock);
        again.begin(mark, u"a"_s);
        QVERIFY(again.reading().isSure());
        jump(clock, 24h * 21);
        QCOMPARE(again.reading().state, State::Waiting);
    }
    void mark_isReadAsItWasWritten_andNothingElseIs()
    {
        const Steady steady;
        const ClockMark mark = steady.watch.mark(u"4f-1"_s);
        const auto read = ClockMark::parse(mark.toText());
        QVERIFY(read);
        QCOMPARE(read->wall, mark.wall);
        QVERIFY(read->monotonic == mark.monotonic);
        QCOMPARE(read->bootId, mark.bootId);
        for (const auto &text : {u""_s, u"1 2"_s, u"x 2 a"_s, u"1 x a"_s, u"1 2 a b"_s})
            QVERIFY2(!ClockMark::parse(text), qPrintable(text));
    }
};

QTEST_APPLESS_MAIN(TestClockWatch)
#include "tst_clock_watch.moc"

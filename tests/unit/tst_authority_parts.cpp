// The pure parts of the authority: lists of devices, rate limits, the trust runway.
#include "authority/enrolment_csv.h"
#include "authority/rate_limiter.h"
#include "authority/refusal_log.h"
#include "authority/runway.h"
#include "fakes/fake_clock.h"

#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {
QByteArray hashOf(int number)
{
    return QByteArray::number(number).rightJustified(64, 'a');
}
const QByteArray kHead = "hash,name,kind,site,space,tags\n";
} // namespace

class TestAuthorityParts : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    // --- CSV ---
    void csv_readsQuotesBlankLinesAndOtherOrders()
    {
        const auto list = parseEnrolments("\xef\xbb\xbfName, HASH ,tags,space\r\n\r\n a-1 ," + hashOf(1)
                                          + ",\"x;y\",\"Roof, \"\"north\"\"\"\r\n");
        QVERIFY2(list.problems.isEmpty(), list.problems.isEmpty() ? "" : qPrintable(list.problems.first().message));
        QCOMPARE(list.rows.size(), 1);
        QCOMPARE(list.rows[0].line, 3);
        QCOMPARE(list.rows[0].facts.name, u"a-1"_s);
        QCOMPARE(list.rows[0].facts.space, u"Roof, \"north\""_s);
        QCOMPARE(list.rows[0].facts.tags, (QStringList{u"x"_s, u"y"_s}));
    }
    void csv_everyBrokenRowIsNamedByItsLine()
    {
        const auto list = parseEnrolments(kHead + "zz,a,,,,\n" + hashOf(2) + ",b,,,\n" + hashOf(3) + ",b/c,,,,\n"
                                          + hashOf(4) + ",d,,,,\n" + hashOf(4) + ",e,,,,\n" + hashOf(6) + ",d,,,,\n"
                                          + hashOf(7) + ",f,\"open,,,\n");
        QList<int> lines;
        for (const EnrolmentProblem &problem : list.problems)
            lines.append(problem.line);
        QCOMPARE(lines, (QList<int>{2, 3, 4, 6, 7, 8}));
        QCOMPARE(list.rows.size(), 1);
    }
    void csv_everyProblemNamesItsColumn()
    {
        const QByteArray head = "name,hash,kind,site,space,tags,hardware,release\n";
        const auto list =
            parseEnrolments(head + "a,zz,,,,,,\n" + "b/c," + hashOf(2) + ",,,,,,\n" + "d," + hashOf(3) + ",\x01,,,,,\n"
                            + "e," + hashOf(4) + ",," + QByteArray(201, 's') + ",,,,\n" + "f," + hashOf(5) + ",,,,x;"
                            + QByteArray(201, 't') + ",,\n" + "g," + hashOf(6) + ",,,,,,1.4\n" + "h," + hashOf(7)
                            + ",,,\"roof\" top,,,\n" + "i," + hashOf(8) + ",,,,,,\n" + "i," + hashOf(9) + ",,,,,,\n"
                            + "j," + hashOf(8) + ",,,,,,\n" + "k," + hashOf(10) + ",,\"open,,,,\n");
        QStringList columns;
        for (const EnrolmentProblem &problem : list.problems)
            columns.append(u"%1 %2"_s.arg(problem.line).arg(problem.message.section(u':', 0, 0)));
        QCOMPARE(columns, (QStringList{u"2 hash"_s, u"3 name"_s, u"4 kind"_s, u"5 site"_s, u"6 tags"_s, u"7 release"_s,
                                       u"8 space"_s, u"10 name"_s, u"11 hash"_s, u"12 site"_s}));
        QCOMPARE(list.rows.size(), 1);
    }
    void csv_inAnotherEncodingIsRefused()
    {
        const auto list = parseEnrolments(kHead + hashOf(1) + ",a,,B\xfcro,,\n" + hashOf(2) + ",b,,Büro,,\n");
        QVERIFY(list.rows.isEmpty());
        QCOMPARE(list.problems.size(), 1);
        QCOMPARE(list.problems.first().line, 2);
        QCOMPARE(parseEnrolments(kHead + hashOf(2) + ",b,,Büro,,\n").rows.size(), 1);
    }
    void csv_thatIsNoListIsNotToldRowByRow()
    {
        const auto list = parseEnrolments(kHead + QByteArray("x\n").repeated(50'000));
        QCOMPARE(list.problems.size(), 1'001);
        QCOMPARE(list.problems.last().line, 1'002);
    }
    void csv_mayNameHardwareAndRelease()
    {
        const QByteArray head = "hash,name,hardware,release\n";
        const auto list = parseEnrolments(head + hashOf(1) + ",a,pi-5,1.4\n" + hashOf(2) + ",b,pi-5,\n");
        QCOMPARE(list.rows.size(), 2);
        QCOMPARE(list.rows[0].facts.hardware, u"pi-5"_s);
        QCOMPARE(list.rows[0].facts.release, u"1.4"_s);
        QCOMPARE(parseEnrolments(head + hashOf(3) + ",c,,1.4\n").problems.size(), 1); // a release of nothing
    }
    void csv_headLineIsNeeded()
    {
        QCOMPARE(parseEnrolments({}).problems.size(), 1);
        QCOMPARE(parseEnrolments(hashOf(1) + ",a,,,,\n").problems.first().line, 1);
        QVERIFY(!parseEnrolments("hash,kind\n").problems.isEmpty());
        QVERIFY(!parseEnrolments("hash,name,name\n").problems.isEmpty());
    }
    void ekHash_takesWhatToolsPrint()
    {
        QCOMPARE(*parseEkHash(QString(64, u'A')), QString(64, u'a'));
        QCOMPARE(*parseEkHash(u"AA:"_s.repeated(31) + u"aa"_s), QString(64, u'a'));
        QVERIFY(!parseEkHash(QString(63, u'a')));
        QVERIFY(!parseEkHash(QString(64, u'g')));
    }
    void facts_nameMustFitIntoASpiffeId()
    {
        QVERIFY(checkFacts({u"hvac-001"_s, {}, {}, {}, {}}));
        for (const QString &name : {u""_s, u"a/b"_s, u".."_s, u"ä"_s, u"a b"_s, QString(65, u'a')})
            QVERIFY(!checkFacts({name, {}, {}, {}, {}}));
        QVERIFY(!checkFacts({u"a"_s, u"x\ny"_s, {}, {}, {}}));
    }

    // --- Rate limits ---
    void limiter_aBuildingComesBackWithinFiveMinutes()
    {
        FakeClock clock;
        RateLimiter limiter(clock);
        // 1,000 devices behind one address; each tries, and when refused tries again after 5 to 15 s.
        std::vector<Timestamp> nextTry(1'000, clock.now());
        int waiting = 1'000;
        const Timestamp begin = clock.now();
        while (waiting > 0 && clock.now() < begin + 10min) {
            for (size_t i = 0; i < nextTry.size(); ++i) {
                if (nextTry[i] == Timestamp{} || clock.now() < nextTry[i])
                    continue;
                if (limiter.admitCall(u"192.0.2.1:%1"_s.arg(i), u"192.0.2.1"_s)
                    && limiter.admit(QString::number(i), u"192.0.2.1"_s)) {
                    nextTry[i] = {};
                    --waiting;
                } else {
                    nextTry[i] = clock.now() + 5s + Millis(qint64(i * 7919) % 10'000);
                }
            }
            clock.advance(250ms);
        }
        QCOMPARE(waiting, 0);
        QVERIFY(clock.now() - begin < 5min);
    }
    void limiter_oneChipCannotFlood_norUseUpItsBuildingsShare()
    {
        FakeClock clock;
        RateLimiter limiter(clock);
        int admitted = 0;
        for (int i = 0; i < 10'000; ++i) {
            admitted += bool(limiter.admit(u"flood"_s, u"192.0.2.1"_s));
            clock.advance(10ms);
        }
        QVERIFY(admitted <= 5 + 4); // the burst, and two a minute over 100 s
        const auto refused = limiter.admit(u"flood"_s, u"192.0.2.1"_s);
        QCOMPARE(refused.error().code, Errc::Full);
        for (int i = 0; i < 200; ++i)
            QVERIFY(limiter.admit(QString::number(i), u"192.0.2.1"_s));
        QVERIFY(limiter.admit(u"other"_s, u"192.0.2.2"_s));
    }
    void limiter_callsAreHeldByConnectionAndByAddress()
    {
        FakeClock clock;
        RateLimiter limiter(clock);
        int admitted = 0;
        for (int i = 0; i < 10'000; ++i)
            admitted += bool(limiter.admitCall(u"192.0.2.1:1"_s, u"192.0.2.1"_s));
        QCOMPARE(admitted, 10);
        QCOMPARE(limiter.admitCall(u"192.0.2.1:1"_s, u"192.0.2.1"_s).error().code, Errc::Full);
        QVERIFY(limiter.admitCall(u"192.0.2.1:2"_s, u"192.0.2.1"_s)); // a neighbour behind the same address
        for (int i = 0; i < 10'000; ++i)                              // connection after connection
            admitted += bool(limiter.admitCall(u"192.0.2.1:%1"_s.arg(100 + i), u"192.0.2.1"_s));
        QVERIFY(admitted <= 400);
        QVERIFY(limiter.admitCall(u"192.0.2.2:1"_s, u"192.0.2.2"_s));
        clock.advance(10s);
        QVERIFY(limiter.admitCall(u"192.0.2.1:2"_s, u"192.0.2.1"_s));
    }
    void limiter_anIPv6NetworkCountsAsOneAddress()
    {
        QCOMPARE(networkOf(u"192.0.2.1"_s), u"192.0.2.1"_s);
        QCOMPARE(networkOf(u"[::ffff:192.0.2.1]"_s), u"192.0.2.1"_s);
        QCOMPARE(networkOf(u"[2001:db8:1:2:aaaa::1]"_s), u"2001:db8:1:2::/64"_s);
        QCOMPARE(networkOf(u"fe80::1%eth0"_s), u"fe80::/64"_s);
        QCOMPARE(networkOf(u"gateway"_s), u"gateway"_s);

        FakeClock clock;
        RateLimiter limiter(clock);
        int calls = 0;
        int begun = 0;
        for (int i = 0; i < 2'000; ++i) { // of one network, an address for each attempt
            const QString address = u"[2001:db8:1:2::%1]"_s.arg(i, 0, 16);
            calls += bool(limiter.admitCall(address + u":443"_s, address));
            begun += bool(limiter.admit(QString::number(i), address));
        }
        QCOMPARE(calls, 400);
        QCOMPARE(begun, 200);
        QVERIFY(limiter.admit(u"k"_s, u"[2001:db8:1:3::1]"_s));
    }
    void refusals_areTogetherByAddressAndReason()
    {
        RefusalLog log;
        const FakeClock clock;
        log.add(u"a"_s, u"chip"_s, u"no"_s, clock.now());
        log.add(u"a"_s, u"chip"_s, u"no"_s, clock.now() + 5s);
        log.add(u"a"_s, u"chip"_s, u"never"_s, clock.now() + 7s);
        QCOMPARE(log.all().size(), 2);
        QCOMPARE(log.all().first().count, 2);
        QCOMPARE(log.all().first().lastAt - log.all().first().firstAt, 5s);
    }
    void refusals_memoryIsBounded()
    {
        RefusalLog log;
        const FakeClock clock;
        for (int i = 0; i < 10'000; ++i) // made-up chips: each its own sentence
            log.add(u"a"_s, QString::number(i), u"no, %1"_s.arg(i), clock.now());
        QCOMPARE(log.all().size(), RefusalLog::kMostReasons);
        for (int i = 0; i < 10'000; ++i)
            log.add(QString::number(i), {}, u"no"_s, clock.now());
        const auto all = log.all();
        QCOMPARE(all.size(), RefusalLog::kMost);
        qint64 count = 0;
        for (const Refusal &one : all)
            count += one.count;
        QCOMPARE(count, 20'000); // none is forgotten
    }
    void limiter_memoryIsBounded()
    {
        FakeClock clock;
        RateLimits limits;
        limits.maxBuckets = 100;
        RateLimiter limiter(clock, limits);
        for (int i = 0; i < 5; ++i)
            (void)limiter.admit(u"flood"_s, u"a"_s);
        for (int i = 0; i < 100'000; ++i)
            (void)limiter.admit(QString::number(i), QString::number(i));
        QVERIFY2(!limiter.admit(u"flood"_s, u"a"_s), "made-up names must not wash away who is limited");
    }
    void limiter_wallClockDoesNotMatter()
    {
        FakeClock clock;
        RateLimiter limiter(clock);
        while (limiter.admit(u"k"_s, u"a"_s)) {
        }
        clock.setNow(clock.now() + 24h);
        QVERIFY(!limiter.admit(u"k"_s, u"a"_s));
    }

    // --- Runway ---
    void runway_namesWhatEndsFirst()
    {
        const FakeClock clock;
        const auto runway = runwayReport(
            {{u"root"_s, clock.now() + 24h * 100, u"authority"_s}, {u"SVID"_s, clock.now() + 40min, u"authority"_s}},
            clock.now());
        QCOMPARE(runway.first->what, u"SVID"_s);
        QCOMPARE(runway.left, 40min);
        QVERIFY(runway.sentence.contains("40 minutes"_L1));
    }
    void runway_tellsOfWhatIsOverAndOfClocks()
    {
        const FakeClock clock;
        const auto over = runwayReport({{u"SVID"_s, clock.now() - 1s, u"authority"_s}}, clock.now());
        QCOMPARE(over.left, 0s);
        QVERIFY(over.sentence.contains("ended"_L1));
        const auto early = runwayReport({{u"root"_s, clock.now() + 1h, u"authority"_s, clock.now() - 1h},
                                         {u"issuing CA"_s, clock.now() + 24h, u"authority"_s, clock.now() + 1min}},
                                        clock.now());
        QCOMPARE(early.first->what, u"issuing CA"_s);
        QCOMPARE(early.left, 0s);
        QVERIFY(early.sentence.contains("not valid before"_L1));
        QVERIFY(!runwayReport({}, fromEpochMillis(5)).clockIsPlausible);
        QVERIFY(!runwayReport({}, clock.now()).first);
    }
};

QTEST_APPLESS_MAIN(TestAuthorityParts)
#include "tst_authority_parts.moc"

#include "sensor/report_filter.h"

#include <QTest>

using namespace lintel;
using namespace Qt::StringLiterals;
using namespace std::chrono_literals;

namespace {

Reading temp(double value, Quality quality = Quality::Good)
{
    return {u"temp"_s, value, Unit::Celsius, {}, quality, false};
}
Reading fan(bool on)
{
    return {u"fan"_s, on, Unit::None, {}, Quality::Good, false};
}

ReportRules rules()
{
    ReportRules rules;
    rules.period = 60s;
    rules.heartbeat = 5min;
    rules.points.insert(u"temp"_s, {0.5, {}});
    return rules;
}

} // namespace

class TestReportFilter : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void select_reportsTheFirstAndWhatMovedBeyondTheDeadband();
    void select_reportsAfterAHeartbeat();
    void select_reportsAChangedQuality();
    void select_comparesWithWhatWasReportedNotWithTheLastSample();
    void select_treatsNotANumberAsAValue();
    void select_reportsEverythingWhenTurnedOff();
    void forget_reportsEverythingAgain();
    void staleAfter_isThreeReportIntervals();
};

void TestReportFilter::select_reportsTheFirstAndWhatMovedBeyondTheDeadband()
{
    ReportFilter filter(rules());
    QCOMPARE(filter.select({temp(20), fan(false)}, 0s).size(), 2);
    QCOMPARE(filter.select({temp(20.5), fan(false)}, 60s).size(), 0);
    QCOMPARE(filter.select({temp(20.6), fan(true)}, 120s).size(), 2);
}

void TestReportFilter::select_reportsAfterAHeartbeat()
{
    ReportFilter filter(rules());
    QCOMPARE(filter.select({temp(20)}, 0s).size(), 1);
    QCOMPARE(filter.select({temp(20)}, 240s).size(), 0);
    QCOMPARE(filter.select({temp(20)}, 299'950ms).size(), 1); // timers come a little early
    QCOMPARE(filter.select({temp(20)}, 360s).size(), 0);
}

void TestReportFilter::select_reportsAChangedQuality()
{
    ReportFilter filter(rules());
    QCOMPARE(filter.select({temp(20)}, 0s).size(), 1);
    QCOMPARE(filter.select({temp(20, Quality::Bad)}, 60s).size(), 1);
    QCOMPARE(filter.select({temp(20, Quality::Bad)}, 120s).size(), 0);
    QCOMPARE(filter.select({temp(20)}, 180s).size(), 1);
}

void TestReportFilter::select_comparesWithWhatWasReportedNotWithTheLastSample()
{
    ReportFilter filter(rules());
    QCOMPARE(filter.select({temp(20)}, 0s).size(), 1);
    QCOMPARE(filter.select({temp(20.3)}, 60s).size(), 0);
    QCOMPARE(filter.select({temp(20.6)}, 120s).size(), 1); // slow drift does not slip through
}

void TestReportFilter::select_treatsNotANumberAsAValue()
{
    ReportFilter filter(rules());
    QCOMPARE(filter.select({temp(qQNaN())}, 0s).size(), 1);
    QCOMPARE(filter.select({temp(qQNaN())}, 60s).size(), 0);
    QCOMPARE(filter.select({temp(1)}, 120s).size(), 1);
}

void TestReportFilter::select_reportsEverythingWhenTurnedOff()
{
    ReportRules all = rules();
    all.byException = false;
    ReportFilter filter(all);
    for (int i = 0; i < 3; ++i)
        QCOMPARE(filter.select({temp(20)}, i * 60s).size(), 1);
    QCOMPARE(all.staleAfter(u"temp"_s), Millis{180s});
}

void TestReportFilter::forget_reportsEverythingAgain()
{
    ReportFilter filter(rules());
    QCOMPARE(filter.select({temp(20)}, 0s).size(), 1);
    filter.forget();
    QCOMPARE(filter.select({temp(20)}, 60s).size(), 1);
}

void TestReportFilter::staleAfter_isThreeReportIntervals()
{
    ReportRules some = rules();
    some.points.insert(u"fan"_s, {0, 10min});
    QCOMPARE(some.staleAfter(u"temp"_s), Millis{15min});
    QCOMPARE(some.staleAfter(u"fan"_s), Millis{30min});
}

QTEST_GUILESS_MAIN(TestReportFilter)
#include "tst_report_filter.moc"

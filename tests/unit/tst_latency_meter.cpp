#include "ingestion/latency_meter.h"

#include <QTest>

using lintel::LatencyMeter;
using lintel::Millis;

class TestLatencyMeter : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void percentile_ofNothingIsZero() { QVERIFY(LatencyMeter().percentile(99) == Millis{0}); }

    void percentile_isExactBelowASecond()
    {
        LatencyMeter meter;
        for (int ms = 1; ms <= 100; ++ms)
            meter.add(Millis{ms});
        QVERIFY(meter.percentile(50) == Millis{50});
        QVERIFY(meter.percentile(99) == Millis{99});
        QCOMPARE(meter.count(), 100u);
    }

    void percentile_isNeverTooGoodAbove()
    {
        LatencyMeter meter;
        for (const qint64 ms : {1'234, 12'345, 123'456, 5'000'000}) {
            LatencyMeter one;
            one.add(Millis{ms});
            QVERIFY(one.percentile(50) >= Millis{std::min<qint64>(ms, 1'000'000)});
            QVERIFY(one.percentile(50) <= Millis{ms + ms / 50});
        }
    }

    void add_aClockThatRunsAheadCountsAsZero()
    {
        LatencyMeter meter;
        meter.add(Millis{-5'000});
        QVERIFY(meter.percentile(50) == Millis{0});
    }
};

QTEST_GUILESS_MAIN(TestLatencyMeter)
#include "tst_latency_meter.moc"

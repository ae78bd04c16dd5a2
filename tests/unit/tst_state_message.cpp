// The STATE message: what a host writes, and what is refused.
#include "sparkplug/state_message.h"

#include <QTest>

using namespace lintel;
using namespace lintel::sparkplug;
using namespace Qt::StringLiterals;

class TestStateMessage : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void encode_isRead()
    {
        const HostState state{true, fromEpochMillis(1'795'254'060'123)};
        QCOMPARE(encodeState(state), "{\"online\":true,\"timestamp\":1795254060123}"_ba);
        const auto read = decodeState(encodeState(state));
        QVERIFY(read);
        QCOMPARE(*read, state);
        const auto offline = decodeState("{ \"timestamp\" : 0, \"online\" : false, \"more\" : [1] }");
        QVERIFY(offline);
        QCOMPARE(*offline, (HostState{false, fromEpochMillis(0)}));
    }
    void decode_refusesWhatIsNoState_data()
    {
        QTest::addColumn<QByteArray>("json");
        QTest::newRow("empty") << ""_ba;
        QTest::newRow("of Sparkplug 2.2") << "ONLINE"_ba;
        QTest::newRow("array") << "[true, 1]"_ba;
        QTest::newRow("no time") << "{\"online\":true}"_ba;
        QTest::newRow("no state") << "{\"timestamp\":1}"_ba;
        QTest::newRow("a number for a boolean") << "{\"online\":1,\"timestamp\":1}"_ba;
        QTest::newRow("a text for a time") << "{\"online\":true,\"timestamp\":\"1\"}"_ba;
        QTest::newRow("half a millisecond") << "{\"online\":true,\"timestamp\":1.5}"_ba;
        QTest::newRow("before 1970") << "{\"online\":true,\"timestamp\":-1}"_ba;
        QTest::newRow("beyond 64 bits") << "{\"online\":true,\"timestamp\":1e300}"_ba;
        QTest::newRow("cut off") << "{\"online\":true,\"timest"_ba;
    }
    void decode_refusesWhatIsNoState()
    {
        QFETCH(QByteArray, json);
        const auto read = decodeState(json);
        QVERIFY(!read);
        QCOMPARE(read.error().code, Errc::Malformed);
        QVERIFY(read.error().message.contains("Sparkplug B 3.0"_L1));
    }
};

QTEST_GUILESS_MAIN(TestStateMessage)
#include "tst_state_message.moc"

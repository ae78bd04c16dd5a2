#include "contract/mqtt_transport_contract.h"
#include "fakes/fake_clock.h"
#include "mqtt/loopback_transport.h"
#include "mqtt/topic_rules.h"

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

class TestLoopbackTransport final : public MqttTransportContract
{
    Q_OBJECT

    std::unique_ptr<MqttTransport> makeClient(const QString &) override
    {
        return std::make_unique<LoopbackTransport>(m_broker);
    }
    void breakConnection(const QString &name) override
    {
        m_broker.cut(name);
        m_broker.restore(name);
    }
    void setReachable(bool reachable) override { m_broker.setReachable(reachable); }

    LoopbackBroker m_broker;

private Q_SLOTS:
    void keptSession_expires()
    {
        FakeClock clock;
        LoopbackBroker broker(clock);
        LoopbackTransport transport(broker);
        QSignalSpy connected(&transport, &MqttTransport::connected);
        const auto keep = [] {
            return MqttConnect{u"c"_s, {}, std::chrono::seconds{30}, false, std::chrono::seconds{60}};
        };
        transport.start(keep);
        QTRY_COMPARE(connected.size(), 1);
        QVERIFY(transport.subscribe(u"a"_s, 1));
        transport.stop();
        clock.advance(std::chrono::seconds{61});
        transport.start(keep);
        QTRY_COMPARE(connected.size(), 2);
        QCOMPARE(connected.last().first().toBool(), false);
        QVERIFY(broker.subscriptions(u"c"_s).isEmpty());
    }

    void filters_matchAsTheStandardSays_data()
    {
        QTest::addColumn<QString>("filter");
        QTest::addColumn<QString>("topic");
        QTest::addColumn<bool>("match");
        const auto row = [](const char *filter, const char *topic, bool match) {
            QTest::addRow("%s ~ %s", filter, topic)
                << QString::fromLatin1(filter) << QString::fromLatin1(topic) << match;
        };
        row("sport/tennis/player1/#", "sport/tennis/player1", true);
        row("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true);
        row("sport/#", "sport", true);
        row("#", "a/b", true);
        row("sport/tennis/+", "sport/tennis/player1", true);
        row("sport/tennis/+", "sport/tennis/player1/ranking", false);
        row("sport/+", "sport", false);
        row("sport/+", "sport/", true);
        row("+/+", "/finance", true);
        row("/+", "/finance", true);
        row("+", "/finance", false);
        row("#", "$SYS/x", false);
        row("+/x", "$SYS/x", false);
        row("$SYS/#", "$SYS/x", true);
        row("a/b", "a/b/c", false);
    }
    void filters_matchAsTheStandardSays()
    {
        QFETCH(QString, filter);
        QFETCH(QString, topic);
        QTEST(mqtt::matches(filter, topic), "match");
    }
};

QTEST_GUILESS_MAIN(TestLoopbackTransport)
#include "tst_loopback_transport.moc"

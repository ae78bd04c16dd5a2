// What every MqttTransport promises. An adapter's test derives from this class and says how to make
// a client and how to hurt its connection; what needs TLS is in mqtt_tls_contract.h.
#pragma once

#include "ports/mqtt_transport.h"

#include <QElapsedTimer>
#include <QSignalSpy>
#include <QTest>

#include <memory>

namespace lintel::test {

constexpr int kWait = 20'000; // generous: the machine may be busy

class MqttTransportContract : public QObject
{
    Q_OBJECT

protected:
    using State = MqttTransport::State;
    using Goodbye = MqttTransport::Goodbye;

    /// A fresh client; `name` is its MQTT client id, too.
    virtual std::unique_ptr<MqttTransport> makeClient(const QString &name) = 0;
    /// Its connection breaks without a word; it can connect again at once.
    virtual void breakConnection(const QString &name) = 0;
    /// Nobody can reach the broker, or everybody again.
    virtual void setReachable(bool reachable) = 0;
    /// After each test function.
    virtual void tidyUp() {}

    static MqttConnect packet(const QString &name)
    {
        MqttConnect connect;
        connect.clientId = name;
        return connect;
    }

    /// A client that records what it hears.
    struct Client {
        Client(MqttTransportContract &contract, QString clientName)
            : name(std::move(clientName)), transport(contract.makeClient(name)),
              connected(transport.get(), &MqttTransport::connected),
              disconnected(transport.get(), &MqttTransport::disconnected),
              connectFailed(transport.get(), &MqttTransport::connectFailed)
        {
            QObject::connect(transport.get(), &MqttTransport::messageReceived, transport.get(),
                             [this](const MqttMessage &m) { messages.append(m); });
        }

        bool start(std::function<MqttConnect()> make = {})
        {
            transport->start(make ? std::move(make) : [n = name] { return packet(n); });
            return QTest::qWaitFor([this] { return transport->state() == State::Connected && !connected.isEmpty(); },
                                   kWait);
        }
        /// Subscribes and waits until the subscription is in force.
        bool listen(const QString &filter, int qos = 1)
        {
            const QString probe = QStringLiteral("probe/%1").arg(name);
            if (!transport->subscribe(filter, qos) || !transport->subscribe(probe, 1)
                || !transport->publish({probe, QByteArrayLiteral("ready"), 1, false}))
                return false;
            const bool heard = QTest::qWaitFor(
                [&] {
                    return std::any_of(messages.cbegin(), messages.cend(),
                                       [&](const auto &m) { return m.topic == probe; });
                },
                kWait);
            messages.removeIf([&](const MqttMessage &m) { return m.topic == probe; });
            return heard;
        }
        [[nodiscard]] bool heard(qsizetype count, int timeout = kWait)
        {
            return QTest::qWaitFor([&] { return messages.size() >= count; }, timeout);
        }

        QString name;
        std::unique_ptr<MqttTransport> transport;
        QSignalSpy connected;
        QSignalSpy disconnected;
        QSignalSpy connectFailed;
        QList<MqttMessage> messages;
    };

    static std::function<MqttConnect()> withWill(const QString &name, const QString &topic)
    {
        return [=] {
            MqttConnect connect = packet(name);
            connect.will = MqttMessage{topic, QByteArrayLiteral("gone"), 1, false};
            return connect;
        };
    }

private Q_SLOTS:
    void initTestCase()
    {
        qRegisterMetaType<lintel::Error>();
        qRegisterMetaType<std::chrono::milliseconds>();
    }

    void cleanup() { tidyUp(); }

    void start_connectsAndSaysSoFromTheEventLoop()
    {
        const auto transport = makeClient(QStringLiteral("c1"));
        QSignalSpy states(transport.get(), &MqttTransport::stateChanged);
        QSignalSpy connected(transport.get(), &MqttTransport::connected);
        QCOMPARE(transport->state(), State::Stopped);
        transport->start([] { return packet(QStringLiteral("c1")); });
        QVERIFY(states.isEmpty() && connected.isEmpty());
        QTRY_COMPARE_WITH_TIMEOUT(connected.size(), 1, kWait);
        QCOMPARE(transport->state(), State::Connected);
        QCOMPARE(connected.first().first().toBool(), false);
        QCOMPARE(states.size(), 2);
        QCOMPARE(states[0][0].value<State>(), State::Connecting);
        QCOMPARE(states[1][0].value<State>(), State::Connected);
    }

    void publish_isRefusedWhileDisconnected()
    {
        const auto transport = makeClient(QStringLiteral("c1"));
        const auto published = transport->publish({QStringLiteral("a/b"), {}, 0, false});
        QVERIFY(!published);
        QCOMPARE(published.error().code, Errc::Unavailable);
        const auto subscribed = transport->subscribe(QStringLiteral("a/#"), 1);
        QVERIFY(!subscribed);
        QCOMPARE(subscribed.error().code, Errc::Unavailable);
    }

    void publish_refusesWhatABrokerWouldDisconnectFor()
    {
        Client client(*this, QStringLiteral("c1"));
        QVERIFY(client.start());
        for (const auto &topic : {QString(), QStringLiteral("a/+/b"), QStringLiteral("a/#")})
            QCOMPARE(client.transport->publish({topic, {}, 0, false}).error().code, Errc::Malformed);
        for (const auto &filter : {QString(), QStringLiteral("a/#/b"), QStringLiteral("a/b+")})
            QCOMPARE(client.transport->subscribe(filter, 0).error().code, Errc::Malformed);
        QCOMPARE(client.transport->state(), State::Connected);
    }

    void messages_arriveInOrderWithTheirQos()
    {
        Client sender(*this, QStringLiteral("sender"));
        Client receiver(*this, QStringLiteral("receiver"));
        QVERIFY(sender.start() && receiver.start());
        QVERIFY(receiver.listen(QStringLiteral("order/+"), 1));
        constexpr int kCount = 1'000;
        for (int i = 0; i < kCount; ++i)
            QVERIFY(QTest::qWaitFor(
                [&] { // the queue may be full for a moment
                    return bool(
                        sender.transport->publish({QStringLiteral("order/x"), QByteArray::number(i), 1, false}));
                },
                kWait));
        QVERIFY(receiver.heard(kCount));
        for (int i = 0; i < kCount; ++i)
            QCOMPARE(receiver.messages[i].payload, QByteArray::number(i));
        QCOMPARE(receiver.messages.first().qos, 1);
        QVERIFY(!receiver.messages.first().retain);
    }

    void bigPayload_arrivesWhole()
    {
        Client client(*this, QStringLiteral("c1"));
        QVERIFY(client.start());
        QVERIFY(client.listen(QStringLiteral("big")));
        QByteArray payload(256 * 1024, Qt::Uninitialized);
        for (qsizetype i = 0; i < payload.size(); ++i)
            payload[i] = static_cast<char>(i * 31 % 251);
        QVERIFY(client.transport->publish({QStringLiteral("big"), payload, 1, false}));
        QVERIFY(client.heard(1));
        QCOMPARE(client.messages.first().payload, payload);
    }

    void retained_reachesWhoComesLaterAndSaysSo()
    {
        Client sender(*this, QStringLiteral("sender"));
        QVERIFY(sender.start());
        QVERIFY(sender.listen(QStringLiteral("kept/a")));
        QVERIFY(sender.transport->publish({QStringLiteral("kept/a"), QByteArrayLiteral("v"), 1, true}));
        QVERIFY(sender.heard(1));
        QVERIFY(!sender.messages.first().retain); // it was there when it was sent
        Client late(*this, QStringLiteral("late"));
        QVERIFY(late.start());
        QVERIFY(late.listen(QStringLiteral("kept/#")));
        QVERIFY(late.heard(1));
        QCOMPARE(late.messages.first().payload, QByteArrayLiteral("v"));
        QVERIFY(late.messages.first().retain);
        QVERIFY(sender.transport->publish({QStringLiteral("kept/a"), {}, 1, true})); // and away
        QVERIFY(sender.heard(2));
    }

    void stop_gracefullyForgetsTheWill()
    {
        Client watcher(*this, QStringLiteral("watcher"));
        QVERIFY(watcher.start() && watcher.listen(QStringLiteral("will/#")));
        Client client(*this, QStringLiteral("mortal"));
        QVERIFY(client.start(withWill(client.name, QStringLiteral("will/mortal"))));
        QVERIFY(client.transport->publish({QStringLiteral("will/last"), QByteArrayLiteral("words"), 1, false}));
        client.transport->stop(Goodbye::Graceful);
        QCOMPARE(client.transport->state(), State::Stopped);
        QVERIFY(client.disconnected.isEmpty()); // not from inside the call
        QTRY_COMPARE_WITH_TIMEOUT(client.disconnected.size(), 1, kWait);
        QVERIFY(watcher.transport->publish({QStringLiteral("will/end"), {}, 1, false}));
        QVERIFY(watcher.heard(2));
        QCOMPARE(watcher.messages[0].topic, QStringLiteral("will/last")); // what was handed over was sent
        QCOMPARE(watcher.messages[1].topic, QStringLiteral("will/end"));
    }

    void stop_withWillPublishesIt()
    {
        Client watcher(*this, QStringLiteral("watcher"));
        QVERIFY(watcher.start() && watcher.listen(QStringLiteral("will/#")));
        Client client(*this, QStringLiteral("mortal"));
        QVERIFY(client.start(withWill(client.name, QStringLiteral("will/mortal"))));
        client.transport->stop(Goodbye::WithWill);
        QVERIFY(watcher.heard(1));
        QCOMPARE(watcher.messages.first().topic, QStringLiteral("will/mortal"));
        QCOMPARE(watcher.messages.first().payload, QByteArrayLiteral("gone"));
        QTRY_COMPARE_WITH_TIMEOUT(client.disconnected.size(), 1, kWait);
    }

    void destruction_publishesTheWill()
    {
        Client watcher(*this, QStringLiteral("watcher"));
        QVERIFY(watcher.start() && watcher.listen(QStringLiteral("will/#")));
        auto client = std::make_unique<Client>(*this, QStringLiteral("mortal"));
        QVERIFY(client->start(withWill(client->name, QStringLiteral("will/mortal"))));
        QElapsedTimer timer;
        timer.start();
        client.reset();
        QVERIFY(timer.elapsed() < 2'500);
        QVERIFY(watcher.heard(1));
    }

    void brokenConnection_publishesTheWillAndReturnsWithANewOne()
    {
        Client watcher(*this, QStringLiteral("watcher"));
        QVERIFY(watcher.start() && watcher.listen(QStringLiteral("will/#")));
        Client client(*this, QStringLiteral("mortal"));
        int births = 0;
        QVERIFY(client.start([&] {
            MqttConnect connect = packet(QStringLiteral("mortal"));
            connect.will = MqttMessage{QStringLiteral("will/mortal"), QByteArray::number(births++), 1, false};
            return connect;
        }));
        breakConnection(client.name);
        QTRY_COMPARE_WITH_TIMEOUT(client.disconnected.size(), 1, kWait);
        QVERIFY(!client.disconnected.first().first().value<Error>().message.isEmpty());
        QTRY_COMPARE_WITH_TIMEOUT(client.connected.size(), 2, kWait);
        breakConnection(client.name);
        QTRY_COMPARE_WITH_TIMEOUT(client.connected.size(), 3, kWait);
        QVERIFY(watcher.heard(2));
        QVERIFY(watcher.messages[0].payload.toInt() < watcher.messages[1].payload.toInt());
    }

    void unreachableBroker_isTriedAgainWithLongerAndUnevenWaits()
    {
        setReachable(false);
        Client client(*this, QStringLiteral("c1"));
        Client other(*this, QStringLiteral("c2"));
        client.transport->start([] { return packet(QStringLiteral("c1")); });
        other.transport->start([] { return packet(QStringLiteral("c2")); });
        QTRY_VERIFY_WITH_TIMEOUT(client.connectFailed.size() >= 5 && other.connectFailed.size() >= 5, kWait * 2);
        const auto waitsOf = [](const QSignalSpy &failures) {
            QList<qint64> waits;
            for (const auto &arguments : failures.first(5))
                waits << arguments[1].value<std::chrono::milliseconds>().count();
            return waits;
        };
        for (const auto &arguments : std::as_const(client.connectFailed))
            QVERIFY(!arguments[0].value<Error>().message.isEmpty());
        const QList<qint64> waits = waitsOf(client.connectFailed);
        QVERIFY2(waits[3] > waits[0], "the fourth wait is eight times the first before chance");
        // A building full of clients that lost one broker does not come back all at once.
        QVERIFY2(waits != waitsOf(other.connectFailed), "no chance in the waits");
        other.transport->stop();
        QVERIFY(client.transport->state() == State::WaitingToRetry || client.transport->state() == State::Connecting);
        setReachable(true);
        QTRY_COMPARE_WITH_TIMEOUT(client.connected.size(), 1, kWait);
    }

    void stop_endsAttempts()
    {
        setReachable(false);
        Client client(*this, QStringLiteral("c1"));
        client.transport->start([] { return packet(QStringLiteral("c1")); });
        QTRY_VERIFY_WITH_TIMEOUT(!client.connectFailed.isEmpty(), kWait);
        client.transport->stop();
        QCOMPARE(client.transport->state(), State::Stopped);
        setReachable(true);
        QTest::qWait(300);
        QVERIFY(client.connected.isEmpty());
        QVERIFY(client.disconnected.isEmpty()); // it never was connected
    }

    void cleanStart_remembersNothing()
    {
        Client client(*this, QStringLiteral("c1"));
        QVERIFY(client.start());
        QVERIFY(client.listen(QStringLiteral("news")));
        breakConnection(client.name);
        QTRY_COMPARE_WITH_TIMEOUT(client.connected.size(), 2, kWait);
        QCOMPARE(client.connected.last().first().toBool(), false);
        QVERIFY(client.transport->publish({QStringLiteral("news"), QByteArrayLiteral("1"), 1, false}));
        QVERIFY(client.listen(QStringLiteral("other"))); // a round trip later it has not come
        QVERIFY(client.messages.isEmpty());
    }

    void resumedSession_bringsWhatWasMissed()
    {
        Client sender(*this, QStringLiteral("sender"));
        QVERIFY(sender.start());
        Client client(*this, QStringLiteral("c1"));
        const auto keep = [] {
            MqttConnect connect = packet(QStringLiteral("c1"));
            connect.cleanStart = false;
            connect.sessionExpiry = std::chrono::minutes{5};
            return connect;
        };
        QVERIFY(client.start(keep));
        QCOMPARE(client.connected.first().first().toBool(), false);
        QVERIFY(client.listen(QStringLiteral("news")));
        client.transport->stop();
        QTRY_COMPARE_WITH_TIMEOUT(client.disconnected.size(), 1, kWait);
        QVERIFY(sender.listen(QStringLiteral("news")));
        QVERIFY(sender.transport->publish({QStringLiteral("news"), QByteArrayLiteral("missed"), 1, false}));
        QVERIFY(sender.heard(1));
        client.transport->start(keep);
        QTRY_COMPARE_WITH_TIMEOUT(client.connected.size(), 2, kWait);
        QCOMPARE(client.connected.last().first().toBool(), true);
        QVERIFY(client.heard(1));
        QCOMPARE(client.messages.first().payload, QByteArrayLiteral("missed"));
        // Leave no session behind for the next test.
        client.transport->stop();
        QTRY_COMPARE_WITH_TIMEOUT(client.disconnected.size(), 2, kWait);
        QVERIFY(client.start());
    }

    void reconnect_isOneNewConnection()
    {
        Client watcher(*this, QStringLiteral("watcher"));
        QVERIFY(watcher.start() && watcher.listen(QStringLiteral("will/#")));
        Client client(*this, QStringLiteral("mortal"));
        QVERIFY(client.start(withWill(client.name, QStringLiteral("will/mortal"))));
        client.transport->reconnect(Goodbye::Graceful);
        QCOMPARE(client.transport->state(), State::Connecting);
        QTRY_COMPARE_WITH_TIMEOUT(client.connected.size(), 2, kWait);
        QCOMPARE(client.disconnected.size(), 1);
        QVERIFY(watcher.messages.isEmpty());
        client.transport->reconnect(Goodbye::WithWill);
        QTRY_COMPARE_WITH_TIMEOUT(client.connected.size(), 3, kWait);
        QVERIFY(watcher.heard(1));
    }

    void sameClientId_takesTheConnectionOver()
    {
        Client first(*this, QStringLiteral("twin"));
        QVERIFY(first.start());
        Client second(*this, QStringLiteral("twin"));
        QVERIFY(second.start());
        QTRY_VERIFY_WITH_TIMEOUT(!first.disconnected.isEmpty(), kWait);
        const Error reason = first.disconnected.first().first().value<Error>();
        QVERIFY(!reason.message.isEmpty()); // "taken over" reaches not every library before the end does
        first.transport->stop();
        second.transport->stop();
    }

    void destroyWhileConnecting_isQuickAndQuiet()
    {
        for (int i = 0; i < 20; ++i) {
            const auto transport = makeClient(QStringLiteral("c%1").arg(i));
            transport->start([i] { return packet(QStringLiteral("c%1").arg(i)); });
            for (int turn = 0; turn < i; ++turn)
                QCoreApplication::processEvents(QEventLoop::AllEvents, 1);
        }
    }
};

} // namespace lintel::test

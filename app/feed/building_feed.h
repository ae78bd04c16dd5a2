// SPDX-License-Identifier: GPL-3.0-only
// Fills a BuildingStore from a broker: listens as a Sparkplug observer, and asks the host behind
// the broker (a gateway or the cloud) by calls for what it missed: births, the device list, history
// of a picked point, and how its buffer stands.
//
// Owned by main(). GUI thread, as its transport. A failed call changes nothing on the screen but
// what depends on it; a lost connection and a refused subscription are told to the store in words.
#pragma once

#include "calls/call_client.h"
#include "feed/building_store.h"
#include "feed/call_answers.h"
#include "ports/identity_source.h"
#include "sparkplug/host_session.h"

#include <QSet>
#include <QTimer>

namespace lintel {

struct FeedConfig {
    Principal self;
    Principal host;       // whom to call
    QStringList sites;    // Sparkplug groups; empty = all
    QString broker;       // for people: "gateway.local:8883"
    bool example = false; // offline mode
    std::chrono::seconds keepAlive{30};
    Principal gateway{};             // whose buffer stands in the trust strip; empty = the host's
    QList<Principal> moreGateways{}; // of other sites, who tell of their identities, queues and refusals
};

class BuildingFeed : public QObject
{
    Q_OBJECT
public:
    /// `identity` may be null (offline mode); otherwise it outlives the feed, as the others do.
    BuildingFeed(FeedConfig config, const Clock &clock, MqttTransport &transport, IdentitySource *identity,
                 BuildingStore &store, QObject *parent = nullptr);

    void start();
    void stop();
    /// Asks for the history of a point and gives it to the store.
    void fetchHistory(int point, Timestamp from, Timestamp to);

    [[nodiscard]] sparkplug::HostSession::Counters counters() const { return m_session.counters(); }

private:
    void onConnected();
    void onTransportState(MqttTransport::State state);
    void onConnectFailed(const Error &reason, std::chrono::milliseconds retryIn);
    void onDisconnected(const Error &reason);
    void onSubscriptionRefused();
    void onIdentityChanged();
    void readBirths();
    void listDevices();
    struct Source {
        Principal id;
        QString site{};                           // as it told, or the only one that is shown
        std::optional<Timestamp> answeredAt{};    // last
        QSet<std::pair<QString, QString>> told{}; // group and name of whose identity it told last time
    };
    void askStatus();
    void askStatusOf(std::size_t source);
    void useStatus(Source &source, const QCborMap &status);
    void call(const QString &method, const QCborMap &args, std::function<void(const QCborMap &)> use);
    void call(const Principal &callee, const QString &method, const QCborMap &args, CallClient::Done done);

    FeedConfig m_config;
    const Clock &m_clock;
    MqttTransport &m_transport;
    IdentitySource *m_identity;
    BuildingStore &m_store;
    sparkplug::HostSession m_session;
    CallClient m_calls;
    QTimer m_tick;
    QTimer m_statusTimer;
    QTimer m_listTimer;
    QTimer m_birthsTimer; // several missed births are one question
    BufferEstimate m_buffer;
    std::vector<Source> m_sources; // the first one's buffer counts
    bool m_everConnected = false;
};

} // namespace lintel

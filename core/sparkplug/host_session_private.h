// What the parts of HostSession share; nobody else includes it.
#pragma once

#include "domain/topic.h"
#include "sparkplug/host_node.h"

#include <QMap>

namespace lintel::sparkplug {

struct HostSession::Private {
    Private(HostSession *session, HostConfig c, const Clock &cl, MqttTransport &t)
        : q(session), config(std::move(c)), clock(cl), transport(t)
    {}

    using NodePtr = std::shared_ptr<HostNode>;

    // Connection and commands (host_session.cpp)
    MqttConnect connectPacket();
    void onConnected();
    void onDisconnected();
    void onTransportState(MqttTransport::State state);
    void onMessage(const MqttMessage &message);
    void onState(const StateTopic &topic, const MqttMessage &message);
    bool catchUp(Timestamp seen);
    [[nodiscard]] Result<void> publishState(bool online, Timestamp at);
    [[nodiscard]] Result<void> sendMetrics(const NodeId &node, const QString &device, QList<Metric> metrics);
    void leave();
    bool isHost() const { return config.role == HostConfig::Role::Host; }
    void report(const Error &error) { Q_EMIT q->trouble(error); }

    // Messages of nodes (host_messages.cpp)
    NodePtr nodeFor(const NodeId &id);
    void onNodeBirth(HostNode &node, const HeldMessage &message, bool recorded);
    void onNodeDeath(HostNode &node, const Payload &payload);
    void onSequenced(HostNode &node, HeldMessage message);
    void deliver(HostNode &node, const HeldMessage &message);
    void onDeviceBirth(HostNode &node, const HeldMessage &message);
    void onDeviceDeath(HostNode &node, const HeldMessage &message);
    void onData(HostNode &node, const HeldMessage &message);
    void refuse(const Error &why, const HeldMessage &message);
    void drain(HostNode &node);
    void giveUpWaiting(HostNode &node);
    void wantRebirth(HostNode &node);
    void markDead(HostNode &node);
    void markDead(HostEntity &device, Timestamp since);
    void check(HostNode &node);
    void heard(HostNode &node);
    void listenForSilence(HostNode &node);
    void emitValues(const HostEntity &entity, QList<Reading> values);
    void learnBirth(const RecordedBirth &birth);

    HostSession *q;
    HostConfig config;
    const Clock &clock;
    MqttTransport &transport;

    bool running = false;
    bool connected = false;
    bool stopping = false;
    Timestamp stateTime{};                    // of the last CONNECT; the will's, the birth's
    std::optional<Timestamp> latestStateTime; // that this host ever gave, as far as it is known
    bool catchUpDue = false;                  // the next connection is made to give a later time …
    bool isCatchUp = false;                   // … and this one was
    QHash<NodeId, NodePtr> nodes;
    QMap<QString, QString> refused; // by filter: the sentence; of this connection
    Counters counters;
};

} // namespace lintel::sparkplug

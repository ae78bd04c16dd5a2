// What the parts of EdgeNodeSession share; nobody else includes it.
#pragma once

#include "sparkplug/edge_node_session.h"

#include <QMap>
#include <QPointer>

#include <deque>
#include <map>

namespace lintel::sparkplug {

using Nanos = std::chrono::nanoseconds;

/// The node itself or one of its devices: what it was born with.
struct Entity {
    EdgeDevice device; // name empty: the node itself
    bool isNode = false;
    bool born = false;
    bool deathDue = false;           // went offline: DDEATH is still to be sent
    Msn lastMsn = 0;                 // last batch sent for it
    QHash<QString, quint64> aliases; // by metric name; kept for the life of the session
    QHash<QString, Reading> current; // newest reading sent of each point: the values of the next birth
};

struct InFlight {
    Msn msn = 0;
    Nanos sentAt{};
};

struct EdgeNodeSession::Private {
    Private(EdgeNodeSession *session, EdgeNodeConfig c, const Clock &cl, MqttTransport &t, ReadingSpool &s,
            StateStore &st)
        : q(session), config(std::move(c)), clock(cl), transport(t), spool(s), state(st)
    {}

    // Connection (edge_node_session.cpp)
    MqttConnect connectPacket();
    quint8 takeBirthSequence();
    void onConnected();
    void onDisconnected();
    void onTransportState(MqttTransport::State transportState);
    void onMessage(const MqttMessage &message);
    void onHostState(const QByteArray &payload);
    void reportIgnored(Timestamp said);
    void onCommand(const QString &device, const QByteArray &bytes);
    void leave();
    void setPhase(Phase next);
    void report(const Error &error) { Q_EMIT q->trouble(error); }

    // Births and deaths (edge_births.cpp)
    bool publish(SparkplugVerb verb, const QString &device, Payload payload);
    bool sendBirths();
    bool sendNodeBirth();
    bool sendDeviceBirth(Entity &entity);
    bool sendTrust();
    bool sendDeviceDeath(Entity &entity);
    void endDevices(Msn head);
    void forgetBirths();
    quint64 aliasOf(Entity &entity, const QString &metric);
    void name(Metric &metric, Entity &entity, QStringView metricName);
    QList<Metric> pointMetrics(Entity &entity, Timestamp now);
    Entity &entityFor(const QString &deviceName);
    bool explain(Entity &entity, const ReadingBatch &batch);

    // Store and forward (edge_custody.cpp)
    void pump();
    bool pumpOnce();
    bool sendChunk(const QList<StoredBatch> &chunk, Msn head);
    void noteStall(Msn head);
    bool isSendDue() const;
    Msn release(Msn head);
    bool sendBatch(const StoredBatch &stored);
    bool announceTail();
    void sendAgain();
    void onAck(const Payload &command);
    void checkTimeouts();
    void keepBooksByTime(Nanos now);
    void loadTaken();
    void onTaken();
    void tellTaken();
    bool mayWait() const { return phase != Phase::BestEffort; }

    EdgeNodeSession *q;
    EdgeNodeConfig config;
    const Clock &clock;
    MqttTransport &transport;
    ReadingSpool &spool;
    StateStore &state;

    Phase phase = Phase::Stopped;
    bool connected = false;
    bool stopping = false;
    bool hostOnline = false;
    // The newest of this connection, so that a host whose clock was set back is locked out no longer than it.
    std::optional<Timestamp> hostStateTime;
    std::optional<Timestamp> ignoredState; // online, but too old; told
    std::optional<quint8> nextBdSeq;
    quint8 bdSeq = 0;
    quint8 seq = 0;
    quint64 nextAlias = 1;
    std::optional<Nanos> lastRebirth;

    Entity node;
    std::optional<TrustState> trust;
    bool trustDue = false; // changed since it was sent
    std::map<QString, Entity> devices;

    StreamId stream;
    Msn acked = 0;
    Msn cursor = 0;                    // last batch sent, or skipped
    Msn highestSent = 0;               // ever, on any connection
    Msn sentHere = 0;                  // on this connection
    Msn history = 0;                   // up to here a batch is late: stored before the birth, or held up
    std::optional<Nanos> stalledSince; // something waits and nothing could be sent
    Msn released = 0;                  // with sendEvery: later batches wait
    Nanos nextSend{};                  // when they may leave
    Msn announcedTail = 0;             // what the host was told on this connection
    std::deque<InFlight> inFlight;
    bool everAcked = false;
    bool numbersTaken = false; // the host has numbers of this stream that this spool never gave
    bool takenTold = false;    // on this connection
    bool more = false;         // tick() has something to send
    bool pumping = false;
    bool pumpAgain = false;
    int patience = 1; // ackTimeout is multiplied by this; grows while the host is silent
    Nanos lastProgress{};
    Nanos bornAt{};
    quint64 resent = 0;
    std::optional<Timestamp> lastAck;
    std::optional<Timestamp> connectedSince;
    std::optional<Timestamp> offlineSince;
    QMap<QString, QString> refused; // subscriptions, by filter: the sentence; of this connection
};

} // namespace lintel::sparkplug

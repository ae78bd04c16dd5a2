// A Sparkplug B 3.0 host application with the store-and-forward extension, without I/O of its own:
// it speaks through a transport and looks at a clock.
//
// As Host it owns a host id, publishes its STATE (birth, and as will the death), asks for rebirths
// and acknowledges. As Observer (a console) it only listens: no STATE, no commands, and births that
// it missed are handed to it by learnBirth().
//
// Order: messages of a node are delivered in the order of their seq; a hole waits `reorderTimeout`,
// then a rebirth is asked for. A death followed by a birth of the same node within `flapGrace` is a
// reconnection, not an outage: nodeDied is held back that long.
//
// Clock: nodes ignore a STATE that is older than one they have heard. A host whose clock went back finds
// the later time in the STATE that the broker kept, says so, and connects once more just after that time.
// (Sparkplug has it publish its birth before it can have heard: a host that ends in that moment leaves the
// earlier time behind, and its nodes listen again when they reconnect.)
//
// Silence: some nodes leave with a clean DISCONNECT and without NDEATH, so that no broker tells of it.
// A node that says nothing for too long is asked for a rebirth, and is dead when it does not answer.
//
// Thread: the transport's. The owner calls tick() about every 100 ms.
#pragma once

#include "domain/point.h"
#include "domain/principal.h"
#include "ports/clock.h"
#include "ports/mqtt_transport.h"
#include "ports/reading_spool.h"
#include "sparkplug/payload.h"
#include "sparkplug/trust_metrics.h"

#include <QHash>
#include <QObject>

#include <memory>
#include <optional>

namespace lintel::sparkplug {

struct NodeId {
    QString group;
    QString node;

    friend bool operator==(const NodeId &, const NodeId &) = default;
    friend size_t qHash(const NodeId &id, size_t seed = 0) { return qHashMulti(seed, id.group, id.node); }
};

struct HostConfig {
    enum class Role { Host, Observer };
    Role role = Role::Host;
    QString hostId;     // Host only
    Principal self;     // MQTT client id; empty = host id
    QStringList groups; // what to subscribe to; empty = every group
    std::chrono::seconds keepAlive{30};
    Millis reorderTimeout{2'000};
    Millis rebirthInterval{10'000}; // at most one rebirth request a node in this time
    Millis flapGrace{5'000};
    Millis silence{0};        // a node may say nothing for so long; 0 = its points' longest staleAfter
    int silenceWithSpool = 3; // times `silence` for a node with SF, whose gateway or heartbeat may be slow
};

/// What a node said of its spool in its birth; absent for plain Sparkplug nodes.
struct SpoolOffer {
    int version = 0;
    StreamId stream;
    Msn head = 0;
    Msn tail = 0;
    quint64 dropped = 0;
};

/// The state of a node or a device, as the host knows it.
struct Participant {
    NodeId node;
    QString device; // empty = the node itself
    bool online = false;
    Timestamp since{};                              // online or offline since
    QList<Point> points;                            // from the birth; a foreign node's metrics become points too
    std::optional<SpoolOffer> spool;                // nodes only
    std::optional<TrustState> trust = std::nullopt; // nodes only, as far as they tell
};

/// One DATA (or the values of a BIRTH) after aliases, types and order were put right.
struct HostBatch {
    NodeId node;
    QString device;                 // Sparkplug device; empty = node metrics
    ReadingBatch batch;             // batch.device = Sparkplug device or else the node's name
    std::optional<Receipt> receipt; // present with the SF extension
    bool fromBirth = false;         // values of a birth: state, not a new measurement. Never numbered.
};

/// A birth as it came, so that it can be handed to an observer that missed it.
struct RecordedBirth {
    QString topic;
    QByteArray payload;
};

class HostSession : public QObject
{
    Q_OBJECT
public:
    struct Counters {
        quint64 messages = 0;
        quint64 malformed = 0; // payloads and topics that could not be used
        quint64 reordered = 0; // put back in order by seq
        quint64 rebirthRequests = 0;
        quint64 unknownAliases = 0; // metrics that no birth explains
    };

    HostSession(HostConfig config, const Clock &clock, MqttTransport &transport, QObject *parent = nullptr);
    ~HostSession() override;

    void start();
    /// STATE offline, then DISCONNECT.
    void stop();
    /// A new certificate: one reconnection.
    void reconnect();
    void tick();

    /// Everything up to and including msn of that stream is committed here. Sends NCMD
    /// Lintel/SF/Ack; calling again with the same number repeats it, which is harmless. Answer every
    /// born() with a spool this way, with 0 when nothing was committed yet: only then does the node
    /// know that its host keeps books, and it never falls back to best effort.
    void acknowledge(const NodeId &node, const StreamId &stream, Msn msn);
    void requestRebirth(const NodeId &node);
    /// Writes one metric of a node, or of a device (NCMD, DCMD).
    [[nodiscard]] Result<void> sendCommand(const NodeId &node, const QString &device, const Metric &metric);

    [[nodiscard]] bool isConnected() const;
    /// A sentence for each subscription that the broker refused on this connection, calls included;
    /// each was trouble(), too. They are asked for again at the next connection.
    [[nodiscard]] QStringList refusedSubscriptions() const;
    [[nodiscard]] QList<Participant> participants() const;
    [[nodiscard]] const Participant *participant(const NodeId &node, const QString &device = {}) const;
    [[nodiscard]] Counters counters() const;

    /// The last birth of each node and device that is known.
    [[nodiscard]] QList<RecordedBirth> births() const;
    /// Observer only: a birth that somebody else recorded. Ignored where a newer one is known.
    void learnBirth(const RecordedBirth &birth);

Q_SIGNALS:
    void connectionChanged(bool connected);
    void born(const lintel::sparkplug::Participant &who);
    /// Dead for longer than flapGrace (nodes), or a DDEATH (devices): its values are stale now.
    void died(const lintel::sparkplug::Participant &who);
    void batchReceived(const lintel::sparkplug::HostBatch &batch);
    /// A node told something new in Participant::trust after its birth.
    void trustChanged(const lintel::sparkplug::Participant &who);
    /// The sender's spool no longer holds numbers below `tail` (Lintel/SF/Tail in DATA): what of them
    /// never arrived is lost. The same news in a birth stands in Participant::spool.
    void tailMoved(const lintel::sparkplug::NodeId &node, const lintel::StreamId &stream, lintel::Msn tail);
    /// Observer: data came that no known birth explains; fetch births and learn them.
    void birthMissing(const lintel::sparkplug::NodeId &node);
    /// After stop(): the transport is done.
    void stopped();
    /// Something came that could not be used; a sentence for the log.
    void trouble(const lintel::Error &what);

private:
    struct Private;
    std::unique_ptr<Private> d;
};

} // namespace lintel::sparkplug

// A Sparkplug B 3.0 edge node with the store-and-forward extension, without I/O of its own: it
// reads a spool, speaks through a transport and looks at a clock. A sensor agent is a node whose
// own points are node metrics; a gateway is a node whose sensors are its devices.
//
// Life of a connection: CONNECT with an NDEATH will and a new bdSeq; subscribe to NCMD, DCMD and
// the primary host's STATE; wait until that host is online; NBIRTH, a DBIRTH per device; then the
// spool from the last acknowledgement on, at most `window` batches ahead of it. What was stored
// before the birth or is sent again is marked historical and keeps its number; what waited for
// sendEvery is not late. Should the host
// acknowledge numbers that the spool never gave (an older copy of it was put back), nothing more is
// sent from this spool and nothing deleted; trouble() says so on each connection.
//
// Thread: the transport's. The owner calls tick() about every 100 ms and pump() after appending.
#pragma once

#include "domain/point.h"
#include "domain/principal.h"
#include "ports/clock.h"
#include "ports/mqtt_transport.h"
#include "ports/reading_spool.h"
#include "ports/state_store.h"
#include "sparkplug/payload.h"
#include "sparkplug/trust_metrics.h"

#include <QHash>
#include <QObject>

#include <memory>

namespace lintel::sparkplug {

struct EdgeNodeConfig {
    QString group;
    QString node;
    Principal self;      // MQTT client id; empty = node name (foreign brokers)
    QString primaryHost; // gate on STATE of this host; empty = publish at once
    std::chrono::seconds keepAlive{30};
    int window = 256;              // batches in flight without acknowledgement
    Millis ackTimeout{5'000};      // silence after which everything unacknowledged is sent again
    Millis rebirthDebounce{1'000}; // several rebirth requests within this count as one
    bool useAliases = true;        // off for hosts that understand names only; costs bytes
    Millis sendEvery{0};           // new batches leave together, at most this often; 0: each at once
};

/// A device of this node, with what stands in its birth.
struct EdgeDevice {
    QString name;
    QList<Point> points;
    bool online = true; // offline: born only while its stored readings are sent, then DDEATH

    friend bool operator==(const EdgeDevice &, const EdgeDevice &) = default;
};

class EdgeNodeSession : public QObject
{
    Q_OBJECT
public:
    enum class Phase {
        Stopped,
        Offline,        // no connection
        WaitingForHost, // connected; the primary host is not online
        Born,           // birth sent; no acknowledgement seen on this connection yet
        Custody,        // the host acknowledges: nothing is lost
        BestEffort,     // the host never acknowledges: plain Sparkplug, twice the keep-alive is sent again
    };
    Q_ENUM(Phase)

    struct Status {
        Phase phase = Phase::Stopped;
        quint64 birthSequence = 0; // bdSeq of this connection
        Msn sent = 0;              // highest number sent on this connection
        Msn acknowledged = 0;
        quint64 resentBatches = 0; // sent more than once, since start
        std::optional<Timestamp> lastAck;
        std::optional<Timestamp> connectedSince;
        std::optional<Timestamp> offlineSince;
        /// A sentence for each subscription that the broker refused on this connection, calls included;
        /// each was trouble(), too. They are asked for again at the next connection.
        QStringList refusedSubscriptions;
    };

    EdgeNodeSession(EdgeNodeConfig config, const Clock &clock, MqttTransport &transport, ReadingSpool &spool,
                    StateStore &state, QObject *parent = nullptr);
    ~EdgeNodeSession() override;

    /// Points that are metrics of the node itself. A change after the birth causes a rebirth.
    void setNodePoints(const QList<Point> &points);
    /// How it stands with this node's trust; stands in its births, and goes out at once when it has
    /// changed. Call it before start(): coming later for the first time it causes a rebirth.
    void setTrust(const TrustState &trust);
    /// Adds a device or changes one; a changed point list causes a DBIRTH, offline a DDEATH.
    void setDevice(const EdgeDevice &device);

    void start();
    /// NDEATH, then DISCONNECT. Emits stopped() when the transport is done.
    void stop();
    /// A new certificate: one reconnection, with NDEATH and a new birth.
    void reconnect();

    /// Sends what the spool holds and the window allows; with sendEvery only when it is time.
    void pump();
    /// The same without waiting for that time.
    void sendNow();
    void tick();

    [[nodiscard]] Status status() const;

Q_SIGNALS:
    void phaseChanged(lintel::sparkplug::EdgeNodeSession::Phase phase);
    /// Custody moved: everything up to `msn` is the host's.
    void acknowledged(lintel::Msn msn);
    /// A command other than rebirth and ack; device is empty for NCMD.
    void commandReceived(const QString &device, const lintel::sparkplug::Metric &metric);
    /// After stop(): the transport is done.
    void stopped();
    /// Something came that could not be used; a sentence for the log.
    void trouble(const lintel::Error &what);

private:
    struct Private;
    std::unique_ptr<Private> d;
};

} // namespace lintel::sparkplug

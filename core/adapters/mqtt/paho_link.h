// One MQTT connection of the Paho C library, from CONNECT to its end; never used twice, so that
// neither a will nor a TLS session of an earlier connection can come back. Private to
// PahoTransport.
//
// The functions that speak to the library may block, because it holds one lock for the whole
// process: they run on the transport's worker. The library answers on threads of its own, through
// `sink`, which must not block.
#pragma once

#include "mqtt/mqtt_endpoint.h"
#include "mqtt/svid_tls_scope.h"
#include "ports/mqtt_transport.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace lintel {

struct PahoCallbacks; // the library's side, in paho_callbacks.h

class PahoLink : public std::enable_shared_from_this<PahoLink>
{
public:
    struct Event {
        enum class Kind { Connected, Failed, Lost, Message, SubscriptionRefused, Closed };
        Kind kind = Kind::Failed;
        bool sessionPresent = false;
        bool mayTryNextAddress = false; // Failed: nobody answered at this address and there is another
        Error error;
        MqttMessage message;
        QString filter; // SubscriptionRefused
    };
    using Sink = std::function<void(Event)>;
    using Post = std::function<void(std::function<void()>)>;

    /// What lies between publish() and the wire at most.
    static constexpr int kMaxQueuedMessages = 4'096;
    static constexpr qint64 kMaxQueuedBytes = 16 * 1024 * 1024;

    PahoLink(MqttEndpoint endpoint, int addressIndex, MqttConnect packet, std::shared_ptr<TlsPeer> peer, Sink sink,
             Post post);
    ~PahoLink();

    // On the worker:
    void open();
    /// Waits up to 1.5 s until everything handed over is on its way, then sends DISCONNECT.
    void close(MqttTransport::Goodbye goodbye);
    /// Lets go of the library's client; what was queued is gone.
    void destroy();

    // On any thread:
    /// Takes the message into the queue; false when the queue is full.
    [[nodiscard]] bool enqueue(const MqttMessage &message);
    /// In the same queue, so that nothing overtakes.
    [[nodiscard]] bool enqueueSubscription(const QString &filter, int qos);
    /// How long messages have been waiting without anything happening; zero when none waits.
    [[nodiscard]] std::chrono::nanoseconds stalledFor() const;
    [[nodiscard]] const TlsPeer &peer() const { return *m_peer; }
    void detach() { m_peer->detach(); }

private:
    friend struct PahoCallbacks;
    struct Outgoing {
        MqttMessage message; // of a subscription: the filter and the QoS
        bool subscription = false;
        [[nodiscard]] qint64 bytes() const { return message.payload.size() + message.topic.size(); }
        [[nodiscard]] bool needsWindow() const { return !subscription && message.qos > 0; }
    };
    struct Delivery {
        bool inFlight = false;
        qint64 bytes = 0;
        QString filter; // of a subscription
    };

    [[nodiscard]] Result<QByteArray> resolve();
    void pump();
    [[nodiscard]] bool enqueue(Outgoing outgoing);
    [[nodiscard]] bool handOver(const Outgoing &outgoing);
    void onDelivered(quintptr key);
    void onRefused(quintptr key, int reasonCode);
    void onConnected(bool sessionPresent, int receiveMaximum);
    void onFailed(int code, int reasonCode);
    void onLost(const Error &reason);
    void onDisconnected();
    void emitEvent(Event::Kind kind, Error error = {});
    void progress();

    const MqttEndpoint m_endpoint;
    const int m_addressIndex;
    const MqttConnect m_packet;
    const std::shared_ptr<TlsPeer> m_peer;
    const Sink m_sink;
    const Post m_post;
    quintptr m_key = 0;       // names this link to the library
    void *m_handle = nullptr; // MQTTAsync; worker only
    bool m_moreAddresses = false;

    mutable std::mutex m_mutex; // guards what follows
    std::condition_variable m_changed;
    std::deque<Outgoing> m_waiting;                      // not yet with the library
    std::unordered_map<quintptr, Delivery> m_deliveries; // with the library
    int m_queuedMessages = 0;
    qint64 m_queuedBytes = 0;
    int m_inFlight = 0; // QoS 1 and 2, not yet acknowledged
    int m_window = 20;  // of m_inFlight; from the broker's receive maximum
    bool m_connected = false;
    bool m_disconnectDone = false;
    std::chrono::nanoseconds m_lastProgress{};
};

} // namespace lintel

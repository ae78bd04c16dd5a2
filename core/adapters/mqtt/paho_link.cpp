#include "mqtt/paho_link.h"

#include "mqtt/topic_rules.h"

#include <MQTTAsync.h>

#include <netdb.h>

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {
constexpr std::chrono::milliseconds kDrainTime{1'400};
constexpr std::chrono::milliseconds kDisconnectTime{400};
constexpr int kMaxWindow = 256;
constexpr int kDefaultReceiveMaximum = 65'535; // MQTT 5.0 section 3.2.2.3.3

std::chrono::nanoseconds steadyNow()
{
    return std::chrono::steady_clock::now().time_since_epoch();
}

/// The library looks for a missing PINGRESP 1.5 intervals after it pinged, and pings one interval
/// after the last packet: 2.5 in all. Three quarters of the interval make that 1.9.
int pahoKeepAlive(std::chrono::seconds keepAlive)
{
    return keepAlive.count() == 0 ? 0 : std::max(1, static_cast<int>(keepAlive.count() * 3 / 4));
}

/// The library ends its threads with its last client and takes up to a second for that each time;
/// a client that never connects keeps them.
void keepLibraryRunning()
{
    static const bool once = [] {
        MQTTAsync anchor = nullptr;
        return MQTTAsync_create(&anchor, "tcp://127.0.0.1:1", "lintel-anchor", MQTTCLIENT_PERSISTENCE_NONE, nullptr)
               == MQTTASYNC_SUCCESS;
    }();
    (void)once;
}

QString reasonText(int reasonCode)
{
    const char *text = MQTTReasonCode_toString(static_cast<MQTTReasonCodes>(reasonCode));
    return text ? QString::fromLatin1(text) : u"reason code %1"_s.arg(reasonCode);
}
} // namespace

/// What the library is given as context is a number and never an address: a callback that comes
/// late finds nothing, and does nothing.
struct PahoCallbacks {
    static quintptr enrol(const std::shared_ptr<PahoLink> &link)
    {
        const std::lock_guard lock(mutex());
        do {
            ++lastKey();
        } while (lastKey() == 0 || links().contains(lastKey()));
        links().emplace(lastKey(), link);
        return lastKey();
    }

    static void strike(quintptr key)
    {
        const std::lock_guard lock(mutex());
        links().erase(key);
    }

    static std::shared_ptr<PahoLink> find(void *context)
    {
        const std::lock_guard lock(mutex());
        const auto it = links().find(reinterpret_cast<quintptr>(context));
        return it == links().end() ? nullptr : it->second.lock();
    }

    static void *contextOf(quintptr key) { return reinterpret_cast<void *>(key); }

    static void connected(void *context, MQTTAsync_successData5 *data)
    {
        const auto link = find(context);
        if (!link)
            return;
        int receiveMaximum = kDefaultReceiveMaximum;
        if (MQTTProperties_hasProperty(&data->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM))
            receiveMaximum =
                static_cast<int>(MQTTProperties_getNumericValue(&data->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM));
        link->onConnected(data->alt.connect.sessionPresent != 0, receiveMaximum);
    }

    static void connectFailed(void *context, MQTTAsync_failureData5 *data)
    {
        if (const auto link = find(context))
            link->onFailed(data->code, data->reasonCode);
    }

    static void connectionLost(void *context, char *)
    {
        if (const auto link = find(context))
            link->onLost({Errc::Unavailable, u"The connection to the broker was lost; connecting again."_s});
    }

    static void serverDisconnected(void *context, MQTTProperties *, MQTTReasonCodes reason)
    {
        const auto link = find(context);
        if (!link)
            return;
        if (reason == MQTTREASONCODE_SESSION_TAKEN_OVER)
            link->onLost({Errc::Conflict,
                          u"Another client connected with the client id \"%1\"; each client needs its own."_s.arg(
                              link->m_packet.clientId)});
        else
            link->onLost({Errc::Unavailable, u"The broker ended the connection: %1."_s.arg(reasonText(reason))});
    }

    static int messageArrived(void *context, char *topic, int topicLength, MQTTAsync_message *message)
    {
        if (const auto link = find(context)) {
            PahoLink::Event event;
            event.kind = PahoLink::Event::Kind::Message;
            event.message.topic = topicLength > 0 ? QString::fromUtf8(topic, topicLength) : QString::fromUtf8(topic);
            event.message.payload = QByteArray(static_cast<const char *>(message->payload), message->payloadlen);
            event.message.qos = message->qos;
            event.message.retain = message->retained != 0;
            link->progress();
            link->m_sink(std::move(event));
        }
        MQTTAsync_freeMessage(&message);
        MQTTAsync_free(topic);
        return 1;
    }

    static void delivered(void *context, MQTTAsync_successData5 *data)
    {
        const auto link = data && data->reasonCode == MQTTREASONCODE_NO_MATCHING_SUBSCRIBERS ? find(context) : nullptr;
        if (link)
            link->onUnheard(reinterpret_cast<quintptr>(context));
        finishDelivery(context);
    }
    static void notDelivered(void *context, MQTTAsync_failureData5 *) { finishDelivery(context); }

    static void finishDelivery(void *context)
    {
        if (const auto link = find(context)) {
            const auto key = reinterpret_cast<quintptr>(context);
            strike(key);
            link->onDelivered(key);
        }
    }

    static void subscribeFailed(void *context, MQTTAsync_failureData5 *data)
    {
        if (const auto link = find(context); link && data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR)
            link->onRefused(reinterpret_cast<quintptr>(context), data->reasonCode);
        finishDelivery(context);
    }

    static void disconnected(void *context, MQTTAsync_successData5 *)
    {
        if (const auto link = find(context))
            link->onDisconnected();
    }

    static void disconnectFailed(void *context, MQTTAsync_failureData5 *)
    {
        if (const auto link = find(context))
            link->onDisconnected();
    }

private:
    using Links = std::unordered_map<quintptr, std::weak_ptr<PahoLink>>;
    // Never destroyed: the library's threads run until the process is gone.
    static std::mutex &mutex()
    {
        static auto *m = new std::mutex;
        return *m;
    }
    static Links &links()
    {
        static auto *l = new Links;
        return *l;
    }
    static quintptr &lastKey()
    {
        static quintptr key = 0;
        return key;
    }
};

PahoLink::PahoLink(MqttEndpoint endpoint, int addressIndex, MqttConnect packet, std::shared_ptr<TlsPeer> peer,
                   Sink sink, Post post)
    : m_endpoint(std::move(endpoint)), m_addressIndex(addressIndex), m_packet(std::move(packet)),
      m_peer(std::move(peer)), m_sink(std::move(sink)), m_post(std::move(post))
{}

PahoLink::~PahoLink()
{
    destroy();
}

/// Here and not in the library, which would look the name up while it holds the lock that all
/// connections of the process share.
Result<QByteArray> PahoLink::resolve()
{
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo *found = nullptr;
    const int error = ::getaddrinfo(m_endpoint.host.toUtf8().constData(), nullptr, &hints, &found);
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
    if (error != 0 || !found)
        return Error{Errc::Unavailable, u"The broker's host \"%1\" is not found: %2."_s.arg(
                                            m_endpoint.host, QString::fromLocal8Bit(::gai_strerror(error)))};
    int left = m_addressIndex;
    const addrinfo *chosen = found;
    for (; left > 0 && chosen->ai_next; --left)
        chosen = chosen->ai_next;
    m_moreAddresses = chosen->ai_next != nullptr;

    char text[NI_MAXHOST] = {};
    if (::getnameinfo(chosen->ai_addr, chosen->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0)
        return Error{Errc::Unavailable,
                     u"The address of the broker's host \"%1\" cannot be used."_s.arg(m_endpoint.host)};
    const QByteArray host = chosen->ai_family == AF_INET6 ? '[' + QByteArray(text) + ']' : QByteArray(text);
    return "ssl://" + host + ':' + QByteArray::number(m_endpoint.port);
}

void PahoLink::open()
{
    keepLibraryRunning();
    const auto uri = resolve();
    if (!uri)
        return emitEvent(Event::Kind::Failed, uri.error());

    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
    create.sendWhileDisconnected = 0;
    create.maxBufferedMessages = 2 * kMaxQueuedMessages; // never reached: the bound is in enqueue()
    const QByteArray clientId = m_packet.clientId.toUtf8();
    MQTTAsync handle = nullptr;
    if (const int rc = MQTTAsync_createWithOptions(&handle, uri->constData(), clientId.constData(),
                                                   MQTTCLIENT_PERSISTENCE_NONE, nullptr, &create);
        rc != MQTTASYNC_SUCCESS)
        return emitEvent(Event::Kind::Failed,
                         {Errc::Malformed, u"The client id \"%1\" or the broker's address \"%2\" is not usable."_s.arg(
                                               m_packet.clientId, QString::fromLatin1(*uri))});
    m_handle = handle;
    m_peer->onHandshakeFailed([weak = weak_from_this()] {
        if (const auto link = weak.lock())
            link->onFailed(MQTTASYNC_FAILURE, MQTTREASONCODE_SUCCESS);
    });
    m_key = PahoCallbacks::enrol(shared_from_this());
    void *context = PahoCallbacks::contextOf(m_key);
    MQTTAsync_setCallbacks(handle, context, PahoCallbacks::connectionLost, PahoCallbacks::messageArrived, nullptr);
    MQTTAsync_setDisconnected(handle, context, PahoCallbacks::serverDisconnected);

    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer5;
    options.keepAliveInterval = pahoKeepAlive(m_packet.keepAlive);
    options.cleanstart = m_packet.cleanStart ? 1 : 0;
    // The transport has its own deadline; the library's own is checked every three seconds.
    options.connectTimeout = static_cast<int>(m_endpoint.connectTimeout.count() / 1'000) + 5;
    options.automaticReconnect = 0;
    options.onSuccess5 = PahoCallbacks::connected;
    options.onFailure5 = PahoCallbacks::connectFailed;
    options.context = context;

    MQTTProperties properties = MQTTProperties_initializer;
    if (m_packet.sessionExpiry.count() > 0) {
        MQTTProperty expiry{};
        expiry.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL;
        expiry.value.integer4 = static_cast<unsigned int>(std::min<qint64>(m_packet.sessionExpiry.count(), 0xffffffff));
        MQTTProperties_add(&properties, &expiry);
        options.connectProperties = &properties;
    }

    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    QByteArray willTopic;
    if (m_packet.will) {
        willTopic = m_packet.will->topic.toUtf8();
        will.struct_version = 1;
        will.topicName = willTopic.constData();
        will.payload.len = static_cast<int>(m_packet.will->payload.size());
        will.payload.data = m_packet.will->payload.constData();
        will.qos = m_packet.will->qos;
        will.retained = m_packet.will->retain ? 1 : 0;
        options.will = &will;
    }

    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
    ssl.enableServerCertAuth = 1;
    ssl.verify = 0;                   // the SPIFFE ID counts, not the host name
    ssl.disableDefaultTrustStore = 1; // should the hook ever not work, nobody is trusted
    ssl.enabledCipherSuites = m_peer->label().constData();
    options.ssl = &ssl;

    const int rc = MQTTAsync_connect(handle, &options);
    MQTTProperties_free(&properties);
    if (rc != MQTTASYNC_SUCCESS)
        emitEvent(Event::Kind::Failed, {Errc::Malformed, u"The MQTT library refuses to connect (code %1)."_s.arg(rc)});
}

bool PahoLink::enqueue(const MqttMessage &message)
{
    return enqueue(Outgoing{message, false});
}

bool PahoLink::enqueueSubscription(const QString &filter, int qos)
{
    return enqueue(Outgoing{{filter, {}, qos, false}, true});
}

bool PahoLink::enqueue(Outgoing outgoing)
{
    {
        const std::lock_guard lock(m_mutex);
        const qint64 bytes = outgoing.bytes();
        if (m_queuedMessages >= kMaxQueuedMessages || (m_queuedMessages > 0 && m_queuedBytes + bytes > kMaxQueuedBytes))
            return false;
        if (m_queuedMessages++ == 0)
            m_lastProgress = steadyNow();
        m_queuedBytes += bytes;
        m_waiting.push_back(std::move(outgoing));
        if (m_waiting.size() > 1)
            return true; // a pump is on its way, or waits for an acknowledgement that brings one
    }
    m_post([link = shared_from_this()] { link->pump(); });
    return true;
}

void PahoLink::pump()
{
    for (;;) {
        Outgoing next;
        {
            const std::lock_guard lock(m_mutex);
            if (m_waiting.empty() || (m_waiting.front().needsWindow() && m_inFlight >= m_window))
                return;
            next = m_waiting.front();
        }
        const bool taken = handOver(next);
        const std::lock_guard lock(m_mutex);
        m_waiting.pop_front();
        if (!taken) { // the connection is gone, and that is about to be said
            --m_queuedMessages;
            m_queuedBytes -= next.bytes();
            m_changed.notify_all();
        }
    }
}

bool PahoLink::handOver(const Outgoing &outgoing)
{
    if (!m_handle)
        return false;
    const MqttMessage &message = outgoing.message;
    const QByteArray topic = message.topic.toUtf8();
    const quintptr key = PahoCallbacks::enrol(shared_from_this());
    {
        const std::lock_guard lock(m_mutex);
        m_deliveries.emplace(key, Delivery{outgoing.needsWindow(), outgoing.bytes(), message.topic});
        m_inFlight += outgoing.needsWindow() ? 1 : 0;
    }
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = PahoCallbacks::contextOf(key);
    options.onSuccess5 = PahoCallbacks::delivered;
    options.onFailure5 = outgoing.subscription ? PahoCallbacks::subscribeFailed : PahoCallbacks::notDelivered;
    const int rc = outgoing.subscription
                       ? MQTTAsync_subscribe(m_handle, topic.constData(), message.qos, &options)
                       : MQTTAsync_send(m_handle, topic.constData(), static_cast<int>(message.payload.size()),
                                        message.payload.constData(), message.qos, message.retain ? 1 : 0, &options);
    if (rc == MQTTASYNC_SUCCESS)
        return true;
    PahoCallbacks::strike(key);
    const std::lock_guard lock(m_mutex);
    m_deliveries.erase(key);
    m_inFlight -= outgoing.needsWindow() ? 1 : 0;
    return false;
}

void PahoLink::onDelivered(quintptr key)
{
    bool more = false;
    {
        const std::lock_guard lock(m_mutex);
        const auto it = m_deliveries.find(key);
        if (it == m_deliveries.end())
            return;
        --m_queuedMessages;
        m_queuedBytes -= it->second.bytes;
        m_inFlight -= it->second.inFlight ? 1 : 0;
        m_deliveries.erase(it);
        m_lastProgress = steadyNow();
        more = !m_waiting.empty();
        m_changed.notify_all();
    }
    if (more)
        m_post([link = shared_from_this()] { link->pump(); });
}

void PahoLink::onRefused(quintptr key, int reasonCode)
{
    Event event;
    event.kind = Event::Kind::SubscriptionRefused;
    {
        const std::lock_guard lock(m_mutex);
        const auto it = m_deliveries.find(key);
        if (it == m_deliveries.end())
            return;
        event.filter = it->second.topic;
    }
    event.error = mqtt::subscriptionRefused(u"%1:%2"_s.arg(m_endpoint.host).arg(m_endpoint.port), m_packet.clientId,
                                            event.filter, reasonText(reasonCode));
    m_sink(std::move(event));
}

void PahoLink::onUnheard(quintptr key)
{
    Event event;
    event.kind = Event::Kind::Unheard;
    {
        const std::lock_guard lock(m_mutex);
        const auto it = m_deliveries.find(key);
        if (it == m_deliveries.end() || !it->second.inFlight)
            return; // a subscription, or QoS 0, of which no broker says anything
        event.filter = it->second.topic;
    }
    m_sink(std::move(event));
}

void PahoLink::close(MqttTransport::Goodbye goodbye)
{
    const auto deadline = std::chrono::steady_clock::now() + kDrainTime;
    std::unique_lock lock(m_mutex);
    while (m_connected && m_queuedMessages > 0 && std::chrono::steady_clock::now() < deadline) {
        lock.unlock();
        pump();
        lock.lock();
        if (m_queuedMessages > 0)
            m_changed.wait_until(lock,
                                 std::min(deadline, std::chrono::steady_clock::now() + std::chrono::milliseconds{50}));
    }
    const bool connected = m_connected;
    lock.unlock();

    if (connected && m_handle) {
        MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
        options.timeout = 0;
        options.reasonCode = goodbye == MqttTransport::Goodbye::WithWill ? MQTTREASONCODE_DISCONNECT_WITH_WILL_MESSAGE
                                                                         : MQTTREASONCODE_SUCCESS;
        options.onSuccess5 = PahoCallbacks::disconnected;
        options.onFailure5 = PahoCallbacks::disconnectFailed;
        options.context = PahoCallbacks::contextOf(m_key);
        if (MQTTAsync_disconnect(m_handle, &options) == MQTTASYNC_SUCCESS) {
            lock.lock();
            m_changed.wait_for(lock, kDisconnectTime, [this] { return m_disconnectDone; });
            lock.unlock();
        }
    }
    destroy();
    emitEvent(Event::Kind::Closed);
}

void PahoLink::destroy()
{
    if (!m_handle)
        return;
    MQTTAsync handle = std::exchange(m_handle, nullptr);
    MQTTAsync_destroy(&handle);
    PahoCallbacks::strike(m_key);
    const std::lock_guard lock(m_mutex);
    for (const auto &[key, delivery] : m_deliveries)
        PahoCallbacks::strike(key); // the library forgets them without a word
    m_deliveries.clear();
    m_waiting.clear();
    m_queuedMessages = 0;
    m_queuedBytes = 0;
    m_connected = false;
}

std::chrono::nanoseconds PahoLink::stalledFor() const
{
    const std::lock_guard lock(m_mutex);
    return m_queuedMessages == 0 ? std::chrono::nanoseconds{0} : steadyNow() - m_lastProgress;
}

void PahoLink::progress()
{
    const std::lock_guard lock(m_mutex);
    m_lastProgress = steadyNow();
}

void PahoLink::onConnected(bool sessionPresent, int receiveMaximum)
{
    {
        const std::lock_guard lock(m_mutex);
        m_connected = true;
        m_window = std::clamp(receiveMaximum - 1, 1, kMaxWindow); // a SUBSCRIBE needs room too
    }
    Event event;
    event.kind = Event::Kind::Connected;
    event.sessionPresent = sessionPresent;
    m_sink(std::move(event));
}

void PahoLink::onFailed(int code, int reasonCode)
{
    const QString where = u"%1:%2"_s.arg(m_endpoint.host).arg(m_endpoint.port);
    if (const auto failure = m_peer->failure())
        return emitEvent(Event::Kind::Failed, *failure);
    if (reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR)
        return emitEvent(Event::Kind::Failed, {Errc::Denied, u"The broker at %1 refuses the client \"%2\": %3."_s.arg(
                                                                 where, m_packet.clientId, reasonText(reasonCode))});
    if (m_peer->verified())
        return emitEvent(
            Event::Kind::Failed,
            {Errc::Denied, u"The broker at %1 ended the connection after the TLS handshake; it probably refuses our "
                           "certificate or the client id \"%2\"."_s.arg(where, m_packet.clientId)});
    Event event;
    event.kind = Event::Kind::Failed;
    event.mayTryNextAddress = m_moreAddresses;
    event.error = {
        Errc::Unavailable,
        u"No broker answers at %1 (code %2); check the address, and that it runs and speaks TLS 1.3."_s.arg(where).arg(
            code)};
    m_sink(std::move(event));
}

void PahoLink::onLost(const Error &reason)
{
    {
        const std::lock_guard lock(m_mutex);
        m_connected = false;
        m_changed.notify_all();
    }
    emitEvent(Event::Kind::Lost, m_peer->failure().value_or(reason));
}

void PahoLink::onDisconnected()
{
    const std::lock_guard lock(m_mutex);
    m_connected = false;
    m_disconnectDone = true;
    m_changed.notify_all();
}

void PahoLink::emitEvent(Event::Kind kind, Error error)
{
    Event event;
    event.kind = kind;
    event.error = std::move(error);
    m_sink(std::move(event));
}

} // namespace lintel

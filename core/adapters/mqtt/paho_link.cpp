#include "mqtt/paho_link.h"

#include "mqtt/paho_callbacks.h"

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {
constexpr std::chrono::milliseconds kDrainTime{1'400};
constexpr std::chrono::milliseconds kDisconnectTime{400};
constexpr int kMaxWindow = 256;
} // namespace

PahoLink::PahoLink(MqttEndpoint endpoint, int addressIndex, MqttConnect packet, std::shared_ptr<TlsPeer> peer,
                   Sink sink, Post post)
    : m_endpoint(std::move(endpoint)), m_addressIndex(addressIndex), m_packet(std::move(packet)),
      m_peer(std::move(peer)), m_sink(std::move(sink)), m_post(std::move(post))
{}

PahoLink::~PahoLink()
{
    destroy();
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
        return emitEvent(Event::Kind::Failed,
                         {Errc::Denied, u"The broker at %1 refuses the client \"%2\": %3."_s.arg(
                                            where, m_packet.clientId, pahoReasonText(reasonCode))});
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

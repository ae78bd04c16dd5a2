// What lies between publish() and the wire: the queue in front of the library, and what became of
// what it took.
#include "mqtt/paho_callbacks.h"
#include "mqtt/topic_rules.h"

namespace lintel {

using namespace Qt::StringLiterals;

namespace {
std::chrono::nanoseconds steadyNow()
{
    return std::chrono::steady_clock::now().time_since_epoch();
}
} // namespace

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
        m_deliveries.emplace(
            key, Delivery{outgoing.needsWindow(), outgoing.bytes(), outgoing.subscription ? message.topic : QString()});
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
        event.filter = it->second.filter;
    }
    event.error = mqtt::subscriptionRefused(u"%1:%2"_s.arg(m_endpoint.host).arg(m_endpoint.port), m_packet.clientId,
                                            event.filter, pahoReasonText(reasonCode));
    m_sink(std::move(event));
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

} // namespace lintel

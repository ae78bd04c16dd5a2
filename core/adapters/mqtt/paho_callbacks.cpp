#include "mqtt/paho_callbacks.h"

namespace lintel {

using namespace Qt::StringLiterals;

namespace {
constexpr int kDefaultReceiveMaximum = 65'535; // MQTT 5.0 section 3.2.2.3.3

struct Registry {
    std::mutex mutex;
    std::unordered_map<quintptr, std::weak_ptr<PahoLink>> links;
    quintptr lastKey = 0;
};

// Never destroyed: the library's threads run until the process is gone.
Registry &registry()
{
    static auto *all = new Registry;
    return *all;
}
} // namespace

QString pahoReasonText(int reasonCode)
{
    const char *text = MQTTReasonCode_toString(static_cast<MQTTReasonCodes>(reasonCode));
    return text ? QString::fromLatin1(text) : u"reason code %1"_s.arg(reasonCode);
}

quintptr PahoCallbacks::enrol(const std::shared_ptr<PahoLink> &link)
{
    Registry &all = registry();
    const std::lock_guard lock(all.mutex);
    do {
        ++all.lastKey;
    } while (all.lastKey == 0 || all.links.contains(all.lastKey));
    all.links.emplace(all.lastKey, link);
    return all.lastKey;
}

void PahoCallbacks::strike(quintptr key)
{
    Registry &all = registry();
    const std::lock_guard lock(all.mutex);
    all.links.erase(key);
}

std::shared_ptr<PahoLink> PahoCallbacks::find(void *context)
{
    Registry &all = registry();
    const std::lock_guard lock(all.mutex);
    const auto it = all.links.find(reinterpret_cast<quintptr>(context));
    return it == all.links.end() ? nullptr : it->second.lock();
}

void PahoCallbacks::connected(void *context, MQTTAsync_successData5 *data)
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

void PahoCallbacks::connectFailed(void *context, MQTTAsync_failureData5 *data)
{
    if (const auto link = find(context))
        link->onFailed(data->code, data->reasonCode);
}

void PahoCallbacks::connectionLost(void *context, char *)
{
    if (const auto link = find(context))
        link->onLost({Errc::Unavailable, u"The connection to the broker was lost; connecting again."_s});
}

void PahoCallbacks::serverDisconnected(void *context, MQTTProperties *, MQTTReasonCodes reason)
{
    const auto link = find(context);
    if (!link)
        return;
    if (reason == MQTTREASONCODE_SESSION_TAKEN_OVER)
        link->onLost(
            {Errc::Conflict, u"Another client connected with the client id \"%1\"; each client needs its own."_s.arg(
                                 link->m_packet.clientId)});
    else
        link->onLost({Errc::Unavailable, u"The broker ended the connection: %1."_s.arg(pahoReasonText(reason))});
}

int PahoCallbacks::messageArrived(void *context, char *topic, int topicLength, MQTTAsync_message *message)
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

/// Of a message that was taken the library keeps the reason to itself, also 0x10, "nobody listens".
void PahoCallbacks::delivered(void *context, MQTTAsync_successData5 *)
{
    finishDelivery(context);
}

void PahoCallbacks::notDelivered(void *context, MQTTAsync_failureData5 *)
{
    finishDelivery(context);
}

void PahoCallbacks::finishDelivery(void *context)
{
    if (const auto link = find(context)) {
        const auto key = reinterpret_cast<quintptr>(context);
        strike(key);
        link->onDelivered(key);
    }
}

void PahoCallbacks::subscribeFailed(void *context, MQTTAsync_failureData5 *data)
{
    if (const auto link = find(context); link && data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR)
        link->onRefused(reinterpret_cast<quintptr>(context), data->reasonCode);
    finishDelivery(context);
}

void PahoCallbacks::disconnected(void *context, MQTTAsync_successData5 *)
{
    if (const auto link = find(context))
        link->onDisconnected();
}

void PahoCallbacks::disconnectFailed(void *context, MQTTAsync_failureData5 *)
{
    if (const auto link = find(context))
        link->onDisconnected();
}

} // namespace lintel

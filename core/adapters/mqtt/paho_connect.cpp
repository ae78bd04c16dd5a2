// How a connection begins: the address, the CONNECT packet, and TLS bound to our peer.
#include "mqtt/paho_callbacks.h"

#include <netdb.h>

#include <algorithm>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {
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

MQTTAsync_willOptions willOf(const MqttMessage &will, const QByteArray &topic)
{
    MQTTAsync_willOptions options = MQTTAsync_willOptions_initializer;
    options.struct_version = 1;
    options.topicName = topic.constData();
    options.payload.len = static_cast<int>(will.payload.size());
    options.payload.data = will.payload.constData();
    options.qos = will.qos;
    options.retained = will.retain ? 1 : 0;
    return options;
}

MQTTAsync_SSLOptions tlsOf(const TlsPeer &peer)
{
    MQTTAsync_SSLOptions options = MQTTAsync_SSLOptions_initializer;
    options.enableServerCertAuth = 1;
    options.verify = 0;                   // the SPIFFE ID counts, not the host name
    options.disableDefaultTrustStore = 1; // should the hook ever not work, nobody is trusted
    options.enabledCipherSuites = peer.label().constData();
    return options;
}
} // namespace

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

    const QByteArray willTopic = m_packet.will ? m_packet.will->topic.toUtf8() : QByteArray();
    MQTTAsync_willOptions will;
    if (m_packet.will) {
        will = willOf(*m_packet.will, willTopic);
        options.will = &will;
    }
    MQTTAsync_SSLOptions ssl = tlsOf(*m_peer);
    options.ssl = &ssl;

    const int rc = MQTTAsync_connect(handle, &options);
    MQTTProperties_free(&properties);
    if (rc != MQTTASYNC_SUCCESS)
        emitEvent(Event::Kind::Failed, {Errc::Malformed, u"The MQTT library refuses to connect (code %1)."_s.arg(rc)});
}

} // namespace lintel

#include "mqtt/qt_mqtt_transport.h"

#include "mqtt/topic_rules.h"
#include "tls/x509.h"

#include <QBuffer>
#include <QElapsedTimer>
#include <QMqttClient>
#include <QMqttConnectionProperties>
#include <QMqttSubscription>
#include <QQueue>
#include <QSslConfiguration>
#include <QSslKey>
#include <QSslSocket>
#include <QTimer>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {
constexpr qsizetype kMaxMessages = 4'096;
constexpr qint64 kMaxBytes = 16 * 1024 * 1024;
constexpr qsizetype kMaxWindow = 256;
constexpr std::chrono::milliseconds kGoodbyeTime{2'000};

Result<QSslConfiguration> tlsConfiguration(const X509Svid &svid)
{
    const auto pem = tls::privateKeyToPem(*svid.key);
    if (!pem)
        return pem.error();
    QList<QSslCertificate> chain;
    for (const QByteArray &der : svid.chainDer)
        chain += QSslCertificate(der, QSsl::Der);
    QSslConfiguration configuration;
    configuration.setProtocol(QSsl::TlsV1_3OrLater);
    configuration.setLocalCertificateChain(chain);
    configuration.setPrivateKey(QSslKey(*pem, QSsl::Ec));
    configuration.setPeerVerifyMode(QSslSocket::VerifyNone); // Lintel's rules instead, in onEncrypted()
    configuration.setSslOption(QSsl::SslOptionDisableSessionTickets, true);
    configuration.setSslOption(QSsl::SslOptionDisableSessionSharing, true);
    configuration.setSslOption(QSsl::SslOptionDisableSessionPersistence, true);
    return configuration;
}
} // namespace

struct QtMqttTransport::Private {
    /// One connection; a new one for each attempt.
    struct Link {
        QSslSocket socket;
        QBuffer sink;
        std::unique_ptr<QMqttClient> client = std::make_unique<QMqttClient>();
        QQueue<MqttMessage> waiting; // QoS 1, beyond the broker's receive maximum
        qsizetype unacknowledged = 0;
        qsizetype window = kMaxWindow;
        QQueue<MqttMessage> arrived; // to be emitted from the event loop
        QElapsedTimer lastHeard;
        QElapsedTimer lastPing;
        bool sessionPresent = false;
        bool encrypted = false;

        // The client's destructor writes a DISCONNECT, and waits for it, even after the end of its
        // socket: give it something harmless to write to.
        ~Link()
        {
            client->disconnect();
            socket.abort();
            sink.open(QIODevice::ReadWrite);
            if (client->state() == QMqttClient::Disconnected)
                client->setTransport(&sink, QMqttClient::IODevice);
            client.reset();
        }
    };

    explicit Private(QtMqttTransport &transport) : q(transport) {}

    void wire(const MqttConnect &packet);
    void onEncrypted();
    void onClientState(QMqttClient::ClientState clientState);
    void onConnected();
    void pump();
    void emitArrived();
    [[nodiscard]] Error whyEnded() const;
    std::unique_ptr<Link> takeLink();
    void bury(std::unique_ptr<Link> gone) const;
    /// Of a link that is still there.
    void lose();
    /// From the event loop, unless another connection has begun meanwhile.
    template <class F>
    void later(F action)
    {
        QMetaObject::invokeMethod(
            &q,
            [this, mine = q.generation(), action = std::move(action)] {
                if (mine == q.generation())
                    action();
            },
            Qt::QueuedConnection);
    }

    QtMqttTransport &q;
    std::unique_ptr<Link> link;
};

QtMqttTransport::QtMqttTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent)
    : ReconnectingTransport(std::move(endpoint), identity, parent), d(std::make_unique<Private>(*this))
{}

QtMqttTransport::~QtMqttTransport()
{
    (void)d->takeLink(); // its signals must not reach us any more
}

Result<void> QtMqttTransport::sendSubscription(const QString &filter, int qos)
{
    QMqttSubscription *subscription = d->link->client->subscribe(QMqttTopicFilter(filter), static_cast<quint8>(qos));
    if (!subscription)
        return notConnected();
    // Comes right after the client's own signal, and knows what that one does not.
    QObject::disconnect(subscription, &QMqttSubscription::messageReceived, this, nullptr); // the same object again
    QObject::connect(subscription, &QMqttSubscription::messageReceived, this, [this](const QMqttMessage &message) {
        if (!d->link || d->link->arrived.isEmpty())
            return;
        d->link->arrived.last().qos = message.qos();
        d->link->arrived.last().retain = message.retain();
    });
    QObject::disconnect(subscription, &QMqttSubscription::stateChanged, this, nullptr);
    QObject::connect(subscription, &QMqttSubscription::stateChanged, this,
                     [this, filter, subscription](QMqttSubscription::SubscriptionState now) {
                         if (now != QMqttSubscription::Error || state() != State::Connected)
                             return;
                         const QString reason =
                             u"reason code 0x%1"_s.arg(int(subscription->reasonCode()), 2, 16, QLatin1Char('0'));
                         d->later([this,
                                   why = mqtt::subscriptionRefused(u"%1:%2"_s.arg(endpoint().host).arg(endpoint().port),
                                                                   d->link->client->clientId(), filter, reason),
                                   filter] { Q_EMIT subscriptionRefused(filter, why); });
                     });
    return {};
}

Result<void> QtMqttTransport::sendMessage(const MqttMessage &message)
{
    const Private::Link &link = *d->link;
    if (link.waiting.size() + link.unacknowledged >= kMaxMessages || link.socket.bytesToWrite() > kMaxBytes)
        return queueFull();
    d->link->waiting.enqueue(message);
    d->pump();
    return {};
}

Result<void> QtMqttTransport::openLink(const MqttConnect &packet, const X509Svid &svid)
{
    const auto configuration = tlsConfiguration(svid);
    if (!configuration)
        return configuration.error();
    d->link = std::make_unique<Private::Link>();
    d->link->socket.setSslConfiguration(*configuration);
    d->wire(packet);
    d->link->socket.connectToHostEncrypted(endpoint().host, endpoint().port);
    return {};
}

void QtMqttTransport::Private::wire(const MqttConnect &packet)
{
    QMqttClient &client = *link->client;
    client.setProtocolVersion(QMqttClient::MQTT_5_0);
    client.setHostname(q.endpoint().host);
    client.setPort(q.endpoint().port);
    client.setClientId(packet.clientId);
    client.setCleanSession(packet.cleanStart);
    client.setAutoKeepAlive(false); // it would notice a silent broker after three intervals
    client.setKeepAlive(static_cast<quint16>(packet.keepAlive.count()));
    if (packet.sessionExpiry.count() > 0) {
        QMqttConnectionProperties properties;
        properties.setSessionExpiryInterval(static_cast<quint32>(packet.sessionExpiry.count()));
        client.setConnectionProperties(properties);
    }
    if (packet.will) {
        client.setWillTopic(packet.will->topic);
        client.setWillMessage(packet.will->payload);
        client.setWillQoS(static_cast<quint8>(packet.will->qos));
        client.setWillRetain(packet.will->retain);
    }
    QObject::connect(&link->socket, &QSslSocket::encrypted, &q, [this] { onEncrypted(); });
    QObject::connect(&link->socket, &QSslSocket::errorOccurred, &q, [this] { later([this] { lose(); }); });
    QObject::connect(&link->socket, &QSslSocket::disconnected, &q, [this] { later([this] { lose(); }); });
    QObject::connect(&client, &QMqttClient::brokerSessionRestored, &q, [this] { link->sessionPresent = true; });
    QObject::connect(&client, &QMqttClient::stateChanged, &q, [this](auto clientState) { onClientState(clientState); });
    QObject::connect(&client, &QMqttClient::messageSent, &q, [this] {
        if (link && link->unacknowledged > 0)
            --link->unacknowledged;
        later([this] { pump(); });
    });
    QObject::connect(&client, &QMqttClient::messageReceived, &q,
                     [this](const QByteArray &payload, const QMqttTopicName &topic) {
                         link->arrived.enqueue({topic.name(), payload, 0, false});
                         later([this] { emitArrived(); });
                     });
}

void QtMqttTransport::Private::onEncrypted()
{
    link->encrypted = true;
    QList<QByteArray> chain;
    const auto certificates = link->socket.peerCertificateChain();
    for (const QSslCertificate &certificate : certificates)
        chain.append(certificate.toDer());
    const auto current = q.identity().current();
    const auto good = current ? tls::verifyPeer(chain, q.endpoint().broker, (*current)->bundles, tls::PeerRole::Server,
                                                q.identity().trustedNow())
                              : Result<void>(current.error());
    if (!good)
        return later([this, error = good.error()] {
            q.linkFailed({error.code, u"The broker was refused. %1"_s.arg(error.message)});
        });
    link->lastHeard.start();
    link->socket.setSocketOption(QAbstractSocket::LowDelayOption, 1); // lost when set before there is a connection
    link->client->setTransport(&link->socket, QMqttClient::SecureSocket);
    QObject::connect(&link->socket, &QSslSocket::readyRead, &q, [this] {
        if (link)
            link->lastHeard.restart();
    });
    link->client->connectToHost(); // the socket is open, so this sends CONNECT
}

void QtMqttTransport::Private::onClientState(QMqttClient::ClientState clientState)
{
    if (clientState == QMqttClient::Connected)
        later([this] { onConnected(); });
    else if (clientState == QMqttClient::Disconnected)
        later([this] { lose(); });
}

void QtMqttTransport::Private::onConnected()
{
    if (q.state() != State::Connecting || !link)
        return;
    link->lastPing.start();
    link->window = std::clamp<qsizetype>(link->client->serverConnectionProperties().maximumReceive(), 1, kMaxWindow);
    q.linkUp(link->sessionPresent);
}

void QtMqttTransport::watchLink()
{
    const std::chrono::milliseconds interval = keepAlive();
    if (d->link->lastHeard.elapsed() > interval.count() * 15 / 8)
        return linkLost({Errc::Unavailable, u"The broker has not answered for %1 s; connecting again."_s.arg(
                                                d->link->lastHeard.elapsed() / 1'000)});
    if (d->link->lastPing.elapsed() >= interval.count() * 3 / 4) {
        d->link->lastPing.restart();
        d->link->client->requestPing();
    }
}

void QtMqttTransport::Private::pump()
{
    while (q.state() == State::Connected && link && !link->waiting.isEmpty()) {
        if (link->waiting.head().qos > 0 && link->unacknowledged >= link->window)
            return;
        const MqttMessage message = link->waiting.dequeue();
        link->unacknowledged += message.qos > 0 ? 1 : 0;
        link->client->publish(QMqttTopicName(message.topic), message.payload, static_cast<quint8>(message.qos),
                              message.retain);
    }
}

void QtMqttTransport::Private::emitArrived()
{
    const quint64 mine = q.generation();
    while (mine == q.generation() && q.state() == State::Connected && link && !link->arrived.isEmpty())
        Q_EMIT q.messageReceived(link->arrived.dequeue());
}

Error QtMqttTransport::Private::whyEnded() const
{
    const QString where = u"%1:%2"_s.arg(q.endpoint().host).arg(q.endpoint().port);
    if (!link)
        return {Errc::Unavailable, u"The connection to the broker was lost; connecting again."_s};
    switch (link->client->error()) {
    case QMqttClient::IdRejected:
    case QMqttClient::NotAuthorized:
    case QMqttClient::BadUsernameOrPassword:
    case QMqttClient::Mqtt5SpecificError:
        return {Errc::Denied, u"The broker at %1 refuses the client \"%2\"."_s.arg(where, link->client->clientId())};
    default: break;
    }
    if (q.state() == State::Connected)
        return {Errc::Unavailable, u"The connection to the broker was lost; connecting again."_s};
    if (link->encrypted)
        return {Errc::Denied, u"The broker at %1 ended the connection after the TLS handshake; it probably refuses our "
                              "certificate or the client id \"%2\": %3."_s.arg(where, link->client->clientId(),
                                                                               link->socket.errorString())};
    return {Errc::Unavailable,
            u"No broker answers at %1: %2; check the address, and that it runs and speaks TLS 1.3."_s.arg(
                where, link->socket.errorString())};
}

void QtMqttTransport::Private::lose()
{
    if (link)
        q.linkLost(whyEnded());
}

void QtMqttTransport::dropLink()
{
    d->bury(d->takeLink());
}

std::unique_ptr<QtMqttTransport::Private::Link> QtMqttTransport::Private::takeLink()
{
    if (link) {
        QObject::disconnect(&link->socket, nullptr, &q, nullptr);
        QObject::disconnect(link->client.get(), nullptr, &q, nullptr);
    }
    return std::exchange(link, nullptr);
}

/// Not at once: one of its own signals may be running.
void QtMqttTransport::Private::bury(std::unique_ptr<Link> gone) const
{
    if (gone)
        QMetaObject::invokeMethod(
            &q, [shared = std::shared_ptr<Link>(std::move(gone))] {}, Qt::QueuedConnection);
}

void QtMqttTransport::closeLink(Goodbye goodbye, std::function<void()> then)
{
    const std::shared_ptr<Private::Link> closing = d->takeLink();
    while (!closing->waiting.isEmpty() && closing->waiting.size() <= closing->window) {
        const MqttMessage message = closing->waiting.dequeue();
        closing->client->publish(QMqttTopicName(message.topic), message.payload, static_cast<quint8>(message.qos),
                                 message.retain);
    }
    // Everything written goes out first; then either DISCONNECT or nothing.
    auto *const watch = new QTimer(this);
    const auto end = [closing, goodbye, then = std::move(then), watch]() {
        watch->stop();
        watch->deleteLater();
        QObject::disconnect(&closing->socket, nullptr, watch, nullptr);
        if (goodbye == Goodbye::Graceful && closing->socket.bytesToWrite() == 0
            && closing->socket.state() == QAbstractSocket::ConnectedState) {
            closing->client->disconnectFromHost();
        }
        then();
    };
    QElapsedTimer since;
    since.start();
    QObject::connect(watch, &QTimer::timeout, watch, [closing, end, since] {
        const bool flushed = closing->socket.bytesToWrite() == 0 && closing->socket.encryptedBytesToWrite() == 0;
        if (flushed || since.elapsed() > kGoodbyeTime.count()
            || closing->socket.state() != QAbstractSocket::ConnectedState)
            end();
    });
    watch->start(5);
}

} // namespace lintel

#include "mqtt/qt_mqtt_transport.h"

#include "mqtt/topic_rules.h"
#include "ports/system_clock.h"
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

Error notConnected()
{
    return {Errc::Unavailable, u"There is no connection to the broker; try again when there is one."_s};
}

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

    Private(QtMqttTransport &transport, MqttEndpoint where, const IdentitySource &who)
        : q(transport), endpoint(std::move(where)), identity(who), backoff(endpoint.backoff)
    {
        retryTimer.setSingleShot(true);
        deadlineTimer.setSingleShot(true);
        QObject::connect(&retryTimer, &QTimer::timeout, &q, [this] { attempt(); });
        QObject::connect(&deadlineTimer, &QTimer::timeout, &q, [this] {
            fail({Errc::Timeout, u"The broker at %1:%2 did not answer within %3 s."_s.arg(endpoint.host)
                                     .arg(endpoint.port)
                                     .arg(endpoint.connectTimeout.count() / 1'000)});
        });
        QObject::connect(&aliveTimer, &QTimer::timeout, &q, [this] { keepAlive(); });
    }

    void attempt();
    void wire(const MqttConnect &packet);
    void onEncrypted();
    void onClientState(QMqttClient::ClientState clientState);
    void onConnected();
    void keepAlive();
    void pump();
    void emitArrived();
    void fail(const Error &reason);
    void lose(const Error &reason);
    void leave(Goodbye goodbye, const Error &reason, bool thenAttempt);
    [[nodiscard]] Error whyEnded() const;
    std::unique_ptr<Link> takeLink();
    void bury(std::unique_ptr<Link> gone) const;
    void setStateLater(State next);
    /// From the event loop, unless another connection has begun meanwhile.
    template <class F>
    void later(F action)
    {
        QMetaObject::invokeMethod(
            &q,
            [this, mine = generation, action] {
                if (mine == generation)
                    action();
            },
            Qt::QueuedConnection);
    }

    QtMqttTransport &q;
    const MqttEndpoint endpoint;
    const IdentitySource &identity;
    Backoff backoff;
    std::function<MqttConnect()> connectPacket;
    State state = State::Stopped;
    quint64 generation = 0;
    std::chrono::milliseconds interval{30'000};
    std::unique_ptr<Link> link;
    QTimer retryTimer;
    QTimer deadlineTimer;
    QTimer aliveTimer;
};

QtMqttTransport::QtMqttTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent)
    : MqttTransport(parent), d(std::make_unique<Private>(*this, std::move(endpoint), identity))
{}

QtMqttTransport::~QtMqttTransport()
{
    (void)d->takeLink(); // its signals must not reach us any more
}

void QtMqttTransport::start(std::function<MqttConnect()> connectPacket)
{
    d->connectPacket = std::move(connectPacket);
    if (d->state != State::Stopped)
        return; // already at it; the next attempt asks the new function
    d->backoff.reset();
    d->setStateLater(State::Connecting);
    d->retryTimer.start(0);
}

void QtMqttTransport::stop(Goodbye goodbye)
{
    if (d->state == State::Stopped)
        return;
    d->leave(goodbye, {Errc::Unavailable, u"The connection was closed on request."_s}, false);
    d->setStateLater(State::Stopped);
}

void QtMqttTransport::reconnect(Goodbye goodbye)
{
    if (d->state == State::Stopped)
        return;
    d->backoff.reset();
    d->leave(goodbye, {Errc::Unavailable, u"The connection was closed to open a new one."_s}, true);
    d->setStateLater(State::Connecting);
}

MqttTransport::State QtMqttTransport::state() const
{
    return d->state;
}

Result<void> QtMqttTransport::subscribe(const QString &filter, int qos)
{
    if (d->state != State::Connected)
        return notConnected();
    if (auto valid = mqtt::validateTopicFilter(filter); !valid)
        return valid;
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
                         if (now != QMqttSubscription::Error || d->state != State::Connected)
                             return;
                         const QString reason = u"reason code 0x%1"_s.arg(int(subscription->reasonCode()), 2, 16, u'0');
                         d->later(
                             [this,
                              why = mqtt::subscriptionRefused(u"%1:%2"_s.arg(d->endpoint.host).arg(d->endpoint.port),
                                                              d->link->client->clientId(), filter, reason),
                              filter] { Q_EMIT subscriptionRefused(filter, why); });
                     });
    return {};
}

Result<void> QtMqttTransport::publish(const MqttMessage &message)
{
    if (d->state != State::Connected)
        return notConnected();
    if (auto valid = mqtt::validateTopicName(message.topic); !valid)
        return valid;
    const Private::Link &link = *d->link;
    if (link.waiting.size() + link.unacknowledged >= kMaxMessages || link.socket.bytesToWrite() > kMaxBytes)
        return Error{Errc::Full, u"The queue to the broker is full; try again later."_s};
    d->link->waiting.enqueue(message);
    d->pump();
    return {};
}

void QtMqttTransport::Private::attempt()
{
    const quint64 mine = ++generation;
    if (state != State::Connecting) {
        state = State::Connecting;
        Q_EMIT q.stateChanged(state);
        if (mine != generation)
            return;
    }
    const MqttConnect packet = connectPacket();
    const auto current = identity.current();
    if (!current)
        return fail(current.error());
    const X509Svid &svid = (*current)->svid;
    if (svid.notAfter <= SystemClock().now())
        return fail(
            {Errc::Denied, u"Our certificate (%1) expired at %2; a new one is needed, or the clock is wrong."_s.arg(
                               svid.id.toString(), toIso8601(svid.notAfter))});
    const auto configuration = tlsConfiguration(svid);
    if (!configuration)
        return fail(configuration.error());
    link = std::make_unique<Link>();
    link->socket.setSslConfiguration(*configuration);
    link->socket.setSocketOption(QAbstractSocket::LowDelayOption, 1);
    wire(packet);
    deadlineTimer.start(endpoint.connectTimeout);
    link->socket.connectToHostEncrypted(endpoint.host, endpoint.port);
}

void QtMqttTransport::Private::wire(const MqttConnect &packet)
{
    interval = packet.keepAlive;
    QMqttClient &client = *link->client;
    client.setProtocolVersion(QMqttClient::MQTT_5_0);
    client.setHostname(endpoint.host);
    client.setPort(endpoint.port);
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
    QObject::connect(&link->socket, &QSslSocket::errorOccurred, &q, [this] { later([this] { lose(whyEnded()); }); });
    QObject::connect(&link->socket, &QSslSocket::disconnected, &q, [this] { later([this] { lose(whyEnded()); }); });
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
    const auto current = identity.current();
    const auto good = current ? tls::verifyPeer(chain, endpoint.broker, (*current)->bundles, tls::PeerRole::Server,
                                                SystemClock().now())
                              : Result<void>(current.error());
    if (!good)
        return later([this, error = good.error()] {
            fail({error.code, u"The broker was refused. %1"_s.arg(error.message)});
        });
    link->lastHeard.start();
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
        later([this] { lose(whyEnded()); });
}

void QtMqttTransport::Private::onConnected()
{
    if (state != State::Connecting || !link)
        return;
    deadlineTimer.stop();
    backoff.reset();
    link->lastPing.start();
    link->window = std::clamp<qsizetype>(link->client->serverConnectionProperties().maximumReceive(), 1, kMaxWindow);
    if (interval.count() > 0)
        aliveTimer.start(interval / 8);
    const quint64 mine = generation;
    const bool present = link->sessionPresent;
    state = State::Connected;
    Q_EMIT q.stateChanged(state);
    if (mine == generation)
        Q_EMIT q.connected(present);
}

void QtMqttTransport::Private::keepAlive()
{
    if (state != State::Connected || !link)
        return;
    if (link->lastHeard.elapsed() > interval.count() * 15 / 8)
        return lose({Errc::Unavailable, u"The broker has not answered for %1 s; connecting again."_s.arg(
                                            link->lastHeard.elapsed() / 1'000)});
    if (link->lastPing.elapsed() >= interval.count() * 3 / 4) {
        link->lastPing.restart();
        link->client->requestPing();
    }
}

void QtMqttTransport::Private::pump()
{
    while (state == State::Connected && link && !link->waiting.isEmpty()) {
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
    const quint64 mine = generation;
    while (mine == generation && state == State::Connected && link && !link->arrived.isEmpty())
        Q_EMIT q.messageReceived(link->arrived.dequeue());
}

Error QtMqttTransport::Private::whyEnded() const
{
    const QString where = u"%1:%2"_s.arg(endpoint.host).arg(endpoint.port);
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
    if (state == State::Connected)
        return {Errc::Unavailable, u"The connection to the broker was lost; connecting again."_s};
    if (link->encrypted)
        return {Errc::Denied, u"The broker at %1 ended the connection after the TLS handshake; it probably refuses our "
                              "certificate or the client id \"%2\": %3."_s.arg(where, link->client->clientId(),
                                                                               link->socket.errorString())};
    return {Errc::Unavailable,
            u"No broker answers at %1: %2; check the address, and that it runs and speaks TLS 1.3."_s.arg(
                where, link->socket.errorString())};
}

void QtMqttTransport::Private::fail(const Error &reason)
{
    deadlineTimer.stop();
    bury(takeLink());
    const auto retryIn = backoff.next();
    retryTimer.start(retryIn);
    const quint64 mine = ++generation;
    state = State::WaitingToRetry;
    Q_EMIT q.stateChanged(state);
    if (mine == generation)
        Q_EMIT q.connectFailed(reason, retryIn);
}

void QtMqttTransport::Private::lose(const Error &reason)
{
    if (!link)
        return;
    if (state == State::Connecting)
        return fail(reason);
    if (state != State::Connected)
        return;
    bury(takeLink());
    retryTimer.start(backoff.next());
    const quint64 mine = ++generation;
    state = State::WaitingToRetry;
    Q_EMIT q.stateChanged(state);
    if (mine == generation)
        Q_EMIT q.disconnected(reason);
}

std::unique_ptr<QtMqttTransport::Private::Link> QtMqttTransport::Private::takeLink()
{
    aliveTimer.stop();
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

void QtMqttTransport::Private::leave(Goodbye goodbye, const Error &reason, bool thenAttempt)
{
    const bool wasConnected = state == State::Connected;
    const quint64 mine = ++generation;
    retryTimer.stop();
    deadlineTimer.stop();
    std::shared_ptr<Link> closing = takeLink();
    const auto finish = [this, reason, wasConnected, thenAttempt, mine] {
        if (wasConnected)
            Q_EMIT q.disconnected(reason);
        if (thenAttempt && mine == generation)
            attempt();
    };
    if (!wasConnected || !closing) {
        QMetaObject::invokeMethod(
            &q, [finish, closing] { finish(); }, Qt::QueuedConnection);
        return;
    }
    while (!closing->waiting.isEmpty() && closing->waiting.size() <= closing->window) {
        const MqttMessage message = closing->waiting.dequeue();
        closing->client->publish(QMqttTopicName(message.topic), message.payload, static_cast<quint8>(message.qos),
                                 message.retain);
    }
    // Everything written goes out first; then either DISCONNECT or nothing.
    auto *const watch = new QTimer(&q);
    const auto end = [closing, goodbye, finish, watch]() {
        watch->stop();
        watch->deleteLater();
        QObject::disconnect(&closing->socket, nullptr, watch, nullptr);
        if (goodbye == Goodbye::Graceful && closing->socket.bytesToWrite() == 0
            && closing->socket.state() == QAbstractSocket::ConnectedState) {
            closing->client->disconnectFromHost();
        }
        finish();
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

void QtMqttTransport::Private::setStateLater(State next)
{
    if (next == state)
        return;
    state = next;
    QMetaObject::invokeMethod(
        &q, [this, next] { Q_EMIT q.stateChanged(next); }, Qt::QueuedConnection);
}

} // namespace lintel

#include "mqtt/paho_transport.h"

#include "mqtt/paho_link.h"
#include "mqtt/serial_worker.h"
#include "mqtt/topic_rules.h"
#include "ports/system_clock.h"

#include <QTimer>

namespace lintel {

using namespace Qt::StringLiterals;

namespace {
Error notConnected()
{
    return {Errc::Unavailable, u"There is no connection to the broker; try again when there is one."_s};
}

Error queueFull()
{
    return {Errc::Full, u"The queue to the broker is full; try again later."_s};
}

/// Where the library's threads leave events for the transport; empty once it is destroyed.
struct Mailbox {
    QMutex mutex;
    QObject *receiver = nullptr;

    void post(std::function<void()> action)
    {
        const QMutexLocker lock(&mutex);
        if (receiver)
            QMetaObject::invokeMethod(receiver, std::move(action), Qt::QueuedConnection);
    }
};
} // namespace

struct PahoTransport::Private {
    Private(PahoTransport &transport, MqttEndpoint where, const IdentitySource &who)
        : q(transport), endpoint(std::move(where)), identity(who), backoff(endpoint.backoff),
          mailbox(std::make_shared<Mailbox>())
    {
        mailbox->receiver = &transport;
        retryTimer.setSingleShot(true);
        deadlineTimer.setSingleShot(true);
        QObject::connect(&retryTimer, &QTimer::timeout, &q, [this] { attempt(); });
        QObject::connect(&deadlineTimer, &QTimer::timeout, &q, [this] {
            onFailed({Errc::Timeout, u"The broker at %1:%2 did not answer within %3 s."_s.arg(endpoint.host)
                                         .arg(endpoint.port)
                                         .arg(endpoint.connectTimeout.count() / 1'000)},
                     false);
        });
        QObject::connect(&watchTimer, &QTimer::timeout, &q, [this] { watch(); });
    }

    void attempt();
    [[nodiscard]] Result<std::shared_ptr<TlsPeer>> makePeer(std::chrono::seconds keepAlive) const;
    void onEvent(quint64 linkGeneration, const PahoLink::Event &event);
    void onConnected(bool sessionPresent);
    void onFailed(const Error &reason, bool mayTryNextAddress);
    void onLost(const Error &reason);
    void watch();
    void dropLink();
    void closeLink(Goodbye goodbye, const Error &reason, bool thenAttempt);
    void setStateLater(State next);

    PahoTransport &q;
    const MqttEndpoint endpoint;
    const IdentitySource &identity;
    Backoff backoff;
    std::function<MqttConnect()> connectPacket;
    State state = State::Stopped;
    quint64 generation = 0; // of the link; events of an older one are void
    int addressIndex = 0;
    std::chrono::seconds keepAlive{30};
    std::shared_ptr<PahoLink> link;
    std::shared_ptr<Mailbox> mailbox;
    QTimer retryTimer;
    QTimer deadlineTimer;
    QTimer watchTimer;
    SerialWorker worker; // last: it ends first
};

PahoTransport::PahoTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent)
    : MqttTransport(parent), d(std::make_unique<Private>(*this, std::move(endpoint), identity))
{}

PahoTransport::~PahoTransport()
{
    {
        const QMutexLocker lock(&d->mailbox->mutex);
        d->mailbox->receiver = nullptr;
    }
    if (!d->link)
        return;
    const auto link = std::exchange(d->link, nullptr);
    link->detach();
    if (d->state == State::Connected)
        d->worker.post([link] { link->close(Goodbye::WithWill); });
    else
        d->worker.post([link] { link->destroy(); });
}

void PahoTransport::start(std::function<MqttConnect()> connectPacket)
{
    d->connectPacket = std::move(connectPacket);
    if (d->state != State::Stopped)
        return; // already at it; the next attempt asks the new function
    d->backoff.reset();
    d->addressIndex = 0;
    d->setStateLater(State::Connecting);
    d->retryTimer.start(0);
}

void PahoTransport::stop(Goodbye goodbye)
{
    if (d->state == State::Stopped)
        return;
    d->closeLink(goodbye, {Errc::Unavailable, u"The connection was closed on request."_s}, false);
    d->setStateLater(State::Stopped);
}

void PahoTransport::reconnect(Goodbye goodbye)
{
    if (d->state == State::Stopped)
        return;
    d->backoff.reset();
    d->addressIndex = 0;
    d->closeLink(goodbye, {Errc::Unavailable, u"The connection was closed to open a new one."_s}, true);
    d->setStateLater(State::Connecting);
}

MqttTransport::State PahoTransport::state() const
{
    return d->state;
}

Result<void> PahoTransport::subscribe(const QString &filter, int qos)
{
    if (d->state != State::Connected)
        return notConnected();
    if (auto valid = mqtt::validateTopicFilter(filter); !valid)
        return valid;
    if (!d->link->enqueueSubscription(filter, qos))
        return queueFull();
    return {};
}

Result<void> PahoTransport::publish(const MqttMessage &message)
{
    if (d->state != State::Connected)
        return notConnected();
    if (auto valid = mqtt::validateTopicName(message.topic); !valid)
        return valid;
    if (!d->link->enqueue(message))
        return queueFull();
    return {};
}

Result<std::shared_ptr<TlsPeer>> PahoTransport::Private::makePeer(std::chrono::seconds interval) const
{
    const auto current = identity.current();
    if (!current)
        return current.error();
    const X509Svid &svid = (*current)->svid;
    if (svid.notAfter <= SystemClock().now())
        return Error{Errc::Denied,
                     u"Our certificate (%1) expired at %2; a new one is needed, or the clock is wrong."_s.arg(
                         svid.id.toString(), toIso8601(svid.notAfter))};
    return TlsPeer::make(endpoint.broker, identity, std::chrono::milliseconds(interval) * 15 / 8);
}

void PahoTransport::Private::attempt()
{
    const quint64 mine = ++generation;
    if (state != State::Connecting) {
        state = State::Connecting;
        Q_EMIT q.stateChanged(state);
        if (mine != generation)
            return; // a listener stopped or restarted us
    }
    MqttConnect packet = connectPacket();
    keepAlive = packet.keepAlive;
    auto peer = makePeer(keepAlive);
    if (!peer)
        return onFailed(peer.error(), false);
    auto sink = [box = mailbox, mine, this](PahoLink::Event event) {
        box->post([mine, this, event = std::move(event)] { onEvent(mine, event); });
    };
    link = std::make_shared<PahoLink>(endpoint, addressIndex, std::move(packet), std::move(*peer), std::move(sink),
                                      worker.poster());
    deadlineTimer.start(endpoint.connectTimeout);
    worker.post([opened = link] { opened->open(); });
}

void PahoTransport::Private::onEvent(quint64 linkGeneration, const PahoLink::Event &event)
{
    if (linkGeneration != generation)
        return;
    using Kind = PahoLink::Event::Kind;
    switch (event.kind) {
    case Kind::Connected: return onConnected(event.sessionPresent);
    case Kind::Failed: return onFailed(event.error, event.mayTryNextAddress);
    case Kind::Lost: return onLost(event.error);
    case Kind::Message:
        if (state == State::Connected)
            Q_EMIT q.messageReceived(event.message);
        return;
    case Kind::SubscriptionRefused:
        if (state == State::Connected)
            Q_EMIT q.subscriptionRefused(event.filter, event.error);
        return;
    case Kind::Closed: return;
    }
}

void PahoTransport::Private::onConnected(bool sessionPresent)
{
    if (state != State::Connecting)
        return;
    if (!link->peer().verified())
        return onFailed({Errc::Denied, u"The broker's certificate was not shown in this handshake; connecting anew."_s},
                        false);
    deadlineTimer.stop();
    backoff.reset();
    addressIndex = 0;
    if (keepAlive.count() > 0)
        watchTimer.start(std::chrono::milliseconds(keepAlive) / 8);
    const quint64 mine = generation;
    state = State::Connected;
    Q_EMIT q.stateChanged(state);
    if (mine == generation)
        Q_EMIT q.connected(sessionPresent);
}

void PahoTransport::Private::onFailed(const Error &reason, bool mayTryNextAddress)
{
    deadlineTimer.stop();
    dropLink();
    if (mayTryNextAddress) {
        ++addressIndex;
        return retryTimer.start(0);
    }
    addressIndex = 0;
    const auto retryIn = backoff.next();
    retryTimer.start(retryIn);
    const quint64 mine = ++generation;
    state = State::WaitingToRetry;
    Q_EMIT q.stateChanged(state);
    if (mine == generation)
        Q_EMIT q.connectFailed(reason, retryIn);
}

void PahoTransport::Private::onLost(const Error &reason)
{
    if (state == State::Connecting)
        return onFailed(reason, false);
    if (state != State::Connected)
        return;
    dropLink();
    retryTimer.start(backoff.next());
    const quint64 mine = ++generation;
    state = State::WaitingToRetry;
    Q_EMIT q.stateChanged(state);
    if (mine == generation)
        Q_EMIT q.disconnected(reason);
}

/// The library notices a silent broker by its pings, unless it cannot send one because earlier
/// bytes are stuck; then what is stuck tells.
void PahoTransport::Private::watch()
{
    if (state == State::Connected && link->stalledFor() > std::chrono::nanoseconds(keepAlive) * 7 / 4)
        onLost({Errc::Unavailable,
                u"The broker has not answered for %1 s; connecting again."_s.arg(keepAlive.count() * 7 / 4)});
}

void PahoTransport::Private::dropLink()
{
    watchTimer.stop();
    if (const auto gone = std::exchange(link, nullptr)) {
        gone->detach();
        worker.post([gone] { gone->destroy(); });
    }
}

void PahoTransport::Private::closeLink(Goodbye goodbye, const Error &reason, bool thenAttempt)
{
    const quint64 mine = ++generation; // whatever else that link says is void
    retryTimer.stop();
    deadlineTimer.stop();
    if (state != State::Connected) {
        dropLink();
        if (thenAttempt)
            retryTimer.start(0);
        return;
    }
    watchTimer.stop();
    const auto closing = std::exchange(link, nullptr);
    worker.post([closing, goodbye, box = mailbox, reason, mine, thenAttempt, this] {
        closing->close(goodbye);
        closing->detach();
        box->post([reason, mine, thenAttempt, this] {
            Q_EMIT q.disconnected(reason);
            if (thenAttempt && mine == generation)
                attempt();
        });
    });
}

void PahoTransport::Private::setStateLater(State next)
{
    if (next == state)
        return;
    state = next;
    mailbox->post([next, this] { Q_EMIT q.stateChanged(next); });
}

} // namespace lintel

#include "mqtt/paho_transport.h"

#include "mqtt/paho_link.h"
#include "mqtt/serial_worker.h"

namespace lintel {

using namespace Qt::StringLiterals;

namespace {
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
    explicit Private(PahoTransport &transport) : q(transport), mailbox(std::make_shared<Mailbox>())
    {
        mailbox->receiver = &transport;
    }

    void onEvent(quint64 linkGeneration, const PahoLink::Event &event);
    void onConnected(bool sessionPresent);
    void onFailed(const Error &reason, bool mayTryNextAddress);

    PahoTransport &q;
    int addressIndex = 0; // of those that the broker's name has; the first one again after a failure
    std::shared_ptr<PahoLink> link;
    std::shared_ptr<Mailbox> mailbox;
    SerialWorker worker; // last: it ends first
};

PahoTransport::PahoTransport(MqttEndpoint endpoint, const IdentitySource &identity, QObject *parent)
    : ReconnectingTransport(std::move(endpoint), identity, parent), d(std::make_unique<Private>(*this))
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
    if (state() == State::Connected)
        d->worker.post([link] { link->close(Goodbye::WithWill); });
    else
        d->worker.post([link] { link->destroy(); });
}

Result<void> PahoTransport::openLink(const MqttConnect &packet, const X509Svid &)
{
    auto peer = TlsPeer::make(endpoint().broker, identity(), std::chrono::milliseconds(keepAlive()) * 15 / 8);
    if (!peer)
        return peer.error();
    auto sink = [box = d->mailbox, mine = generation(), p = d.get()](PahoLink::Event event) {
        box->post([mine, p, event = std::move(event)] { p->onEvent(mine, event); });
    };
    d->link = std::make_shared<PahoLink>(endpoint(), d->addressIndex, packet, std::move(*peer), std::move(sink),
                                         d->worker.poster());
    d->worker.post([opened = d->link] { opened->open(); });
    return {};
}

void PahoTransport::dropLink()
{
    d->addressIndex = 0;
    if (const auto gone = std::exchange(d->link, nullptr)) {
        gone->detach();
        d->worker.post([gone] { gone->destroy(); });
    }
}

void PahoTransport::closeLink(Goodbye goodbye, std::function<void()> then)
{
    const auto closing = std::exchange(d->link, nullptr);
    d->worker.post([closing, goodbye, box = d->mailbox, then = std::move(then)] {
        closing->close(goodbye);
        closing->detach();
        box->post(then);
    });
}

/// The library notices a silent broker by its pings, unless it cannot send one because earlier
/// bytes are stuck; then what is stuck tells.
void PahoTransport::watchLink()
{
    if (d->link->stalledFor() > std::chrono::nanoseconds(keepAlive()) * 7 / 4)
        linkLost({Errc::Unavailable,
                  u"The broker has not answered for %1 s; connecting again."_s.arg(keepAlive().count() * 7 / 4)});
}

Result<void> PahoTransport::sendSubscription(const QString &filter, int qos)
{
    if (!d->link->enqueueSubscription(filter, qos))
        return queueFull();
    return {};
}

Result<void> PahoTransport::sendMessage(const MqttMessage &message)
{
    if (!d->link->enqueue(message))
        return queueFull();
    return {};
}

void PahoTransport::Private::onEvent(quint64 linkGeneration, const PahoLink::Event &event)
{
    if (linkGeneration != q.generation())
        return;
    using Kind = PahoLink::Event::Kind;
    switch (event.kind) {
    case Kind::Connected: return onConnected(event.sessionPresent);
    case Kind::Failed: return onFailed(event.error, event.mayTryNextAddress);
    case Kind::Lost: return q.linkLost(event.error);
    case Kind::Message:
        if (q.state() == State::Connected)
            Q_EMIT q.messageReceived(event.message);
        return;
    case Kind::SubscriptionRefused:
        if (q.state() == State::Connected)
            Q_EMIT q.subscriptionRefused(event.filter, event.error);
        return;
    case Kind::Closed: return;
    }
}

void PahoTransport::Private::onConnected(bool sessionPresent)
{
    if (q.state() != State::Connecting)
        return;
    if (!link->peer().verified())
        return q.linkFailed(
            {Errc::Denied, u"The broker's certificate was not shown in this handshake; connecting anew."_s});
    addressIndex = 0;
    q.linkUp(sessionPresent);
}

void PahoTransport::Private::onFailed(const Error &reason, bool mayTryNextAddress)
{
    if (!mayTryNextAddress)
        return q.linkFailed(reason);
    const int next = addressIndex + 1;
    q.attemptAgain();
    addressIndex = next;
}

} // namespace lintel

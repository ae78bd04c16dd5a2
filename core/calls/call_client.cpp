#include "calls/call_client.h"

#include "domain/topic.h"

#include <QPointer>
#include <QUuid>

#include <algorithm>

namespace lintel {

namespace {

constexpr std::chrono::seconds repeatAfter{2};
// Deadlines are read from the clock that was handed in; the timer only says when to look.
constexpr Millis lookEvery{100};

/// As people know it.
QString nameOf(const Principal &callee)
{
    return callee.spiffeId().toString();
}

} // namespace

CallClient::CallClient(Principal self, const Clock &clock, MqttTransport &transport, QObject *parent)
    : QObject(parent), m_self(std::move(self)), m_clock(clock), m_transport(transport)
{
    m_timer.setInterval(lookEvery);
    connect(&m_timer, &QTimer::timeout, this, &CallClient::onTimer);
    connect(&m_transport, &MqttTransport::connected, this, &CallClient::onConnected);
    connect(&m_transport, &MqttTransport::messageReceived, this, &CallClient::onMessage);
    connect(&m_transport, &MqttTransport::subscriptionRefused, this, &CallClient::onRefused);
    if (m_transport.state() == MqttTransport::State::Connected)
        onConnected();
}

void CallClient::call(const Principal &callee, const QString &method, const QCborMap &args, Millis timeout, Done done)
{
    const auto topic = parseTopic(toString(RequestTopic{callee, m_self, method}));
    if (!topic || m_refused) {
        QMetaObject::invokeMethod(
            this, [done = std::move(done), error = topic ? *m_refused : topic.error()] { done(error); },
            Qt::QueuedConnection);
        return;
    }
    timeout = std::clamp(timeout, Millis{0}, maxCallTimeout);
    const QString correlation = QUuid::createUuid().toString(QUuid::WithoutBraces);
    const auto now = m_clock.monotonic();
    Pending pending;
    pending.callee = callee;
    pending.method = method;
    pending.request = encode(CallRequest{correlation, m_clock.now() + timeout, args});
    pending.timeout = timeout;
    pending.deadline = now + timeout;
    pending.nextSend = now;
    pending.done = std::move(done);
    send(*m_pending.emplace(correlation, std::move(pending)));
    m_timer.start();
}

void CallClient::onConnected()
{
    m_refused.reset();
    // A subscription that the transport refuses means that the connection is already gone again;
    // the next connected() comes here once more.
    if (!m_transport.subscribe(filter::responsesTo(m_self), 1))
        return;
    for (Pending &pending : m_pending)
        send(pending);
}

/// Nobody's answer would ever arrive.
void CallClient::onRefused(const QString &filter, const Error &why)
{
    if (filter != filter::responsesTo(m_self))
        return;
    m_refused = why;
    const QPointer<CallClient> alive(this); // `done` may destroy whoever called
    const QStringList waiting = m_pending.keys();
    for (const QString &correlation : waiting) {
        finish(correlation, why);
        if (!alive)
            return;
    }
}

void CallClient::onMessage(const MqttMessage &message)
{
    const auto topic = parseTopic(message.topic);
    const auto *address = topic ? std::get_if<ResponseTopic>(&*topic) : nullptr;
    if (!address || address->caller != m_self)
        return;
    const auto pending = m_pending.constFind(address->correlation);
    if (pending == m_pending.constEnd() || pending->callee != address->callee)
        return;
    const auto response = decodeCallResponse(message.payload);
    if (!response) {
        finish(address->correlation,
               Error{Errc::Malformed, QStringLiteral("%1 answered %2 with something unreadable. %3")
                                          .arg(nameOf(address->callee), pending->method, response.error().message)});
    } else if (response->correlation == address->correlation) {
        finish(address->correlation, response->outcome);
    }
}

void CallClient::onTimer()
{
    const auto now = m_clock.monotonic();
    QStringList expired;
    for (auto it = m_pending.begin(); it != m_pending.end(); ++it) {
        if (now >= it->deadline)
            expired.append(it.key());
        else if (now >= it->nextSend)
            send(*it);
    }
    const QPointer<CallClient> alive(this); // `done` may destroy whoever called
    for (const QString &correlation : expired) {
        const auto it = m_pending.constFind(correlation);
        if (it == m_pending.constEnd())
            continue;
        finish(correlation,
               Error{Errc::Timeout, QStringLiteral("%1 did not answer %2 within %3 s; is it running and connected?")
                                        .arg(nameOf(it->callee), it->method)
                                        .arg(double(it->timeout.count()) / 1000)});
        if (!alive)
            return;
    }
    if (m_pending.isEmpty())
        m_timer.stop();
}

void CallClient::send(Pending &pending)
{
    if (m_transport.state() != MqttTransport::State::Connected)
        return;
    const QString topic = toString(RequestTopic{pending.callee, m_self, pending.method});
    // When the send queue is full the request stays due and the next tick tries again.
    if (m_transport.publish(MqttMessage{topic, pending.request, 1, false}))
        pending.nextSend = m_clock.monotonic() + repeatAfter;
}

void CallClient::finish(const QString &correlation, const Result<QCborMap> &outcome)
{
    const Done done = m_pending.take(correlation).done;
    if (done)
        done(outcome);
}

} // namespace lintel

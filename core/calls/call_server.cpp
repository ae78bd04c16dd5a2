#include "calls/call_server.h"

#include <QPointer>

#include <algorithm>
#include <memory>

namespace lintel {

namespace {

constexpr std::chrono::seconds clockTolerance{30};
constexpr auto remember = maxCallTimeout + clockTolerance; // as long as a request can still be valid
constexpr qsizetype maxKnown = 1000;

/// ':' never ends a principal's last segment, and '/' stands in neither part.
QString memoryKey(const Principal &caller, const QString &correlation)
{
    return caller.toString() + u'/' + correlation;
}

} // namespace

CallServer::CallServer(Principal self, const Clock &clock, MqttTransport &transport, QObject *parent)
    : QObject(parent), m_self(std::move(self)), m_clock(clock), m_transport(transport)
{
    connect(&m_transport, &MqttTransport::connected, this, &CallServer::onConnected);
    connect(&m_transport, &MqttTransport::messageReceived, this, &CallServer::onMessage);
    if (m_transport.state() == MqttTransport::State::Connected)
        onConnected();
}

void CallServer::provide(const QString &method, Handler handler)
{
    m_handlers.emplace(method, std::move(handler));
}

QStringList CallServer::methods() const
{
    QStringList names;
    for (auto it = m_handlers.keyBegin(); it != m_handlers.keyEnd(); ++it) {
        if (isOffered(*it))
            names.append(*it);
    }
    names.sort();
    return names;
}

bool CallServer::isOffered(const QString &method) const
{
    return m_handlers.contains(method) && (m_offered.isEmpty() || m_offered.contains(method));
}

void CallServer::onConnected()
{
    // Refused means that the connection is gone again; the next connected() comes here once more.
    (void)bool(m_transport.subscribe(filter::requestsTo(m_self), 1));
}

void CallServer::onMessage(const MqttMessage &message)
{
    const auto topic = parseTopic(message.topic);
    const auto *address = topic ? std::get_if<RequestTopic>(&*topic) : nullptr;
    if (!address || address->callee != m_self)
        return;
    const auto request = decodeCallRequest(message.payload);
    if (request) {
        onRequest(*address, *request);
        return;
    }
    if (const auto correlation = correlationOf(message.payload))
        publish(*address, *correlation, encode(CallResponse{*correlation, request.error()}));
}

void CallServer::onRequest(const RequestTopic &topic, const CallRequest &request)
{
    // Compared in milliseconds of any size: an absurd time must not overflow.
    const qint64 now = toEpochMillis(m_clock.now());
    const qint64 expires = toEpochMillis(request.expires);
    if (expires < now - Millis(clockTolerance).count())
        return;
    forgetOld();
    const auto known = m_known.constFind(memoryKey(topic.caller, request.correlation));
    if (known != m_known.constEnd()) {
        if (!known->response.isEmpty())
            publish(topic, request.correlation, known->response);
        return;
    }

    std::optional<Error> refusal;
    if (expires > now + Millis(remember).count()) {
        refusal = Error{Errc::OutOfRange,
                        QStringLiteral("\"expires\" is more than ten minutes ahead; check the clocks of both sides.")};
    } else if (!isOffered(topic.method)) {
        refusal = Error{Errc::NotFound, QStringLiteral("There is no capability \"%1\" here; there are: %2.")
                                            .arg(topic.method, methods().join(u", "))};
    } else if (!makeRoom()) {
        refusal = Error{Errc::Full, QStringLiteral("Too many calls are running; try again later.")};
    }
    if (refusal)
        publish(topic, request.correlation, encode(CallResponse{request.correlation, *refusal}));
    else
        run(topic, request);
}

void CallServer::run(const RequestTopic &topic, const CallRequest &request)
{
    m_known.insert(memoryKey(topic.caller, request.correlation), Known{m_clock.monotonic(), {}});
    const QPointer<CallServer> alive(this);
    const auto answered = std::make_shared<bool>(false);
    // A copy, because a handler may replace itself.
    const Handler handler = m_handlers.value(topic.method);
    handler(Call{topic.caller, topic.method, request.args, request.expires},
            [alive, answered, topic, correlation = request.correlation](const Result<QCborMap> &outcome) {
                if (!alive || std::exchange(*answered, true))
                    return;
                alive->answer(topic, correlation, outcome);
            });
}

void CallServer::answer(const RequestTopic &topic, const QString &correlation, const Result<QCborMap> &outcome)
{
    const auto known = m_known.find(memoryKey(topic.caller, correlation));
    if (known == m_known.end())
        return; // forgotten: the caller gave up long ago
    known->response = encode(CallResponse{correlation, outcome});
    if (known->response.size() > maxCallBytes) {
        known->response = encode(CallResponse{
            correlation,
            Error{Errc::Full,
                  QStringLiteral("The answer has %1 bytes, more than a call can carry; ask for less at once.")
                      .arg(known->response.size())}});
    }
    publish(topic, correlation, known->response);
}

void CallServer::publish(const RequestTopic &topic, const QString &correlation, const QByteArray &response)
{
    const QString address = toString(ResponseTopic{topic.caller, m_self, correlation});
    // What cannot be sent now is not kept here: the caller repeats its request and is answered then.
    (void)bool(m_transport.publish(MqttMessage{address, response, 1, false}));
}

void CallServer::forgetOld()
{
    const auto now = m_clock.monotonic();
    m_known.removeIf([now](const auto &entry) { return now - entry.value().seen > remember; });
}

/// Forgets the oldest answer when memory is full; false when all of it is still running.
bool CallServer::makeRoom()
{
    if (m_known.size() < maxKnown)
        return true;
    auto oldest = m_known.end();
    for (auto it = m_known.begin(); it != m_known.end(); ++it) {
        if (!it->response.isEmpty() && (oldest == m_known.end() || it->seen < oldest->seen))
            oldest = it;
    }
    if (oldest == m_known.end())
        return false;
    m_known.erase(oldest);
    return true;
}

} // namespace lintel
